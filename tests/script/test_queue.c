/* Queues, consumers and acknowledgements. */
#include "broker.h"

#include <criterion/criterion.h>

static struct broker *b;
static struct client *c;
static struct client *d;

static void set_up(void)
{
	b = broker_create();
	c = client_open(b);
	d = client_open(b);
	client_declare(c, "q", false);
}

static void tear_down(void)
{
	broker_destroy(b);
}

TestSuite(queue, .init = set_up, .fini = tear_down);

static void publish_all(const char *const *bodies)
{
	for (; *bodies != NULL; bodies++)
		client_publish(c, "", "q", *bodies, 1);
}

static const char *const abcde[] = { "a", "b", "c", "d", "e", NULL };

Test(queue, delivers_requeued_before_newer)
{
	publish_all(abcde);
	client_consume(d, "q", "t", false, 3);
	uint64_t a = client_expect_deliver(d, "a", false),
		 two = client_expect_deliver(d, "b", false);
	uint64_t three = client_expect_deliver(d, "c", false);
	client_expect_nothing(d);
	client_nack(d, three, false, true);
	client_expect_deliver(d, "c", true);
	client_nack(d, two, false, true);
	client_expect_deliver(d, "b", true);
	client_ack(d, a, false);
	client_expect_deliver(d, "d", false);
}

Test(queue, several_requeued_come_back_in_their_old_order)
{
	publish_all(abcde);
	client_consume(d, "q", "t", false, 4);
	for (int i = 0; i < 4; i++)
		client_expect_deliver(d, abcde[i], false);
	client_nack(d, 3, true, true);
	client_expect_deliver(d, "a", true);
	client_expect_deliver(d, "b", true);
	client_expect_deliver(d, "c", true);
	client_expect_nothing(d);
	client_ack(d, 4, false);
	client_expect_deliver(d, "e", false);
}

Test(queue, takes_back_what_a_lost_consumer_held)
{
	publish_all(abcde);
	client_consume(d, "q", "t", false, 2);
	client_expect_deliver(d, "a", false);
	client_expect_deliver(d, "b", false);
	client_disconnect(d);
	client_consume(c, "q", "t", false, 0);
	client_expect_deliver(c, "a", true);
	client_expect_deliver(c, "b", true);
	client_expect_deliver(c, "c", false);
}

Test(queue, deals_round_robin_among_those_with_credit)
{
	struct client *e = client_open(b);
	client_consume(d, "q", "t", false, 2);
	client_consume(e, "q", "t", false, 0);
	publish_all(abcde);
	client_expect_deliver(d, "a", false);
	client_expect_deliver(e, "b", false);
	client_expect_deliver(d, "c", false);
	client_expect_deliver(e, "d", false);
	client_expect_deliver(e, "e", false);
	client_expect_nothing(d);
}

Test(queue, prefetch_of_a_channel_is_shared_by_its_consumers)
{
	struct method m = { .id = METHOD_basic_qos };
	m.basic_qos.prefetch_count = 3;
	m.basic_qos.global = true;
	client_consume(d, "q", "one", false, 0);
	client_consume(d, "q", "two", false, 0);
	client_method(d, 1, &m);
	client_expect(d, METHOD_basic_qos_ok);
	publish_all(abcde);
	client_expect_deliver(d, "a", false);
	client_expect_deliver(d, "b", false);
	client_expect_deliver(d, "c", false);
	client_expect_nothing(d);
	client_ack(d, 2, true);
	client_expect_deliver(d, "d", false);
	client_expect_deliver(d, "e", false);
}

Test(queue, a_changed_prefetch_takes_effect_at_once)
{
	struct method m = { .id = METHOD_basic_qos };
	publish_all(abcde);
	client_consume(d, "q", "t", false, 1);
	client_expect_deliver(d, "a", false);
	client_expect_nothing(d);
	m.basic_qos.prefetch_count = 3;
	client_method(d, 1, &m);
	client_expect(d, METHOD_basic_qos_ok);
	client_expect_deliver(d, "b", false);
	client_expect_deliver(d, "c", false);
	client_expect_nothing(d);
}

Test(queue, higher_priority_consumers_go_first_while_they_have_credit)
{
	static const uint8_t high[] = "\12x-priorityI\0\0\0\12";
	struct method m = { .id = METHOD_basic_consume };
	client_consume(c, "q", "low", false, 0);
	m.basic_consume.queue = bytes_str("q");
	m.basic_consume.consumer_tag = bytes_str("high");
	m.basic_consume.arguments = bytes_of(high, sizeof high - 1);
	struct method qos = { .id = METHOD_basic_qos };
	qos.basic_qos.prefetch_count = 2;
	client_method(d, 1, &qos);
	client_expect(d, METHOD_basic_qos_ok);
	client_method(d, 1, &m);
	client_expect(d, METHOD_basic_consume_ok);
	publish_all(abcde);
	client_expect_deliver(d, "a", false);
	client_expect_deliver(d, "b", false);
	client_expect_nothing(d);
	client_expect_deliver(c, "c", false);
}

