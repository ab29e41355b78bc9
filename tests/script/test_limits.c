/* Queues that are full, and what becomes of what they do not take or keep. */
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
static struct policy policies[8];
static size_t
	policies_len; /* Zero at the start of each test: some runners give them one process. */

static void set_up(void)
{
	policies_len = 0;
	b = broker_create();
	c = client_open(b);
	d = client_open(b);
	w = writer_of(memory, sizeof memory);
	client_declare(c, "dead", false);
}

static void tear_down(void)
{
	broker_destroy(b);
}

TestSuite(limits, .init = set_up, .fini = tear_down);

static void declare(void)
{
	client_declare_with(c, "q", false, bytes_of(memory, (size_t)(w.at - memory)));
}

static void dead_letters(void)
{
	table_write_str(&w, "x-dead-letter-exchange", bytes_str(""));
	table_write_str(&w, "x-dead-letter-routing-key", bytes_str("dead"));
}

static void publish(const char *body)
{
	client_publish(c, "", "q", body, 1);
}

static void expect_reason(struct bytes headers, const char *reason)
{
	struct table_value v;
	struct bytes deaths, death, saw = { NULL, 0 };
	cr_assert(table_find_array(headers, "x-death", &deaths) && array_next(&deaths, &v));
	cr_assert(table_value_table(&v, &death));
	cr_assert(table_find_string(death, "reason", &saw) && bytes_equal_str(saw, reason), "%.*s",
		  BYTES_ARG(saw));
}

/* What was taken for an x-death was the last header, whatever it was: the bytes of a number were an
 * address. */
Test(limits, a_dead_letter_may_have_any_headers)
{
	uint8_t room[100];
	struct writer headers = writer_of(room, sizeof room);
	struct properties p = { .flags = HAS_headers };
	table_write_int(&w, "x-max-length", 0);
	dead_letters();
	declare();
	client_consume(d, "dead", "t", true, 0);
	table_write_str(&headers, "customer", bytes_str("ada"));
	table_write_long(&headers, "attempt", 0x0101010101010101);
	p.headers = bytes_of(room, (size_t)(headers.at - room));
	client_publish_with(c, "", "q", "m", &p);
	client_expect_message(d, "m", false, &p);
	expect_reason(p.headers, "maxlen");
	cr_assert(has_integer(p.headers, "attempt", 0x0101010101010101));
}

Test(limits, the_oldest_go_first)
{
	struct properties p;
	table_write_int(&w, "x-max-length", 2);
	dead_letters();
	declare();
	publish("a");
	publish("b");
	publish("c");
	publish("d");
	cr_assert_eq(client_count(c, "q"), 2);
	client_consume(d, "dead", "t", true, 0);
	client_expect_message(d, "a", false, &p);
	expect_reason(p.headers, "maxlen");
	client_expect_deliver(d, "b", false);
	client_expect_nothing(d);
}

Test(limits, bytes_count_those_of_bodies)
{
	table_write_int(&w, "x-max-length-bytes", 10);
	declare();
	publish("12345");
	publish("67890");
	cr_assert_eq(client_count(c, "q"), 2);
	publish("x");
	cr_assert_eq(client_count(c, "q"), 2);
	publish("0123456789");
	cr_assert_eq(client_count(c, "q"), 1);
	publish("too long for it");
	cr_assert_eq(client_count(c, "q"), 0);
}

Test(limits, only_ready_messages_count)
{
	table_write_int(&w, "x-max-length", 1);
	declare();
	client_consume(d, "q", "t", false, 2);
	publish("a");
	publish("b");
	publish("c");
	client_expect_deliver(d, "a", false);
	uint64_t two = client_expect_deliver(d, "b", false);
	cr_assert_eq(client_count(c, "q"), 1);
	client_nack(d, two, false, true); /* One of two must go, the first that would be delivered
					     unless it is taken. */
	client_expect_deliver(d, "b", true);
	cr_assert_eq(client_count(c, "q"), 1);
}

