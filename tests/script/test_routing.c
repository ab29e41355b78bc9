/* What headers say of where a message goes, and how much may be bound. */
#include "base/prng.h"
#include "broker.h"

#include "table.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct broker *b;
static struct client *c;
static uint8_t memory[256];
static struct writer w; /* A binding's arguments, or a message's headers. */

static void set_up(void)
{
	b = broker_create();
	c = client_open(b);
	w = writer_of(memory, sizeof memory);
	client_declare(c, "q", false);
}

static void tear_down(void)
{
	broker_destroy(b);
}

TestSuite(routing, .init = set_up, .fini = tear_down);

static struct bytes written(void)
{
	struct bytes all = bytes_of(memory, (size_t)(w.at - memory));
	w = writer_of(memory, sizeof memory);
	return all;
}

/* With the arguments that have been written. */
static void bind_headers(void)
{
	struct method m = { .id = METHOD_queue_bind };
	m.queue_bind.queue = bytes_str("q");
	m.queue_bind.exchange = bytes_str("amq.headers");
	m.queue_bind.arguments = written();
	client_method(c, 1, &m);
	client_expect(c, METHOD_queue_bind_ok);
}

/* How many messages q has when one with the headers that have been written has come. */
static uint32_t publish_headers(const char *exchange)
{
	struct properties p = { .flags = HAS_headers, .headers = written() };
	client_publish_with(c, exchange, "q", "m", &p);
	return client_count(c, "q");
}

Test(routing, any_of_the_headers_is_enough)
{
	table_write_str(&w, "x-match", bytes_str("any"));
	table_write_int(&w, "colour", 1);
	table_write_int(&w, "size", 2);
	bind_headers();
	table_write_int(&w, "size", 2);
	cr_assert_eq(publish_headers("amq.headers"), 1);
	table_write_int(&w, "size", 3);
	table_write_int(&w, "weight", 2);
	cr_assert_eq(publish_headers("amq.headers"), 1);
}

Test(routing, all_of_the_headers_are_needed)
{
	table_write_str(&w, "x-match", bytes_str("all"));
	table_write_int(&w, "colour", 1);
	table_write_int(&w, "size", 2);
	bind_headers();
	table_write_int(&w, "size", 2);
	cr_assert_eq(publish_headers("amq.headers"), 0);
	table_write_int(&w, "size", 2);
	table_write_int(&w, "colour", 1);
	cr_assert_eq(publish_headers("amq.headers"), 1);
}

static void unbind_headers(void)
{
	struct method m = { .id = METHOD_queue_unbind };
	m.queue_unbind.queue = bytes_str("q");
	m.queue_unbind.exchange = bytes_str("amq.headers");
	m.queue_unbind.arguments = written();
	client_method(c, 1, &m);
	client_expect(c, METHOD_queue_unbind_ok);
}

/* Of 8 headers those whose bits are set, and whether any is enough. */
static void write_bits(unsigned bits, bool is_any)
{
	char name[8];
	if (is_any)
		table_write_str(&w, "x-match", bytes_str("any"));
	for (unsigned i = 0; i < 8; i++) {
		snprintf(name, sizeof name, "h%u", i);
		if (bits >> i & 1)
			table_write_int(&w, name, 1);
	}
}

/* Those that stay must be found still, by whatever they have in common with those that go. */
Test(routing, bindings_that_share_headers_go_in_any_order)
{
	bool is_there[512] = { false };
	struct prng prng = { 17 };
	uint32_t expected = 0;
	for (int i = 0; i < 3000; i++) {
		uint32_t bits = 1 + prng_below(&prng, 255), any = prng_below(&prng, 2);
		bool *there = &is_there[2 * bits + any];
		write_bits(bits, any);
		if (*there)
			unbind_headers();
		else
			bind_headers();
		*there = !*there;
		uint32_t sent = prng_below(&prng, 256) & prng_below(&prng, 256);
		bool is_expected = false;
		for (uint32_t k = 2; k < 512; k++)
			is_expected |= is_there[k] &&
				       (k % 2 == 1 ? (sent & k / 2) != 0 : (sent & k / 2) == k / 2);
		expected += is_expected;
		write_bits(sent, false);
		cr_assert_eq(publish_headers("amq.headers"), expected);
	}
}

Test(routing, names_with_x_count_where_that_is_said)
{
	table_write_str(&w, "x-match", bytes_str("all"));
	table_write_int(&w, "size", 2);
	table_write_int(&w, "x-extra", 3);
	bind_headers();
	table_write_int(&w, "size", 2);
	cr_assert_eq(publish_headers("amq.headers"), 1);
	table_write_str(&w, "x-match", bytes_str("all-with-x"));
	table_write_int(&w, "weight", 2);
	table_write_int(&w, "x-extra", 3);
	bind_headers();
	table_write_int(&w, "weight", 2);
	cr_assert_eq(publish_headers("amq.headers"), 1);
	table_write_int(&w, "weight", 2);
	table_write_int(&w, "x-extra", 3);
	cr_assert_eq(publish_headers("amq.headers"), 2);
}

/* However many keys lead there. */
Test(routing, a_queue_gets_one_of_a_message_and_its_copies)
{
	write_shortstr(&w, bytes_str("CC"));
	write_u8(&w, 'A');
	uint8_t *array = write_room(&w, 4);
	for (int i = 0; i < 3; i++) {
		write_u8(&w, 'S');
		write_longstr(&w, bytes_str("q"));
	}
	table_end(&w, array);
	cr_assert_eq(publish_headers(""), 1);
}

Test(routing, bindings_have_a_limit)
{
	enum { BINDINGS_MAX = 1000 }; /* Of a script's broker. */
	char key[16];
	for (int i = 0; i < BINDINGS_MAX; i++) {
		snprintf(key, sizeof key, "%d", i);
		client_bind(c, "q", "amq.topic", key);
	}
	client_bind(c, "q", "amq.topic", "7"); /* It is there. */
	struct method m = { .id = METHOD_queue_bind };
	m.queue_bind.queue = bytes_str("q");
	m.queue_bind.exchange = bytes_str("amq.topic");
	m.queue_bind.routing_key = bytes_str("one more");
	client_method(c, 1, &m);
	client_expect_close(c, METHOD_channel_close, 406,
			    "PRECONDITION_FAILED - cannot bind: binding limit (1000) is reached");
}
