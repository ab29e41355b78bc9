/* The prefetch of a channel: shared by all its consumers, whatever their queues. */
#include "broker.h"

#include <criterion/criterion.h>

static struct broker *b;
static struct client *c, *d;

static void set_up(void)
{
	b = broker_create();
	c = client_open(b);
	d = client_open(b);
}

static void tear_down(void)
{
	broker_destroy(b);
}

TestSuite(prefetch, .init = set_up, .fini = tear_down);

static void limit(uint16_t prefetch)
{
	struct method m = { .id = METHOD_basic_qos };
	m.basic_qos.prefetch_count = prefetch;
	m.basic_qos.global = true;
	client_method(c, 1, &m);
	client_expect(c, METHOD_basic_qos_ok);
}

static void consume(const char *queue, const char *tag, bool is_no_ack)
{
	struct method m = { .id = METHOD_basic_consume };
	m.basic_consume.queue = bytes_str(queue);
	m.basic_consume.consumer_tag = bytes_str(tag);
	m.basic_consume.no_ack = is_no_ack;
	client_method(c, 1, &m);
	client_expect(c, METHOD_basic_consume_ok);
}

/* Takes the next delivery and counts it for the consumer, whose tag is "0", "1" or "2". */
static uint64_t take(unsigned taken[3])
{
	struct frame f;
	struct method m = client_expect(c, METHOD_basic_deliver);
	uint64_t tag = m.basic_deliver.delivery_tag;
	taken[m.basic_deliver.consumer_tag.data[0] - '0']++;
	cr_assert(client_frame(c, &f) && f.type == FRAME_HEADER);
	cr_assert(client_frame(c, &f) && f.type == FRAME_BODY);
	return tag;
}

static const char *const queues[] = { "a", "b", "c" }, *const tags[] = { "0", "1", "2" };

Test(prefetch, of_a_channel_is_shared_fairly_among_queues)
{
	unsigned taken[3] = { 0 };
	limit(1);
	for (int q = 0; q < 3; q++) {
		client_declare(c, queues[q], false);
		for (int i = 0; i < 100; i++)
			client_publish(c, "", queues[q], "x", 1);
	}
	for (int q = 0; q < 3; q++) {
		struct method m = { .id = METHOD_basic_consume };
		m.basic_consume.queue = bytes_str(queues[q]);
		m.basic_consume.consumer_tag = bytes_str(tags[q]);
		m.basic_consume.nowait = true;
		client_method(c, 1, &m);
	}
	for (int i = 0; i < 99; i++)
		client_ack(c, take(taken), false);
	for (int q = 0; q < 3; q++)
		cr_assert(taken[q] >= 32 && taken[q] <= 34, "queue %d: %u", q, taken[q]);
}

Test(prefetch, is_shared_fairly_whatever_else_wakes_a_queue)
{
	unsigned taken[3] = { 0 };
	limit(1);
	for (int q = 0; q < 3; q++) {
		client_declare(c, queues[q], false);
		consume(queues[q], tags[q], false);
	}
	for (int q = 0; q < 3; q++)
		for (int i = 0; i < 40; i++)
			client_publish(c, "", queues[q], "x", 1);
	for (int i = 0; i < 99; i++) {
		uint64_t tag = take(taken);
		client_gather(c); /* The first queue is always the first one to have news. */
		client_publish(c, "", queues[0], "x", 1);
		client_ack(c, tag, false);
		client_go(c);
	}
	for (int q = 0; q < 3; q++)
		cr_assert(taken[q] >= 32 && taken[q] <= 34, "queue %d: %u", q, taken[q]);
}

Test(prefetch, is_shared_fairly_by_consumers_of_one_queue)
{
	unsigned taken[3] = { 0 };
	limit(1);
	client_declare(c, "a", false);
	for (int i = 0; i < 3; i++)
		consume("a", tags[i], false);
	for (int i = 0; i < 90; i++) {
		client_publish(c, "", "a", "x", 1);
		client_ack(c, take(taken), false);
	}
	for (int i = 0; i < 3; i++)
		cr_assert_eq(taken[i], 30, "consumer %d: %u", i, taken[i]);
}

Test(prefetch, holds_back_consumers_that_need_no_ack)
{
	limit(1);
	client_declare(c, "a", false);
	client_declare(c, "b", false);
	consume("a", "0", false);
	client_publish(d, "", "a", "one", 1);
	uint64_t tag = client_expect_deliver(c, "one", false);
	consume("b", "1", true);
	client_publish(d, "", "b", "two", 1);
	client_publish(d, "", "b", "three", 1);
	client_expect_nothing(c);
	client_ack(c, tag, false);
	client_expect_deliver(c, "two", false); /* These count for nothing. */
	client_expect_deliver(c, "three", false);
	client_publish(d, "", "a", "four", 1);
	client_expect_deliver(c, "four", false);
}
