/* Publishes that come again. */
#include "broker.h"

#include "core/admin.h"
#include "core/dedup/identity.h"
#include "core/dedup/keys.h"
#include "core/queue/queue.h"
#include "core/state.h"
#include "core/topology/declare_queue.h"

#include "table.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct broker *b;
static struct client *c;
static struct client *d;
static uint8_t memory[1024];
static bool is_mandatory;
static struct writer w; /* Arguments of declarations. */

static void set_up(void)
{
	is_mandatory = false;
	b = broker_create();
	c = client_open(b);
	d = client_open(b);
	w = writer_of(memory, sizeof memory);
	client_declare(c, "q", true);
	client_confirms(c);
}

static void tear_down(void)
{
	broker_destroy(b);
}

TestSuite(idempotency, .init = set_up, .fini = tear_down);

static struct bytes arguments(void)
{
	struct bytes all = bytes_of(memory, (size_t)(w.at - memory));
	w = writer_of(memory, sizeof memory);
	return all;
}

/* --- publishing --- */

enum { PERSISTENT = 2, TRANSIENT = 1 };

static void publish_headers(struct client *from, const char *exchange, const char *routing_key,
			    const char *body, struct bytes headers, uint8_t delivery_mode)
{
	struct properties p = { .flags = HAS_headers | HAS_delivery_mode,
				.headers = headers,
				.delivery_mode = delivery_mode };
	from->is_mandatory = is_mandatory;
	client_publish_with(from, exchange, routing_key, body, &p);
}

static void publish_as(struct client *from, const char *exchange, const char *routing_key,
		       const char *header, const char *key, const char *body, uint8_t delivery_mode)
{
	uint8_t headers[400];
	struct writer h = writer_of(headers, sizeof headers);
	table_write_int(&h, "another", 1);
	table_write_str(&h, header, bytes_str(key));
	publish_headers(from, exchange, routing_key, body,
			bytes_of(headers, (size_t)(h.at - headers)), delivery_mode);
}

static void publish(const char *key, const char *body)
{
	publish_as(c, "", "q", "x-idempotency-key", key, body, PERSISTENT);
}

/* All publishes up to this one are confirmed, at the latest when the disk has them. */
static void expect_confirmed(uint64_t tag)
{
	struct method m = { .id = 0 };
	broker_sync(b);
	while (m.basic_ack.delivery_tag < tag)
		m = client_expect(c, METHOD_basic_ack);
	cr_assert_eq(m.basic_ack.delivery_tag, tag);
}

static struct core_figures figures(void)
{
	struct core_figures f;
	core_figures(b->diskless.core, &f);
	return f;
}

static void exchange(const char *name, const char *type)
{
	client_exchange(d, name, type, arguments());
}

static void bind(const char *queue, const char *from, const char *routing_key)
{
	client_bind(d, queue, from, routing_key);
}

/* A refusal of the channel. */
static void expect_refused(struct client *from, const char *error)
{
	char text[300];
	snprintf(text, sizeof text, "PRECONDITION_FAILED - %s", error);
	client_expect_close(from, METHOD_channel_close, REPLY_PRECONDITION_FAILED, text);
}

static void consume(struct client *from, const char *queue, bool is_no_ack, uint16_t prefetch)
{
	client_consume(from, queue, "t", is_no_ack, prefetch);
	broker_sync(b); /* Nothing goes out before the disk knows that it may have. */
}

/* --- the key --- */

Test(idempotency, a_retry_is_acked_and_not_enqueued)
{
	publish("order-1", "pay");
	publish("order-1", "pay");
	publish("order-2", "pay");
	expect_confirmed(3);
	publish("order-1", "pay");
	client_expect(c, METHOD_basic_ack); /* The original is on disk: at once. */
	cr_assert_eq(client_count(d, "q"), 2);
	cr_assert_eq(figures().key_hits, 2);
	cr_assert_eq(figures().key_conflicts, 0);
	cr_assert_eq(figures().keys, 2);
}

Test(idempotency, a_retry_of_what_is_on_its_way_waits_for_it)
{
	publish("k", "m");
	publish("k", "m");
	client_expect_nothing(c);
	struct client *e = client_open(b);
	client_confirms(e);
	publish_as(e, "", "q", "x-idempotency-key", "k", "m", PERSISTENT);
	client_expect_nothing(e);
	broker_sync(b);
	client_expect(e, METHOD_basic_ack);
	expect_confirmed(2);
	cr_assert_eq(client_count(d, "q"), 1);
}

Test(idempotency, consumed_and_purged_messages_are_still_known)
{
	publish("k1", "m");
	publish("k2", "m");
	expect_confirmed(2);
	consume(d, "q", false, 1);
	client_ack(d, client_expect_deliver(d, "m", false), false);
	struct method purge = { .id = METHOD_queue_purge };
	purge.queue_purge.queue = bytes_str("q");
	client_method(d, 1, &purge);
	broker_sync(b);
	publish("k1", "m");
	publish("k2", "m");
	expect_confirmed(4);
	cr_assert_eq(figures().key_hits, 2);
}

Test(idempotency, scope_is_exchange_and_routing_key)
{
	exchange("x", "topic");
	bind("q", "x", "#");
	publish_as(c, "", "q", "x-idempotency-key", "k", "m", PERSISTENT);
	publish_as(c, "x", "q", "x-idempotency-key", "k", "m", PERSISTENT);
	publish_as(c, "x", "r", "x-idempotency-key", "k", "m", PERSISTENT);
	expect_confirmed(3);
	cr_assert_eq(client_count(d, "q"), 3);
}

Test(idempotency, a_window_begins_with_the_first_publish)
{
	publish("k", "m");
	broker_advance(b, 3599000);
	publish("k", "m");
	broker_sync(b);
	cr_assert_eq(client_count(d, "q"), 1);
	broker_advance(b, 1000);
	publish("k", "m");
	broker_sync(b);
	cr_assert_eq(client_count(d, "q"), 2);
	publish("k", "m");
	cr_assert_eq(client_count(d, "q"), 2);
	broker_advance(b, 3602000);
	cr_assert_eq(figures().keys, 0); /* Nobody asked: forgotten all the same. */
}

Test(idempotency, an_exchange_may_have_a_window_of_its_own)
{
	table_write_int(&w, "x-idempotency-window", 7200000);
	exchange("long", "fanout");
	table_write_int(&w, "x-idempotency-window", 10);
	exchange("short", "fanout");
	bind("q", "long", "");
	bind("q", "short", "");
	publish_as(c, "long", "", "x-idempotency-key", "k", "m", PERSISTENT);
	publish_as(c, "short", "", "x-idempotency-key", "k", "m", PERSISTENT);
	broker_advance(b, 9);
	publish_as(c, "short", "", "x-idempotency-key", "k", "m", PERSISTENT);
	cr_assert_eq(client_count(d, "q"), 2);
	broker_advance(b, 1);
	publish_as(c, "short", "", "x-idempotency-key", "k", "m", PERSISTENT);
	cr_assert_eq(client_count(d, "q"), 3);
	broker_advance(b, 7190000);
	publish_as(c, "long", "", "x-idempotency-key", "k", "m", PERSISTENT);
	cr_assert_eq(client_count(d, "q"), 3);
}

