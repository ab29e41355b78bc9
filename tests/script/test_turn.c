/* Within a turn: what is sent in one segment fares as if it had come piece by piece. */
#include "broker.h"

#include "table.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct broker *b;
static struct client *c;

static void set_up(void)
{
	b = broker_create();
	c = client_open(b);
}

static void tear_down(void)
{
	broker_destroy(b);
}

TestSuite(turn, .init = set_up, .fini = tear_down);

static void declare_with(const char *queue, const char *argument, int64_t value)
{
	uint8_t arguments[64];
	struct writer w = writer_of(arguments, sizeof arguments);
	table_write_long(&w, argument, value);
	client_declare_with(c, queue, false, bytes_of(arguments, (size_t)(w.at - arguments)));
}

static void publish_numbers(const char *queue, unsigned from, unsigned until)
{
	char body[16];
	for (unsigned i = from; i < until; i++) {
		snprintf(body, sizeof body, "m%u", i);
		client_publish(c, "", queue, body, 1);
	}
}

static void ask_for_one(const char *queue)
{
	struct method m = { .id = METHOD_basic_get };
	m.basic_get.queue = bytes_str(queue);
	m.basic_get.no_ack = true;
	client_method(c, 1, &m);
}

static void ask_for_count(const char *queue)
{
	struct method m = { .id = METHOD_queue_declare };
	m.queue_declare.queue = bytes_str(queue);
	m.queue_declare.passive = true;
	client_method(c, 1, &m);
}

static void expect_count(uint32_t messages)
{
	struct method m = client_expect(c, METHOD_queue_declare_ok);
	cr_assert_eq(m.queue_declare_ok.message_count, messages, "%u",
		     m.queue_declare_ok.message_count);
}

static void expect_got(const char *body)
{
	struct frame f;
	client_expect(c, METHOD_basic_get_ok);
	cr_assert(client_frame(c, &f) && f.type == FRAME_HEADER);
	cr_assert(client_frame(c, &f) && bytes_equal_str(f.payload, body), "got '%.*s'",
		  BYTES_ARG(f.payload));
}

/* --- a queue's rules --- */

Test(turn, no_more_is_counted_than_a_queue_may_hold)
{
	static const unsigned published[] = { 5, 15, 100, 6000 };
	for (size_t i = 0; i < sizeof published / sizeof *published; i++) {
		char name[16];
		snprintf(name, sizeof name, "q%u", published[i]);
		declare_with(name, "x-max-length", 10);
		client_gather(c);
		publish_numbers(name, 0, published[i]);
		ask_for_count(name);
		client_go(c);
		expect_count(published[i] < 10 ? published[i] : 10);
	}
}

Test(turn, what_is_too_much_is_not_to_be_got)
{
	declare_with("ten", "x-max-length", 10);
	declare_with("one", "x-max-length", 1);
	declare_with("none", "x-max-length", 0);
	declare_with("bytes", "x-max-length-bytes", 4);
	client_gather(c);
	publish_numbers("ten", 0, 15);
	ask_for_one("ten");
	publish_numbers("one", 0, 2);
	ask_for_one("one");
	ask_for_one("one");
	publish_numbers("none", 0, 1);
	ask_for_one("none");
	publish_numbers("bytes", 0, 3);
	ask_for_one("bytes");
	client_go(c);
	expect_got("m5");
	expect_got("m1");
	client_expect(c, METHOD_basic_get_empty);
	client_expect(c, METHOD_basic_get_empty);
	expect_got("m1");
}

Test(turn, what_comes_back_to_a_full_queue_is_too_much)
{
	declare_with("q", "x-max-length", 1);
	client_consume(c, "q", "t", false, 1);
	publish_numbers("q", 1, 2);
	uint64_t tag = client_expect_deliver(c, "m1", false);
	struct method cancel = { .id = METHOD_basic_cancel };
	cancel.basic_cancel.consumer_tag = bytes_str("t");
	client_method(c, 1, &cancel);
	client_expect(c, METHOD_basic_cancel_ok);
	client_gather(c);
	publish_numbers("q", 2, 3);
	client_nack(c, tag, false, true);
	ask_for_one("q");
	ask_for_one("q");
	client_go(c);
	expect_got("m2");
	client_expect(c, METHOD_basic_get_empty);
}

Test(turn, an_ack_does_not_save_what_was_too_much_before)
{
	declare_with("q", "x-max-length", 1);
	client_consume(c, "q", "t", false, 1);
	publish_numbers("q", 1, 2);
	uint64_t tag = client_expect_deliver(c, "m1", false);
	client_gather(c);
	publish_numbers("q", 2, 4);
	client_ack(c, tag, false);
	client_go(c);
	client_expect_deliver(c, "m3", false);
}

Test(turn, a_consumer_that_waits_takes_before_anything_is_too_much)
{
	declare_with("q", "x-max-length", 0);
	client_consume(c, "q", "t", true, 0);
	client_gather(c);
	publish_numbers("q", 0, 3);
	client_go(c);
	client_expect_deliver(c, "m0", false);
	client_expect_deliver(c, "m1", false);
	client_expect_deliver(c, "m2", false);
}

