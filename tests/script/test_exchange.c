/* Exchanges, bindings and what survives of them. */
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
	client_declare(c, "q", false);
}

static void tear_down(void)
{
	broker_destroy(b);
}

TestSuite(exchange, .init = set_up, .fini = tear_down);

static void declare(const char *name, const char *type, bool is_auto_delete)
{
	struct method m = { .id = METHOD_exchange_declare };
	m.exchange_declare.exchange = bytes_str(name);
	m.exchange_declare.type = bytes_str(type);
	m.exchange_declare.auto_delete = is_auto_delete;
	client_method(c, 1, &m);
	client_expect(c, METHOD_exchange_declare_ok);
}

static void bind_queue(const char *queue, const char *exchange, const char *key)
{
	client_bind(c, queue, exchange, key);
}

static void unbind_queue(const char *queue, const char *exchange, const char *key)
{
	struct method m = { .id = METHOD_queue_unbind };
	m.queue_unbind.queue = bytes_str(queue);
	m.queue_unbind.exchange = bytes_str(exchange);
	m.queue_unbind.routing_key = bytes_str(key);
	client_method(c, 1, &m);
	client_expect(c, METHOD_queue_unbind_ok);
}

Test(exchange, a_remembered_route_is_forgotten_when_bindings_change)
{
	client_consume(c, "q", "t", true, 0);
	declare("x", "topic", false);
	client_publish(c, "x", "a.b", "before", 1);
	client_expect_nothing(c);
	bind_queue("q", "x", "a.*");
	client_publish(c, "x", "a.b", "bound", 1);
	client_expect_deliver(c, "bound", false);
	client_publish(c, "x", "a.b", "again", 1);
	client_expect_deliver(c, "again", false);
	unbind_queue("q", "x", "a.*");
	client_publish(c, "x", "a.b", "after", 1);
	client_expect_nothing(c);
}

Test(exchange, a_route_to_a_deleted_queue_is_forgotten)
{
	struct method m = { .id = METHOD_queue_delete };
	declare("x", "direct", false);
	bind_queue("q", "x", "k");
	client_publish(c, "x", "k", "one", 1);
	m.queue_delete.queue = bytes_str("q");
	client_method(c, 1, &m);
	client_expect(c, METHOD_queue_delete_ok);
	client_publish(c, "x", "k", "nowhere", 1);
	client_declare(c, "q", false);
	client_consume(c, "q", "t", true, 0);
	client_expect_nothing(c);
}

Test(exchange, many_keys_do_not_make_the_memo_grow_without_bound)
{
	client_consume(c, "q", "t", true, 0);
	declare("x", "topic", false);
	bind_queue("q", "x", "k.9999");
	for (int i = 0; i < 10000; i++) {
		char key[32];
		snprintf(key, sizeof key, "k.%d", i);
		client_publish(c, "x", key, "x", 1);
	}
	client_expect_deliver(c, "x", false);
	client_expect_nothing(c);
}

Test(exchange, auto_delete_goes_with_the_last_binding_that_leaves_it)
{
	struct method m = { .id = METHOD_exchange_declare };
	declare("x", "fanout", true);
	bind_queue("q", "x", "1");
	bind_queue("q", "x", "2");
	unbind_queue("q", "x", "1");
	m.exchange_declare.exchange = bytes_str("x");
	m.exchange_declare.passive = true;
	client_method(c, 1, &m);
	client_expect(c, METHOD_exchange_declare_ok);
	unbind_queue("q", "x", "2");
	client_method(c, 1, &m);
	client_expect_close(c, METHOD_channel_close, 404,
			    "NOT_FOUND - no exchange 'x' in vhost '/'");
}

