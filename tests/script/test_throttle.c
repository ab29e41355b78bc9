/* Publishers that are faster than consumers. */
#include "broker.h"

#include <criterion/criterion.h>

static struct broker *b;
static struct client *publisher;
static struct client *consumer;

static void set_up(void)
{
	b = broker_create();
	publisher = client_open(b);
	consumer = client_open(b);
	client_declare(consumer, "q", false);
}

static void tear_down(void)
{
	broker_destroy(b);
}

TestSuite(throttle, .init = set_up, .fini = tear_down);

enum {
	FLOOD = 33000,
	PREFETCH = 5000
}; /* Ready messages: a little more than is let be; and what makes a consumer a fast one. */

static void flood(struct client *c, unsigned messages)
{
	while (messages-- > 0)
		client_publish(c, "", "q", "x", 1);
}

Test(throttle, a_publisher_waits_for_consumers_that_are_fast)
{
	client_consume(consumer, "q", "t", false, PREFETCH);
	flood(publisher, FLOOD + PREFETCH);
	cr_assert(session_is_throttled(publisher->session));
	unsigned acked = 0;
	for (; session_is_throttled(publisher->session); acked += 1000)
		client_ack(consumer, acked + 1000, true);
	cr_assert(acked >= 16000 && acked <= 18000, "it goes on when half of it is gone: %u",
		  acked);
	client_publish(publisher, "", "q", "y", 1);
	cr_assert_not(session_is_throttled(publisher->session));
}

Test(throttle, nobody_waits_where_nobody_consumes)
{
	flood(publisher, FLOOD);
	cr_assert_not(session_is_throttled(publisher->session));
}

Test(throttle, nobody_waits_for_slow_consumers)
{
	client_consume(consumer, "q", "t", false, 100);
	flood(publisher, FLOOD + 100);
	for (uint64_t tag = 100; tag < 3000; tag += 100) { /* 2,000 messages a second. */
		client_ack(consumer, tag, true);
		broker_advance(b, 50);
		flood(publisher, 100);
		cr_assert_not(session_is_throttled(publisher->session));
	}
}

Test(throttle, nobody_waits_for_a_consumer_that_has_stopped)
{
	client_consume(consumer, "q", "t", false, PREFETCH);
	flood(publisher, FLOOD + PREFETCH);
	cr_assert(session_is_throttled(publisher->session));
	broker_advance(b, 250);
	cr_assert_not(session_is_throttled(publisher->session));
	flood(publisher, 10);
	cr_assert_not(session_is_throttled(publisher->session));
}

Test(throttle, who_consumes_as_well_is_not_kept_from_acking)
{
	client_consume(consumer, "q", "t", false, PREFETCH);
	flood(consumer, FLOOD + PREFETCH);
	cr_assert_not(session_is_throttled(consumer->session));
}

Test(throttle, a_queue_that_goes_lets_its_publishers_go_on)
{
	client_consume(consumer, "q", "t", false, PREFETCH);
	flood(publisher, FLOOD + PREFETCH);
	cr_assert(session_is_throttled(publisher->session));
	struct method m = { .id = METHOD_queue_delete };
	m.queue_delete.queue = bytes_str("q");
	client_method(consumer, 1, &m);
	cr_assert_not(session_is_throttled(publisher->session));
}

Test(throttle, a_publisher_that_goes_while_it_waits_is_forgotten)
{
	client_consume(consumer, "q", "t", false, PREFETCH);
	flood(publisher, FLOOD + PREFETCH);
	client_disconnect(publisher);
	client_ack(consumer, 10, true);
}
