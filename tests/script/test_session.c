/* Handshake, limits and time, as a client sees them. */
#include "core/admin.h"

#include "broker.h"

#include <criterion/criterion.h>
#include <stdio.h>

Test(session, a_slow_handshake_is_cut_off_after_ten_seconds)
{
	struct broker *b = broker_create();
	struct client *c = client_connect(b);
	broker_advance(b, 9500);
	cr_assert_not(client_is_closed(c));
	broker_advance(b, 500);
	cr_assert(client_is_closed(c));
	broker_destroy(b);
}

Test(session, an_unauthenticated_frame_is_at_most_4_kib)
{
	uint8_t head[FRAME_HEAD_BYTES];
	struct broker *b = broker_create();
	struct client *c = client_connect(b);
	frame_head(head, FRAME_METHOD, 0, SESSION_HANDSHAKE_BYTES);
	client_send(c, bytes_of(head, sizeof head));
	client_expect_nothing(c);
	cr_assert_not(client_is_closed(c));
	c = client_connect(b);
	frame_head(head, FRAME_METHOD, 0, SESSION_HANDSHAKE_BYTES + 1);
	client_send(c, bytes_of(head, sizeof head));
	client_expect_close(c, METHOD_connection_close, 501,
			    "FRAME_ERROR - type 1, all octets = <<>>: {frame_too_large,4097,4088}");
	cr_assert(client_is_closed(c));
	broker_destroy(b);
}

/* The payload alone may be as long as the whole frame should be. */
Test(session, a_frame_may_be_too_long_by_what_is_around_it)
{
	static uint8_t wire[131072 + FRAME_OVERHEAD];
	struct broker *b = broker_create();
	struct client *c = client_open(b);
	uint32_t payload_len = 131072;
	struct method m = { .id = METHOD_queue_declare };
	client_declare(c, "q", false);
	m = (struct method){ .id = METHOD_basic_publish };
	m.basic_publish.routing_key = bytes_str("q");
	client_method(c, 1, &m);
	client_send(c, bytes_of("\2\0\1\0\0\0\16\0\74\0\0\0\0\0\0\0\2\0\0\0\0\316", 22));
	frame_head(wire, FRAME_BODY, 1, payload_len);
	wire[FRAME_HEAD_BYTES + payload_len] = FRAME_END;
	client_send(c, bytes_of(wire, sizeof wire));
	cr_assert_eq(client_count(c, "q"), 1);
	frame_head(wire, FRAME_BODY, 1, payload_len + 1);
	client_send(c, bytes_of(wire, FRAME_HEAD_BYTES));
	client_expect_close(
		c, METHOD_connection_close, 501,
		"FRAME_ERROR - type 3, all octets = <<>>: {frame_too_large,131073,131064}");
	broker_destroy(b);
}

Test(session, heartbeats_flow_both_ways)
{
	struct broker *b = broker_create();
	struct client *c = client_connect(b);
	struct method m = { .id = METHOD_connection_start_ok };
	m.connection_start_ok.mechanism = bytes_str("PLAIN");
	m.connection_start_ok.response = bytes_of("\0guest\0guest", 12);
	client_method(c, 0, &m);
	client_expect(c, METHOD_connection_tune);
	m = (struct method){ .id = METHOD_connection_tune_ok };
	m.connection_tune_ok.heartbeat = 4;
	client_method(c, 0, &m);
	m = (struct method){ .id = METHOD_connection_open };
	m.connection_open.virtual_host = bytes_str("/");
	client_method(c, 0, &m);
	client_expect(c, METHOD_connection_open_ok);
	broker_advance(b, 7500);
	cr_assert_eq(client_heartbeats(c), 3, "one each half of the interval");
	client_send(c, bytes_of("\10\0\0\0\0\0\0\316", 8));
	broker_advance(b, 7500);
	cr_assert_not(client_is_closed(c), "it was heard of in time");
	broker_advance(b, 500);
	cr_assert(client_is_closed(c), "silent for two intervals");
	broker_destroy(b);
}