Test(idempotency, a_sliding_window_begins_anew_with_each_publish)
{
	table_write_str(&w, "x-idempotency", bytes_str("sliding"));
	table_write_int(&w, "x-idempotency-window", 1000);
	exchange("x", "fanout");
	bind("q", "x", "");
	for (int i = 0; i < 5; i++) {
		publish_as(c, "x", "", "x-idempotency-key", "k", "m", PERSISTENT);
		broker_advance(b, 999);
	}
	broker_sync(b);
	cr_assert_eq(client_count(d, "q"), 1);
	broker_advance(b, 1);
	publish_as(c, "x", "", "x-idempotency-key", "k", "m", PERSISTENT);
	cr_assert_eq(client_count(d, "q"), 2);
}

/* --- never swallowed --- */

Test(idempotency, what_no_queue_took_can_be_retried)
{
	publish_as(c, "", "later", "x-idempotency-key", "k", "m", PERSISTENT);
	client_expect(c, METHOD_basic_ack);
	client_declare(d, "later", true);
	publish_as(c, "", "later", "x-idempotency-key", "k", "m", PERSISTENT);
	expect_confirmed(2);
	cr_assert_eq(client_count(d, "later"), 1);
}

Test(idempotency, a_retry_of_what_is_unroutable_now_is_not_returned)
{
	publish("k", "m");
	struct method delete = { .id = METHOD_queue_delete };
	delete.queue_delete.queue = bytes_str("q");
	client_method(d, 1, &delete);
	broker_sync(b);
	client_expect(d, METHOD_queue_delete_ok);
	is_mandatory = true;
	publish("k", "m");
	expect_confirmed(2);
	publish("k2", "m");
	client_expect(c, METHOD_basic_return);
}

Test(idempotency, what_a_full_queue_refused_can_be_retried)
{
	table_write_int(&w, "x-max-length", 1);
	table_write_str(&w, "x-overflow", bytes_str("reject-publish"));
	client_declare_with(d, "full", true, arguments());
	publish_as(c, "", "full", "x-idempotency-key", "k1", "m", PERSISTENT);
	expect_confirmed(1);
	publish_as(c, "", "full", "x-idempotency-key", "k2", "m", PERSISTENT);
	client_expect(c, METHOD_basic_nack);
	publish_as(c, "", "full", "x-idempotency-key", "k1", "m",
		   PERSISTENT); /* It is full, but has this. */
	client_expect(c, METHOD_basic_ack);
	consume(d, "full", true, 0);
	client_expect_deliver(d, "m", false);
	publish_as(c, "", "full", "x-idempotency-key", "k2", "m2", PERSISTENT);
	expect_confirmed(4);
	client_expect_deliver(d, "m2", false);
}

Test(idempotency, all_queues_have_it_or_none)
{
	table_write_int(&w, "x-max-length", 1);
	table_write_str(&w, "x-overflow", bytes_str("reject-publish"));
	client_declare_with(d, "full", true, arguments());
	exchange("x", "fanout");
	bind("q", "x", "");
	bind("full", "x", "");
	publish_as(c, "x", "", "x-idempotency-key", "k1", "m", PERSISTENT);
	expect_confirmed(1);
	publish_as(c, "x", "", "x-idempotency-key", "k2", "m", PERSISTENT);
	client_expect(c, METHOD_basic_nack);
	cr_assert_eq(client_count(d, "q"), 1);
	struct client *e = client_open(b);
	consume(e, "full", true, 0);
	client_expect_deliver(e, "m", false);
	publish_as(c, "x", "", "x-idempotency-key", "k2", "m", PERSISTENT);
	expect_confirmed(3);
	cr_assert_eq(client_count(d, "q"), 2);
}

Test(idempotency, a_transaction_that_was_rolled_back_leaves_no_key)
{
	struct client *e = client_open(b);
	struct method m = { .id = METHOD_tx_select };
	client_method(e, 1, &m);
	client_expect(e, METHOD_tx_select_ok);
	publish_as(e, "", "q", "x-idempotency-key", "k", "m", PERSISTENT);
	m.id = METHOD_tx_rollback;
	client_method(e, 1, &m);
	client_expect(e, METHOD_tx_rollback_ok);
	publish_as(e, "", "q", "x-idempotency-key", "k", "m", PERSISTENT);
	publish_as(e, "", "q", "x-idempotency-key", "k", "m", PERSISTENT);
	m.id = METHOD_tx_commit;
	client_method(e, 1, &m);
	broker_sync(b);
	client_expect(e, METHOD_tx_commit_ok);
	cr_assert_eq(client_count(d, "q"), 1);
	publish("k", "m");
	expect_confirmed(1);
	cr_assert_eq(client_count(d, "q"), 1);
}

/* --- moves inside the broker --- */

Test(idempotency, dead_letters_are_not_asked)
{
	table_write_str(&w, "x-dead-letter-exchange", bytes_str(""));
	table_write_str(&w, "x-dead-letter-routing-key", bytes_str("q"));
	client_declare_with(d, "work", true, arguments());
	publish_as(c, "", "q", "x-idempotency-key", "k", "m", PERSISTENT);
	publish_as(c, "", "work", "x-idempotency-key", "k", "m", PERSISTENT);
	consume(d, "work", false, 0);
	client_nack(d, client_expect_deliver(d, "m", false), false, false);
	broker_sync(b);
	cr_assert_eq(client_count(d, "q"), 2);
	publish_as(c, "", "work", "x-idempotency-key", "k", "m", PERSISTENT);
	expect_confirmed(3);
	client_expect_nothing(d);
}

Test(idempotency, a_delayed_message_is_known_from_its_publish)
{
	uint8_t headers[100];
	struct writer h = writer_of(headers, sizeof headers);
	table_write_str(&h, "x-idempotency-key", bytes_str("k"));
	table_write_int(&h, "x-delay", 1000);
	struct bytes both = bytes_of(headers, (size_t)(h.at - headers));
	publish_headers(c, "", "q", "m", both, PERSISTENT);
	publish_headers(c, "", "q", "m", both, PERSISTENT);
	expect_confirmed(2);
	broker_advance(b, 1500);
	publish_headers(c, "", "q", "m", both, PERSISTENT);
	broker_advance(b, 1500);
	expect_confirmed(3);
	cr_assert_eq(client_count(d, "q"), 1);
}

/* --- conflicts --- */

Test(idempotency, another_body_under_the_same_key_is_counted)
{
	publish("k", "one");
	publish("k", "two");
	expect_confirmed(2);
	cr_assert_eq(client_count(d, "q"), 1);
	cr_assert_eq(figures().key_conflicts, 1);
}

Test(idempotency, an_exchange_may_reject_conflicts)
{
	table_write_str(&w, "x-idempotency-conflict", bytes_str("reject"));
	exchange("x", "fanout");
	bind("q", "x", "");
	publish_as(c, "x", "", "x-idempotency-key", "k", "one", PERSISTENT);
	expect_confirmed(1);
	publish_as(c, "x", "", "x-idempotency-key", "k", "two", PERSISTENT);
	client_expect(c, METHOD_basic_nack);
	publish_as(c, "x", "", "x-idempotency-key", "k", "one", PERSISTENT);
	client_expect(c, METHOD_basic_ack);
	cr_assert_eq(client_count(d, "q"), 1);
}