static void expect_confirm(bool is_nack, uint64_t tag)
{
	struct method m = client_expect(c, is_nack ? METHOD_basic_nack : METHOD_basic_ack);
	cr_assert_eq(is_nack ? m.basic_nack.delivery_tag : m.basic_ack.delivery_tag, tag);
}

Test(limits, a_publisher_is_told_that_it_was_refused)
{
	table_write_int(&w, "x-max-length", 1);
	table_write_str(&w, "x-overflow", bytes_str("reject-publish"));
	declare();
	client_confirms(c);
	publish("a");
	expect_confirm(false, 1);
	publish("b");
	expect_confirm(true, 2);
	publish("c");
	expect_confirm(true, 3);
	client_consume(d, "q", "t", false, 1);
	client_expect_deliver(d, "a", false);
	publish("d");
	expect_confirm(false, 4);
	client_expect_nothing(d);
	cr_assert_eq(client_count(c, "q"), 1);
}

Test(limits, confirms_and_refusals_come_in_order)
{
	table_write_int(&w, "x-max-length", 1);
	table_write_str(&w, "x-overflow", bytes_str("reject-publish"));
	declare();
	client_declare(c, "safe", true);
	client_confirms(c);
	client_publish(c, "", "safe", "1", 2);
	publish("2");
	publish("3");
	publish("4");
	client_publish(c, "", "safe", "5", 2);
	client_expect_nothing(c);
	broker_sync(b);
	expect_confirm(false, 2);
	expect_confirm(true, 4);
	expect_confirm(false, 5);
}

static void publish_urgent(const char *body, uint8_t priority)
{
	struct properties p = { .flags = HAS_priority, .priority = priority };
	client_publish_with(c, "", "q", body, &p);
}

static void expect_left(const char *const *bodies)
{
	client_consume(d, "q", "t", true, 0);
	for (; *bodies != NULL; bodies++)
		client_expect_deliver(d, *bodies, false);
	client_expect_nothing(d);
}

Test(limits, the_next_one_goes_first_not_the_least_urgent)
{
	table_write_int(&w, "x-max-length", 2);
	table_write_int(&w, "x-max-priority", 5);
	declare();
	publish_urgent("hi1", 5);
	publish_urgent("hi2", 5);
	publish_urgent("lo", 0);
	expect_left((const char *const[]){ "hi2", "lo", NULL });
}

Test(limits, priorities_above_the_highest_are_the_highest)
{
	table_write_int(&w, "x-max-priority", 5);
	declare();
	publish_urgent("a", 4);
	publish_urgent("b", 5);
	publish_urgent("c", 6);
	publish_urgent("d", 255);
	publish_urgent("e", 1);
	expect_left((const char *const[]){ "b", "c", "d", "a", "e", NULL });
}

Test(limits, who_is_urgent_is_refused_like_others)
{
	table_write_int(&w, "x-max-length", 1);
	table_write_int(&w, "x-max-priority", 5);
	table_write_str(&w, "x-overflow", bytes_str("reject-publish"));
	declare();
	client_confirms(c);
	publish_urgent("a", 0);
	expect_confirm(false, 1);
	publish_urgent("b", 5);
	expect_confirm(true, 2);
	expect_left((const char *const[]){ "a", NULL });
}

Test(limits, expired_ones_make_room)
{
	table_write_int(&w, "x-max-length", 1);
	table_write_str(&w, "x-overflow", bytes_str("reject-publish"));
	declare();
	struct properties p = { .flags = HAS_expiration, .expiration = bytes_str("100") };
	client_publish_with(c, "", "q", "old", &p);
	publish("refused");
	broker_advance(b, 101);
	publish("new");
	expect_left((const char *const[]){ "new", NULL });
}

Test(limits, bodies_without_bytes_fill_nothing)
{
	table_write_int(&w, "x-max-length-bytes", 0);
	declare();
	for (int i = 0; i < 3; i++)
		publish("");
	cr_assert_eq(client_count(c, "q"), 3);
	publish("x");
	cr_assert_eq(client_count(c, "q"), 0);
}

