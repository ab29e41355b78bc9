/* Every header and argument that the broker looks at, in every type that a field may have: absent,
 * empty, first, last, twice and nested, with all that a broker does to a message behind it. The
 * answer is one that the protocol allows, and the broker lives. */
#include "core/inputs.h"

#include "broker.h"

#include "table.h"

#include <criterion/criterion.h>
#include <stdio.h>

static const char *const names[] = {
#define FIELD(name) name,
#include "../fuzz/fields.def"
#undef FIELD
};

/* A value of each type, and those at its ends. */
static const struct {
	const char *wire;
	size_t len;
} values[] = {
#define VALUE(text)                    \
	{                              \
		text, sizeof(text) - 1 \
	}
	VALUE("t\1"),
	VALUE("t\0"),
	VALUE("b\xff"),
	VALUE("B\xff"),
	VALUE("s\x80\0"),
	VALUE("u\xff\xff"),
	VALUE("I\0\0\0\0"),
	VALUE("I\0\0\0\1"),
	VALUE("I\x80\0\0\0"),
	VALUE("i\xff\xff\xff\xff"),
	VALUE("l\x7f\xff\xff\xff\xff\xff\xff\xff"),
	VALUE("l\x80\0\0\0\0\0\0\0"),
	VALUE("L\xff\xff\xff\xff\xff\xff\xff\xff"),
	VALUE("f\x7f\xc0\0\0"),
	VALUE("d\x7f\xf0\0\0\0\0\0\0"),
	VALUE("D\xff\xff\xff\xff\xff"),
	VALUE("T\xff\xff\xff\xff\xff\xff\xff\xff"),
	VALUE("S\0\0\0\0"),
	VALUE("S\0\0\0\1q"),
	VALUE("S\0\0\0\3\xff%n"),
	VALUE("S\0\0\0\3\0\xff%"),
	VALUE("x\0\0\0\0"),
	VALUE("x\0\0\0\1q"),
	VALUE("A\0\0\0\0"),
	VALUE("A\0\0\0\7VI\0\0\0\1V"),
	VALUE("A\0\0\0\6S\0\0\0\1q"),
	VALUE("A\0\0\0\5F\0\0\0\0"),
	VALUE("A\0\0\0\5A\0\0\0\0"),
	VALUE("F\0\0\0\0"),
	VALUE("F\0\0\0\3\1aV"),
	VALUE("V"),
#undef VALUE
};

enum { NAMES = sizeof names / sizeof *names, VALUES = sizeof values / sizeof *values };

/* Where in the table it stands. In a story it is a field of an entry of x-death. */
enum spot { ALONE, FIRST, LAST, TWICE, NESTED, IN_A_STORY, PLACES };

static struct broker *b;
static uint8_t memory[1024];

static void write_field(struct writer *w, size_t name, size_t value)
{
	write_shortstr(w, bytes_str(names[name]));
	write_bytes(w, bytes_of(values[value].wire, values[value].len));
}

/* Text before and a number after: what a reader takes for the field that is not there. */
static struct bytes table_with(size_t name, size_t value, enum spot place)
{
	struct writer w = writer_of(memory, sizeof memory);
	uint8_t *outer = NULL, *array = NULL;
	if (place == LAST || place == TWICE)
		table_write_str(&w, "customer", bytes_str("ada"));
	if (place == NESTED)
		outer = table_begin(&w, "nested");
	if (place == IN_A_STORY) {
		write_shortstr(&w, bytes_str("x-death"));
		write_u8(&w, 'A');
		array = write_room(&w, 4);
		write_u8(&w, 'F');
		outer = write_room(&w, 4);
		table_write_str(&w, "other", bytes_str("expired"));
	}
	write_field(&w, name, value);
	if (place == TWICE)
		write_field(&w, name, (value + 7) % VALUES);
	if (outer != NULL)
		table_end(&w, outer);
	if (array != NULL)
		table_end(&w, array);
	if (place == FIRST)
		table_write_long(&w, "attempt", 0x0101010101010101);
	cr_assert_not(w.failed);
	return bytes_of(memory, (size_t)(w.at - memory));
}

static void set_up(void)
{
	b = broker_create();
}

static void tear_down(void)
{
	broker_destroy(b);
}

TestSuite(fields, .init = set_up, .fini = tear_down, .timeout = 120);

/* --- what may be answered --- */

static void drain(struct client *c)
{
	struct frame f;
	while (client_frame(c, &f))
		;
}

/* A client that has gone comes again; of those that have been here nothing is kept. */
static void renew(struct client **c)
{
	broker_destroy(b);
	b = broker_create();
	*c = client_open(b);
}