static void expect_returned(struct client *e, uint16_t code, int64_t tag)
{
	struct frame f;
	struct properties p;
	struct method m = client_expect(e, METHOD_basic_return);
	cr_assert_eq(m.basic_return.reply_code, code);
	cr_assert(client_frame(e, &f) && f.type == FRAME_HEADER);
	cr_assert(properties_decode(
		&p, bytes_of(f.payload.data + CONTENT_FLAGS_AT, f.payload.len - CONTENT_FLAGS_AT)));
	cr_assert(has_integer(p.headers, "x-publish-tag", tag));
}

Test(idempotency, clients_that_know_of_it_are_told)
{
	struct client *e = client_open_knowing(b, "idempotency");
	client_confirms(e);
	publish_as(e, "", "q", "x-idempotency-key", "k", "one", TRANSIENT);
	client_expect(e, METHOD_basic_ack);
	publish_as(e, "", "q", "x-idempotency-key", "k", "one", TRANSIENT);
	expect_returned(e, RETURN_DUPLICATE, 2);
	client_expect(e, METHOD_basic_ack);
	publish_as(e, "", "q", "x-idempotency-key", "k", "two", TRANSIENT);
	expect_returned(e, RETURN_CONFLICT, 3);
	client_expect(e, METHOD_basic_ack);
}

/* --- as long as it is queued --- */

static void declare_while_queued(const char *queue)
{
	table_write_str(&w, "x-idempotency", bytes_str("while-queued"));
	client_declare_with(d, queue, true, arguments());
}

static void publish_work(const char *key)
{
	publish_as(c, "", "work", "x-idempotency-key", key, "m", PERSISTENT);
}

Test(idempotency, while_queued_ends_with_the_ack)
{
	declare_while_queued("work");
	publish_work("k");
	publish_work("k");
	cr_assert_eq(client_count(d, "work"), 1);
	consume(d, "work", false, 1);
	uint64_t tag = client_expect_deliver(d, "m", false);
	publish_work("k"); /* Unacked, it is in the queue. */
	broker_advance(b, 4000000);
	publish_work("k");
	client_nack(d, tag, false, true);
	publish_work("k");
	tag = client_expect_deliver(d, "m", true);
	client_ack(d, tag, false);
	client_expect_nothing(d);
	cr_assert_eq(figures().keys, 0);
	publish_work("k");
	client_expect_deliver(d, "m", false);
}

/* A death elsewhere, a delay that has been served: what a message has gone through before it was
 * published again says nothing of its key. */
Test(idempotency, while_queued_ends_with_the_ack_whatever_other_headers_say)
{
	uint8_t death[100];
	struct writer e = writer_of(death, sizeof death), h;
	uint8_t *array = write_room(&e, 4);
	write_u8(&e, 'F');
	uint8_t *entry = write_room(&e, 4);
	table_write_str(&e, "queue", bytes_str("elsewhere"));
	table_write_str(&e, "reason", bytes_str("rejected"));
	table_end(&e, entry);
	table_end(&e, array);
	const struct table_value deaths = { 'A', bytes_of(death, (size_t)(e.at - death)) };
	declare_while_queued("work");
	consume(d, "work", false, 0);
	for (int i = 0; i < 6; i++) {
		uint8_t headers[300];
		h = writer_of(headers, sizeof headers);
		if (i == 1 || i == 2)
			table_write_value(&h, bytes_str("x-death"), &deaths);
		if (i == 3)
			table_write_str(&h, "x-death", bytes_str("no"));
		if (i == 4)
			table_write_int(&h, "x-delay", -1000);
		table_write_str(&h, "x-idempotency-key", bytes_str("k"));
		struct bytes table = bytes_of(headers, (size_t)(h.at - headers));
		publish_headers(c, "", "work", "m", table, PERSISTENT);
		publish_headers(c, "", "work", "m", table, PERSISTENT);
		broker_sync(b);
		uint64_t tag = client_expect_deliver(d, "m", false);
		client_expect_nothing(d);
		client_ack(d, tag, false);
		cr_assert_eq(figures().keys, 0, "step %d", i);
	}
}

/* The same key in two queues, in one of which the message then dies into the other. */
Test(idempotency, while_queued_does_not_end_with_a_dead_letter_of_the_same_key)
{
	declare_while_queued("work");
	table_write_str(&w, "x-dead-letter-exchange", bytes_str(""));
	table_write_str(&w, "x-dead-letter-routing-key", bytes_str("work"));
	declare_while_queued("before");
	publish_as(c, "", "before", "x-idempotency-key", "k", "m", PERSISTENT);
	broker_sync(b);
	consume(d, "before", false, 0);
	client_nack(d, client_expect_deliver(d, "m", false), false, false);
	publish_work("k");
	cr_assert_eq(client_count(d, "work"), 2);
	struct method get = { .id = METHOD_basic_get };
	get.basic_get.queue = bytes_str("work");
	get.basic_get.no_ack = true;
	broker_sync(b);
	client_method(c, 1, &get); /* The dead letter, which came first. */
	broker_sync(b);
	cr_assert_eq(client_count(d, "work"), 1);
	publish_work("k");
	cr_assert_eq(client_count(d, "work"), 1);
}

Test(idempotency, while_queued_ends_with_expiry_and_no_ack)
{
	table_write_int(&w, "x-message-ttl", 100);
	declare_while_queued("work");
	publish_work("k");
	broker_advance(b, 200);
	publish_work("k");
	cr_assert_eq(client_count(d, "work"), 1);
	consume(d, "work", true, 0);
	client_expect_deliver(d, "m", false);
	publish_work("k");
	client_expect_deliver(d, "m", false);
}

Test(idempotency, a_purge_forgets_all_but_what_is_unacked)
{
	declare_while_queued("work");
	publish_work("unacked");
	publish_work("ready");
	consume(d, "work", false, 1);
	client_expect_deliver(d, "m", false);
	struct method purge = { .id = METHOD_queue_purge };
	purge.queue_purge.queue = bytes_str("work");
	client_method(d, 1, &purge);
	broker_sync(b);
	cr_assert_eq(client_expect(d, METHOD_queue_purge_ok).queue_purge_ok.message_count, 1);
	publish_work("unacked");
	cr_assert_eq(client_count(d, "work"), 0);
	publish_work("ready");
	cr_assert_eq(client_count(d, "work"), 1);
	publish_work("ready");
	cr_assert_eq(client_count(d, "work"), 1);
}

/* As if the key stood in a chunk of which the disk has not been asked yet. */
Test(idempotency, a_purge_while_keys_are_loaded_forgets_all_but_what_is_unacked)
{
	struct keys *keys = &b->diskless.core->keys;
	declare_while_queued("work");
	publish_work("k");
	consume(d, "work", false, 1);
	uint64_t tag = client_expect_deliver(d, "m", false);
	diskless_begin(&b->diskless);
	keys_remove(keys, keys->next - 1);
	keys->unloaded = keys->first + 1;
	identity_queue_emptied(
		queue_find(core_vhost(b->diskless.core, bytes_str("/")), bytes_str("work")));
	keys_loaded(keys, keys->first);
	diskless_end(&b->diskless);
	broker_sync(b);
	publish_work("k");
	cr_assert_eq(client_count(d, "work"), 0);
	client_ack(d, tag, false);
	publish_work("k");
	broker_sync(b);
	client_expect_deliver(d, "m", false);
}