Test(exchange, bindings_that_differ_in_their_key_are_two_and_the_message_one)
{
	declare("x", "direct", false);
	bind_queue("q", "x", "k");
	bind_queue("q", "x", "k");
	bind_queue("q", "x", "other");
	client_declare(c, "q2", false);
	bind_queue("q2", "x", "k");
	client_consume(c, "q", "t", true, 0);
	client_consume(c, "q2", "t2", true, 0);
	client_publish(c, "x", "k", "body", 1);
	client_expect_deliver(c, "body", false);
	client_expect_deliver(c, "body", false);
	client_expect_nothing(c);
	unbind_queue("q", "x", "k");
	client_publish(c, "x", "k", "second", 1);
	client_expect_deliver(c, "second", false);
	client_expect_nothing(c);
}

/* --- CC and BCC --- */

static void bind_exchange(const char *destination, const char *source, const char *key)
{
	struct method m = { .id = METHOD_exchange_bind };
	m.exchange_bind.destination = bytes_str(destination);
	m.exchange_bind.source = bytes_str(source);
	m.exchange_bind.routing_key = bytes_str(key);
	client_method(c, 1, &m);
	client_expect(c, METHOD_exchange_bind_ok);
}

static void write_copy(struct writer *w, const char *header, const char *key)
{
	write_shortstr(w, bytes_str(header));
	write_u8(w, 'A');
	uint8_t *array = write_room(w, 4);
	write_u8(w, 'I'); /* Of another type, and passed over. */
	write_u32(w, 1);
	write_u8(w, 'S');
	write_longstr(w, bytes_str(key));
	write_u8(w, 'V');
	table_end(w, array);
}

static void publish_copies(const char *exchange, const char *key, const char *cc, const char *bcc)
{
	uint8_t headers[200];
	struct writer w = writer_of(headers, sizeof headers);
	struct properties p = { .flags = HAS_headers };
	if (cc != NULL)
		write_copy(&w, "CC", cc);
	if (bcc != NULL)
		write_copy(&w, "BCC", bcc);
	p.headers = bytes_of(headers, (size_t)(w.at - headers));
	client_publish_with(c, exchange, key, "m", &p);
}

/* The second exchange is asked for all keys, and not for the one that led to it. */
Test(exchange, copies_go_on_through_bound_exchanges)
{
	declare("first", "direct", false);
	declare("second", "topic", false);
	bind_exchange("second", "first", "k1");
	bind_queue("q", "second", "k2");
	publish_copies("first", "", "k1", "k2");
	cr_assert_eq(client_count(c, "q"), 1);
	publish_copies("first", "k2", "k1", NULL);
	cr_assert_eq(client_count(c, "q"), 2);
	publish_copies("first", "k1", NULL, "k2");
	cr_assert_eq(client_count(c, "q"), 3);
	publish_copies("first", "k2", "k2", "k2");
	cr_assert_eq(client_count(c, "q"), 3);
}

Test(exchange, a_copy_that_is_routed_keeps_the_alternate_out)
{
	uint8_t room[64];
	struct writer w = writer_of(room, sizeof room);
	table_write_str(&w, "alternate-exchange", bytes_str("spare"));
	declare("spare", "fanout", false);
	client_exchange(c, "x", "direct", bytes_of(room, (size_t)(w.at - room)));
	client_declare(c, "unrouted", false);
	bind_queue("unrouted", "spare", "");
	bind_queue("q", "x", "known");
	publish_copies("x", "unknown", "known", NULL);
	cr_assert_eq(client_count(c, "q"), 1);
	cr_assert_eq(client_count(c, "unrouted"), 0);
	publish_copies("x", "unknown", "this neither", NULL);
	cr_assert_eq(client_count(c, "unrouted"), 1);
}

Test(exchange, a_hash_exchange_makes_one_of_a_message_and_its_copies)
{
	char queue[8];
	uint32_t sum = 0;
	declare("h", "x-modulus-hash", false);
	for (int i = 0; i < 8; i++) {
		snprintf(queue, sizeof queue, "h%d", i);
		client_declare(c, queue, false);
		bind_queue(queue, "h", "1");
	}
	publish_copies("h", "one", "two", "three");
	for (int i = 0; i < 8; i++) {
		snprintf(queue, sizeof queue, "h%d", i);
		sum += client_count(c, queue);
	}
	cr_assert_eq(sum, 1);
}
