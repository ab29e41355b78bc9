/* Groups, at random: each message is the next one of its group, a group is with one consumer at a
 * time, and nothing waits without need. */
#include "broker.h"

#include "core/admin.h"
#include "core/dispatch/group.h"
#include "core/queue/queue.h"
#include "core/state.h"
#include "core/topology/declare_queue.h"

#include "base/prng.h"
#include "table.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { GROUPS = 5, CONSUMERS = 3, MESSAGES = 800, PREFETCH = 3 };

enum where { READY, UNACKED, GONE };

struct sent {
	unsigned group;
	enum where where;
	unsigned consumer;
	uint64_t tag;
};

static struct broker *b;
static struct client *publisher;
static struct client *consumers[CONSUMERS];
static struct sent sent[MESSAGES];
static size_t sent_len;
static struct prng prng;

static void publish(void)
{
	uint8_t headers[64];
	char body[16];
	struct writer h = writer_of(headers, sizeof headers);
	struct properties p = { .flags = HAS_headers };
	unsigned group = prng_below(&prng, GROUPS);
	if (sent_len == MESSAGES)
		return;
	table_write_int(&h, "key", (int32_t)group);
	p.headers = bytes_of(headers, (size_t)(h.at - headers));
	snprintf(body, sizeof body, "%zu", sent_len);
	sent[sent_len++] = (struct sent){ .group = group };
	client_publish_with(publisher, "", "q", body, &p);
}

static unsigned unacked_of(unsigned consumer)
{
	unsigned n = 0;
	for (size_t i = 0; i < sent_len; i++)
		n += sent[i].where == UNACKED && sent[i].consumer == consumer;
	return n;
}

/* The consumer that has messages of the group, or -1. */
static int holder(unsigned group)
{
	for (size_t i = 0; i < sent_len; i++)
		if (sent[i].where == UNACKED && sent[i].group == group)
			return (int)sent[i].consumer;
	return -1;
}

static void take(unsigned consumer, size_t id, uint64_t tag)
{
	cr_assert_lt(id, sent_len);
	cr_assert_eq(sent[id].where, READY);
	int who = holder(sent[id].group);
	cr_assert(who == -1 || who == (int)consumer, "group %u is with %d, and %u gets %zu",
		  sent[id].group, who, consumer, id);
	for (size_t i = 0; i < id; i++)
		cr_assert_not(sent[i].where == READY && sent[i].group == sent[id].group,
			      "%zu before %zu", id, i);
	sent[id].where = UNACKED;
	sent[id].consumer = consumer;
	sent[id].tag = tag;
	cr_assert_leq(unacked_of(consumer), PREFETCH);
}

static void read_all(void)
{
	struct frame f;
	for (unsigned c = 0; c < CONSUMERS; c++) {
		uint64_t tag = 0;
		while (client_frame(consumers[c], &f)) {
			struct method m;
			if (f.type == FRAME_METHOD) {
				method_decode(&m, f.payload);
				cr_assert_eq(m.id, METHOD_basic_deliver);
				tag = m.basic_deliver.delivery_tag;
			} else if (f.type == FRAME_BODY) {
				char text[16] = { 0 };
				memcpy(text, f.payload.data, f.payload.len);
				take(c, strtoul(text, NULL, 10), tag);
			}
		}
	}
}

static void check_nothing_waits(void)
{
	for (size_t i = 0; i < sent_len; i++) {
		if (sent[i].where != READY)
			continue;
		int who = holder(sent[i].group);
		for (unsigned c = 0; c < CONSUMERS; c++)
			cr_assert(unacked_of(c) == PREFETCH || (who != -1 && who != (int)c),
				  "%zu waits, but %u could have it", i, c);
	}
}

static void settle(bool is_ack)
{
	size_t chosen = MESSAGES;
	uint32_t seen = 0;
	for (size_t i = 0; i < sent_len; i++)
		if (sent[i].where == UNACKED && prng_below(&prng, ++seen) == 0)
			chosen = i;
	if (chosen == MESSAGES)
		return;
	struct sent *s = &sent[chosen];
	s->where = is_ack ? GONE : READY;
	if (is_ack)
		client_ack(consumers[s->consumer], s->tag, false);
	else
		client_nack(consumers[s->consumer], s->tag, false, true);
}