static bool is_refusal(const struct method *m)
{
	uint16_t code = m->id == METHOD_channel_close      ? m->channel_close.reply_code
			: m->id == METHOD_connection_close ? m->connection_close.reply_code
							   : 0;
	return code == 403 || code == 404 || code == 405 || code == 406 || code == 503 ||
	       code == 530 || code == 540;
}

/* The next method is this answer, and true; or a refusal. What is delivered in between must be
 * whole.
 */
static bool is_taken(struct client *c, uint32_t wanted, size_t name, size_t value, enum spot place)
{
	struct frame f;
	struct method m;
	struct properties p;
	while (client_frame(c, &f)) {
		if (f.type == FRAME_HEADER)
			cr_assert(
				properties_decode(&p, bytes_of(f.payload.data + CONTENT_FLAGS_AT,
							       f.payload.len - CONTENT_FLAGS_AT)));
		if (f.type != FRAME_METHOD)
			continue;
		cr_assert_eq(method_decode(&m, f.payload), METHOD_OK);
		if (m.id == wanted)
			return true;
		if (m.id == METHOD_basic_deliver || m.id == METHOD_basic_return ||
		    m.id == METHOD_basic_cancel)
			continue;
		cr_assert(is_refusal(&m), "%s of %c, place %d: %s", names[name],
			  values[value].wire[0], (int)place, method_name(m.id));
		return false;
	}
	cr_assert(false, "%s of %c, place %d: no answer", names[name], values[value].wire[0],
		  (int)place);
	return false;
}

typedef void (*use_fn)(struct client **c, size_t name, size_t value, enum spot place);

static void each(use_fn use)
{
	struct client *c = client_open(b);
	for (size_t name = 0; name < NAMES; name++)
		for (size_t value = 0; value < VALUES; value++)
			for (enum spot place = 0; place < PLACES; place++)
				use(&c, name, value, place);
}

/* --- the uses --- */

static struct bytes dead_letters(const char *limit, int32_t n)
{
	static uint8_t room[200];
	struct writer w = writer_of(room, sizeof room);
	table_write_str(&w, "x-dead-letter-exchange", bytes_str(""));
	table_write_str(&w, "x-dead-letter-routing-key", bytes_str("dead"));
	table_write_int(&w, limit, n);
	return bytes_of(room, (size_t)(w.at - room));
}

/* Queues in which messages die in each way, and exchanges of every type that lead to them. */
static void make_world(struct client *c)
{
	uint8_t room[64];
	struct writer w = writer_of(room, sizeof room);
	client_declare(c, "dead", true);
	client_declare_with(c, "q", true, dead_letters("x-max-length", 1));
	client_declare_with(c, "expiring", true, dead_letters("x-message-ttl", 10));
	client_declare_with(c, "limited", true, dead_letters("x-delivery-limit", 0));
	table_write_str(&w, "x-idempotency", bytes_str("while-queued"));
	client_declare_with(c, "once", true, bytes_of(room, (size_t)(w.at - room)));
	client_exchange(c, "topic", "topic", bytes_of(NULL, 0));
	client_exchange(c, "headers", "headers", bytes_of(NULL, 0));
	client_bind(c, "q", "topic", "#");
	client_bind(c, "expiring", "topic", "#");
	client_bind(c, "limited", "topic", "#");
	client_bind(c, "once", "topic", "#");
	client_bind(c, "dead", "headers", "");
	client_confirms(c);
}

static void reject_one(struct client *c, const char *queue, bool is_requeue)
{
	struct frame f;
	struct method m = { .id = METHOD_basic_get };
	m.basic_get.queue = bytes_str(queue);
	drain(c);
	client_method(c, 1, &m);
	broker_sync(b);
	if (!client_frame(c, &f) || f.type != FRAME_METHOD ||
	    method_decode(&m, f.payload) != METHOD_OK || m.id != METHOD_basic_get_ok)
		return;
	uint64_t tag = m.basic_get_ok.delivery_tag;
	drain(c);
	client_nack(c, tag, false, is_requeue);
	broker_sync(b);
}

/* It is published and dies: of too many, of time, by rejection and by failing; or it waits first.
 */
static void publish(struct client **c, size_t name, size_t value, enum spot place)
{
	static size_t publishes;
	if (publishes++ % 200 == 0 || client_is_closed(*c)) {
		renew(c);
		make_world(*c);
	}
	struct properties p = { .flags = HAS_headers | HAS_delivery_mode,
				.headers = table_with(name, value, place),
				.delivery_mode = 2 };
	client_publish_with(*c, publishes % 2 ? "topic" : "headers", "key", "m", &p);
	broker_sync(b);
	if (!is_taken(*c, METHOD_basic_ack, name, value, place)) {
		publishes = 0; /* The channel is closed: another world. */
		return;
	}
	broker_advance(b, 20);
	reject_one(*c, "q", false);
	reject_one(*c, "limited", true);
	reject_one(*c, "once", false);
	reject_one(*c, "dead", true);
	broker_sync(b);
	drain(*c);
}