Test(idempotency, a_queue_that_is_declared_anew_knows_nothing)
{
	declare_while_queued("work");
	publish_work("k");
	struct method delete = { .id = METHOD_queue_delete };
	delete.queue_delete.queue = bytes_str("work");
	client_method(d, 1, &delete);
	broker_sync(b);
	client_expect(d, METHOD_queue_delete_ok);
	declare_while_queued("work");
	publish_work("k");
	cr_assert_eq(client_count(d, "work"), 1);
}

Test(idempotency, queues_decide_for_themselves)
{
	declare_while_queued("work");
	exchange("x", "fanout");
	bind("q", "x", "");
	bind("work", "x", "");
	table_write_str(&w, "x-idempotency", bytes_str("while-queued"));
	exchange("each", "fanout");
	bind("q", "each", "");
	bind("work", "each", "");
	publish_as(c, "", "work", "x-idempotency-key", "k", "m", PERSISTENT);
	publish_as(c, "x", "", "x-idempotency-key", "k", "m", PERSISTENT);
	cr_assert_eq(client_count(d, "work"), 1);
	cr_assert_eq(client_count(d, "q"), 1);
	publish_as(c, "x", "", "x-idempotency-key", "k", "m", PERSISTENT);
	cr_assert_eq(client_count(d, "q"), 1);
	publish_as(c, "each", "", "x-idempotency-key", "k", "m", PERSISTENT);
	publish_as(c, "each", "", "x-idempotency-key", "k", "m", PERSISTENT);
	cr_assert_eq(client_count(d, "q"), 2);
	consume(d, "q", true, 0);
	client_expect_deliver(d, "m", false);
	client_expect_deliver(d, "m", false);
	publish_as(c, "each", "", "x-idempotency-key", "k", "m", PERSISTENT);
	client_expect_deliver(d, "m", false);
	cr_assert_eq(client_count(d, "work"), 1);
}

/* --- other names --- */

struct wire {
	const char *bytes;
	size_t len;
};

/* How many of two messages with these keys a queue takes, or an exchange lets through. */
static uint32_t count_of_two(const char *to, const char *queue, struct wire one, struct wire two)
{
	const struct wire *keys[] = { &one, &two };
	bool is_to_exchange = strcmp(to, queue) != 0;
	struct method m = { .id = METHOD_queue_purge };
	m.queue_purge.queue = bytes_str(queue);
	client_method(d, 1, &m);
	broker_sync(b);
	client_expect(d, METHOD_queue_purge_ok);
	for (size_t i = 0; i < 2; i++) {
		uint8_t headers[64];
		struct writer h = writer_of(headers, sizeof headers);
		write_shortstr(&h, bytes_str("x-deduplication-header"));
		write_bytes(&h, bytes_of(keys[i]->bytes, keys[i]->len));
		publish_headers(c, is_to_exchange ? to : "", is_to_exchange ? "" : queue, "m",
				bytes_of(headers, (size_t)(h.at - headers)), PERSISTENT);
	}
	broker_advance(b, 2000); /* The exchange forgets. */
	broker_sync(b);
	return client_count(d, queue);
}

Test(idempotency, keys_of_other_types_are_other_keys_and_equal_numbers_are_equal)
{
	static const struct {
		struct wire one;
		struct wire two;
		uint32_t count;
	} pairs[] = {
#define WIRE(text) { text, sizeof text - 1 }
#define PAIR(one, two, count)               \
	{                                   \
		WIRE(one), WIRE(two), count \
	}
		PAIR("I\0\0\0\5", "l\0\0\0\0\0\0\0\5", 1),
		PAIR("b\5", "B\5", 1),
		PAIR("b\xff", "B\xff", 2),
		PAIR("I"
		     "abcd",
		     "S\0\0\0\4"
		     "abcd",
		     2),
		PAIR("S\0\0\0\1k", "x\0\0\0\1k", 1),
		PAIR("S\0\0\0\0", "V", 2),
		PAIR("S\0\0\0\1\1", "t\1", 2),
		PAIR("t\1", "t\2", 1),
		PAIR("b\5", "d\x40\x14\0\0\0\0\0\0", 2),
		PAIR("f\x40\xa0\0\0", "d\x40\x14\0\0\0\0\0\0", 1),
		PAIR("l\0\0\0\0\0\0\0\5", "S\0\0\0\x8\0\0\0\0\0\0\0\5", 2),
#undef PAIR
#undef WIRE
	};
	table_write_int(&w, "x-cache-ttl", 1000);
	exchange("x", "x-message-deduplication");
	bind("q", "x", "");
	table_write_bool(&w, "x-message-deduplication", true);
	client_declare_with(d, "unique", true, arguments());
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		cr_expect_eq(count_of_two("unique", "unique", pairs[i].one, pairs[i].two),
			     pairs[i].count, "%zu: by queue", i);
		cr_expect_eq(count_of_two("x", "q", pairs[i].one, pairs[i].two), pairs[i].count,
			     "%zu: by exchange", i);
	}
}

Test(idempotency, headers_of_the_deduplication_plugin_mean_something_where_it_is_asked_for)
{
	table_write_int(&w, "x-cache-size", 100);
	table_write_int(&w, "x-cache-ttl", 500);
	exchange("x", "x-message-deduplication");
	bind("q", "x", "");
	for (int i = 0; i < 2; i++)
		publish_as(c, "x", i == 0 ? "one" : "two", "x-deduplication-header", "k", "m",
			   PERSISTENT);
	cr_assert_eq(client_count(d, "q"), 1);
	broker_advance(b, 500);
	publish_as(c, "x", "", "x-deduplication-header", "k", "m", PERSISTENT);
	cr_assert_eq(client_count(d, "q"), 2);
	for (int i = 0; i < 2; i++)
		publish_as(c, "", "q", "x-deduplication-header", "k", "m", PERSISTENT);
	cr_assert_eq(client_count(d, "q"), 4);
	table_write_bool(&w, "x-message-deduplication", true);
	client_declare_with(d, "unique", true, arguments());
	for (int i = 0; i < 2; i++)
		publish_as(c, "", "unique", "x-deduplication-header", "k", "m", PERSISTENT);
	cr_assert_eq(client_count(d, "unique"), 1);
	consume(d, "unique", true, 0);
	client_expect_deliver(d, "m", false);
	publish_as(c, "", "unique", "x-deduplication-header", "k", "m", PERSISTENT);
	client_expect_deliver(d, "m", false);
}

/* --- bad input --- */

static void refuse_header(const char *name, bool is_text, const char *text, const char *error)
{
	uint8_t headers[400];
	struct writer h = writer_of(headers, sizeof headers);
	struct client *e = client_open(b);
	if (name[2] == 'p')
		table_write_str(&h, "x-producer-id", bytes_str("p"));
	if (is_text)
		table_write_str(&h, name, bytes_str(text));
	else
		table_write_int(&h, name, atoi(text));
	publish_headers(e, "", "q", "m", bytes_of(headers, (size_t)(h.at - headers)), PERSISTENT);
	expect_refused(e, error);
	client_disconnect(e);
}

