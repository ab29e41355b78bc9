/* Alarms: no publish is taken while one lasts, whoever it is from; everything else is. */
#include "broker.h"

#include <criterion/criterion.h>

static const char reason[] = "low on memory";

static struct client *open_publisher(struct broker *b)
{
	return client_open_knowing(b, "connection.blocked");
}

static void expect_blocked(struct client *c)
{
	struct method m = client_expect(c, METHOD_connection_blocked);
	cr_assert(bytes_equal_str(m.connection_blocked.reason, reason));
}

static void open_channel(struct client *c, uint16_t number)
{
	struct method m = { .id = METHOD_channel_open };
	client_method(c, number, &m);
	client_expect(c, METHOD_channel_open_ok);
}

static void ask_for_qos(struct client *c, uint16_t channel)
{
	struct method m = { .id = METHOD_basic_qos };
	client_method(c, channel, &m);
}

static void get(struct client *c, uint16_t channel, const char *queue)
{
	struct method m = { .id = METHOD_basic_get };
	m.basic_get.queue = bytes_str(queue);
	client_method(c, channel, &m);
}

static void close_connection(struct client *c)
{
	struct method m = { .id = METHOD_connection_close };
	m.connection_close.reply_code = 200;
	client_method(c, 0, &m);
}

/* A frame of nothing, of this size, in the middle of a message. */
static void send_body(struct client *c, size_t len)
{
	static uint8_t wire[200000];
	frame_head(wire, FRAME_BODY, 1, (uint32_t)len);
	wire[FRAME_HEAD_BYTES + len] = FRAME_END;
	client_send(c, bytes_of(wire, len + FRAME_OVERHEAD));
}

static void begin_message(struct client *c, const char *key, uint64_t len)
{
	uint8_t wire[64];
	struct method m = { .id = METHOD_basic_publish };
	m.basic_publish.routing_key = bytes_str(key);
	client_method(c, 1, &m);
	struct writer w = writer_of(wire + FRAME_HEAD_BYTES, sizeof wire - FRAME_HEAD_BYTES);
	write_u32(&w, (uint32_t)CLASS_BASIC << 16);
	write_u64(&w, len);
	write_u16(&w, 0);
	write_u8(&w, FRAME_END);
	frame_head(wire, FRAME_HEADER, 1, (uint32_t)(w.at - wire) - FRAME_OVERHEAD);
	client_send(c, bytes_of(wire, (size_t)(w.at - wire)));
}

Test(alarm, is_told_at_once_to_those_who_have_published_and_know_it)
{
	struct broker *b = broker_create();
	struct client *knows = open_publisher(b), *does_not = client_open(b),
		      *quiet = open_publisher(b);
	client_publish(knows, "", "nowhere", "x", 1);
	client_publish(does_not, "", "nowhere", "x", 1);
	broker_alarm(b, reason);
	broker_alarm(b, reason);
	expect_blocked(knows);
	client_expect_nothing(knows);
	client_expect_nothing(does_not);
	client_expect_nothing(quiet);
	broker_alarm(b, NULL);
	client_expect(knows, METHOD_connection_unblocked);
	client_expect_nothing(knows);
	broker_destroy(b);
}

Test(alarm, is_told_to_whoever_publishes_first_and_the_publish_waits)
{
	struct broker *b = broker_create();
	struct client *early = open_publisher(b), *c = open_publisher(b);
	client_declare(c, "q", false);
	client_confirms(c);
	broker_alarm(b, reason);
	struct client *late = open_publisher(b);
	client_publish(c, "", "q", "1", 1);
	client_publish(c, "", "q", "2", 1);
	client_publish(late, "", "q", "3", 1);
	expect_blocked(c);
	client_expect_nothing(c);
	expect_blocked(late);
	cr_assert_eq(client_count(early, "q"), 0);
	broker_alarm(b, NULL);
	client_expect(c, METHOD_connection_unblocked);
	broker_sync(b);
	struct method m = client_expect(c, METHOD_basic_ack);
	cr_assert_eq(m.basic_ack.delivery_tag, 2);
	client_consume(early, "q", "t", true, 0);
	client_expect_deliver(early, "1", false);
	client_expect_deliver(early, "2", false);
	client_expect_deliver(early, "3", false);
	broker_destroy(b);
}

/* Whoever connects, publishes and hangs up gets nothing in, however often. */
Test(alarm, is_not_bypassed_by_short_connections)
{
	struct broker *b = broker_create();
	struct client *c = client_open(b);
	client_declare(c, "q", false);
	broker_alarm(b, reason);
	for (int i = 0; i < 10; i++) {
		struct client *brief = open_publisher(b);
		client_publish(brief, "", "q", "x", 1);
		expect_blocked(brief);
		client_disconnect(brief);
	}
	cr_assert_eq(b->diskless.host.kept_bytes, 0);
	broker_alarm(b, NULL);
	cr_assert_eq(client_count(c, "q"), 0);
	broker_destroy(b);
}

Test(alarm, holds_the_rest_of_a_message_that_had_begun)
{
	struct broker *b = broker_create();
	struct client *c = open_publisher(b);
	client_declare(c, "q", false);
	begin_message(c, "q", 1000);
	send_body(c, 400);
	broker_alarm(b, reason);
	expect_blocked(c);
	send_body(c, 600);
	cr_assert_eq(b->diskless.host.kept_bytes, 600 + FRAME_OVERHEAD);
	broker_alarm(b, NULL);
	client_expect(c, METHOD_connection_unblocked);
	cr_assert_eq(client_count(c, "q"), 1);
	broker_destroy(b);
}