static void connect_consumer(unsigned c)
{
	consumers[c] = client_open(b);
	client_consume(consumers[c], "q", "t", false, PREFETCH);
}

/* What it had goes back, and another one comes; there are only so many clients. */
static void reconnect(unsigned c)
{
	if (b->clients_len == SCRIPT_CLIENTS_MAX)
		return;
	for (size_t i = 0; i < sent_len; i++)
		if (sent[i].where == UNACKED && sent[i].consumer == c)
			sent[i].where = READY;
	client_disconnect(consumers[c]);
	broker_advance(b, 1);
	read_all();
	connect_consumer(c);
}

static void live(uint64_t seed)
{
	uint8_t arguments[64];
	struct writer w = writer_of(arguments, sizeof arguments);
	prng.state = seed;
	sent_len = 0;
	b = broker_create();
	publisher = client_open(b);
	table_write_str(&w, "x-group-header", bytes_str("key"));
	client_declare_with(publisher, "q", false, bytes_of(arguments, (size_t)(w.at - arguments)));
	for (unsigned c = 0; c < CONSUMERS; c++)
		connect_consumer(c);
	for (int step = 0; step < 4000; step++) {
		uint32_t dice = prng_below(&prng, 10);
		if (prng_below(&prng, 200) == 0)
			reconnect(prng_below(&prng, CONSUMERS));
		if (dice < 3)
			publish();
		else
			settle(dice < 8);
		read_all();
		check_nothing_waits();
	}
	for (size_t i = 0; i < MESSAGES; i++) {
		settle(true);
		read_all();
		check_nothing_waits();
	}
	for (size_t i = 0; i < sent_len; i++)
		cr_assert_eq(sent[i].where, GONE, "%zu never came", i);
	broker_destroy(b);
}

Test(groups, are_in_order_and_with_one_consumer)
{
	for (uint64_t seed = 1; seed <= 6; seed++)
		live(seed);
}

/* --- what is put aside --- */

static struct client *anna; /* Has three messages at most; */
static struct client *other;

static uint8_t declared[200]; /* Arguments of the queue. */
static struct writer w;

static void set_up(void)
{
	w = writer_of(declared, sizeof declared);
	table_write_str(&w, "x-group-header", bytes_str("key"));
}

TestSuite(groups, .init = set_up);

static void set_up_two(uint16_t prefetch, uint16_t others)
{
	b = broker_create();
	anna = client_open(b);
	other = client_open(b);
	publisher = client_open(b);
	client_declare_with(publisher, "q", false, bytes_of(declared, (size_t)(w.at - declared)));
	client_consume(anna, "q", "t", false, prefetch);
	if (others > 0)
		client_consume(other, "q", "t", false, others);
}

static void publish_properties(const char *group, const char *body, struct properties *p)
{
	uint8_t headers[64];
	struct writer h = writer_of(headers, sizeof headers);
	table_write_str(&h, "key", bytes_str(group));
	p->flags |= HAS_headers;
	p->headers = bytes_of(headers, (size_t)(h.at - headers));
	client_publish_with(publisher, "", "q", body, p);
}

static void publish_to(const char *group, const char *body, const char *expiration)
{
	struct properties p = { .flags = HAS_expiration };
	if (expiration == NULL)
		p.flags = 0;
	else
		p.expiration = bytes_str(expiration);
	publish_properties(group, body, &p);
}

static void publish_with_priority(const char *group, const char *body, uint8_t priority)
{
	struct properties p = { .flags = HAS_priority, .priority = priority };
	publish_properties(group, body, &p);
}

static void cancel(struct client *c)
{
	struct method m = { .id = METHOD_basic_cancel };
	m.basic_cancel.consumer_tag = bytes_str("t");
	client_method(c, 1, &m);
	client_expect(c, METHOD_basic_cancel_ok);
}

/* Credit is meant for a message of b, which has expired: then a's older message has it, and not the
 * one that comes at that moment. */