Test(idempotency, a_key_is_a_text)
{
	static char long_text[300];
	memset(long_text, 'k', 256);
	refuse_header("x-idempotency-key", false, "5",
		      "invalid header x-idempotency-key: expected string, got signedint");
	refuse_header("x-idempotency-key", true, "",
		      "invalid header x-idempotency-key: expected 1 to 255 bytes, got 0");
	refuse_header("x-idempotency-key", true, long_text,
		      "invalid header x-idempotency-key: expected 1 to 255 bytes, got 256");
	refuse_header("x-producer-seq", true, "1",
		      "invalid header x-producer-seq: expected integer, got longstr");
	refuse_header("x-producer-seq", false, "-1",
		      "invalid header x-producer-seq: {value_negative,-1}");
	refuse_header("x-producer-epoch", false, "1",
		      "header x-producer-id needs header x-producer-seq");
	cr_assert_eq(client_count(d, "q"), 0);
}

static void refuse_argument(const char *name, const char *value, const char *error)
{
	struct client *e = client_open(b);
	struct method m = { .id = METHOD_queue_declare };
	table_write_str(&w, name, bytes_str(value));
	m.queue_declare.queue = bytes_str("new");
	m.queue_declare.arguments = arguments();
	client_method(e, 1, &m);
	expect_refused(e, error);
	client_disconnect(e);
}

Test(idempotency, arguments_have_their_values)
{
	refuse_argument("x-idempotency", "always",
			"invalid arg 'x-idempotency' for queue 'new' in vhost '/': \"expected "
			"window, sliding or while-queued, got "
			"'always'\"");
	refuse_argument("x-idempotency-conflict", "x",
			"invalid arg 'x-idempotency-conflict' for queue 'new' in vhost '/': "
			"\"expected flag or reject, got 'x'\"");
	refuse_argument("x-idempotency-window", "x",
			"invalid arg 'x-idempotency-window' for queue 'new' in vhost '/': "
			"\"expected integer, got longstr\"");
}

/* --- producers --- */

static void publish_numbered(struct client *from, const char *producer, int32_t epoch,
			     int64_t sequence)
{
	uint8_t headers[200];
	struct writer h = writer_of(headers, sizeof headers);
	table_write_str(&h, "x-producer-id", bytes_str(producer));
	table_write_int(&h, "x-producer-epoch", epoch);
	table_write_long(&h, "x-producer-seq", sequence);
	publish_headers(from, "", "q", "m", bytes_of(headers, (size_t)(h.at - headers)),
			PERSISTENT);
}

Test(idempotency, a_producers_sequences_come_once_in_any_order)
{
	static const int64_t sequences[] = {
		10, 12, 11, 10, 11, 12, 5, 5, 1035, 12, 11, 1034, 1035
	};
	static const uint32_t counts[] = { 1, 2, 3, 3, 3, 3, 4, 4, 5, 5, 5, 6, 6 };
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
		if (sequences[i] == 11 && i > 8)
			continue; /* Too old by now: see below. */
		publish_numbered(c, "p", 0, sequences[i]);
		cr_assert_eq(client_count(d, "q"), counts[i], "step %zu", i);
	}
	publish_numbered(c, "another", 0, 12);
	cr_assert_eq(client_count(d, "q"), 7);
}

/* What has been seen of it is a row of bits, which moves on with each new one. */
Test(idempotency, what_a_producer_has_sent_is_known_wherever_it_has_moved)
{
	uint32_t count = 0;
	for (int64_t sequence = 1; sequence <= 1000; sequence += 37) {
		publish_numbered(c, "p", 0, sequence);
		cr_assert_eq(client_count(d, "q"), ++count);
		for (int64_t before = 1; before <= sequence; before += 37)
			publish_numbered(c, "p", 0, before);
		cr_assert_eq(client_count(d, "q"), count, "up to %d", (int)sequence);
	}
}

/* Consumers get a message without it, made from what was sent: what is known of the publish must
 * outlive that. */
Test(idempotency, a_secret_copy_does_not_disturb_a_producer)
{
	uint8_t headers[300], to[64];
	struct frame f;
	for (int64_t sequence = 1; sequence < 3; sequence++) {
		struct writer h = writer_of(headers, sizeof headers),
			      list = writer_of(to, sizeof to);
		struct table_value copies = { .type = 'A' };
		write_u32(&list, 1 + 4 + 1);
		write_u8(&list, 'S');
		write_longstr(&list, bytes_str("q"));
		copies.raw = bytes_of(to, (size_t)(list.at - to));
		table_write_str(&h, "x-producer-id",
				bytes_str("a producer with a long name, so that nothing is kept of "
					  "it elsewhere"));
		table_write_long(&h, "x-producer-seq", sequence);
		table_write_value(&h, bytes_str("BCC"), &copies);
		struct properties p = { .flags = HAS_headers | HAS_delivery_mode | HAS_expiration,
					.headers = bytes_of(headers, (size_t)(h.at - headers)),
					.expiration = bytes_str("1000"),
					.delivery_mode = PERSISTENT };
		client_publish_with(c, "", "q", "m", &p);
		client_publish_with(c, "", "q", "m", &p);
	}
	cr_assert_eq(client_count(d, "q"), 2);
	struct method get = { .id = METHOD_basic_get };
	get.basic_get.queue = bytes_str("amq.producer.a producer with a long name, so that nothing "
					"is kept of it elsewhere");
	get.basic_get.no_ack = true;
	client_method(d, 1, &get);
	client_expect(d, METHOD_basic_get_ok);
	cr_assert(client_frame(d, &f) && client_frame(d, &f) &&
		  bytes_equal_str(f.payload, "{\"epoch\":0,\"sequence\":2}"));
	broker_advance(b, 2000);
	cr_assert_eq(client_count(d, "q"), 0);
}

Test(idempotency, too_old_to_be_told_is_refused)
{
	publish_numbered(c, "p", 0, 2000);
	publish_numbered(c, "p", 0, 2000 - 1023);
	cr_assert_eq(client_count(d, "q"), 2);
	publish_numbered(d, "p", 0, 2000 - 1024);
	expect_refused(d, "sequence 976 of producer 'p' is too old to be told from a duplicate: "
			  "the last one is 2000");
}

Test(idempotency, a_newer_epoch_fences_the_older)
{
	publish_numbered(c, "p", 1, 100);
	publish_numbered(c, "p", 2, 1);
	cr_assert_eq(client_count(d, "q"), 2);
	publish_numbered(d, "p", 1, 101);
	expect_refused(d, "producer 'p' is fenced: its epoch is 1, and 2 has published since");
	cr_assert_eq(figures().producers_fenced, 1);
}