Test(session, input_may_come_a_byte_at_a_time)
{
	static const uint8_t declare[] = { 1, 0, 1, 0,   0,   0, 14, 0, 50, 0, 10,
					   0, 0, 2, 'q', '1', 0, 0,  0, 0,  0, 0xce };
	struct broker *b = broker_create();
	struct client *c = client_open(b);
	for (size_t i = 0; i < sizeof declare; i++) {
		client_expect_nothing(c);
		client_send(c, bytes_of(declare + i, 1));
	}
	struct method m = client_expect(c, METHOD_queue_declare_ok);
	cr_assert(bytes_equal_str(m.queue_declare_ok.queue, "q1"));
	broker_destroy(b);
}

Test(session, after_a_channel_error_the_rest_is_ignored_until_close_ok)
{
	struct broker *b = broker_create();
	struct client *c = client_open(b);
	client_publish(c, "nosuch", "k", "x", 1);
	client_expect_close(c, METHOD_channel_close, 404,
			    "NOT_FOUND - no exchange 'nosuch' in vhost '/'");
	client_publish(c, "nosuch", "k", "ignored", 1);
	client_ack(c, 77, false);
	client_expect_nothing(c);
	struct method m = { .id = METHOD_channel_close_ok };
	client_method(c, 1, &m);
	m = (struct method){ .id = METHOD_channel_open };
	client_method(c, 1, &m);
	client_expect(c, METHOD_channel_open_ok);
	broker_destroy(b);
}

static struct method a_close(void)
{
	struct method m = { .id = METHOD_channel_close };
	m.channel_close.reply_code = 200;
	return m;
}

static struct client *with_closed_channel(struct broker *b)
{
	struct client *c = client_open(b);
	struct method m = { .id = METHOD_channel_open };
	client_method(c, 2, &m);
	client_expect(c, METHOD_channel_open_ok);
	client_publish(c, "nosuch", "k", "x", 1);
	client_expect(c, METHOD_channel_close);
	return c;
}

static void expect_channels_work(struct client *c)
{
	struct method m = { .id = METHOD_basic_qos };
	client_method(c, 2, &m);
	client_expect(c, METHOD_basic_qos_ok);
	m = (struct method){ .id = METHOD_channel_open };
	client_method(c, 1, &m);
	client_expect(c, METHOD_channel_open_ok);
	client_expect_nothing(c);
}

/* Section 1.5.2.5: each side answers the other's. */
Test(session, closes_of_a_channel_may_cross)
{
	struct broker *b = broker_create();
	struct method close = a_close(), ok = { .id = METHOD_channel_close_ok };
	struct client *c = with_closed_channel(b);
	client_method(c, 1, &close);
	client_expect(c, METHOD_channel_close_ok);
	client_method(c, 1, &ok);
	expect_channels_work(c);

	c = with_closed_channel(b); /* The answer to ours never comes. */
	client_method(c, 1, &close);
	client_expect(c, METHOD_channel_close_ok);
	expect_channels_work(c);

	c = with_closed_channel(b);
	client_method(c, 1, &close);
	client_method(c, 1, &close);
	client_expect(c, METHOD_channel_close_ok);
	client_expect(c, METHOD_channel_close_ok);
	client_method(c, 1, &ok);
	expect_channels_work(c);
	broker_destroy(b);
}

Test(session, a_close_ok_too_many_is_ignored)
{
	struct broker *b = broker_create();
	struct method close = a_close(), ok = { .id = METHOD_channel_close_ok };
	struct client *c = with_closed_channel(b);
	client_method(c, 1, &ok);
	client_method(c, 1, &ok);
	expect_channels_work(c);
	client_method(c, 1, &close);
	client_expect(c, METHOD_channel_close_ok);
	client_method(c, 1, &ok);
	expect_channels_work(c);
	broker_destroy(b);
}