Test(groups, what_is_aside_is_not_overtaken)
{
	set_up_two(3, 1);
	publish_to("a", "a 1", NULL);
	publish_to("x", "x 1", NULL);
	publish_to("a", "a 2", NULL);
	publish_to("b", "b 1", NULL);
	uint64_t first = client_expect_deliver(anna, "a 1", false);
	client_expect_deliver(other, "x 1", false);
	client_expect_deliver(anna, "a 2", false);
	client_expect_deliver(anna, "b 1", false);
	struct client *idle = client_open(b); /* Always ready, so that things are put aside. */
	client_consume(idle, "q", "t", false, 1);
	publish_to("b", "b 2", "1000");
	publish_to("a", "a 3", NULL);
	client_expect_nothing(idle);
	b->diskless.host.now_ms += 2000; /* Nobody has looked since. */
	client_gather(anna);
	client_ack(anna, first, false);
	client_gather(publisher);
	publish_to("a", "a 4", NULL);
	anna->is_gathering = false;
	client_go(publisher);
	client_expect_deliver(anna, "a 3", false);
	client_expect_nothing(anna);
	client_expect_nothing(idle);
	broker_destroy(b);
}

Test(groups, only_so_many_are_aside)
{
	enum { HELD_MAX = 10000 }; /* docs/extensions.md */
	set_up_two(2, 1);
	for (int i = 0; i < HELD_MAX + 3; i++)
		publish_to("a", "a", NULL);
	publish_to("b", "b", NULL);
	uint64_t tag = client_expect_deliver(anna, "a", false);
	client_expect_nothing(other);
	client_ack(anna, tag, false);
	client_expect_deliver(other, "b", false);
	broker_destroy(b);
}

/* The message that has been let go on expires before anybody takes it. */
Test(groups, a_message_that_is_lost_lets_the_next_one_go_on)
{
	set_up_two(1, 1);
	publish_to("a", "a 1", NULL);
	publish_to("a", "a 2", "1000");
	publish_to("a", "a 3", NULL);
	uint64_t tag = client_expect_deliver(anna, "a 1", false);
	cancel(anna);
	cancel(other);
	client_ack(anna, tag, false);
	cr_assert_eq(client_count(publisher, "q"), 2);
	broker_advance(b, 1000);
	client_consume(other, "q", "t", false, 1);
	client_expect_deliver(other, "a 3", false);
	broker_destroy(b);
}

/* --- what is aside is in the queue as all others are --- */

/* Anna has "a 1" and no credit, the other one has credit: of a, 2 and 3 are aside. */
static uint64_t put_aside(const char *expiration)
{
	set_up_two(1, 10);
	publish_to("a", "a 1", NULL);
	uint64_t tag = client_expect_deliver(anna, "a 1", false);
	publish_to("a", "a 2", expiration);
	publish_to("a", "a 3", NULL);
	client_expect_nothing(other);
	cr_assert_eq(client_count(publisher, "q"), 2);
	return tag;
}

/* What is left comes to Anna, who acks it. */
static void expect_left(uint64_t tag, const char *first, const char *second)
{
	cancel(other);
	client_ack(anna, tag, false);
	tag = client_expect_deliver(anna, first, false);
	client_expect_nothing(anna);
	client_ack(anna, tag, false);
	if (second != NULL)
		client_ack(anna, client_expect_deliver(anna, second, false), false);
	client_expect_nothing(anna);
	cr_assert_eq(client_count(publisher, "q"), 0);
	broker_destroy(b);
}

Test(groups, what_is_aside_expires)
{
	uint64_t tag = put_aside("1000");
	broker_advance(b, 999);
	cr_assert_eq(client_count(publisher, "q"), 2);
	broker_advance(b, 1);
	cr_assert_eq(client_count(publisher, "q"), 1);
	expect_left(tag, "a 3", NULL);
}

Test(groups, what_is_aside_expires_with_its_queue_and_goes_on_as_a_dead_letter)
{
	table_write_int(&w, "x-message-ttl", 1000);
	table_write_str(&w, "x-dead-letter-exchange", bytes_str(""));
	table_write_str(&w, "x-dead-letter-routing-key", bytes_str("dead"));
	uint64_t tag = put_aside(NULL);
	client_declare(publisher, "dead", false);
	broker_advance(b, 1000);
	cr_assert_eq(client_count(publisher, "q"), 0);
	cr_assert_eq(client_count(publisher, "dead"), 2);
	publish_to("a", "a 4", NULL);
	client_expect_nothing(anna);
	expect_left(tag, "a 4", NULL);
}

/* A dead letter that its target refuses is on its way all the same: it does not hold up its group.
 */