Test(idempotency, a_producer_can_ask_where_it_stands)
{
	struct frame f;
	struct properties p;
	struct method get = { .id = METHOD_basic_get };
	get.basic_get.queue = bytes_str("amq.producer.p");
	get.basic_get.no_ack = true;
	client_method(d, 1, &get);
	client_expect(d, METHOD_basic_get_empty);
	publish_numbered(c, "p", 3, 77);
	publish_numbered(c, "p", 3, 76);
	client_method(d, 1, &get);
	client_expect(d, METHOD_basic_get_ok);
	cr_assert(client_frame(d, &f) && f.type == FRAME_HEADER);
	cr_assert(properties_decode(
		&p, bytes_of(f.payload.data + CONTENT_FLAGS_AT, f.payload.len - CONTENT_FLAGS_AT)));
	cr_assert(has_integer(p.headers, "x-producer-epoch", 3));
	cr_assert(has_integer(p.headers, "x-producer-seq", 77));
	cr_assert(client_frame(d, &f) &&
		  bytes_equal_str(f.payload, "{\"epoch\":3,\"sequence\":77}"));
	get.basic_get.no_ack = false;
	client_method(d, 1, &get);
	expect_refused(d, "'amq.producer.p' is no queue and takes no ack: get it with no_ack");
}

/* --- x-message-uid --- */

static void take_uid(struct client *from, char uid[17], bool is_redelivered, bool is_acked)
{
	struct properties p;
	struct bytes text;
	uint64_t tag = client_expect_message(from, "m", is_redelivered, &p);
	cr_assert(table_find_string(p.headers, "x-message-uid", &text));
	cr_assert_eq(text.len, 16);
	snprintf(uid, 17, "%.*s", BYTES_ARG(text));
	cr_assert(table_find_string(p.headers, "x-idempotency-key", &text));
	cr_assert(has_integer(p.headers, "another", 1));
	cr_assert(is_acked || tag > 0);
	if (is_acked)
		client_nack(from, tag, false, false);
	else
		client_nack(from, tag, false, true);
}

Test(idempotency, a_uid_stays_with_its_message)
{
	char first[17], second[17], third[17], other[17];
	table_write_str(&w, "x-dead-letter-exchange", bytes_str(""));
	table_write_str(&w, "x-dead-letter-routing-key", bytes_str("dead"));
	client_declare_with(d, "work", true, arguments());
	client_declare(d, "dead", true);
	publish_work("k");
	broker_sync(b);
	consume(d, "work", false, 1);
	take_uid(d, first, false, false);
	take_uid(d, second, true, true);
	broker_sync(b);
	struct client *e = client_open(b);
	consume(e, "dead", false, 1);
	take_uid(e, third, false, false);
	cr_assert_str_eq(first, second);
	cr_assert_str_eq(first, third);
	publish_work("k2");
	broker_sync(b);
	take_uid(d, other, false, true);
	cr_assert_str_neq(first, other);
}

/* --- copies: what was delivered is published again, with its headers --- */

static uint8_t delivered[1000];

/* Takes the next message with all its headers and acks it. */
static struct bytes take_headers(struct client *from, const char *queue)
{
	struct properties p;
	broker_sync(b);
	client_ack(from, client_expect_message(from, "m", false, &p), false);
	cr_assert_leq(p.headers.len, sizeof delivered, "%s", queue);
	memcpy(delivered, p.headers.data, p.headers.len);
	return bytes_of(delivered, p.headers.len);
}

static bool has_header(struct bytes table, const char *name)
{
	struct table_value v;
	return table_find(table, name, &v);
}

static void expect_no_producer(struct bytes headers)
{
	cr_assert_not(has_header(headers, "x-producer-id"));
	cr_assert_not(has_header(headers, "x-producer-epoch"));
	cr_assert_not(has_header(headers, "x-producer-seq"));
}

static void same_uid(struct bytes a, const char *a_name, const char *uid)
{
	struct bytes text;
	cr_assert(table_find_string(a, a_name, &text));
	cr_assert(bytes_equal_str(text, uid), "%.*s, %s", BYTES_ARG(text), uid);
}

static void copy_uid(struct bytes headers, char uid[17])
{
	struct bytes text;
	cr_assert(table_find_string(headers, "x-message-uid", &text));
	cr_assert_eq(text.len, 16);
	snprintf(uid, 17, "%.*s", BYTES_ARG(text));
}

Test(idempotency, a_copy_of_a_delivered_message_is_a_new_message)
{
	char uid[17], next[17];
	client_declare(client_open(b), "wait", true);
	consume(d, "q", false, 0);
	publish_numbered(c, "p", 1, 7);
	struct bytes headers = take_headers(d, "q");
	expect_no_producer(headers);
	copy_uid(headers, uid);
	publish_headers(c, "", "wait", "m", headers, PERSISTENT);
	publish_headers(c, "", "q", "m", headers, PERSISTENT);
	cr_assert_eq(client_count(client_open(b), "wait"), 1);
	headers = take_headers(d, "q");
	copy_uid(headers, next);
	cr_assert_str_neq(uid, next);
	same_uid(headers, "x-original-uid", uid);
	publish_headers(c, "", "q", "m", headers, PERSISTENT);
	same_uid(take_headers(d, "q"), "x-original-uid", next);
	cr_assert_eq(figures().key_hits, 0);
}

/* A forwarder that got no confirm publishes the copy again; the next round of the same message is
 * another one. */
Test(idempotency, a_copy_with_a_key_is_known_by_what_it_is_a_copy_of)
{
	uint8_t first[1000];
	client_declare(client_open(b), "wait", true);
	consume(d, "q", false, 0);
	publish("k", "m");
	struct bytes headers = take_headers(d, "q");
	memcpy(first, headers.data, headers.len);
	struct bytes original = bytes_of(first, headers.len);
	publish_headers(c, "", "q", "m", original, PERSISTENT);
	publish_headers(c, "", "q", "m", original, PERSISTENT);
	cr_assert_eq(figures().key_hits, 1);
	headers = take_headers(d, "q");
	client_expect_nothing(d);
	publish_headers(c, "", "q", "m", headers, PERSISTENT);
	take_headers(d, "q");
	publish_headers(c, "", "q", "m", original, PERSISTENT);
	publish("k", "m");
	broker_sync(b);
	client_expect_nothing(d);
	cr_assert_eq(figures().key_hits, 3);
}

/* As long as the copy is there it holds its key, also for those who are no copies. */
Test(idempotency, while_queued_holds_for_copies)
{
	declare_while_queued("work");
	consume(d, "work", false, 1);
	publish_work("k");
	struct properties p;
	broker_sync(b);
	uint64_t tag = client_expect_message(d, "m", false, &p);
	memcpy(delivered, p.headers.data, p.headers.len);
	struct bytes headers = bytes_of(delivered, p.headers.len);
	publish_headers(c, "", "work", "m", headers, PERSISTENT);
	publish_headers(c, "", "work", "m", headers, PERSISTENT);
	cr_assert_eq(client_count(client_open(b), "work"), 1);
	client_ack(d, tag, false);
	broker_sync(b);
	tag = client_expect_deliver(d, "m", false);
	publish_headers(c, "", "work", "m", headers, PERSISTENT);
	cr_assert_eq(client_count(client_open(b), "work"), 0);
	client_ack(d, tag, false);
	cr_assert_eq(figures().keys, 0);
	publish_headers(c, "", "work", "m", headers, PERSISTENT);
	publish_work("k");
	broker_sync(b);
	cr_assert_eq(client_count(client_open(b), "work"), 0);
	client_ack(d, client_expect_deliver(d, "m", false), false);
	cr_assert_eq(figures().keys, 0);
	publish_work("k");
	broker_sync(b);
	client_expect_deliver(d, "m", false);
}

