/* The core: a publish routed, queued and delivered, in turns as the server has them, without any
 * bytes or disk. What a routing memo gives shows by the number of keys: one is the channel's last,
 * thousands are in the exchange's memo, more are decided again. */
#include "micro.h"

#include "core/inputs.h"
#include "turn/turn.h"

#include "properties.h"

#include <assert.h>
#include <stdio.h>

enum { TURN = 256 };

struct world {
	struct space space;
	struct changes changes;
	struct batch batch;
	struct core *core;
	struct turn turn;
	struct connection *connection;
	struct channel *channel;
	uint64_t sequence;
	const char *exchange;
	unsigned keys;
	unsigned key;
	bool is_acked;
};

/* --- a disk that forgets at once --- */

static struct batch *begin_batch(void *arg, uint64_t unix_ms)
{
	struct world *w = arg;
	w->batch.sequence = ++w->sequence;
	w->batch.now_ms = unix_ms;
	return &w->batch;
}

static uint64_t submit(void *arg, bool is_here)
{
	struct world *w = arg;
	(void)is_here;
	batch_close(&w->batch, 1);
	batch_clear(&w->batch);
	changes_clear(&w->changes);
	return w->sequence;
}

static uint64_t durable(void *arg)
{
	const struct world *w = arg;
	return w->sequence - 1;
}

static bool never(void *arg)
{
	(void)arg;
	return false;
}

static const struct disk_operations forgetful = { .begin = begin_batch,
						  .submit = submit,
						  .durable = durable,
						  .checkpoint_begin = never,
						  .checkpointed = never };

/* --- turns --- */

static void on_effect(void *arg, const struct effect *e)
{
	struct world *w = arg;
	struct refusal refusal = { 0 };
	if (e->kind == EFFECT_DELIVER && w->is_acked)
		core_ack(w->channel, e->deliver.delivery_tag, false, &refusal);
}

static void begin(struct world *w)
{
	turn_begin(&w->turn, 1700000000000);
}

static void end(struct world *w)
{
	turn_end(&w->turn, TURN_NO_CHECKPOINT, false);
}

static void publish(struct world *w)
{
	static const uint8_t wire[] = { 0x10, 0, 1 };
	struct properties properties = { .flags = HAS_delivery_mode, .delivery_mode = 1 };
	struct refusal refusal = { 0 };
	char key[40];
	int len = w->keys == 0 ? snprintf(key, sizeof key, "q0")
			       : snprintf(key, sizeof key, "key.%07u", w->key++ % w->keys);
	struct message *m =
		message_create(core_messages(w->core), bytes_str(w->exchange),
			       bytes_of(key, (size_t)len), bytes_of(wire, sizeof wire), 16);
	message_append(core_messages(w->core), &m, bytes_of("0123456789abcdef", 16));
	bool is_taken = core_publish(w->channel, m, &properties, false, &refusal);
	assert(is_taken);
}

static void turns(void *arg, uint64_t rounds)
{
	struct world *w = arg;
	while (rounds-- > 0) {
		begin(w);
		for (unsigned i = 0; i < TURN; i++)
			publish(w);
		end(w);
	}
}

static void declare(struct world *w, unsigned queues, const char *type)
{
	struct refusal refusal = { 0 };
	struct queue_counts counts;
	struct exchange_declare x = { .name = bytes_str("x"), .type = bytes_str(type) };
	core_exchange_declare(w->connection, &x, &refusal);
	for (unsigned i = 0; i < queues; i++) {
		char name[20];
		snprintf(name, sizeof name, "q%u", i);
		struct queue_declare q = { .name = bytes_str(name) };
		struct bind b = { .source = bytes_str("x"),
				  .destination = bytes_str(name),
				  .routing_key = bytes_str("key.*") };
		struct consume c = { .queue = bytes_str(name),
				     .tag = bytes_str(name),
				     .is_no_ack = !w->is_acked };
		core_queue_declare(w->channel, &q, &counts, &refusal);
		core_bind(w->connection, &b, &refusal);
		core_consume(w->channel, &c, &refusal);
	}
	assert(refusal.code == 0);
}

static void with(const char *what, const char *exchange, const char *type, unsigned queues,
		 unsigned keys, bool is_acked)
{
	char name[120];
	struct world w = { .exchange = exchange, .keys = keys, .is_acked = is_acked };
	space_init(&w.space);
	batch_init(&w.batch, &w.space, &w.changes);
	struct core_options options = {
		.hash_seed = 42,
		.memory_budget_bytes = 1 << 30,
		.queues_max = 1000,
		.exchanges_max = 100,
		.bindings_max = 100000,
		.consumers_max = 1000,
		.space = &w.space,
	};
	w.core = core_create(&options);
	struct turn_options turn = {
		.core = w.core, .disk = { &forgetful, &w }, .on_effect = on_effect, .arg = &w
	};
	turn_init(&w.turn, &turn);
	begin(&w);
	w.connection =
		connection_open(w.core, core_vhost(w.core, bytes_str("/")), bytes_str("guest"));
	w.channel = channel_open(w.connection, &w);
	declare(&w, queues, type);
	end(&w);
	snprintf(name, sizeof name, "core_publish_and_deliver/%s,queues=%u,keys=%u%s", what, queues,
		 keys == 0 ? 1 : keys, is_acked ? ",acked" : "");
	micro_run(name, turns, &w, TURN);
	begin(&w);
	core_destroy(w.core);
	batch_close(&w.batch, 1);
	batch_fini(&w.batch);
	changes_fini(&w.changes);
	space_fini(&w.space);
}

void micro_core(void)
{
	with("default", "", "direct", 1, 0, false);
	with("default", "", "direct", 1, 0, true);
	with("fanout", "x", "fanout", 4, 1, false);
	with("topic", "x", "topic", 1, 1, false);
	with("topic", "x", "topic", 1, 1000, false);
	with("topic", "x", "topic", 1, 100000, false);
}
