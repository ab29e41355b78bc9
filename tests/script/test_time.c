/* What happens by the clock: times to live, unused queues, delays, retries, leases. */
#include "core/admin.h"

#include "broker.h"

#include "table.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct broker *b;
static struct client *c;
static struct client *d;
static uint8_t memory[1024];
static struct writer w;

static void set_up(void)
{
	b = broker_create();
	c = client_open(b);
	d = client_open(b);
	w = writer_of(memory, sizeof memory);
}

static void tear_down(void)
{
	broker_destroy(b);
}

TestSuite(times, .init = set_up, .fini = tear_down);

/* What has been written to w so far. */
static struct bytes arguments(void)
{
	return bytes_of(memory, (size_t)(w.at - memory));
}

static void publish(const char *queue, const char *body, const char *expiration)
{
	struct properties p = { .flags = HAS_delivery_mode, .delivery_mode = 2 };
	if (expiration != NULL) {
		p.flags |= HAS_expiration;
		p.expiration = bytes_str(expiration);
	}
	client_publish_with(c, "", queue, body, &p);
}

static void publish_later(const char *queue, const char *body, int64_t delay_ms)
{
	uint8_t headers[64];
	struct writer h = writer_of(headers, sizeof headers);
	table_write_long(&h, "x-delay", delay_ms);
	struct properties p = { .flags = HAS_delivery_mode | HAS_headers, .delivery_mode = 2 };
	p.headers = bytes_of(headers, (size_t)(h.at - headers));
	client_publish_with(c, "", queue, body, &p);
}

/* --- time to live --- */

Test(times, a_message_leaves_when_the_queue_says_so)
{
	table_write_int(&w, "x-message-ttl", 1000);
	client_declare_with(c, "q", false, arguments());
	publish("q", "one", NULL);
	broker_advance(b, 400);
	publish("q", "two", NULL);
	broker_advance(b, 599);
	cr_assert_eq(client_count(c, "q"), 2);
	broker_advance(b, 1);
	cr_assert_eq(client_count(c, "q"), 1);
	broker_advance(b, 400);
	cr_assert_eq(client_count(c, "q"), 0);
}

Test(times, a_message_leaves_at_any_depth)
{
	client_declare(c, "q", false);
	publish("q", "stays", NULL);
	publish("q", "slow", "3000");
	publish("q", "fast", "200");
	broker_advance(b, 199);
	cr_assert_eq(client_count(c, "q"), 3);
	broker_advance(b, 1);
	cr_assert_eq(client_count(c, "q"), 2);
	client_consume(d, "q", "t", true, 0);
	client_expect_deliver(d, "stays", false);
	client_expect_deliver(d, "slow", false);
	client_expect_nothing(d);
}

Test(times, the_lower_time_to_live_holds)
{
	table_write_int(&w, "x-message-ttl", 1000);
	client_declare_with(c, "q", false, arguments());
	publish("q", "one", "100");
	publish("q", "two", "5000");
	broker_advance(b, 100);
	cr_assert_eq(client_count(c, "q"), 1);
	broker_advance(b, 900);
	cr_assert_eq(client_count(c, "q"), 0);
}

Test(times, zero_is_now_or_never)
{
	table_write_int(&w, "x-message-ttl", 0);
	client_declare_with(c, "q", false, arguments());
	publish("q", "nobody", NULL);
	cr_assert_eq(client_count(c, "q"), 0);
	client_consume(d, "q", "t", true, 0);
	publish("q", "somebody", NULL);
	client_expect_deliver(d, "somebody", false);
	client_expect_nothing(d);
}

Test(times, what_is_unacked_does_not_expire_but_does_when_it_comes_back)
{
	table_write_int(&w, "x-message-ttl", 500);
	client_declare_with(c, "q", true, arguments());
	publish("q", "one", NULL);
	publish("q", "two", NULL);
	broker_sync(b);
	client_consume(d, "q", "t", false, 1);
	broker_sync(b);
	uint64_t tag = client_expect_deliver(d, "one", false);
	broker_advance(b, 400);
	client_nack(d, tag, false, true);
	tag = client_expect_deliver(d, "one", true); /* The deadline stays what it was. */
	broker_advance(b, 200);
	client_nack(d, tag, false, true);
	client_expect_nothing(d);
	cr_assert_eq(client_count(c, "q"), 0);
}