/* Of a queue whose mode is while-queued: its one consumer has a message with the key and two copies
 * of it, the second a copy of the first, and the tags of the three. */
static void deliver_three(uint64_t tags[3], uint8_t delivery_mode)
{
	declare_while_queued("work");
	consume(d, "work", false, 0);
	publish_as(c, "", "work", "x-idempotency-key", "k", "m", delivery_mode);
	for (int i = 0; i < 3; i++) {
		struct properties p;
		broker_sync(b);
		tags[i] = client_expect_message(d, "m", false, &p);
		memcpy(delivered, p.headers.data, p.headers.len);
		if (i < 2)
			publish_headers(c, "", "work", "m", bytes_of(delivered, p.headers.len),
					i == 0 ? PERSISTENT : delivery_mode);
	}
	cr_assert_eq(client_count(client_open(b), "work"), 0);
}

static void expect_held(const char *what, int step)
{
	publish_work("k");
	broker_sync(b);
	cr_assert_eq(client_count(client_open(b), "work"), 0, "%s, step %d", what, step);
	client_expect_nothing(d);
}

static void expect_free(void)
{
	cr_assert_eq(figures().keys, 0);
	publish_work("k");
	broker_sync(b);
	client_expect_deliver(d, "m", false);
}

Test(idempotency, while_queued_holds_until_the_last_that_has_the_key_has_gone)
{
	static const int orders[][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
					 { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };
	for (unsigned run = 0; run < 12; run++) {
		uint64_t tags[3];
		tear_down();
		set_up();
		deliver_three(tags, run % 2 == 0 ? PERSISTENT : TRANSIENT);
		for (int i = 0; i < 3; i++) {
			expect_held("before an ack", i);
			client_ack(d, tags[orders[run / 2][i]], false);
		}
		expect_free();
	}
}

Test(idempotency, a_duplicate_of_a_copy_waits_for_the_copy)
{
	struct properties p;
	declare_while_queued("work");
	consume(d, "work", false, 1);
	publish_work("k");
	expect_confirmed(1);
	uint64_t tag = client_expect_message(d, "m", false, &p);
	memcpy(delivered, p.headers.data, p.headers.len);
	publish_headers(c, "", "work", "m", bytes_of(delivered, p.headers.len), PERSISTENT);
	client_ack(d, tag, false);
	struct client *other = client_open(b); /* Whose confirms wait for nobody else's. */
	client_confirms(other);
	publish_as(other, "", "work", "x-idempotency-key", "k", "m", PERSISTENT);
	client_expect_nothing(other);
	broker_sync(b);
	client_expect(other, METHOD_basic_ack);
	cr_assert_eq(figures().key_hits, 1);
}

/* However old their keys are: each of them holds on, not only the first. */
Test(idempotency, a_purge_leaves_the_keys_of_all_that_are_unacked)
{
	struct method purge = { .id = METHOD_queue_purge };
	purge.queue_purge.queue = bytes_str("work");
	declare_while_queued("work");
	consume(d, "work", false, 3);
	for (int i = 0; i < 4; i++)
		publish_work((const char *[]){ "a", "b", "c", "purged" }[i]);
	broker_sync(b);
	for (int i = 0; i < 3; i++)
		client_expect_deliver(d, "m", false);
	broker_advance(b, 3600001); /* A window, and not the second after which old keys go. */
	client_method(d, 1, &purge);
	broker_sync(b);
	client_expect(d, METHOD_queue_purge_ok);
	publish_work("a");
	publish_work("b");
	publish_work("c");
	broker_sync(b);
	cr_assert_eq(client_count(client_open(b), "work"), 0);
	publish_work("purged");
	broker_sync(b);
	cr_assert_eq(client_count(client_open(b), "work"), 1);
}

/* A copy that is purged holds nothing, its original that is unacked goes on. */
Test(idempotency, a_purge_takes_the_key_from_copies)
{
	struct properties p;
	struct method purge = { .id = METHOD_queue_purge };
	purge.queue_purge.queue = bytes_str("work");
	declare_while_queued("work");
	consume(d, "work", false, 1);
	publish_work("k");
	broker_sync(b);
	uint64_t tag = client_expect_message(d, "m", false, &p);
	memcpy(delivered, p.headers.data, p.headers.len);
	publish_headers(c, "", "work", "m", bytes_of(delivered, p.headers.len), PERSISTENT);
	cr_assert_eq(client_count(client_open(b), "work"), 1);
	client_method(d, 1, &purge);
	broker_sync(b);
	client_expect(d, METHOD_queue_purge_ok);
	expect_held("the original is unacked", 0);
	client_ack(d, tag, false);
	publish_work("k");
	broker_sync(b);
	client_expect_deliver(d, "m", false);
}

/* What a purge leaves is unacked: copies, and perhaps the original. */
Test(idempotency, a_purge_leaves_the_key_to_the_copies_that_are_unacked)
{
	struct method purge = { .id = METHOD_queue_purge };
	uint64_t tags[3];
	purge.queue_purge.queue = bytes_str("work");
	deliver_three(tags, PERSISTENT);
	for (int i = 0; i < 3; i++) {
		struct client *other = client_open(b);
		client_method(other, 1, &purge);
		broker_sync(b);
		client_expect(other, METHOD_queue_purge_ok);
		expect_held("after a purge", i);
		client_ack(d, tags[i], false);
	}
	publish_work("k");
	broker_sync(b);
	client_expect_deliver(d, "m", false);
}

Test(idempotency, an_operator_can_look_a_key_up_that_copies_hold_and_forget_it)
{
	struct vhost *vhost = core_vhost(b->diskless.core, bytes_str("/"));
	struct key_found found;
	struct key_wanted wanted = { .queue = bytes_str("work"), .key = bytes_str("k") };
	uint64_t tags[3];
	deliver_three(tags, TRANSIENT);
	client_ack(d, tags[0], false);
	cr_assert(core_key_find(vhost, &wanted, &found));
	cr_assert(found.is_while_queued);
	cr_assert_not(found.is_transient); /* The first copy is not. */
	cr_assert_eq(found.time_ms, b->diskless.batch.now_ms);
	diskless_begin(&b->diskless);
	cr_assert(core_key_forget(vhost, &wanted));
	cr_assert_not(core_key_forget(vhost, &wanted));
	diskless_end(&b->diskless);
	cr_assert_not(core_key_find(vhost, &wanted, &found));
	publish_work("k");
	broker_sync(b);
	uint64_t tag = client_expect_deliver(d, "m", false);
	client_ack(d, tags[1], false);
	client_ack(d, tags[2], false);
	expect_held("when the copies have gone", 0);
	client_ack(d, tag, false);
	expect_free();
}

static struct bytes numbered_copy(const char *uid, int64_t sequence)
{
	struct writer h = writer_of(delivered, sizeof delivered);
	table_write_str(&h, "x-producer-id", bytes_str("p"));
	table_write_long(&h, "x-producer-seq", sequence);
	table_write_str(&h, "x-message-uid", bytes_str(uid));
	return bytes_of(delivered, (size_t)(h.at - delivered));
}

/* Older releases delivered the number; a client that numbers what it publishes says so. */
Test(idempotency, a_copied_number_means_nothing_unless_the_client_numbers_itself)
{
	publish_numbered(c, "p", 0, 5000);
	publish_headers(c, "", "q", "m", numbered_copy("0011223344556677", 5000), PERSISTENT);
	publish_headers(c, "", "q", "m", numbered_copy("0011223344556677", 1), PERSISTENT);
	cr_assert_eq(client_count(d, "q"), 3);
	struct client *e = client_open_knowing(b, "idempotency");
	publish_headers(e, "", "q", "m", numbered_copy("0011223344556677", 5001), PERSISTENT);
	publish_headers(e, "", "q", "m", numbered_copy("0011223344556677", 5001), PERSISTENT);
	cr_assert_eq(client_count(d, "q"), 4);
	consume(d, "q", true, 0);
	for (int i = 0; i < 4; i++) {
		struct properties p;
		client_expect_message(d, "m", false, &p);
		expect_no_producer(p.headers);
		cr_assert(has_header(p.headers, "x-message-uid"));
	}
}

Test(idempotency, copies_in_a_transaction)
{
	client_confirms(c);
	struct client *e = client_open(b);
	client_method(e, 1, &(struct method){ .id = METHOD_tx_select });
	publish_numbered(e, "p", 0, 1);
	publish_numbered(e, "p", 0, 1);
	publish_headers(e, "", "q", "m", numbered_copy("0011223344556677", 1), PERSISTENT);
	client_method(e, 1, &(struct method){ .id = METHOD_tx_commit });
	broker_sync(b);
	cr_assert_eq(client_count(d, "q"), 2);
	publish_numbered(c, "p", 0, 1);
	cr_assert_eq(client_count(d, "q"), 2);
	publish_numbered(e, "p", 0, 2);
	client_method(e, 1, &(struct method){ .id = METHOD_tx_rollback });
	publish_numbered(c, "p", 0, 2);
	cr_assert_eq(client_count(d, "q"), 3);
}

/* Its publisher finds it by its number. */
Test(idempotency, what_is_returned_has_its_number_again)
{
	struct frame f;
	struct properties p;
	uint8_t headers[100];
	struct writer h = writer_of(headers, sizeof headers);
	table_write_str(&h, "x-producer-id", bytes_str("p"));
	table_write_long(&h, "x-producer-seq", 77);
	is_mandatory = true;
	publish_headers(c, "", "nowhere", "m", bytes_of(headers, (size_t)(h.at - headers)),
			PERSISTENT);
	client_expect(c, METHOD_basic_return);
	cr_assert(client_frame(c, &f) && f.type == FRAME_HEADER);
	cr_assert(properties_decode(
		&p, bytes_of(f.payload.data + CONTENT_FLAGS_AT, f.payload.len - CONTENT_FLAGS_AT)));
	cr_assert(has_text(p.headers, "x-producer-id", "p"));
	cr_assert(has_integer(p.headers, "x-producer-seq", 77));
}

/* A uid of any type is one; what is not a table is left to the one check that says so. */
Test(idempotency, a_uid_may_be_anything)
{
	uint8_t headers[100];
	struct bytes table;
	consume(d, "q", false, 0);
	for (int i = 0; i < 3; i++) {
		struct writer h = writer_of(headers, sizeof headers);
		table_write_str(&h, "x-original-uid", bytes_str("made up"));
		if (i == 0)
			table_write_long(&h, "x-message-uid", 5);
		if (i == 1)
			table_write_value(&h, bytes_str("x-message-uid"),
					  &(struct table_value){ .type = 'V' });
		table_write_str(&h, "x-idempotency-key", bytes_str("k"));
		table_write_str(&h, "x-message-uid", bytes_str("second"));
		if (i == 2)
			table_write_bool(&h, "x-producer-seq", true);
		table = bytes_of(headers, (size_t)(h.at - headers));
		publish_headers(c, "", "q", "m", table, PERSISTENT);
		publish_headers(c, "", "q", "m", table, PERSISTENT);
		struct bytes got = take_headers(d, "q");
		client_expect_nothing(d);
		cr_assert(has_header(got, "x-original-uid"));
		cr_assert_not(has_text(got, "x-original-uid", "made up"));
		char uid[17];
		copy_uid(got, uid);
		expect_no_producer(got);
	}
}

/* --- for operators --- */

static uint64_t duplicates(const char *from, const char *queue)
{
	uint64_t len;
	cr_assert(core_duplicates(core_vhost(b->diskless.core, bytes_str("/")), bytes_str(from),
				  bytes_str(queue), &len));
	return len;
}

Test(idempotency, an_operator_sees_what_was_dropped)
{
	struct duplicates_told told;
	declare_while_queued("work");
	cr_assert_not(core_tell_duplicates(b->diskless.core, &told));
	publish("k1", "m");
	publish("k1", "m");
	publish("k2", "m");
	publish("k2", "m");
	publish_work("job");
	publish_work("job");
	cr_assert_eq(duplicates("", ""), 2);
	cr_assert_eq(duplicates("", "work"), 1);
	cr_assert_eq(duplicates("", "q"), 0);
	cr_assert(core_tell_duplicates(b->diskless.core, &told));
	cr_assert_eq(told.len, 3);
	cr_assert(bytes_equal_str(told.routing_key, "q") && bytes_equal_str(told.identity, "k1"));
	cr_assert_not(core_tell_duplicates(b->diskless.core, &told));
	publish_numbered(c, "p", 0, 7);
	publish_numbered(c, "p", 0, 7);
	cr_assert(core_tell_duplicates(b->diskless.core, &told));
	cr_assert(told.is_producer && told.sequence == 7 && told.len == 1);
	cr_assert(bytes_equal_str(told.identity, "p"));
	cr_assert_eq(duplicates("", ""), 3);
}

Test(idempotency, an_operator_can_look_a_key_up_and_forget_it)
{
	struct key_found found;
	struct key_wanted wanted = { .routing_key = bytes_str("q"), .key = bytes_str("k") };
	publish("k", "m");
	expect_confirmed(1);
	cr_assert(core_key_find(core_vhost(b->diskless.core, bytes_str("/")), &wanted, &found));
	cr_assert_not(found.is_transient || found.is_while_queued);
	struct key_wanted of_no_queue = { .routing_key = bytes_str("q"),
					  .queue = bytes_str("unknown"),
					  .key = bytes_str("k") };
	cr_assert_not(
		core_key_find(core_vhost(b->diskless.core, bytes_str("/")), &of_no_queue, &found));
	cr_assert_eq(found.time_ms, b->diskless.batch.now_ms);
	diskless_begin(&b->diskless);
	cr_assert(core_key_forget(core_vhost(b->diskless.core, bytes_str("/")), &wanted));
	cr_assert_not(core_key_forget(core_vhost(b->diskless.core, bytes_str("/")), &wanted));
	diskless_end(&b->diskless);
	publish("k", "m");
	expect_confirmed(2);
	cr_assert_eq(client_count(d, "q"), 2);
}