Test(limits, who_takes_at_once_is_never_too_slow)
{
	table_write_int(&w, "x-max-length", 0);
	table_write_str(&w, "x-overflow", bytes_str("reject-publish"));
	declare();
	client_confirms(c);
	publish("nobody");
	expect_confirm(true, 1);
	client_consume(d, "q", "t", true, 0);
	publish("a");
	expect_confirm(false, 2);
	client_expect_deliver(d, "a", false);
}

Test(limits, what_is_refused_may_be_dead_lettered)
{
	struct properties p;
	table_write_int(&w, "x-max-length", 1);
	table_write_str(&w, "x-overflow", bytes_str("reject-publish-dlx"));
	dead_letters();
	declare();
	client_confirms(c);
	publish("a");
	expect_confirm(false, 1);
	publish("b");
	expect_confirm(true, 2);
	client_consume(d, "dead", "t", true, 0);
	client_expect_message(d, "b", false, &p);
	expect_reason(p.headers, "maxlen");
}

Test(limits, other_queues_take_what_one_refuses)
{
	table_write_int(&w, "x-max-length", 0);
	table_write_str(&w, "x-overflow", bytes_str("reject-publish"));
	declare();
	client_bind(c, "q", "amq.fanout", "");
	client_bind(c, "dead", "amq.fanout", "");
	client_confirms(c);
	client_publish(c, "amq.fanout", "", "a", 1);
	expect_confirm(true, 1);
	cr_assert_eq(client_count(c, "dead"), 1);
}

/* A target that has no room keeps the message where it is; when it has room again the message
 * moves. */
Test(limits, a_dead_letter_waits_for_room)
{
	client_declare(c, "other", false);
	table_write_int(&w, "x-max-length", 1);
	table_write_str(&w, "x-overflow", bytes_str("reject-publish"));
	client_declare_with(c, "small", false, bytes_of(memory, (size_t)(w.at - memory)));
	client_publish(c, "", "small", "first", 1);
	w = writer_of(memory, sizeof memory);
	table_write_int(&w, "x-message-ttl", 100);
	table_write_str(&w, "x-dead-letter-exchange", bytes_str(""));
	table_write_str(&w, "x-dead-letter-routing-key", bytes_str("small"));
	declare();
	publish("expires");
	broker_advance(b, 5000);
	cr_assert_eq(client_count(c, "q"), 0);
	cr_assert_eq(client_count(c, "small"), 1);
	client_consume(d, "small", "t", true, 0);
	client_expect_deliver(d, "first", false);
	broker_advance(b, 1000);
	client_expect_deliver(d, "expires", false);
}

/* --- priorities --- */

Test(limits, higher_priorities_go_first)
{
	table_write_int(&w, "x-max-priority", 10);
	declare();
	publish("none");
	publish_urgent("low", 1);
	publish_urgent("high", 9);
	publish_urgent("beyond", 200);
	publish_urgent("most", 10);
	publish_urgent("low too", 1);
	client_consume(d, "q", "t", false, 0);
	client_expect_deliver(d, "beyond", false); /* More than the most is the most. */
	client_expect_deliver(d, "most", false);
	uint64_t tag = client_expect_deliver(d, "high", false);
	client_expect_deliver(d, "low", false);
	client_expect_deliver(d, "low too", false);
	client_expect_deliver(d, "none", false);
	client_nack(d, tag, false, true);
	client_expect_deliver(d, "high", true);
}

Test(limits, without_x_max_priority_priorities_do_not_count)
{
	declare();
	publish_urgent("a", 1);
	publish_urgent("b", 5);
	client_consume(d, "q", "t", true, 0);
	client_expect_deliver(d, "a", false);
	client_expect_deliver(d, "b", false);
}

Test(limits, the_lowest_priority_may_go_first)
{
	table_write_int(&w, "x-max-priority", 5);
	table_write_int(&w, "x-max-length", 3);
	table_write_str(&w, "x-overflow", bytes_str("drop-lowest-priority"));
	declare();
	publish_urgent("mid", 3);
	publish("old");
	publish_urgent("high", 5);
	publish("new");
	publish_urgent("mid too", 3);
	publish_urgent("high too", 5);
	client_consume(d, "q", "t", true, 0);
	client_expect_deliver(d, "high", false);
	client_expect_deliver(d, "high too", false);
	client_expect_deliver(d, "mid too", false);
	client_expect_nothing(d);
}