Test(turn, no_time_to_live_is_for_consumers_that_wait)
{
	struct properties p = { .flags = HAS_expiration, .expiration = bytes_str("0") };
	declare_with("q", "x-message-ttl", 0);
	client_declare(c, "r", false);
	client_gather(c);
	publish_numbers("q", 0, 1);
	ask_for_one("q");
	client_publish_with(c, "", "r", "one", &p);
	ask_for_one("r");
	publish_numbers("q", 1, 2);
	client_go(c);
	client_expect(c, METHOD_basic_get_empty);
	client_expect(c, METHOD_basic_get_empty);
	client_consume(c, "q", "t", true, 0);
	client_expect_nothing(c);
	publish_numbers("q", 2, 3);
	client_expect_deliver(c, "m2", false);
}

Test(turn, an_ack_does_not_save_what_had_no_time)
{
	declare_with("q", "x-message-ttl", 0);
	client_consume(c, "q", "t", false, 1);
	publish_numbers("q", 1, 2);
	uint64_t tag = client_expect_deliver(c, "m1", false);
	client_gather(c);
	publish_numbers("q", 2, 3);
	client_ack(c, tag, false);
	publish_numbers("q", 3, 4);
	client_go(c);
	client_expect_deliver(c, "m3", false);
}

/* --- the order of answers --- */

Test(turn, a_consumer_that_waits_comes_before_a_later_get)
{
	client_declare(c, "q", false);
	client_consume(c, "q", "t", true, 0);
	client_gather(c);
	publish_numbers("q", 0, 1);
	ask_for_one("q");
	publish_numbers("q", 1, 2);
	ask_for_count("q");
	client_go(c);
	client_expect_deliver(c, "m0", false);
	client_expect(c, METHOD_basic_get_empty);
	client_expect_deliver(c, "m1", false);
	expect_count(0);
}

Test(turn, what_acks_allow_comes_before_cancel_ok)
{
	struct method cancel = { .id = METHOD_basic_cancel };
	cancel.basic_cancel.consumer_tag = bytes_str("t");
	client_declare(c, "q", false);
	publish_numbers("q", 1, 11);
	client_consume(c, "q", "t", false, 5);
	uint64_t tag = client_expect_deliver(c, "m1", false);
	client_expect_deliver(c, "m2", false);
	client_expect_deliver(c, "m3", false);
	client_expect_deliver(c, "m4", false);
	client_expect_deliver(c, "m5", false);
	client_gather(c);
	client_ack(c, tag, false);
	client_ack(c, tag + 1, false);
	client_method(c, 1, &cancel);
	client_go(c);
	client_expect_deliver(c, "m6", false);
	client_expect_deliver(c, "m7", false);
	client_expect(c, METHOD_basic_cancel_ok);
	client_expect_nothing(c);
}

static void expect_ack(uint64_t tag, bool is_multiple)
{
	struct method m = client_expect(c, METHOD_basic_ack);
	cr_assert_eq(m.basic_ack.delivery_tag, tag);
	cr_assert_eq(m.basic_ack.multiple, is_multiple);
}

static void expect_return(void)
{
	struct frame f;
	client_expect(c, METHOD_basic_return);
	cr_assert(client_frame(c, &f) && f.type == FRAME_HEADER);
	cr_assert(client_frame(c, &f) && f.type == FRAME_BODY);
}

Test(turn, a_confirm_that_is_ready_comes_before_a_later_return)
{
	client_confirms(c);
	client_gather(c);
	publish_numbers("nowhere", 0, 2);
	c->is_mandatory = true;
	publish_numbers("nowhere", 2, 3);
	c->is_mandatory = false;
	publish_numbers("nowhere", 3, 4);
	client_go(c);
	expect_ack(2, true);
	expect_return();
	expect_ack(4, true);
}

Test(turn, a_confirm_that_waits_for_the_disk_comes_after_a_return)
{
	client_declare(c, "q", true);
	client_confirms(c);
	client_gather(c);
	client_publish(c, "", "q", "one", 2);
	c->is_mandatory = true;
	publish_numbers("nowhere", 2, 3);
	client_go(c);
	expect_return();
	client_expect_nothing(c);
	broker_sync(b);
	expect_ack(2, true);
}

Test(turn, a_return_comes_before_the_answer_to_its_commit)
{
	struct method select = { .id = METHOD_tx_select }, commit = { .id = METHOD_tx_commit };
	client_method(c, 1, &select);
	client_expect(c, METHOD_tx_select_ok);
	c->is_mandatory = true;
	client_gather(c);
	publish_numbers("nowhere", 0, 1);
	client_method(c, 1, &commit);
	client_go(c);
	expect_return();
	client_expect(c, METHOD_tx_commit_ok);
}

Test(turn, delete_ok_comes_before_the_cancel)
{
	struct method m = { .id = METHOD_queue_delete };
	m.queue_delete.queue = bytes_str("q");
	client_declare(c, "q", false);
	client_consume(c, "q", "t", true, 0);
	client_method(c, 1, &m);
	client_expect(c, METHOD_queue_delete_ok);
	client_expect(c, METHOD_basic_cancel);
}
