/* Virtual hosts: worlds of their own, made and deleted while others go on. */
#include "broker.h"

#include "core/admin.h"
#include "core/check/check.h"
#include "core/inputs.h"
#include "table.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct vhost *make(struct broker *b, const char *name, int64_t queues_max)
{
	struct vhost_settings settings = { .queues_max = queues_max, .connections_max = -1 };
	diskless_begin(&b->diskless);
	struct vhost *v = core_vhost_create(b->diskless.core, bytes_str(name), &settings);
	diskless_end(&b->diskless);
	broker_sync(b);
	return v;
}

static void drop(struct broker *b, const char *name)
{
	diskless_begin(&b->diskless);
	core_vhost_delete(core_vhost(b->diskless.core, bytes_str(name)));
	diskless_end(&b->diskless);
	broker_sync(b);
}

Test(vhost, the_same_names_are_different_things)
{
	struct broker *b = broker_create();
	make(b, "team", -1);
	struct client *here = client_open(b), *there = client_open_in(b, "team");
	client_declare(here, "q", false);
	client_declare(there, "q", false);
	client_publish(here, "", "q", "of here", 1);
	client_bind(there, "q", "amq.topic", "a.#");
	client_publish(here, "amq.topic", "a.b", "nobody is bound here", 1);
	client_publish(there, "amq.topic", "a.b", "of there", 1);
	cr_assert_eq(client_count(here, "q"), 1);
	cr_assert_eq(client_count(there, "q"), 1);
	client_consume(there, "q", "t", true, 0);
	client_expect_deliver(there, "of there", false);
	client_expect_nothing(there);
	broker_destroy(b);
}

Test(vhost, dead_letters_and_delays_stay)
{
	uint8_t table[64], headers[32];
	struct writer w = writer_of(table, sizeof table), h = writer_of(headers, sizeof headers);
	table_write_str(&w, "x-dead-letter-exchange", bytes_str("amq.fanout"));
	table_write_int(&h, "x-delay", 50);
	struct properties later = { .flags = HAS_headers,
				    .headers = bytes_of(headers, (size_t)(h.at - headers)) };
	struct broker *b = broker_create();
	make(b, "team", -1);
	struct client *here = client_open(b), *there = client_open_in(b, "team");
	client_declare(here, "dead", false);
	client_bind(here, "dead", "amq.fanout", "");
	client_declare(there, "dead", false);
	client_bind(there, "dead", "amq.fanout", "");
	client_declare_with(there, "work", false, bytes_of(table, (size_t)(w.at - table)));
	client_publish(there, "", "work", "refused", 1);
	client_consume(there, "work", "t", false, 0);
	client_nack(there, client_expect_deliver(there, "refused", false), false, false);
	cr_assert_eq(client_count(there, "dead"), 1);
	client_publish_with(there, "amq.fanout", "", "later", &later);
	cr_assert_eq(client_count(there, "dead"), 1);
	broker_advance(b, 50);
	cr_assert_eq(client_count(there, "dead"), 2);
	cr_assert_eq(client_count(here, "dead"), 0);
	broker_destroy(b);
}

Test(vhost, keys_and_producers_hold_within_one)
{
	uint8_t table[128];
	struct writer w = writer_of(table, sizeof table);
	table_write_str(&w, "x-idempotency-key", bytes_str("order-1"));
	table_write_str(&w, "x-producer-id", bytes_str("till"));
	table_write_long(&w, "x-producer-seq", 7);
	struct properties p = { .flags = HAS_headers,
				.headers = bytes_of(table, (size_t)(w.at - table)) };
	struct broker *b = broker_create();
	make(b, "team", -1);
	struct client *here = client_open(b);
	struct client *there = client_open_in(b, "team");
	client_declare(here, "q", false);
	client_declare(there, "q", false);
	for (int i = 0; i < 2; i++) {
		client_publish_with(here, "", "q", "body", &p);
		client_publish_with(there, "", "q", "body", &p);
	}
	cr_assert_eq(client_count(here, "q"), 1);
	cr_assert_eq(client_count(there, "q"), 1);
	struct producer_found found;
	struct core *core = b->diskless.core;
	cr_assert(core_producer_find(core_vhost(core, bytes_str("/")), bytes_str("till"), &found));
	cr_assert_eq(found.sequence, 7);
	cr_assert(
		core_producer_find(core_vhost(core, bytes_str("team")), bytes_str("till"), &found));
	cr_assert_not(core_producer_find(make(b, "other", -1), bytes_str("till"), &found));
	broker_destroy(b);
}