Test(groups, a_dead_letter_that_is_refused_does_not_hold_up_its_group)
{
	uint8_t full[100];
	struct writer f = writer_of(full, sizeof full);
	table_write_str(&w, "x-dead-letter-exchange", bytes_str(""));
	table_write_str(&w, "x-dead-letter-routing-key", bytes_str("full"));
	table_write_int(&f, "x-max-length", 0);
	table_write_str(&f, "x-overflow", bytes_str("reject-publish"));
	set_up_two(1, 1);
	client_declare_with(publisher, "full", false, bytes_of(full, (size_t)(f.at - full)));
	publish_to("a", "a 1", NULL);
	publish_to("a", "a 2", "1000");
	publish_to("a", "a 3", NULL);
	uint64_t tag = client_expect_deliver(anna, "a 1", false);
	cancel(anna);
	cancel(other);
	client_ack(anna, tag, false);
	broker_advance(b, 1000);
	client_consume(other, "q", "t", false, 1);
	client_expect_deliver(other, "a 3", false);
	broker_destroy(b);
}

Test(groups, what_is_aside_counts_for_the_length_and_goes_first)
{
	table_write_int(&w, "x-max-length", 2);
	uint64_t tag = put_aside(NULL);
	publish_to("a", "a 4", NULL);
	cr_assert_eq(client_count(publisher, "q"), 2);
	publish_to("b", "b 1", NULL); /* That goes out at once and is none too many. */
	client_expect_deliver(other, "b 1", false);
	cr_assert_eq(client_count(publisher, "q"), 2);
	expect_left(tag, "a 3", "a 4");
}

/* It is older than what stands in line, where nobody takes the first. */
Test(groups, what_is_aside_goes_before_what_is_newer)
{
	table_write_int(&w, "x-max-length", 2);
	set_up_two(1, 2);
	publish_to("a", "a 1", NULL);
	uint64_t tag = client_expect_deliver(anna, "a 1", false);
	publish_to("b", "b 1", NULL);
	publish_to("a", "a 2", NULL); /* Aside. */
	publish_to("b", "b 2", NULL);
	client_expect_deliver(other, "b 1", false);
	client_expect_deliver(other, "b 2", false);
	publish_to("c", "c 1", NULL);
	publish_to("c", "c 2", NULL);
	expect_left(tag, "c 1", "c 2");
}

Test(groups, what_is_aside_counts_for_the_bytes)
{
	table_write_int(&w, "x-max-length-bytes", 6);
	uint64_t tag = put_aside(NULL);
	publish_to("a", "4", NULL);
	cr_assert_eq(client_count(publisher, "q"), 2);
	expect_left(tag, "a 3", "4");
}

Test(groups, of_what_is_aside_the_lowest_priority_is_dropped)
{
	table_write_int(&w, "x-max-priority", 9);
	table_write_int(&w, "x-max-length", 2);
	table_write_str(&w, "x-overflow", bytes_str("drop-lowest-priority"));
	set_up_two(1, 10);
	publish_to("a", "a 1", NULL);
	uint64_t tag = client_expect_deliver(anna, "a 1", false);
	publish_with_priority("a", "high", 5);
	publish_with_priority("a", "low", 1);
	publish_with_priority("a", "middle", 3);
	cr_assert_eq(client_count(publisher, "q"), 2);
	expect_left(tag, "high", "middle");
}

Test(groups, what_is_aside_fills_a_queue_that_refuses)
{
	struct method select = { .id = METHOD_confirm_select };
	table_write_int(&w, "x-max-length", 2);
	table_write_str(&w, "x-overflow", bytes_str("reject-publish"));
	uint64_t tag = put_aside(NULL);
	client_method(publisher, 1, &select);
	client_expect(publisher, METHOD_confirm_select_ok);
	publish_to("a", "a 4", NULL);
	client_expect(publisher, METHOD_basic_nack);
	publish_to("b", "b 1", NULL); /* The other one has credit. */
	client_expect(publisher, METHOD_basic_ack);
	client_expect_deliver(other, "b 1", false);
	cr_assert_eq(client_count(publisher, "q"), 2);
	expect_left(tag, "a 2", "a 3");
}

