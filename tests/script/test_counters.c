/* What operators are told of messages: each is counted once, by whatever way it goes, for its
 * queue, its channel, its exchange and the broker. */
#include "core/admin.h"
#include "core/view.h"
#include "session/session.h"

#include "broker.h"

#include "table.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct broker *b;
static struct client *c;
static struct client *d;

static void set_up(void)
{
	b = broker_create();
	c = client_open(b);
	d = client_open(b);
	client_declare(c, "q", false);
}

static void tear_down(void)
{
	broker_destroy(b);
}

TestSuite(counters, .init = set_up, .fini = tear_down);

static struct vhost *vhost(void)
{
	return core_vhost(b->diskless.core, bytes_str("/"));
}

static struct message_stats of_queue(const char *name)
{
	struct queue_info info;
	cr_assert(view_queue(vhost(), bytes_str(name), &info));
	return info.stats;
}

struct wanted {
	const struct client *client;
	struct channel_info info;
};

static void find(void *arg, const void *info)
{
	struct wanted *w = arg;
	const struct channel_info *i = info;
	uint16_t number;
	if (session_of_channel(i->owner, &number) != w->client->session)
		return;
	cr_assert_eq(number, 1);
	w->info = *i;
}

static struct channel_info of_channel(const struct client *client)
{
	struct wanted w = { .client = client };
	struct view *view = view_open(b->diskless.core, VIEW_CHANNELS, NULL);
	while (view_next(view, 1, find, &w))
		continue;
	view_close(view);
	cr_assert_not_null(w.info.owner);
	return w.info;
}

static struct exchange_info of_exchange(const char *name)
{
	struct exchange_info info;
	cr_assert(view_exchange(vhost(), bytes_str(name), &info));
	return info;
}

static struct message_stats totals(struct core_figures *f)
{
	struct message_stats stats;
	core_totals(b->diskless.core, f, &stats);
	return stats;
}

static void expect_stats(const char *where, struct message_stats saw, struct message_stats wanted)
{
	cr_assert_eq(memcmp(&saw, &wanted, sizeof saw), 0,
		     "%s: published %d, delivered %d, without ack %d, got %d, without ack %d, "
		     "nothing %d, again %d, acked %d",
		     where, (int)saw.published, (int)saw.delivered, (int)saw.delivered_no_ack,
		     (int)saw.got, (int)saw.got_no_ack, (int)saw.get_empty, (int)saw.redelivered,
		     (int)saw.acked);
}

static void forget_output(struct client *client)
{
	struct frame f;
	while (client_frame(client, &f))
		continue;
}

static void get(struct client *client, const char *queue, bool is_no_ack)
{
	struct method m = { .id = METHOD_basic_get };
	m.basic_get.queue = bytes_str(queue);
	m.basic_get.no_ack = is_no_ack;
	client_method(client, 1, &m);
	forget_output(client);
}

static void tx(struct client *client, uint32_t id, uint32_t ok)
{
	struct method m = { .id = id };
	client_method(client, 1, &m);
	broker_sync(b);
	client_expect(client, ok);
}

Test(counters, a_publish_counts_for_channel_queue_exchange_and_broker)
{
	struct core_figures f;
	client_declare(c, "r", false);
	client_exchange(c, "x", "fanout", bytes_of("", 0));
	client_bind(c, "q", "x", "");
	client_bind(c, "r", "x", "");
	client_publish(c, "x", "", "both", 1);
	client_publish(c, "", "q", "one", 1);
	expect_stats("q", of_queue("q"), (struct message_stats){ .published = 2 });
	expect_stats("r", of_queue("r"), (struct message_stats){ .published = 1 });
	expect_stats("c", of_channel(c).stats, (struct message_stats){ .published = 2 });
	expect_stats("d", of_channel(d).stats, (struct message_stats){ 0 });
	expect_stats("all", totals(&f), (struct message_stats){ .published = 2 });
	cr_assert_eq(of_exchange("x").publish_in, 1);
	cr_assert_eq(of_exchange("x").publish_out, 2);
	cr_assert_eq(of_exchange("").publish_in, 1);
	cr_assert_eq(of_exchange("").publish_out, 1);
	cr_assert_eq(f.confirmed, 0);
}

Test(counters, confirms_are_counted_one_by_one_also_when_said_together)
{
	struct core_figures f;
	client_declare(c, "durable", true);
	client_confirms(c);
	client_publish(c, "", "durable", "1", 2);
	client_publish(c, "", "durable", "2", 2);
	client_publish(c, "", "durable", "3", 2);
	cr_assert_eq(of_channel(c).unconfirmed, 3);
	cr_assert_eq(of_channel(c).confirmed, 0);
	broker_sync(b);
	totals(&f);
	cr_assert_eq(of_channel(c).unconfirmed, 0);
	cr_assert_eq(of_channel(c).confirmed, 3);
	cr_assert_eq(f.confirmed, 3);
	cr_assert(of_channel(c).is_confirm && !of_channel(d).is_confirm);
}