Test(vhost, replies_do_not_leave)
{
	struct broker *b = broker_create();
	make(b, "team", -1);
	struct client *here = client_open(b), *there = client_open_in(b, "team");
	client_declare(here, "rpc", false);
	client_consume(here, "amq.rabbitmq.reply-to", "r", true, 0);
	struct properties p = { .flags = HAS_reply_to,
				.reply_to = bytes_str("amq.rabbitmq.reply-to") };
	client_publish_with(here, "", "rpc", "question", &p);
	client_consume(here, "rpc", "s", true, 0);
	client_expect_message(here, "question", false, &p);
	char address[128];
	snprintf(address, sizeof address, "%.*s", BYTES_ARG(p.reply_to));
	client_publish(there, "", address, "forged", 1);
	client_expect_nothing(here);
	client_publish(here, "", address, "answer", 1);
	client_expect_deliver(here, "answer", false);
	broker_destroy(b);
}

Test(vhost, has_a_limit_of_queues)
{
	struct broker *b = broker_create();
	make(b, "team", 1);
	struct client *there = client_open_in(b, "team");
	client_declare(there, "a", false);
	client_declare(there, "a", false);
	struct method m = { .id = METHOD_queue_declare };
	m.queue_declare.queue = bytes_str("b");
	client_method(there, 1, &m);
	client_expect_close(there, METHOD_channel_close, 406,
			    "PRECONDITION_FAILED - cannot declare queue 'b': queue limit in vhost "
			    "'team' (1) is reached");
	broker_destroy(b);
}

static void fill(struct client *c, int queues)
{
	for (int i = 0; i < queues; i++) {
		char name[32];
		snprintf(name, sizeof name, "q%d", i);
		struct method m = { .id = METHOD_queue_declare };
		m.queue_declare.queue = bytes_str(name);
		m.queue_declare.durable = m.queue_declare.nowait = true;
		client_method(c, 1, &m);
		m = (struct method){ .id = METHOD_queue_bind };
		m.queue_bind.queue = bytes_str(name);
		m.queue_bind.exchange = bytes_str("amq.fanout");
		m.queue_bind.nowait = true;
		client_method(c, 1, &m);
		client_publish(c, "", name, "body", 2);
	}
	broker_sync(c->broker);
}

Test(vhost, is_deleted_in_steps_and_made_anew)
{
	enum { QUEUES = 95 };
	struct broker *b = broker_create();
	struct core *core = b->diskless.core;
	make(b, "team", -1);
	struct client *here = client_open(b), *there = client_open_in(b, "team");
	client_declare(here, "q1", false);
	fill(there, QUEUES);
	struct core_figures before, after;
	core_figures(core, &before);
	cr_assert_eq(before.queues, QUEUES + 1, "%d queues", (int)before.queues);
	diskless_begin(&b->diskless);
	core_vhost_delete(core_vhost(core, bytes_str("team")));
	diskless_end(&b->diskless);
	cr_assert_null(core_vhost(core, bytes_str("team")));
	diskless_begin(&b->diskless);
	diskless_end(&b->diskless);
	core_figures(core, &after);
	cr_assert(after.queues > 1 && after.queues < before.queues, "%d are left",
		  (int)after.queues);
	make(b, "team", -1); /* The old one is not gone yet. */
	struct client *anew = client_open_in(b, "team");
	client_declare(anew, "q1", false);
	while (core_has_work(core)) {
		diskless_begin(&b->diskless);
		diskless_end(&b->diskless);
	}
	core_figures(core, &after);
	cr_assert_eq(after.queues, 2);
	cr_assert_eq(client_count(anew, "q1"), 0);
	cr_assert_eq(client_count(here, "q1"), 0);
	client_disconnect(there); /* It held the old one. */
	while (core_has_work(core)) {
		diskless_begin(&b->diskless);
		diskless_end(&b->diskless);
	}
	core_figures(core, &after);
	cr_assert_eq(after.exchanges, 2 * 7);
	broker_destroy(b);
}

Test(vhost, the_first_one_can_be_deleted_too)
{
	struct broker *b = broker_create();
	struct core *core = b->diskless.core;
	struct client *c = client_open(b);
	fill(c, 2);
	drop(b, "/");
	client_disconnect(c);
	while (core_has_work(core)) {
		diskless_begin(&b->diskless);
		diskless_end(&b->diskless);
	}
	cr_assert_null(core_next_vhost(core, NULL));
	make(b, "/", -1);
	c = client_open(b);
	client_declare(c, "q0", false);
	cr_assert_eq(client_count(c, "q0"), 0);
	broker_destroy(b);
}