/* Behind one that stays, thousands come and expire: nothing is kept of them. */
Test(groups, what_has_expired_takes_no_memory)
{
	uint64_t tag = put_aside(NULL);
	for (int i = 0; i < 2000; i++) {
		publish_to("a", "short", "1");
		broker_advance(b, 1);
	}
	cr_assert_eq(client_count(publisher, "q"), 2);
	const struct queue *q =
		queue_find(core_vhost(b->diskless.core, bytes_str("/")), bytes_str("q"));
	size_t at = 0;
	const struct group *g = map_next(&q->groups, &at)->value;
	cr_assert_leq(g->held.cap, 256);
	expect_left(tag, "a 2", "a 3");
}

static void set_policy(const char *key, int64_t value)
{
	uint8_t definition[64];
	char why[200];
	size_t which;
	struct writer t = writer_of(definition, sizeof definition);
	table_write_long(&t, key, value);
	struct policy policy = { .name = bytes_str("all"),
				 .pattern = bytes_str(".*"),
				 .definition = bytes_of(definition, (size_t)(t.at - definition)) };
	cr_assert(core_set_policies(core_vhost(b->diskless.core, bytes_str("/")), &policy, 1,
				    &which, why, sizeof why),
		  "%s", why);
}

/* A policy that gives a time to what is aside, and a later one that gives more. */
Test(groups, what_is_aside_goes_by_new_policies)
{
	uint64_t tag = put_aside(NULL);
	set_policy("message-ttl", 1000);
	broker_advance(b, 500);
	set_policy("message-ttl", 5000);
	broker_advance(b, 4000);
	cr_assert_eq(client_count(publisher, "q"), 2);
	set_policy("max-length", 1);
	broker_advance(b, 1);
	cr_assert_eq(client_count(publisher, "q"), 1);
	expect_left(tag, "a 3", NULL);
}

/* --- and for who gets --- */

static void get(struct client *c, bool is_no_ack)
{
	struct method m = { .id = METHOD_basic_get };
	m.basic_get.queue = bytes_str("q");
	m.basic_get.no_ack = is_no_ack;
	client_method(c, 1, &m);
	broker_sync(b);
}

static uint64_t expect_got(struct client *c, const char *body)
{
	struct frame header, text;
	uint64_t tag = client_expect(c, METHOD_basic_get_ok).basic_get_ok.delivery_tag;
	cr_assert(client_frame(c, &header) && client_frame(c, &text));
	cr_assert(bytes_equal_str(text.payload, body), "%.*s", BYTES_ARG(text.payload));
	return tag;
}

static void expect_empty(struct client *c)
{
	get(c, false);
	client_expect(c, METHOD_basic_get_empty);
}

Test(groups, who_gets_does_not_overtake_what_is_aside)
{
	uint64_t tag = put_aside(NULL);
	struct client *third = client_open(b);
	cancel(other);
	publish_to("a", "a 4", NULL);
	publish_to("b", "b 1", NULL);
	publish_to("b", "b 2", NULL);
	get(third, false);
	uint64_t b_1 = expect_got(third, "b 1");
	expect_empty(third); /* Both groups are somebody's. */
	cr_assert_eq(client_count(publisher, "q"), 4);
	client_ack(third, b_1, false);
	get(third, true);
	expect_got(third, "b 2");
	cancel(anna);
	client_ack(anna, tag, false);
	for (int i = 0; i < 3; i++) {
		get(third, i == 1);
		tag = expect_got(third, (const char *[]){ "a 2", "a 3", "a 4" }[i]);
		if (i != 1) {
			if (i == 0)
				expect_empty(third);
			client_ack(third, tag, false);
		}
	}
	expect_empty(third);
	broker_destroy(b);
}

/* What was got is its group's, too: consumers wait for it. */
Test(groups, what_was_got_holds_up_its_group)
{
	set_up_two(1, 0);
	cancel(anna);
	publish_to("a", "a 1", NULL);
	publish_to("a", "a 2", NULL);
	publish_to("b", "b 1", NULL);
	get(other, false);
	uint64_t tag = expect_got(other, "a 1");
	client_consume(anna, "q", "t", false, 5);
	client_expect_deliver(anna, "b 1", false);
	client_expect_nothing(anna);
	client_ack(other, tag, false);
	client_expect_deliver(anna, "a 2", false);
	broker_destroy(b);
}