Test(times, expired_ones_are_not_got)
{
	client_declare(c, "q", false);
	publish("q", "old", "100");
	publish("q", "new", "1000");
	broker_advance(b, 500);
	struct method m = { .id = METHOD_basic_get };
	m.basic_get.queue = bytes_str("q");
	m.basic_get.no_ack = true;
	client_method(c, 1, &m);
	m = client_expect(c, METHOD_basic_get_ok);
	cr_assert_eq(m.basic_get_ok.message_count, 0);
}

Test(times, a_dead_letter_has_no_expiration_and_tells_what_it_was)
{
	struct properties p;
	struct table_value v;
	struct bytes deaths, death;
	client_declare(c, "dead", false);
	table_write_str(&w, "x-dead-letter-exchange", bytes_str(""));
	table_write_str(&w, "x-dead-letter-routing-key", bytes_str("dead"));
	client_declare_with(c, "q", false, arguments());
	publish("q", "one", "100");
	broker_advance(b, 100);
	client_consume(d, "dead", "t", true, 0);
	client_expect_message(d, "one", false, &p);
	cr_assert_not(p.flags & HAS_expiration);
	cr_assert(table_find_array(p.headers, "x-death", &deaths) && array_next(&deaths, &v));
	cr_assert(table_value_table(&v, &death));
	cr_assert(has_text(death, "reason", "expired"));
	cr_assert(has_text(death, "original-expiration", "100"));
	cr_assert(has_text(p.headers, "x-last-death-reason", "expired"));
	cr_assert(has_text(p.headers, "x-first-death-queue", "q"));
}

Test(times, expired_for_ever_ends)
{
	table_write_int(&w, "x-message-ttl", 100);
	table_write_str(&w, "x-dead-letter-exchange", bytes_str(""));
	table_write_str(&w, "x-dead-letter-routing-key", bytes_str("q"));
	client_declare_with(c, "q", false, arguments());
	publish("q", "round", NULL);
	broker_advance(b, 1000);
	cr_assert_eq(client_count(c, "q"), 0);
	struct core_figures f;
	core_figures(b->diskless.core, &f);
	cr_assert_eq(f.cycles, 1);
	cr_assert_eq(f.discarded[1], 1);
}

/* --- what is due at the same time --- */

enum { TOGETHER = 40 };

/* expiration: of every one, or with `others` of every second one; NULL: none. */
static void publish_numbers(const char *queue, const char *expiration, const char *others)
{
	for (int i = 0; i < TOGETHER; i++) {
		char body[8];
		snprintf(body, sizeof body, "%d", i);
		publish(queue, body, others != NULL && i % 2 != 0 ? others : expiration);
	}
}

static void expect_numbers(const char *queue)
{
	client_consume(d, queue, "t", true, 0);
	for (int i = 0; i < TOGETHER; i++) {
		char body[8];
		snprintf(body, sizeof body, "%d", i);
		client_expect_deliver(d, body, false);
	}
	client_expect_nothing(d);
}

static void dead_letters_to(const char *queue)
{
	table_write_str(&w, "x-dead-letter-exchange", bytes_str(""));
	table_write_str(&w, "x-dead-letter-routing-key", bytes_str(queue));
}

Test(times, what_expires_together_leaves_in_order)
{
	client_declare(c, "dead", false);
	dead_letters_to("dead");
	client_declare_with(c, "q", false, arguments());
	publish_numbers("q", "500", NULL);
	broker_advance(b, 500);
	expect_numbers("dead");
}

Test(times, what_expires_at_once_leaves_in_order)
{
	client_declare(c, "dead", false);
	dead_letters_to("dead");
	client_declare_with(c, "q", false, arguments());
	publish_numbers("q", "0", NULL);
	broker_advance(b, 1);
	expect_numbers("dead");
}