/* A worker that once published: its acks and gets are what ends the alarm. */
Test(alarm, lets_those_who_published_before_do_all_else)
{
	struct broker *b = broker_create();
	struct client *c = open_publisher(b);
	client_declare(c, "q", false);
	for (int i = 0; i < 3; i++)
		client_publish(c, "", "q", "job", 1);
	broker_alarm(b, reason);
	expect_blocked(c);
	client_consume(c, "q", "t", false, 1);
	client_ack(c, client_expect_deliver(c, "job", false), false);
	client_expect_deliver(c, "job", false);
	get(c, 1, "q");
	client_expect(c, METHOD_basic_get_ok);
	c->got_len = 0;
	client_declare(c, "other", true);
	cr_assert_eq(client_count(c, "q"), 0);
	close_connection(c);
	client_expect(c, METHOD_connection_close_ok);
	cr_assert(client_is_closed(c));
	broker_destroy(b);
}

/* The order of a channel is kept; another channel has nothing to do with it. */
Test(alarm, holds_what_follows_a_publish_on_its_channel_and_on_no_other)
{
	struct broker *b = broker_create();
	struct client *c = open_publisher(b);
	client_declare(c, "q", false);
	client_declare(c, "jobs", false);
	client_publish(c, "", "jobs", "job", 1);
	client_consume(c, "jobs", "t", false, 1);
	uint64_t tag = client_expect_deliver(c, "job", false);
	open_channel(c, 2);
	broker_alarm(b, reason);
	expect_blocked(c);
	client_publish(c, "", "q", "answer", 1);
	client_ack(c, tag, false);
	ask_for_qos(c, 1);
	client_expect_nothing(c);
	ask_for_qos(c, 2);
	client_expect(c, METHOD_basic_qos_ok);
	get(c, 2, "q");
	client_expect(c, METHOD_basic_get_empty);
	struct client *other = client_open(b);
	cr_assert_eq(client_count(other, "jobs"), 0);
	client_disconnect(c);
	cr_assert_eq(client_count(other, "jobs"), 1, "the ack has not overtaken its answer");
	cr_assert_eq(client_count(other, "q"), 0);
	broker_destroy(b);
}

Test(alarm, has_connection_close_wait_for_what_was_published_before_it)
{
	struct broker *b = broker_create();
	struct client *c = open_publisher(b), *other = client_open(b);
	client_declare(c, "q", false);
	broker_alarm(b, reason);
	client_publish(c, "", "q", "x", 1);
	expect_blocked(c);
	close_connection(c);
	client_expect_nothing(c);
	broker_alarm(b, NULL);
	client_expect(c, METHOD_connection_unblocked);
	client_expect(c, METHOD_connection_close_ok);
	cr_assert(client_is_closed(c));
	cr_assert_eq(client_count(other, "q"), 1);
	broker_destroy(b);
}

Test(alarm, keeps_little_of_one_that_goes_on_publishing)
{
	struct broker *b = broker_create();
	struct client *c = open_publisher(b), *other = client_open(b);
	client_declare(c, "q", false);
	broker_alarm(b, reason);
	for (int i = 0; i < 20; i++) {
		begin_message(c, "q", 100000);
		send_body(c, 100000);
	}
	expect_blocked(c);
	cr_assert(session_is_full(c->session), "it is not read any more");
	cr_assert_leq(b->diskless.host.kept_bytes, SESSION_KEPT_MAX);
	cr_assert_gt(c->in_len, 19 * 100000);
	broker_alarm(b, NULL);
	client_expect(c, METHOD_connection_unblocked);
	cr_assert_eq(b->diskless.host.kept_bytes, 0);
	cr_assert_eq(client_count(other, "q"), 20);
	broker_destroy(b);
}

/* What the alarm kept meets the next one, and a method that waits for the disk in between. */
Test(alarm, may_come_again_while_what_was_kept_is_gone_through)
{
	struct broker *b = broker_create();
	struct client *c = open_publisher(b), *other = client_open(b);
	client_declare(c, "q", false);
	broker_alarm(b, reason);
	client_publish(c, "", "q", "1", 1);
	struct method m = { .id = METHOD_queue_declare };
	m.queue_declare.queue = bytes_str("durable");
	m.queue_declare.durable = true;
	client_method(c, 1, &m);
	client_publish(c, "", "q", "2", 1);
	expect_blocked(c);
	broker_alarm(b, NULL);
	client_expect(c, METHOD_connection_unblocked);
	client_expect_nothing(c);
	broker_alarm(b, reason);
	expect_blocked(c);
	client_publish(c, "", "q", "3", 1);
	broker_sync(b);
	client_expect(c, METHOD_queue_declare_ok);
	cr_assert_eq(client_count(other, "q"), 1);
	broker_alarm(b, NULL);
	client_expect(c, METHOD_connection_unblocked);
	client_consume(other, "q", "t", true, 0);
	client_expect_deliver(other, "1", false);
	client_expect_deliver(other, "2", false);
	client_expect_deliver(other, "3", false);
	broker_destroy(b);
}

/* Clients that are stuck in a publish often send no heartbeats. */
Test(alarm, excuses_the_heartbeats_of_one_whose_publish_waits)
{
	struct broker *b = broker_create();
	struct client *c = client_open_with_heartbeat(b, 4), *silent;
	silent = client_open_with_heartbeat(b, 4);
	broker_alarm(b, reason);
	client_publish(c, "", "nowhere", "x", 1);
	broker_advance(b, 20000);
	cr_assert_not(client_is_closed(c));
	cr_assert(client_is_closed(silent));
	broker_alarm(b, NULL);
	broker_advance(b, 7500);
	cr_assert_not(client_is_closed(c));
	broker_advance(b, 1000);
	cr_assert(client_is_closed(c));
	broker_destroy(b);
}