Test(session, a_channel_that_we_closed_can_be_opened_without_close_ok)
{
	struct broker *b = broker_create();
	struct client *c = with_closed_channel(b);
	expect_channels_work(c);
	client_declare(c, "q", false);
	client_publish(c, "", "q", "x", 1);
	cr_assert_eq(client_count(c, "q"), 1);
	broker_destroy(b);
}

Test(session, a_connection_error_is_followed_by_silence_and_the_end)
{
	struct broker *b = broker_create();
	struct client *c = client_open(b);
	client_send(c, bytes_of("\5\0\1\0\0\0\3abc\316", 11));
	client_expect_close(c, METHOD_connection_close, 501,
			    "FRAME_ERROR - type 5, all octets = <<\"abc\">>: unknown_frame");
	client_publish(c, "", "q", "x", 1);
	client_expect_nothing(c);
	struct method m = { .id = METHOD_connection_close_ok };
	client_method(c, 0, &m);
	cr_assert(client_is_closed(c));
	broker_destroy(b);
}

Test(session, a_client_that_never_says_close_ok_is_closed_anyway)
{
	struct broker *b = broker_create();
	struct client *c = client_open(b);
	client_send(c, bytes_of("\5\0\1\0\0\0\3abc\316", 11));
	broker_advance(b, 9500);
	cr_assert_not(client_is_closed(c));
	broker_advance(b, 500);
	cr_assert(client_is_closed(c));
	broker_destroy(b);
}

Test(session, generated_names_differ)
{
	struct broker *b = broker_create();
	char names[8][64];
	for (int i = 0; i < 8; i++) {
		struct client *c = i % 4 == 0 ? client_open(b) : &b->clients[b->clients_len - 1];
		struct method m = { .id = METHOD_queue_declare };
		client_method(c, 1, &m);
		m = client_expect(c, METHOD_queue_declare_ok);
		snprintf(names[i], sizeof names[i], "%.*s", BYTES_ARG(m.queue_declare_ok.queue));
		cr_assert_eq(strncmp(names[i], "amq.gen-", 8), 0);
		for (int k = 0; k < i; k++)
			cr_assert_str_neq(names[i], names[k]);
	}
	broker_destroy(b);
}

/* At most a mebibyte or so is kept for it, however much is in the queue. */
Test(session, a_client_that_does_not_read_gets_no_more_than_its_buffer)
{
	static char body[1001];
	struct broker *b = broker_create();
	struct client *c = client_open(b), *publisher = client_open(b);
	memset(body, 'x', sizeof body - 1);
	client_declare(c, "q", false);
	client_consume(c, "q", "t", true, 0);
	c->read_limit = 0;
	for (int i = 0; i < 5000; i++)
		client_publish(publisher, "", "q", body, 1);
	size_t held = session_out(c->session)->len;
	cr_assert_gt(held, SESSION_OUT_HIGH);
	cr_assert_lt(held, SESSION_OUT_MAX);
	c->read_limit = UINT64_MAX;
	broker_advance(b, 1);
	for (int i = 0; i < 5000; i++)
		client_expect_deliver(c, body, false);
	broker_destroy(b);
}

/* A reply waits in no queue: for who does not read it is lost, rather than kept. */
Test(session, replies_are_not_kept_for_who_does_not_read_them)
{
	enum { REPLIES = 5000 };
	static char body[1001];
	char address[256];
	struct properties p = { .flags = HAS_reply_to,
				.reply_to = bytes_str("amq.rabbitmq.reply-to") };
	struct core_figures figures;
	struct broker *b = broker_create();
	struct client *asks = client_open(b), *answers = client_open(b);
	memset(body, 'x', sizeof body - 1);
	client_declare(answers, "q", false);
	client_consume(answers, "q", "t", true, 0);
	client_consume(asks, "amq.rabbitmq.reply-to", "t", true, 0);
	client_publish_with(asks, "", "q", "question", &p);
	client_expect_message(answers, "question", false, &p);
	snprintf(address, sizeof address, "%.*s", BYTES_ARG(p.reply_to));
	asks->read_limit = 0;
	for (int i = 0; i < REPLIES; i++)
		client_publish(answers, "", address, body, 1);
	core_figures(b->diskless.core, &figures);
	cr_assert_gt(figures.dropped, REPLIES / 2);
	cr_assert_lt(session_out(asks->session)->len, SESSION_OUT_MAX);
	asks->read_limit = UINT64_MAX;
	broker_advance(b, 1);
	for (uint64_t i = figures.dropped; i < REPLIES; i++)
		client_expect_deliver(asks, body, false);
	client_expect_nothing(asks);
	client_publish(answers, "", address, "heard again", 1);
	client_expect_deliver(asks, "heard again", false);
	broker_destroy(b);
}