/* Those without an expiration of their own stand in line, the others do not. */
Test(times, what_expires_for_different_reasons_leaves_in_order)
{
	client_declare(c, "dead", false);
	dead_letters_to("dead");
	table_write_int(&w, "x-message-ttl", 500);
	client_declare_with(c, "q", false, arguments());
	publish_numbers("q", NULL, "60000");
	broker_advance(b, 500);
	expect_numbers("dead");
}

Test(times, who_is_due_earlier_leaves_earlier_wherever_it_stands)
{
	client_declare(c, "dead", false);
	dead_letters_to("dead");
	table_write_int(&w, "x-message-ttl", 500);
	client_declare_with(c, "q", false, arguments());
	publish("q", "line", NULL);
	publish("q", "early", "300");
	broker_advance(b, 1000); /* A broker that was busy: both are due when it looks. */
	client_consume(d, "dead", "t", true, 0);
	client_expect_deliver(d, "early", false);
	client_expect_deliver(d, "line", false);
}

Test(times, what_is_delayed_alike_comes_in_order)
{
	client_declare(c, "q", false);
	for (int i = 0; i < TOGETHER; i++) {
		char body[8];
		snprintf(body, sizeof body, "%d", i);
		publish_later("q", body, 500);
	}
	broker_advance(b, 500);
	broker_sync(b);
	expect_numbers("q");
}

Test(times, refused_dead_letters_leave_in_order)
{
	struct writer t = writer_of(memory, sizeof memory);
	table_write_int(&t, "x-max-length", 0);
	table_write_str(&t, "x-overflow", bytes_str("reject-publish"));
	client_declare_with(c, "dead", false, bytes_of(memory, (size_t)(t.at - memory)));
	dead_letters_to("dead");
	client_declare_with(c, "q", false, arguments());
	publish_numbers("q", "500", NULL);
	broker_advance(b, 500);
	cr_assert_eq(client_count(c, "dead"), 0);
	client_consume(d, "dead", "t", true, 0); /* It has room for what a consumer takes. */
	client_expect_nothing(d);
	broker_advance(b, 1000);
	for (int i = 0; i < TOGETHER; i++) {
		char body[8];
		snprintf(body, sizeof body, "%d", i);
		client_expect_deliver(d, body, false);
	}
}

/* --- queues that nobody uses --- */

static void expect_gone(const char *queue)
{
	struct method m = { .id = METHOD_queue_declare };
	m.queue_declare.queue = bytes_str(queue);
	m.queue_declare.passive = true;
	client_method(c, 1, &m);
	cr_assert_eq(client_expect(c, METHOD_channel_close).channel_close.reply_code, 404);
}

Test(times, an_unused_queue_goes)
{
	table_write_int(&w, "x-expires", 1000);
	client_declare_with(c, "q", false, arguments());
	broker_advance(b, 999);
	client_declare_with(c, "q", false, arguments()); /* Declaring it again is using it, */
	broker_advance(b, 999);
	cr_assert_eq(client_count(c, "q"), 0); /* even to see whether it is there. */
	broker_advance(b, 999);
	struct method m = { .id = METHOD_basic_get };
	m.basic_get.queue = bytes_str("q");
	client_method(c, 1, &m);
	client_expect(c, METHOD_basic_get_empty);
	broker_advance(b, 1000);
	expect_gone("q");
}

/* Getting from it is use, whether there is something to get or not. */
Test(times, a_queue_that_is_used_now_and_then_stays)
{
	struct method get = { .id = METHOD_basic_get };
	table_write_int(&w, "x-expires", 1000);
	client_declare_with(c, "q", false, arguments());
	get.basic_get.queue = bytes_str("q");
	for (int i = 0; i < 3; i++) {
		broker_advance(b, 900);
		client_method(c, 1, &get);
		client_expect(c, METHOD_basic_get_empty);
	}
	broker_advance(b, 1000);
	client_method(c, 1, &get);
	client_expect_close(c, METHOD_channel_close, 404, "NOT_FOUND - no queue 'q' in vhost '/'");
}

