/* What things leave behind in memory, which nobody sees from outside. */
#include "broker.h"

#include "core/channel/channel.h"
#include "core/queue/queue.h"
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

/* --- what the journal does not have yet, or any more --- */

static struct core *small_core(void)
{
	struct core *core = b->diskless.core;
	core->options.memory_budget_bytes = 1;
	core->options.producers_max = 2;
	return core;
}

static void count_on_disk(void *arg, const struct held *held)
{
	*(unsigned *)arg += held->slot & 1;
}

static unsigned on_disk(const struct core *core)
{
	unsigned n = 0;
	core_each_held(core, count_on_disk, &n);
	return n;
}

/* Messages with an expiration stand on the shelf. */
Test(memory, what_is_not_on_disk_yet_stays_in_memory)
{
	struct properties p = { .flags = HAS_delivery_mode | HAS_expiration,
				.delivery_mode = 2,
				.expiration = bytes_str("1000000") };
	struct core *core = small_core();
	client_declare(c, "q", true);
	for (int i = 0; i < 2000; i++)
		client_publish_with(c, "", "q", "m", &p);
	broker_advance(b, 1);
	cr_assert_eq(on_disk(core), 0);
	broker_sync(b);
	broker_advance(b, 1);
	cr_assert_gt(on_disk(core), 500);
}

static void publish_numbered(const char *producer, int64_t sequence)
{
	uint8_t headers[100];
	struct writer h = writer_of(headers, sizeof headers);
	struct properties p = { .flags = HAS_headers | HAS_delivery_mode, .delivery_mode = 2 };
	table_write_str(&h, "x-producer-id", bytes_str(producer));
	table_write_long(&h, "x-producer-seq", sequence);
	p.headers = bytes_of(headers, (size_t)(h.at - headers));
	client_publish_with(c, "", "q", "m", &p);
}

/* What the store has in the end under a producer's name. */
static bool has_record(const char *producer)
{
	struct change change;
	bool is_there = false;
	for (size_t at = 0; changes_next(&b->diskless.changes, &at, &change);)
		if (change.key.len > 1 &&
		    bytes_equal_str(bytes_of(change.key.data + 1, change.key.len - 1), producer))
			is_there = change.kind == CHANGE_PUT;
	return is_there;
}

static void checkpoint(void)
{
	diskless_begin(&b->diskless);
	core_checkpoint(b->diskless.core);
	diskless_end(&b->diskless);
	diskless_begin(&b->diskless);
	core_checkpointed(b->diskless.core);
	diskless_end(&b->diskless);
}

Test(memory, a_producer_that_makes_room_leaves_the_store)
{
	small_core();
	client_declare(c, "q", true);
	publish_numbered("first", 1);
	publish_numbered("second", 1);
	checkpoint();
	cr_assert(has_record("first") && has_record("second"));
	publish_numbered("third", 1);
	checkpoint();
	cr_assert(!has_record("first") && has_record("second") && has_record("third"));
}

/* --- deliveries --- */

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