Test(counters, what_goes_nowhere_is_returned_or_dropped)
{
	struct core_figures f;
	client_publish(c, "", "nowhere", "1", 1);
	c->is_mandatory = true;
	client_publish(c, "", "nowhere", "2", 1);
	client_publish(c, "", "nowhere", "3", 1);
	forget_output(c);
	client_publish(c, "", "q", "4", 1);
	totals(&f);
	cr_assert_eq(of_channel(c).returned, 2);
	cr_assert_eq(of_channel(c).dropped, 1);
	cr_assert_eq(of_channel(c).stats.published, 4);
	cr_assert(f.published == 4 && f.returned == 2 && f.dropped == 1);
	cr_assert_eq(of_exchange("").publish_in, 4);
	cr_assert_eq(of_exchange("").publish_out, 1);
}

Test(counters, gets_are_told_apart)
{
	struct core_figures f;
	const struct message_stats got = { .got = 1, .got_no_ack = 2, .get_empty = 1 };
	struct message_stats of_q = got, of_all = got;
	for (int i = 0; i < 3; i++)
		client_publish(c, "", "q", "m", 1);
	get(d, "q", false);
	get(d, "q", true);
	get(d, "q", true);
	get(d, "q", true);
	of_q.published = of_all.published = 3;
	expect_stats("q", of_queue("q"), of_q);
	expect_stats("d", of_channel(d).stats, got);
	expect_stats("all", totals(&f), of_all);
	cr_assert_eq(f.delivered, 3);
	cr_assert_eq(of_channel(d).unacked, 1);
}

Test(counters, deliveries_and_acks_however_they_are_said)
{
	struct core_figures f;
	client_consume(d, "q", "t", false, 0);
	for (int i = 0; i < 5; i++)
		client_publish(c, "", "q", "m", 1);
	uint64_t tag = client_expect_deliver(d, "m", false);
	client_ack(d, tag, false);
	client_ack(d, tag + 2, true);
	client_nack(d, tag + 3, false, false);
	const struct message_stats wanted = { .delivered = 5, .acked = 3 };
	struct message_stats of_q = wanted;
	of_q.published = 5;
	expect_stats("q", of_queue("q"), of_q);
	expect_stats("d", of_channel(d).stats, wanted);
	expect_stats("all", totals(&f), of_q);
	cr_assert_eq(of_channel(d).unacked, 1);
	client_ack(d, 0, true);
	cr_assert_eq(of_channel(d).stats.acked, 4);
	cr_assert_eq(of_queue("q").acked, 4);
}

Test(counters, deliveries_without_acks_are_not_acked)
{
	client_consume(d, "q", "t", true, 0);
	client_publish(c, "", "q", "m", 1);
	const struct message_stats wanted = { .published = 1, .delivered_no_ack = 1 };
	expect_stats("q", of_queue("q"), wanted);
	cr_assert_eq(of_channel(d).unacked, 0);
}

Test(counters, what_comes_again_is_a_delivery_too)
{
	client_consume(d, "q", "t", false, 1);
	client_publish(c, "", "q", "m", 1);
	uint64_t tag = client_expect_deliver(d, "m", false);
	client_nack(d, tag, false, true);
	tag = client_expect_deliver(d, "m", true);
	client_ack(d, tag, false);
	const struct message_stats wanted = { .delivered = 2, .redelivered = 1, .acked = 1 };
	struct message_stats of_q = wanted;
	of_q.published = 1;
	expect_stats("d", of_channel(d).stats, wanted);
	expect_stats("q", of_queue("q"), of_q);
}

Test(counters, a_transaction_counts_when_it_commits)
{
	client_publish(c, "", "q", "first", 1);
	tx(d, METHOD_tx_select, METHOD_tx_select_ok);
	get(d, "q", false);
	client_publish(d, "", "q", "second", 1);
	client_ack(d, 1, false);
	struct channel_info i = of_channel(d);
	cr_assert(i.is_tx && i.uncommitted == 1 && i.uncommitted_acks == 1);
	cr_assert(i.stats.published == 0 && i.stats.acked == 0);
	tx(d, METHOD_tx_rollback, METHOD_tx_rollback_ok);
	i = of_channel(d);
	cr_assert(i.uncommitted == 0 && i.uncommitted_acks == 0);
	cr_assert(i.stats.published == 0 && i.stats.acked == 0);
	client_publish(d, "", "q", "second", 1);
	client_ack(d, 1, false);
	tx(d, METHOD_tx_commit, METHOD_tx_commit_ok);
	i = of_channel(d);
	cr_assert(i.uncommitted == 0 && i.uncommitted_acks == 0);
	cr_assert(i.stats.published == 1 && i.stats.acked == 1);
	cr_assert(of_queue("q").published == 2 && of_queue("q").acked == 1);
}

