/* What things leave behind in memory, which nobody sees from outside. */
#include "broker.h"

#include "core/state.h"
#include "table.h"

#include <criterion/criterion.h>

static struct broker *b;
static struct client *c;
static struct client *d;

static void set_up(void)
{
	b = broker_create();
	c = client_open(b);
	d = client_open(b);
}

static void tear_down(void)
{
	broker_destroy(b);
}

TestSuite(memory, .init = set_up, .fini = tear_down);

static const struct queue *queue(const char *name)
{
	return queue_find(core_vhost(b->diskless.core, bytes_str("/")), bytes_str(name));
}

static void publish_grouped(const char *body, const char *group, const char *expiration)
{
	uint8_t headers[64];
	struct writer h = writer_of(headers, sizeof headers);
	struct properties p = { .flags = HAS_headers };
	table_write_str(&h, "customer", bytes_str(group));
	p.headers = bytes_of(headers, (size_t)(h.at - headers));
	if (expiration != NULL) {
		p.flags |= HAS_expiration;
		p.expiration = bytes_str(expiration);
	}
	client_publish_with(c, "", "q", body, &p);
}

static void declare_grouped(void)
{
	uint8_t arguments[64];
	struct writer w = writer_of(arguments, sizeof arguments);
	table_write_str(&w, "x-group-header", bytes_str("customer"));
	client_declare_with(c, "q", false, bytes_of(arguments, (size_t)(w.at - arguments)));
}

/* A message of it has been let go on, and nobody has it yet. */
Test(memory, a_purge_leaves_no_group)
{
	struct method cancel = { .id = METHOD_basic_cancel }, purge = { .id = METHOD_queue_purge };
	declare_grouped();
	client_consume(d, "q", "t", false, 1);
	client_consume(c, "q", "t", false, 1);
	publish_grouped("anna 1", "anna", NULL);
	publish_grouped("anna 2", "anna", NULL);
	uint64_t tag = client_expect_deliver(d, "anna 1", false);
	cancel.basic_cancel.consumer_tag = bytes_str("t");
	client_method(c, 1, &cancel);
	client_expect(c, METHOD_basic_cancel_ok);
	client_method(d, 1, &cancel);
	client_expect(d, METHOD_basic_cancel_ok);
	client_ack(d, tag, false);
	cr_assert_eq(client_count(c, "q"), 1);
	purge.queue_purge.queue = bytes_str("q");
	client_method(c, 1, &purge);
	client_expect(c, METHOD_queue_purge_ok);
	cr_assert_eq(queue("q")->groups.len, 0);
}

/* One that stays unacked holds no place for all that come and go after it. */
Test(memory, acked_deliveries_leave_no_room_behind)
{
	client_declare(c, "q", false);
	client_consume(d, "q", "t", false, 0);
	client_publish(c, "", "q", "stays", 1);
	client_expect_deliver(d, "stays", false);
	for (int i = 0; i < 5000; i++) {
		client_publish(c, "", "q", "goes", 1);
		client_ack(d, client_expect_deliver(d, "goes", false), false);
	}
	const struct list *unacked = &queue("q")->unacked;
	const struct delivery *left = list_entry(unacked->next, struct delivery, in_queue);
	cr_assert_leq(left->channel->deliveries.cap, 64);
}