Test(queue, acks_answer_exactly_the_tags_they_name)
{
	publish_all(abcde);
	client_consume(d, "q", "t", false, 0);
	for (int i = 0; i < 5; i++)
		client_expect_deliver(d, abcde[i], false);
	client_ack(d, 2, false);
	client_ack(d, 3, true); /* 1 and 3. */
	client_ack(d, 1, false);
	client_expect_close(d, METHOD_channel_close, 406,
			    "PRECONDITION_FAILED - unknown delivery tag 1");
	client_consume(c, "q", "t", false, 0); /* The channel's end gives back 4 and 5. */
	client_expect_deliver(c, "d", true);
	client_expect_deliver(c, "e", true);
	client_expect_nothing(c);
}

Test(queue, tags_far_apart_are_found_after_many_settled_between)
{
	client_consume(d, "q", "t", false, 0);
	client_publish(c, "", "q", "first", 1);
	client_expect_deliver(d, "first", false);
	for (uint64_t i = 2; i <= 3000; i++) {
		client_publish(c, "", "q", "x", 1);
		cr_assert_eq(client_expect_deliver(d, "x", false), i);
		if (i % 1000 != 0)
			client_ack(d, i, false);
	}
	client_ack(d, 1, false);
	client_ack(d, 2000, false);
	client_ack(d, 3000, true);
	client_expect_nothing(d);
	client_ack(d, 1000, false);
	client_expect_close(d, METHOD_channel_close, 406,
			    "PRECONDITION_FAILED - unknown delivery tag 1000");
}

Test(queue, deleting_it_tells_its_consumers)
{
	struct method m = { .id = METHOD_queue_delete };
	client_consume(d, "q", "t", false, 0);
	m.queue_delete.queue = bytes_str("q");
	client_method(c, 1, &m);
	client_expect(c, METHOD_queue_delete_ok);
	m = client_expect(d, METHOD_basic_cancel);
	cr_assert(bytes_equal_str(m.basic_cancel.consumer_tag, "t"));
}

Test(queue, acks_for_a_deleted_queue_are_harmless)
{
	struct method m = { .id = METHOD_queue_delete };
	publish_all(abcde);
	client_consume(d, "q", "t", false, 0);
	for (int i = 0; i < 5; i++)
		client_expect_deliver(d, abcde[i], false);
	m.queue_delete.queue = bytes_str("q");
	client_method(c, 1, &m);
	m = client_expect(c, METHOD_queue_delete_ok);
	client_expect(d, METHOD_basic_cancel);
	client_ack(d, 2, true);
	client_nack(d, 0, true, true);
	client_expect_nothing(d);
}

Test(queue, auto_delete_goes_with_its_last_consumer)
{
	struct method m = { .id = METHOD_queue_declare }, cancel = { .id = METHOD_basic_cancel };
	m.queue_declare.queue = bytes_str("auto");
	m.queue_declare.auto_delete = true;
	client_method(c, 1, &m);
	client_expect(c, METHOD_queue_declare_ok);
	client_consume(c, "auto", "one", false, 0);
	client_consume(d, "auto", "two", false, 0);
	cancel.basic_cancel.consumer_tag = bytes_str("one");
	client_method(c, 1, &cancel);
	client_expect(c, METHOD_basic_cancel_ok);
	m.queue_declare.passive = true;
	client_method(c, 1, &m);
	client_expect(c, METHOD_queue_declare_ok);
	client_disconnect(d);
	client_method(c, 1, &m);
	client_expect_close(c, METHOD_channel_close, 404,
			    "NOT_FOUND - no queue 'auto' in vhost '/'");
}

Test(queue, exclusive_goes_with_its_connection)
{
	struct method m = { .id = METHOD_queue_declare };
	m.queue_declare.queue = bytes_str("mine");
	m.queue_declare.exclusive = true;
	client_method(d, 1, &m);
	client_expect(d, METHOD_queue_declare_ok);
	client_disconnect(d);
	m.queue_declare.passive = true;
	client_method(c, 1, &m);
	client_expect_close(c, METHOD_channel_close, 404,
			    "NOT_FOUND - no queue 'mine' in vhost '/'");
}

Test(queue, purge_takes_the_ready_ones_only)
{
	struct method m = { .id = METHOD_queue_purge };
	publish_all(abcde);
	client_consume(d, "q", "t", false, 2);
	client_expect_deliver(d, "a", false);
	client_expect_deliver(d, "b", false);
	m.queue_purge.queue = bytes_str("q");
	client_method(c, 1, &m);
	m = client_expect(c, METHOD_queue_purge_ok);
	cr_assert_eq(m.queue_purge_ok.message_count, 3);
	client_nack(d, 1, false, true);
	client_expect_deliver(d, "a", true);
}

Test(queue, get_takes_one_and_counts_the_rest)
{
	struct method m = { .id = METHOD_basic_get }, ok;
	struct frame f;
	publish_all(abcde);
	m.basic_get.queue = bytes_str("q");
	client_method(c, 1, &m);
	ok = client_expect(c, METHOD_basic_get_ok);
	cr_assert_eq(ok.basic_get_ok.message_count, 4);
	cr_assert(client_frame(c, &f) && client_frame(c, &f));
	client_nack(c, ok.basic_get_ok.delivery_tag, false, true);
	client_method(c, 1, &m);
	ok = client_expect(c, METHOD_basic_get_ok);
	cr_assert(ok.basic_get_ok.redelivered);
}