Test(times, a_queue_with_a_consumer_stays)
{
	table_write_int(&w, "x-expires", 1000);
	client_declare_with(c, "q", false, arguments());
	client_consume(d, "q", "t", false, 0);
	broker_advance(b, 5000);
	cr_assert_eq(client_count(c, "q"), 0);
	client_disconnect(d);
	broker_advance(b, 999);
	cr_assert_eq(client_count(c, "q"), 0);
	broker_advance(b, 1000);
	expect_gone("q");
}

static uint64_t queues_left(void)
{
	struct core_figures figures;
	core_figures(b->diskless.core, &figures);
	return figures.queues;
}

static void turn(void)
{
	diskless_begin(&b->diskless);
	diskless_end(&b->diskless);
}

Test(times, unused_queues_go_a_few_a_turn)
{
	enum { QUEUES = 3000, PER_TURN = 1024 };
	char name[16];
	table_write_int(&w, "x-expires", 1000);
	for (int i = 0; i < QUEUES; i++) {
		snprintf(name, sizeof name, "q%d", i);
		client_declare_with(c, name, false, arguments());
	}
	b->diskless.host.now_ms++;
	client_declare_with(c, "last", false, arguments());
	b->diskless.host.now_ms += 1000;
	turn();
	cr_assert_eq(queues_left(), QUEUES + 1 - PER_TURN);
	cr_assert(core_has_work(b->diskless.core)); /* It is not for the clock to wake it. */
	client_count(c, "last"); /* Who is used before its turn comes is not unused. */
	for (int i = 0; i < 3; i++)
		turn();
	cr_assert_eq(queues_left(), 1);
	cr_assert_not(core_has_work(b->diskless.core));
	broker_advance(b, 1000);
	cr_assert_eq(queues_left(), 0);
}

/* --- queues whose connection closes --- */

Test(times, exclusive_queues_go_a_few_a_turn)
{
	enum { QUEUES = 3000, PER_TURN = 1024 };
	char name[16];
	struct method m = { .id = METHOD_queue_declare };
	m.queue_declare.exclusive = true;
	for (int i = 0; i < QUEUES; i++) {
		snprintf(name, sizeof name, "q%d", i);
		m.queue_declare.queue = bytes_str(name);
		client_method(d, 1, &m);
		client_expect(d, METHOD_queue_declare_ok);
	}
	client_bind(d, "q2998", "amq.fanout", "");
	client_disconnect(d);
	cr_assert_eq(queues_left(), QUEUES - PER_TURN);
	cr_assert(core_has_work(b->diskless.core));
	client_gather(c); /* Who asks for one, in the very next turn, finds that it has gone. */
	client_publish(c, "amq.fanout", "", "m", 1);
	m.queue_declare.queue = bytes_str("q2999");
	client_method(c, 1, &m);
	client_go(c);
	client_expect(c, METHOD_queue_declare_ok);
	for (int i = 0; i < 3; i++)
		turn();
	cr_assert_eq(queues_left(), 1);
	cr_assert_not(core_has_work(b->diskless.core));
}

/* --- delays --- */

Test(times, a_delayed_message_comes_when_it_is_due)
{
	client_declare(c, "q", true);
	client_confirms(c);
	publish_later("q", "later", 2000);
	publish_later("q", "sooner", 1000);
	client_expect_nothing(c);
	broker_sync(b);
	client_expect(c, METHOD_basic_ack); /* It is safe before it is due. */
	cr_assert_eq(client_count(c, "q"), 0);
	cr_assert_eq(client_count(c, "amq.delayed"), 2);
	client_consume(d, "q", "t", true, 0);
	broker_advance(b, 999);
	client_expect_nothing(d);
	struct properties p;
	broker_advance(b, 1);
	broker_sync(b);
	client_expect_message(d, "sooner", false, &p);
	cr_assert(has_integer(p.headers, "x-delay", -1000));
	broker_advance(b, 1000);
	broker_sync(b);
	client_expect_deliver(d, "later", false);
	cr_assert_eq(client_count(c, "amq.delayed"), 0);
}

/* Whoever gets the message, or routes it on, sees that the delay is over. */
Test(times, a_delay_that_has_been_served_has_its_sign_turned)
{
	struct properties p;
	int64_t delay;
	client_declare(c, "q", false);
	publish_later("q", "later", 5000);
	broker_advance(b, 5000);
	client_consume(d, "q", "t", true, 0);
	client_expect_message(d, "later", false, &p);
	cr_assert(table_find_integer(p.headers, "x-delay", &delay));
	cr_assert_eq(delay, -5000);
}