Test(fields, of_what_is_published)
{
	each(publish);
}

static void declare_queue(struct client **c, size_t name, size_t value, enum spot place)
{
	struct method m = { .id = METHOD_queue_declare };
	renew(c);
	m.queue_declare.queue = bytes_str("q");
	m.queue_declare.durable = true;
	m.queue_declare.arguments = table_with(name, value, place);
	client_method(*c, 1, &m);
	broker_sync(b);
	if (!is_taken(*c, METHOD_queue_declare_ok, name, value, place))
		return;
	client_method(*c, 1, &m); /* It is equal to itself. */
	broker_sync(b);
	cr_assert(is_taken(*c, METHOD_queue_declare_ok, name, value, place));
	client_publish(*c, "", "q", "one", 2);
	client_publish(*c, "", "q", "two", 2);
	reject_one(*c, "q", true);
	broker_sync(b);
	broker_advance(b, 2000);
	drain(*c);
}

Test(fields, of_queues)
{
	each(declare_queue);
}

static const char *const types[] = { "direct",
				     "headers",
				     "x-modulus-hash",
				     "x-consistent-hash",
				     "x-delayed-message",
				     "x-message-deduplication" };

static void declare_exchange(struct client **c, size_t name, size_t value, enum spot place)
{
	struct method m = { .id = METHOD_exchange_declare };
	renew(c);
	client_declare(*c, "q", true);
	m.exchange_declare.exchange = bytes_str("x");
	m.exchange_declare.type = bytes_str(types[(value + name + place) % 6]);
	m.exchange_declare.durable = true;
	m.exchange_declare.arguments = table_with(name, value, place);
	client_method(*c, 1, &m);
	broker_sync(b);
	if (!is_taken(*c, METHOD_exchange_declare_ok, name, value, place))
		return;
	client_method(*c, 1, &m);
	broker_sync(b);
	cr_assert(is_taken(*c, METHOD_exchange_declare_ok, name, value, place));
	struct method bind = { .id = METHOD_queue_bind };
	bind.queue_bind.queue = bytes_str("q");
	bind.queue_bind.exchange = bytes_str("x");
	bind.queue_bind.routing_key = bytes_str("1");
	client_method(*c, 1, &bind);
	broker_sync(b);
	cr_assert(is_taken(*c, METHOD_queue_bind_ok, name, value, place));
	struct properties p = { .flags = HAS_headers, .headers = table_with(name, value, place) };
	client_publish_with(*c, "x", "1", "m", &p);
	broker_sync(b);
	drain(*c);
}

Test(fields, of_exchanges)
{
	each(declare_exchange);
}

static void bind(struct client **c, size_t name, size_t value, enum spot place)
{
	struct method m = { .id = METHOD_queue_bind };
	renew(c);
	client_declare(*c, "q", true);
	client_exchange(*c, "x", "headers", bytes_of(NULL, 0));
	m.queue_bind.queue = bytes_str("q");
	m.queue_bind.exchange = bytes_str("x");
	m.queue_bind.arguments = table_with(name, value, place);
	client_method(*c, 1, &m);
	broker_sync(b);
	if (!is_taken(*c, METHOD_queue_bind_ok, name, value, place))
		return;
	struct properties p = { .flags = HAS_headers, .headers = table_with(name, value, place) };
	client_publish_with(*c, "x", "", "m", &p);
	client_publish_with(*c, "x", "", "m", &(struct properties){ 0 });
	drain(*c);
	m.id = METHOD_queue_unbind;
	m.queue_unbind.queue = bytes_str("q");
	m.queue_unbind.exchange = bytes_str("x");
	m.queue_unbind.routing_key = bytes_str("");
	m.queue_unbind.arguments = table_with(name, value, place);
	client_method(*c, 1, &m); /* The channel may be closed for what was published. */
	broker_sync(b);
	drain(*c);
}

Test(fields, of_bindings)
{
	each(bind);
}

static void consume(struct client **c, size_t name, size_t value, enum spot place)
{
	struct method m = { .id = METHOD_basic_consume };
	renew(c);
	client_declare(*c, "q", true);
	m.basic_consume.queue = bytes_str("q");
	m.basic_consume.consumer_tag = bytes_str("t");
	m.basic_consume.arguments = table_with(name, value, place);
	client_method(*c, 1, &m);
	if (!is_taken(*c, METHOD_basic_consume_ok, name, value, place))
		return;
	client_publish(*c, "", "q", "m", 1);
	broker_advance(b, 2000);
	drain(*c);
}

Test(fields, of_consumers)
{
	each(consume);
}