/* --- who consumes --- */

Test(limits, one_consumer_is_active_and_another_takes_over)
{
	struct client *e = client_open(b);
	table_write_bool(&w, "x-single-active-consumer", true);
	declare();
	client_consume(d, "q", "t", false, 1);
	client_consume(e, "q", "t", false, 1);
	publish("a");
	publish("b");
	client_expect_deliver(d, "a", false);
	client_expect_nothing(e);
	client_disconnect(d);
	broker_advance(b, 1);
	client_expect_deliver(e, "a", true);
	client_expect_nothing(e);
}

static void consume_with(struct client *from, int32_t priority)
{
	uint8_t room[64];
	struct writer arguments = writer_of(room, sizeof room);
	struct method m = { .id = METHOD_basic_consume };
	table_write_int(&arguments, "x-priority", priority);
	m.basic_consume.queue = bytes_str("q");
	m.basic_consume.consumer_tag = bytes_str("t");
	m.basic_consume.arguments = bytes_of(room, (size_t)(arguments.at - room));
	client_method(from, 1, &m);
	client_expect(from, METHOD_basic_consume_ok);
}

Test(limits, of_those_that_wait_the_one_with_the_highest_priority_takes_over)
{
	struct client *e = client_open(b), *f = client_open(b);
	table_write_bool(&w, "x-single-active-consumer", true);
	declare();
	consume_with(d, 0);
	consume_with(e, 1);
	consume_with(f, 5);
	publish("a");
	client_expect_deliver(d, "a", false);
	client_disconnect(d);
	broker_advance(b, 1);
	client_expect_deliver(f, "a", true);
	client_expect_nothing(e);
}

static void publish_grouped(const char *body, const char *group)
{
	uint8_t headers[64];
	struct writer h = writer_of(headers, sizeof headers);
	struct properties p = { .flags = HAS_headers };
	table_write_str(&h, "customer", bytes_str(group));
	p.headers = bytes_of(headers, (size_t)(h.at - headers));
	client_publish_with(c, "", "q", body, &p);
}

Test(limits, a_group_is_with_one_consumer_at_a_time)
{
	struct client *e = client_open(b);
	table_write_str(&w, "x-group-header", bytes_str("customer"));
	declare();
	client_consume(d, "q", "t", false, 1);
	client_consume(e, "q", "t", false, 1);
	publish_grouped("anna 1", "anna");
	publish_grouped("anna 2", "anna");
	publish_grouped("bert 1", "bert");
	publish_grouped("anna 3", "anna");
	publish_grouped("bert 2", "bert");
	publish("nobody");
	uint64_t anna = client_expect_deliver(d, "anna 1", false),
		 bert = client_expect_deliver(e, "bert 1", false);
	client_expect_nothing(d);
	client_expect_nothing(e);
	client_ack(e, bert, false); /* anna 2 and 3 wait for d; bert 2 may go on. */
	client_expect_nothing(d);
	bert = client_expect_deliver(e, "bert 2", false);
	client_ack(e, bert, false);
	client_ack(e, client_expect_deliver(e, "nobody", false), false);
	client_expect_nothing(e);
	client_nack(d, anna, false, true); /* Unbound, and in order: whoever gets it. */
	struct client *first = d->got_len > 0 ? d : e, *other = first == d ? e : d;
	anna = client_expect_deliver(first, "anna 1", true);
	client_expect_nothing(other);
	client_ack(first, anna, false);
	first = d->got_len > 0 ? d : e;
	anna = client_expect_deliver(first, "anna 2", false);
	client_disconnect(first);
	broker_advance(b, 1);
	other = first == d ? e : d;
	anna = client_expect_deliver(other, "anna 2", true);
	client_ack(other, anna, false);
	client_expect_deliver(other, "anna 3", false);
	cr_assert_eq(client_count(c, "q"), 0);
}