Test(times, a_delay_is_a_number)
{
	uint8_t headers[64];
	struct writer h = writer_of(headers, sizeof headers);
	struct properties p = { .flags = HAS_headers };
	table_write_str(&h, "x-delay", bytes_str("soon"));
	p.headers = bytes_of(headers, (size_t)(h.at - headers));
	client_publish_with(c, "", "q", "m", &p);
	client_expect_close(
		c, METHOD_channel_close, 406,
		"PRECONDITION_FAILED - invalid header x-delay: expected integer, got longstr");
}

Test(times, years_are_no_problem)
{
	client_declare(c, "q", false);
	publish_later("q", "in ten years", (int64_t)10 * 365 * 86400 * 1000);
	publish_later("q", "at the end of time", INT64_MAX);
	broker_advance(b, 100000);
	cr_assert_eq(client_count(c, "q"), 0);
	broker_sync(b);
	cr_assert_eq(client_count(c, "amq.delayed"), 2);
}

Test(times, a_delayed_message_can_be_looked_at_and_taken_out)
{
	client_declare(c, "q", false);
	publish_later("q", "one", 5000);
	publish_later("q", "two", 5000);
	broker_sync(b);
	client_consume(d, "amq.delayed", "t", false, 0);
	broker_sync(b);
	uint64_t one = client_expect_deliver(d, "one", false),
		 two = client_expect_deliver(d, "two", false);
	client_ack(d, one, false);
	client_nack(d, two, false, true);
	client_disconnect(d);
	broker_advance(b, 5000);
	cr_assert_eq(client_count(c, "q"), 1);
}

Test(times, the_queue_of_delayed_messages_is_the_brokers)
{
	client_declare(c, "q", false);
	publish_later("q", "one", 5000);
	client_publish(c, "", "amq.delayed", "not this way", 1);
	broker_sync(b);
	cr_assert_eq(client_count(c, "amq.delayed"), 1);
	struct method m = { .id = METHOD_queue_delete };
	m.queue_delete.queue = bytes_str("amq.delayed");
	client_method(c, 1, &m);
	client_expect_close(
		c, METHOD_channel_close, 403,
		"ACCESS_REFUSED - deletion of system queue 'amq.delayed' in vhost '/' not allowed");
}

Test(times, a_delayed_exchange_routes_as_its_type_says)
{
	table_write_str(&w, "x-delayed-type", bytes_str("topic"));
	client_exchange(c, "x", "x-delayed-message", arguments());
	client_declare(c, "q", false);
	client_bind(c, "q", "x", "a.*");
	client_publish(c, "x", "a.b", "at once", 1);
	cr_assert_eq(client_count(c, "q"), 1);
	struct method m = { .id = METHOD_exchange_declare };
	m.exchange_declare.exchange = bytes_str("y");
	m.exchange_declare.type = bytes_str("x-delayed-message");
	client_method(c, 1, &m);
	client_expect_close(c, METHOD_channel_close, 406,
			    "PRECONDITION_FAILED - Invalid argument, 'x-delayed-type' must be an "
			    "existing exchange type");
}

/* --- retries --- */

static void fail_after(uint64_t wait_ms, bool is_first, int64_t count)
{
	struct properties p;
	if (wait_ms > 0) {
		broker_advance(b, wait_ms - 1);
		client_expect_nothing(d);
		broker_advance(b, 1);
	}
	uint64_t tag = client_expect_message(d, "job", !is_first, &p);
	cr_assert(has_integer(p.headers, "x-delivery-count", count));
	client_nack(d, tag, false, true);
}

