/* Groups, at random: each message is the next one of its group, a group is with one consumer at a
 * time, and nothing waits without need. */
#include "broker.h"

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

static void set_up_two(uint16_t prefetch, uint16_t others)
{
	uint8_t arguments[64];
	struct writer w = writer_of(arguments, sizeof arguments);
	b = broker_create();
	anna = client_open(b);
	other = client_open(b);
	publisher = client_open(b);
	table_write_str(&w, "x-group-header", bytes_str("key"));
	client_declare_with(publisher, "q", false, bytes_of(arguments, (size_t)(w.at - arguments)));
	client_consume(anna, "q", "t", false, prefetch);
	if (others > 0)
		client_consume(other, "q", "t", false, others);
}

static void publish_to(const char *group, const char *body, const char *expiration)
{
	uint8_t headers[64];
	struct writer h = writer_of(headers, sizeof headers);
	struct properties p = { .flags = HAS_headers };
	table_write_str(&h, "key", bytes_str(group));
	p.headers = bytes_of(headers, (size_t)(h.at - headers));
	if (expiration != NULL) {
		p.flags |= HAS_expiration;
		p.expiration = bytes_str(expiration);
	}
	client_publish_with(publisher, "", "q", body, &p);
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
	broker_advance(b, 2000);
	client_expect_nothing(idle);
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