Test(limits, a_group_stays_in_order_with_much_credit)
{
	struct client *e = client_open(b);
	table_write_str(&w, "x-group-header", bytes_str("customer"));
	declare();
	client_consume(d, "q", "t", false, 3);
	client_consume(e, "q", "t", false, 3);
	publish_grouped("anna 1", "anna");
	publish_grouped("anna 2", "anna");
	publish_grouped("anna 3", "anna");
	publish_grouped("anna 4", "anna");
	publish_grouped("bert 1", "bert");
	uint64_t tag = client_expect_deliver(d, "anna 1", false);
	client_expect_deliver(d, "anna 2", false);
	client_expect_deliver(d, "anna 3", false);
	client_expect_nothing(d);
	client_expect_deliver(e, "bert 1", false);
	client_ack(d, tag, false);
	client_expect_deliver(d, "anna 4", false);
	client_expect_nothing(e);
}

/* --- policies --- */

static void set_policy(const char *pattern, int64_t priority, bool is_operator, const char *key,
		       int64_t value)
{
	static uint8_t definitions[8][128];
	char why[200];
	size_t which;
	uint8_t *definition = definitions[policies_len];
	struct writer t = writer_of(definition, sizeof definitions[0]);
	table_write_long(&t, key, value);
	policies[policies_len++] =
		(struct policy){ .name = bytes_str(pattern),
				 .pattern = bytes_str(pattern),
				 .priority = priority,
				 .is_operator = is_operator,
				 .definition = bytes_of(definition, (size_t)(t.at - definition)) };
	cr_assert(core_set_policies(core_vhost(b->diskless.core, bytes_str("/")), policies,
				    policies_len, &which, why, sizeof why),
		  "%s", why);
}

Test(limits, policies_hold_at_once_and_the_lowest_limit_wins)
{
	table_write_int(&w, "x-max-length", 4);
	declare();
	for (int i = 0; i < 6; i++)
		publish("m");
	cr_assert_eq(client_count(c, "q"), 4);
	set_policy("^q$", 1, false, "max-length", 3);
	broker_advance(b, 1);
	cr_assert_eq(client_count(c, "q"), 3);
	set_policy("^q", 0, false, "max-length", 1); /* Lower priority: it does not hold. */
	broker_advance(b, 1);
	cr_assert_eq(client_count(c, "q"), 3);
	set_policy("q", 0, true, "max-length", 2);
	broker_advance(b, 1);
	cr_assert_eq(client_count(c, "q"), 2);
	set_policy("q", 5, false, "max-length", 100);
	broker_advance(b, 1);
	publish("m");
	cr_assert_eq(client_count(c, "q"), 2);
	set_policy(".*", 9, false, "message-ttl", 1000);
	broker_advance(b, 1500);
	cr_assert_eq(client_count(c, "q"), 0);
}

static uint64_t ready(void)
{
	struct core_figures figures;
	core_figures(b->diskless.core, &figures);
	return figures.messages_ready;
}

static void turn(void)
{
	diskless_begin(&b->diskless);
	diskless_end(&b->diskless);
}

/* 200 queues p0, p1, ... of three messages each. */
static void declare_many(void)
{
	char name[16];
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof name, "p%d", i);
		client_declare(c, name, false);
		for (int k = 0; k < 3; k++)
			client_publish(c, "", name, "m", 1);
	}
}

Test(limits, policies_reach_many_queues_a_few_a_turn)
{
	declare_many();
	set_policy("^p", 1, false, "max-length", 1);
	turn();
	cr_assert_gt(ready(), 500);
	cr_assert(core_has_work(b->diskless.core));
	for (int i = 0; i < 20 && core_has_work(b->diskless.core); i++)
		turn();
	cr_assert_eq(ready(), 200);
	cr_assert_not(core_has_work(b->diskless.core));
}

/* One policy for all, of what has been written to w; nobody has been set to it but the first few.
 */