Test(times, a_failed_message_comes_back_later_and_later_and_then_dies)
{
	client_declare(c, "dead", false);
	table_write_int(&w, "x-retry-initial-ms", 1000);
	table_write_int(&w, "x-retry-max-ms", 8000);
	table_write_int(&w, "x-delivery-limit", 4);
	table_write_str(&w, "x-dead-letter-exchange", bytes_str(""));
	table_write_str(&w, "x-dead-letter-routing-key", bytes_str("dead"));
	client_declare_with(c, "q", false, arguments());
	client_publish(c, "", "q", "job", 1);
	client_consume(d, "q", "t", false, 0);
	fail_after(0, true, 0);
	fail_after(1000, false, 1);
	fail_after(2000, false, 2);
	fail_after(4000, false, 3);
	cr_assert_eq(client_count(c, "dead"), 0);
	fail_after(8000, false, 4);
	cr_assert_eq(client_count(c, "dead"), 1);
}

Test(times, a_rest_is_at_most_as_long_as_the_queue_says)
{
	table_write_int(&w, "x-retry-initial-ms", 1000);
	table_write_int(&w, "x-retry-max-ms", 3000);
	client_declare_with(c, "q", false, arguments());
	client_publish(c, "", "q", "job", 1);
	client_consume(d, "q", "t", false, 0);
	fail_after(0, true, 0);
	fail_after(1000, false, 1);
	fail_after(2000, false, 2);
	fail_after(3000, false, 3);
}

Test(times, a_schedule_may_be_given)
{
	uint8_t *began;
	write_shortstr(&w, bytes_str("x-retry-schedule"));
	write_u8(&w, 'A');
	began = write_room(&w, 4);
	for (uint32_t ms = 100; ms <= 300; ms += 200) {
		write_u8(&w, 'I');
		write_u32(&w, ms);
	}
	table_end(&w, began);
	client_declare_with(c, "q", false, arguments());
	client_publish(c, "", "q", "job", 1);
	client_consume(d, "q", "t", false, 0);
	fail_after(0, true, 0);
	fail_after(100, false, 1);
	fail_after(300, false, 2);
	fail_after(300, false, 3);
}

Test(times, others_go_on_while_one_waits)
{
	table_write_int(&w, "x-retry-initial-ms", 1000);
	client_declare_with(c, "q", false, arguments());
	client_publish(c, "", "q", "bad", 1);
	client_publish(c, "", "q", "good", 1);
	client_consume(d, "q", "t", false, 1);
	client_nack(d, client_expect_deliver(d, "bad", false), false, true);
	client_ack(d, client_expect_deliver(d, "good", false), false);
	client_expect_nothing(d);
	broker_advance(b, 1000);
	client_expect_deliver(d, "bad", true);
}

Test(times, jitter_stays_within_its_part)
{
	write_shortstr(&w, bytes_str("x-retry-jitter"));
	write_u8(&w, 'd');
	write_u64(&w, 0x3fe0000000000000u); /* 0.5 */
	table_write_int(&w, "x-retry-initial-ms", 1000);
	client_declare_with(c, "q", false, arguments());
	client_consume(d, "q", "t", false, 0);
	for (int i = 0; i < 20; i++)
		client_publish(c, "", "q", "job", 1);
	for (int i = 0; i < 20; i++)
		client_nack(d, client_expect_deliver(d, "job", false), false, true);
	broker_advance(b, 499);
	client_expect_nothing(d);
	unsigned early = 0, late = 0;
	struct frame f;
	broker_advance(b, 501);
	while (client_frame(d, &f))
		early += f.type == FRAME_METHOD;
	broker_advance(b, 500);
	while (client_frame(d, &f))
		late += f.type == FRAME_METHOD;
	cr_assert_eq(early + late, 20);
	cr_assert(early > 2 && late > 2, "%u early, %u late", early, late);
}

Test(times, queues_that_dead_letter_have_a_limit_of_twenty)
{
	client_declare(c, "dead", false);
	table_write_str(&w, "x-dead-letter-exchange", bytes_str(""));
	table_write_str(&w, "x-dead-letter-routing-key", bytes_str("dead"));
	client_declare_with(c, "q", false, arguments());
	client_publish(c, "", "q", "poison", 1);
	client_consume(d, "q", "t", false, 0);
	for (int i = 0; i <= 20; i++)
		client_nack(d, client_expect_deliver(d, "poison", i > 0), false, true);
	client_expect_nothing(d);
	cr_assert_eq(client_count(c, "dead"), 1);
}