/* Of what both sides could do, the less is agreed on, and holds for both. */
Test(session, no_frame_is_longer_than_has_been_agreed)
{
	enum { FRAME_MAX = 4096 };
	static uint8_t bytes[FRAME_HEAD_BYTES + FRAME_MAX + 1000];
	static char body[3 * FRAME_MAX];
	struct broker *b = broker_create();
	struct client *c = client_connect(b), *publisher = client_open(b);
	struct method m = { .id = METHOD_connection_start_ok };
	struct frame f;
	m.connection_start_ok.mechanism = bytes_str("PLAIN");
	m.connection_start_ok.response = bytes_of("\0guest\0guest", 12);
	client_method(c, 0, &m);
	client_expect(c, METHOD_connection_tune);
	m = (struct method){ .id = METHOD_connection_tune_ok };
	m.connection_tune_ok.frame_max = FRAME_MAX;
	client_method(c, 0, &m);
	m = (struct method){ .id = METHOD_connection_open };
	m.connection_open.virtual_host = bytes_str("/");
	client_method(c, 0, &m);
	client_expect(c, METHOD_connection_open_ok);
	m = (struct method){ .id = METHOD_channel_open };
	client_method(c, 1, &m);
	client_expect(c, METHOD_channel_open_ok);
	memset(body, 'x', sizeof body - 1);
	client_declare(c, "q", false);
	client_consume(c, "q", "t", true, 0);
	client_publish(publisher, "", "q", body, 1);
	size_t frames = 0;
	for (; client_frame(c, &f); frames++)
		cr_assert_leq(f.payload.len + FRAME_OVERHEAD, FRAME_MAX);
	cr_assert_geq(frames, 2 + 4);
	frame_head(bytes, FRAME_BODY, 1, FRAME_MAX + 900);
	client_send(c, bytes_of(bytes, sizeof bytes));
	cr_assert_eq(client_expect(c, METHOD_connection_close).connection_close.reply_code, 501);
	broker_destroy(b);
}

/* What is on its way to it would stay for ever, and the messages of its consumers with it. */
Test(session, a_client_that_reads_nothing_is_closed_after_30_s_whatever_it_says)
{
	struct broker *b = broker_create();
	struct client *c = client_open(b), *slow = client_open(b), *other = client_open(b);
	client_declare(c, "q", false);
	client_consume(c, "q", "t", false, 0);
	client_consume(slow, "q", "t", false, 0);
	c->read_limit = 0;
	slow->read_limit = 1;
	client_publish(other, "", "q", "1", 1);
	client_publish(other, "", "q", "2", 1);
	for (int i = 0; i < 59; i++) {
		broker_advance(b, 500);
		client_send(c, bytes_of("\10\0\0\0\0\0\0\316", 8));
	}
	cr_assert_not(client_is_closed(c));
	broker_advance(b, 500);
	cr_assert(client_is_closed(c));
	cr_assert_not(client_is_closed(slow), "slow is not deaf");
	client_disconnect(slow);
	cr_assert_eq(client_count(other, "q"), 2);
	broker_advance(b, 60000);
	cr_assert_not(client_is_closed(other), "there is nothing that it could read");
	broker_destroy(b);
}