static void hold_policy(void)
{
	char why[200];
	size_t which;
	struct policy all = { .name = bytes_str("all"),
			      .pattern = bytes_str(""),
			      .definition = bytes_of(memory, (size_t)(w.at - memory)) };
	cr_assert(core_set_policies(core_vhost(b->diskless.core, bytes_str("/")), &all, 1, &which,
				    why, sizeof why));
	w = writer_of(memory, sizeof memory);
}

Test(limits, the_newest_policies_hold_for_who_publishes)
{
	declare_many();
	for (int i = 0; i < 20; i++) { /* However many there were meanwhile. */
		table_write_int(&w, "max-length", 100 + i);
		hold_policy();
	}
	table_write_int(&w, "max-length", 3);
	table_write_str(&w, "overflow", bytes_str("reject-publish"));
	hold_policy();
	client_gather(c);
	client_publish(c, "", "p199", "m", 1);
	client_go(c);
	cr_assert_eq(client_count(c, "p199"), 3);
}

Test(limits, the_newest_policies_hold_for_what_comes_back)
{
	declare_many();
	client_consume(d, "p199", "t", false, 1);
	uint64_t tag = client_expect_deliver(d, "m", false);
	table_write_int(&w, "delivery-limit", 0);
	hold_policy();
	client_nack(d, tag, false, true);
	client_expect_deliver(d, "m", false); /* The next one: the first is not seen again. */
}

Test(limits, the_newest_policies_hold_for_what_expires)
{
	declare_many();
	client_declare(c, "dead", false);
	table_write_int(&w, "x-message-ttl", 1000);
	client_declare_with(c, "short", false, bytes_of(memory, (size_t)(w.at - memory)));
	w = writer_of(memory, sizeof memory);
	client_publish(c, "", "short", "m", 1);
	table_write_str(&w, "dead-letter-exchange", bytes_str(""));
	table_write_str(&w, "dead-letter-routing-key", bytes_str("dead"));
	hold_policy();
	b->diskless.host.now_ms += 2000;
	turn();
	cr_assert_eq(client_count(c, "dead"), 1);
}

Test(limits, the_newest_policies_hold_for_an_exchange_that_is_used)
{
	char name[16];
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof name, "x%d", i);
		client_exchange(c, name, "fanout", bytes_of(NULL, 0));
	}
	client_exchange(c, "others", "fanout", bytes_of(NULL, 0));
	client_declare(c, "q", false);
	client_bind(c, "q", "others", "");
	client_publish(c, "x49", "", "m", 1);
	cr_assert_eq(client_count(c, "q"), 0);
	table_write_str(&w, "alternate-exchange", bytes_str("others"));
	hold_policy();
	client_gather(c);
	client_publish(c, "x49", "", "m", 1);
	client_go(c);
	cr_assert_eq(client_count(c, "q"), 1);
}

Test(limits, policies_keep_a_queue_whose_time_is_over)
{
	uint8_t buffer[64];
	char name[16];
	struct writer t = writer_of(buffer, sizeof buffer);
	table_write_int(&t, "x-expires", 1000);
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof name, "p%d", i);
		client_declare_with(c, name, false,
				    i < 199 ? bytes_of(NULL, 0)
					    : bytes_of(buffer, (size_t)(t.at - buffer)));
	}
	b->diskless.host.now_ms += 999;
	set_policy("^p", 1, false, "max-length", 1);
	b->diskless.host.now_ms += 1; /* As after any change of policies, its time begins anew. */
	turn();
	cr_assert_eq(client_count(c, "p199"), 0);
}

/* Of what is no limit, the operator's holds. */
Test(limits, an_operators_policy_goes_before_another)
{
	static const char *const overflows[] = { "drop-head", "reject-publish" };
	uint8_t definitions[2][64];
	char why[200];
	size_t which;
	for (size_t i = 0; i < 2; i++) {
		struct writer t = writer_of(definitions[i], sizeof definitions[i]);
		table_write_str(&t, "overflow", bytes_str(overflows[i]));
		policies[i] = (struct policy){
			.name = bytes_str(overflows[i]),
			.pattern = bytes_str("q"),
			.is_operator = i == 1,
			.definition = bytes_of(definitions[i], (size_t)(t.at - definitions[i])),
		};
	}
	table_write_int(&w, "x-max-length", 1);
	declare();
	cr_assert(core_set_policies(core_vhost(b->diskless.core, bytes_str("/")), policies, 2,
				    &which, why, sizeof why));
	publish("first");
	publish("second");
	client_consume(d, "q", "t", true, 0);
	client_expect_deliver(d, "first", false);
	client_expect_nothing(d);
}