/* --- leases --- */

static const char timed_out[] = "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed "
				"out. Timeout value used: 1000 ms";

Test(times, who_does_not_ack_in_time_loses_the_channel)
{
	table_write_int(&w, "x-consumer-timeout", 1000);
	client_declare_with(c, "q", false, arguments());
	client_publish(c, "", "q", "one", 1);
	client_publish(c, "", "q", "two", 1);
	client_consume(d, "q", "t", false, 0);
	uint64_t one = client_expect_deliver(d, "one", false);
	client_expect_deliver(d, "two", false);
	broker_advance(b, 600);
	client_ack(d, one, false);
	broker_advance(b, 399);
	client_expect_nothing(d);
	broker_advance(b, 1);
	client_expect_close(d, METHOD_channel_close, 406, timed_out);
	cr_assert_eq(client_count(c, "q"), 1);
}

static void request(const char *key, int64_t tag, int64_t delay_ms)
{
	uint8_t headers[64];
	struct writer h = writer_of(headers, sizeof headers);
	struct properties p = { .flags = HAS_headers };
	table_write_long(&h, "x-delivery-tag", tag);
	if (delay_ms > 0)
		table_write_long(&h, "x-delay", delay_ms);
	p.headers = bytes_of(headers, (size_t)(h.at - headers));
	client_publish_with(d, "", key, "", &p);
}

static void extend(int64_t tag)
{
	request("amq.lease.extend", tag, 0);
}

Test(times, a_lease_can_be_extended)
{
	struct method m = { .id = METHOD_basic_consume };
	client_declare(c, "q", false);
	client_publish(c, "", "q", "one", 1);
	table_write_int(&w, "x-consumer-timeout", 1000);
	m.basic_consume.queue = bytes_str("q");
	m.basic_consume.consumer_tag = bytes_str("t");
	m.basic_consume.arguments = arguments();
	client_method(d, 1, &m);
	client_expect(d, METHOD_basic_consume_ok);
	int64_t tag = (int64_t)client_expect_deliver(d, "one", false);
	broker_advance(b, 900);
	extend(tag);
	broker_advance(b, 900);
	extend(tag);
	broker_advance(b, 999);
	client_expect_nothing(d);
	broker_advance(b, 1);
	client_expect_close(d, METHOD_channel_close, 406, timed_out);
}

Test(times, only_what_one_has_can_be_extended)
{
	client_declare(c, "q", false);
	extend(7);
	client_expect_close(
		d, METHOD_channel_close, 406,
		"PRECONDITION_FAILED - unknown delivery tag in a request to extend a lease");
}

/* --- retries whose rest the consumer chooses --- */

Test(times, a_consumer_can_say_how_long_a_message_rests)
{
	client_declare(c, "q", true);
	client_publish(c, "", "q", "one", 2);
	client_publish(c, "", "q", "two", 2);
	client_consume(d, "q", "t", false, 0);
	int64_t one = (int64_t)client_expect_deliver(d, "one", false);
	client_expect_deliver(d, "two", false);
	request("amq.retry.after", one, 5000);
	broker_advance(b, 4999);
	client_expect_nothing(d);
	broker_advance(b, 1);
	client_expect_deliver(d, "one", true);
}

Test(times, a_rest_ends_at_the_delivery_limit)
{
	table_write_int(&w, "x-delivery-limit", 1);
	client_declare_with(c, "q", false, arguments());
	client_publish(c, "", "q", "one", 1);
	client_consume(d, "q", "t", false, 0);
	request("amq.retry.after", (int64_t)client_expect_deliver(d, "one", false), 10);
	broker_advance(b, 10);
	request("amq.retry.after", (int64_t)client_expect_deliver(d, "one", true), 10);
	broker_advance(b, 1000);
	client_expect_nothing(d);
	cr_assert_eq(client_count(c, "q"), 0);
}

Test(times, only_what_one_has_can_rest)
{
	client_declare(c, "q", false);
	request("amq.retry.after", 7, 10);
	client_expect_close(
		d, METHOD_channel_close, 406,
		"PRECONDITION_FAILED - unknown delivery tag in a request to retry after a rest");
}