/* Nobody published it there. */
Test(counters, a_dead_letter_counts_for_its_queue_alone)
{
	static uint8_t memory[200];
	struct writer w = writer_of(memory, sizeof memory);
	struct core_figures f;
	client_declare(c, "dead", false);
	table_write_str(&w, "x-dead-letter-exchange", bytes_str(""));
	table_write_str(&w, "x-dead-letter-routing-key", bytes_str("dead"));
	client_declare_with(c, "dying", false, bytes_of(memory, (size_t)(w.at - memory)));
	client_consume(d, "dying", "t", false, 0);
	client_publish(c, "", "dying", "m", 1);
	client_nack(d, client_expect_deliver(d, "m", false), false, false);
	cr_assert_eq(of_queue("dead").published, 1);
	cr_assert_eq(of_queue("dying").published, 1);
	cr_assert_eq(of_queue("dying").acked, 0);
	cr_assert_eq(of_channel(c).stats.published, 1);
	cr_assert_eq(of_channel(d).stats.acked, 0);
	cr_assert_eq(totals(&f).published, 1);
	uint64_t moved = 0;
	for (int i = 0; i < DEATH_REASONS; i++)
		moved += f.dead_lettered[i];
	cr_assert_eq(moved, 1);
}

Test(counters, sizes_of_bodies_are_classed_up_to_and_with_their_bounds)
{
	static const size_t sizes[] = { 0, 100, 101, 1000, 1001, 10000, 10001, 100000, 100001 };
	static char body[100002];
	struct core_figures f;
	uint64_t sum = 0;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		memset(body, 'x', sizeof body);
		body[sizes[i]] = '\0';
		client_publish(c, "", "q", body, 1);
		sum += sizes[i];
	}
	totals(&f);
	cr_assert(f.sizes[0] == 2 && f.sizes[1] == 2 && f.sizes[2] == 2 && f.sizes[3] == 2 &&
		  f.sizes[4] == 1);
	cr_assert_eq(f.size_sum, sum);
}

Test(counters, what_queues_hold_is_known_without_looking)
{
	struct core_figures f;
	struct properties p = { .flags = HAS_priority, .priority = 3 };
	static uint8_t memory[100];
	struct writer w = writer_of(memory, sizeof memory);
	table_write_int(&w, "x-max-priority", 5);
	client_declare_with(c, "p", false, bytes_of(memory, (size_t)(w.at - memory)));
	client_publish(c, "", "q", "1", 1);
	client_publish(c, "", "q", "22", 1);
	client_publish_with(c, "", "p", "333", &p);
	totals(&f);
	cr_assert(f.messages_ready == 3 && f.ready_bytes == 6 && f.messages_unacked == 0);
	get(d, "q", false);
	get(d, "p", false);
	totals(&f);
	cr_assert(f.messages_ready == 1 && f.ready_bytes == 2 && f.messages_unacked == 2);
	client_nack(d, 0, true, true);
	totals(&f);
	cr_assert(f.messages_ready == 3 && f.ready_bytes == 6 && f.messages_unacked == 0);
	get(d, "q", false);
	for (int i = 0; i < 2; i++) {
		struct method m = { .id = METHOD_queue_delete };
		m.queue_delete.queue = bytes_str(i == 0 ? "q" : "p");
		client_method(c, 1, &m);
		broker_sync(b);
		client_expect(c, METHOD_queue_delete_ok);
	}
	totals(&f);
	cr_assert(f.messages_ready == 0 && f.ready_bytes == 0 && f.messages_unacked == 0);
}

Test(counters, connections_channels_queues_and_consumers_come_and_go)
{
	struct core_figures before, f;
	totals(&before);
	struct client *e = client_open(b);
	client_declare(e, "q", false);
	client_declare(e, "other", false);
	client_consume(e, "q", "t", true, 0);
	totals(&f);
	cr_assert_eq(f.connections_opened, before.connections_opened + 1);
	cr_assert_eq(f.channels_opened, before.channels_opened + 1);
	cr_assert_eq(f.queues_declared, before.queues_declared + 2);
	cr_assert_eq(f.queues_created, before.queues_created + 1);
	cr_assert_eq(f.consumers, before.consumers + 1);
	client_disconnect(e);
	struct method m = { .id = METHOD_queue_delete };
	m.queue_delete.queue = bytes_str("other");
	client_method(c, 1, &m);
	broker_sync(b);
	client_expect(c, METHOD_queue_delete_ok);
	totals(&f);
	cr_assert_eq(f.connections_closed, before.connections_closed + 1);
	cr_assert_eq(f.channels_closed, before.channels_closed + 1);
	cr_assert_eq(f.queues_deleted, before.queues_deleted + 1);
	cr_assert_eq(f.consumers, before.consumers);
}