Test(limits, a_bad_pattern_changes_nothing)
{
	struct policy bad = { .name = bytes_str("bad"), .pattern = bytes_str("a(") };
	char why[200];
	size_t which;
	cr_assert_not(core_set_policies(core_vhost(b->diskless.core, bytes_str("/")), &bad, 1,
					&which, why, sizeof why));
	cr_assert_eq(which, 0);
	cr_assert_neq(strstr(why, "'a(' is no regular expression"), NULL, "%s", why);
}

Test(limits, policies_leave_delayed_messages_alone)
{
	uint8_t headers[64];
	struct writer h = writer_of(headers, sizeof headers);
	struct properties p = { .flags = HAS_headers };
	table_write_int(&h, "x-delay", 5000);
	p.headers = bytes_of(headers, (size_t)(h.at - headers));
	set_policy(".*", 1, false, "max-length", 1);
	client_publish_with(c, "", "dead", "a", &p);
	client_publish_with(c, "", "dead", "b", &p);
	set_policy(".*", 2, false, "expires", 100);
	set_policy(".*", 0, true, "message-ttl", 50);
	broker_advance(b, 1000);
	broker_sync(b);
	cr_assert_eq(client_count(c, "amq.delayed"), 2);
}

/* Also for what has been delivered: who has had it for longer than it may loses it now. */
Test(limits, a_lease_ends_as_the_policy_of_now_says)
{
	static const char timed_out[] = "PRECONDITION_FAILED - delivery acknowledgement on channel "
					"1 timed out. Timeout value used: 1000 ms";
	declare();
	set_policy("q", 1, false, "consumer-timeout", 10000);
	publish("first");
	publish("second");
	client_consume(d, "q", "t", false, 0);
	client_expect_deliver(d, "first", false);
	uint64_t second = client_expect_deliver(d, "second", false);
	broker_advance(b, 600);
	set_policy("q", 2, false, "consumer-timeout", 1000);
	client_ack(d, second, false);
	publish("third");
	client_expect_deliver(d, "third", false);
	broker_advance(b, 399);
	client_expect_nothing(d);
	broker_advance(b, 1);
	client_expect_close(d, METHOD_channel_close, 406, timed_out);
}

Test(limits, a_lease_that_no_policy_asks_for_any_more_does_not_end)
{
	char why[200];
	size_t which;
	declare();
	set_policy("q", 1, false, "consumer-timeout", 1000);
	publish("first");
	client_consume(d, "q", "t", false, 0);
	uint64_t first = client_expect_deliver(d, "first", false);
	broker_advance(b, 600);
	cr_assert(core_set_policies(core_vhost(b->diskless.core, bytes_str("/")), NULL, 0, &which,
				    why, sizeof why));
	broker_advance(b, 5000);
	client_expect_nothing(d);
	client_ack(d, first, false);
	set_policy("q", 2, false, "consumer-timeout", 50);
	publish("second");
	client_expect_deliver(d, "second", false);
	broker_advance(b, 50);
	client_expect_close(
		d, METHOD_channel_close, 406,
		"PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. "
		"Timeout value used: 50 ms");
}

Test(limits, what_is_aside_for_its_group_is_counted)
{
	table_write_str(&w, "x-group-header", bytes_str("customer"));
	declare();
	client_consume(d, "q", "t", false, 1);
	publish_grouped("anna 1", "anna");
	client_expect_deliver(d, "anna 1", false);
	client_consume(c, "q", "t", false, 5);
	publish_grouped("anna 2", "anna");
	publish_grouped("anna 3", "anna");
	publish_grouped("bert 1", "bert");
	client_expect_deliver(c, "bert 1", false);
	cr_assert_eq(client_count(d, "q"), 2);
}

Test(limits, a_group_survives_another_time_to_live)
{
	table_write_str(&w, "x-group-header", bytes_str("customer"));
	declare();
	client_consume(d, "q", "t", false, 1);
	publish_grouped("anna 1", "anna");
	publish_grouped("anna 2", "anna");
	publish_grouped("anna 3", "anna");
	struct client *e = client_open(b);
	client_consume(e, "q", "t", false, 1);
	uint64_t tag = client_expect_deliver(d, "anna 1", false);
	client_expect_nothing(e);
	set_policy("^q$", 1, false, "message-ttl", 60000);
	client_ack(d, tag, false);
	struct client *first = d->got_len > 0 ? d : e;
	client_ack(first, client_expect_deliver(first, "anna 2", false), false);
	first = d->got_len > 0 ? d : e;
	client_expect_deliver(first, "anna 3", false);
}

/* --- hash exchanges --- */

static void bind_hash(const char *exchange, const char *queue, const char *weight)
{
	struct method m = { .id = METHOD_queue_bind };
	client_declare(c, queue, false);
	m.queue_bind.queue = bytes_str(queue);
	m.queue_bind.exchange = bytes_str(exchange);
	m.queue_bind.routing_key = bytes_str(weight);
	client_method(c, 1, &m);
}

static void declare_hash(const char *exchange, const char *type)
{
	client_exchange(c, exchange, type, bytes_of(NULL, 0));
}

static void publish_keys(const char *exchange, int from, int until)
{
	for (int i = from; i < until; i++) {
		char key[16];
		snprintf(key, sizeof key, "key %d", i);
		client_publish(c, exchange, key, "m", 1);
	}
}

Test(limits, a_consistent_hash_shares_by_weight)
{
	static const char *const queues[] = { "h1", "h2", "h3" };
	declare_hash("h", "x-consistent-hash");
	for (int i = 0; i < 3; i++) {
		bind_hash("h", queues[i], i == 2 ? "2" : "1");
		client_expect(c, METHOD_queue_bind_ok);
	}
	publish_keys("h", 0, 2000);
	uint32_t n1 = client_count(c, "h1"), n2 = client_count(c, "h2"), n3 = client_count(c, "h3");
	cr_assert_eq(n1 + n2 + n3, 2000);
	cr_assert(n1 > 400 && n1 < 600 && n2 > 400 && n2 < 600 && n3 > 900 && n3 < 1100, "%u %u %u",
		  n1, n2, n3);
	publish_keys("h", 0, 2000); /* The same keys go to the same queues. */
	cr_assert_eq(client_count(c, "h1"), 2 * n1);
	bind_hash("h", "h4",
		  "4"); /* Half of all keys move to the newcomer, and none between the others. */
	client_expect(c, METHOD_queue_bind_ok);
	publish_keys("h", 0, 2000);
	uint32_t n4 = client_count(c, "h4");
	cr_assert(n4 > 900 && n4 < 1100, "%u", n4);
	cr_assert_leq(client_count(c, "h1"), 3 * n1);
	bind_hash("h", "h1", "heavy");
	client_expect_close(c, METHOD_channel_close, 406,
			    "PRECONDITION_FAILED - The binding key must be an integer from 1 to "
			    "1000000: 'heavy'");
}

Test(limits, a_modulus_hash_uses_every_queue)
{
	declare_hash("m", "x-modulus-hash");
	bind_hash("m", "m1", "");
	client_expect(c, METHOD_queue_bind_ok);
	bind_hash("m", "m2", "");
	client_expect(c, METHOD_queue_bind_ok);
	publish_keys("m", 0, 1000);
	uint32_t n1 = client_count(c, "m1"), n2 = client_count(c, "m2");
	cr_assert_eq(n1 + n2, 1000);
	cr_assert(n1 > 400 && n1 < 600, "%u", n1);
}
