#include "broker.h"
#include "audit.h"
#include "client.h"
#include "policies.h"
#include "publish.h"
#include "shard.h"
#include "topology.h"

#include <string.h>

void do_turn(struct sim *s)
{
	s->now_ms += below(s, 20) == 0 ? below(s, 1000) : below(s, 30);
	if (core_is_loose(s->core) && below(s, 2))
		core_tighten(s->core, below(s, 4) == 0);
	if (below(s, 8) == 0)
		core_rest(s->core);
	shard_end(s, false, maybe(s));
	shard_begin(s);
}

void do_sync(struct sim *s)
{
	shard_end(s, false, maybe(s));
	s->durable += below(s, (uint32_t)(s->taken - s->durable) + 1);
	if (maybe(s))
		shard_keep(s);
	shard_begin(s);
}

void do_checkpoint(struct sim *s)
{
	shard_end(s, true, maybe(s));
	shard_begin(s);
}

/* Survey and copying lie apart, as they do when a slot is cleared stretch by stretch. */
void do_clear(struct sim *s)
{
	if (s->clearing == 0) {
		const struct space_slot *slot = space_sparse(&s->space);
		uint64_t at = slot == NULL ? 0 : slot->number * LOG_SLOT_BYTES;
		if (slot != NULL &&
		    core_survey(s->core, at, at + slot->span * (uint64_t)LOG_SLOT_BYTES))
			s->clearing = at;
		return;
	}
	struct space_slot *slot = space_slot_at(&s->space, s->clearing);
	if (slot != NULL) {
		uint64_t places =
			platter_copy_living(s->platter, slot, &s->changes, core_living, s->core);
		MODEL_CHECK(&s->model, places >= slot->places);
		slot->is_copied = slot->is_dirty = true;
		s->cleared++;
	}
	s->clearing = 0;
}

void broker_settle(struct sim *s)
{
	enum { ROUNDS = 600 };
	/* A round may only read messages back, ask for a limit or put something aside. */
	for (unsigned still = 0, n = 0; still < 3 && n < ROUNDS; still++, n++) {
		uint64_t before = s->model.deliveries + s->loads + s->chunks + s->taken;
		shard_sync(s);
		shard_begin(s);
		shard_drain(s);
		if (s->model.deliveries + s->loads + s->chunks + s->taken != before)
			still = 0;
	}
	model_quiet(&s->model, true);
}

static void broker_boot(struct sim *s)
{
	struct core_options options = {
		.hash_seed = s->model.seed,
		.memory_budget_bytes = below(s, 2) ? 0
				       : below(s, 2)
					       ? 4000
					       : 1 << 20, /* Every other life pages all it can. */
		.queues_max = 100,
		.exchanges_max = 100,
		.bindings_max = 100,
		.consumers_max = 100,
		.key_window_ms = MODEL_WINDOW_MS,
		.space = &s->space,
	};
	s->is_kept = false;
	s->clearing = 0;
	space_init(&s->space);
	s->core = core_create(&options);
	platter_recover(s->platter, &s->space, ++s->generation, &core_recovery, s->core);
	if (s->policies_len > 0)
		policies_load(s);
	else /* It has none yet. */
		model_set_policies(&s->model, &s->routing, NULL, 0);
	batch_init(&s->batch, &s->space, &s->changes);
	s->taken = s->durable;
	shard_init(s);
	s->is_settling =
		s->policies_len > 0; /* What has outlived the crash is set to the policies. */
	shard_begin(s);
	for (unsigned i = 0; i < MODEL_CHANNELS; i++)
		client_start(s, i);
	bool was_fanned = !s->routing.is_deleted[X_FANOUT];
	topology_exchanges_recovered(s);
	for (unsigned q = 0; q < MODEL_QUEUES; q++) {
		topology_queue(s, q);
		if (s->generation == 1 || !was_fanned || !model_queues[q].is_durable)
			topology_fanout(s, q);
	}
	shard_end(s, false, false);
	policies_settle(s);
	shard_begin(s);
	shard_sync(s);
	shard_begin(s);
}

void broker_shut(struct sim *s)
{
	core_end(s->core);
	core_destroy(s->core);
	batch_close(&s->batch, 0);
	batch_fini(&s->batch);
	space_fini(&s->space);
	changes_fini(&s->changes);
}

void broker_crash(struct sim *s)
{
	shard_end(s, maybe(s), maybe(s));
	s->durable += below(s, (uint32_t)(s->taken - s->durable) + 1);
	if (maybe(s))
		shard_keep(s);
	shard_begin(s);
	broker_shut(s);
	platter_crash(s->platter, s->durable);
	model_crashed(&s->model, s->durable);
	for (unsigned q = 0; q < MODEL_QUEUES; q++)
		if (!model_queues[q].is_durable)
			routing_queue_gone(&s->routing, q);
	s->tx_publishes_len = s->tx_settles_len = 0;
	s->crashes++;
	broker_boot(s);
	audit_all(s);
}

static void purge_any(struct sim *s)
{
	client_purge(s, any_queue(s));
}

/* A crash after which clients are back at once: while keys are being loaded. */
void do_rush(struct sim *s)
{
	static void (*const steps[])(struct sim *) = { do_publish, do_publish, do_get,
						       do_settle,  do_consume, purge_any };
	if (below(s, 10) > 0)
		return;
	broker_crash(s);
	for (uint32_t n = below(s, 24); n > 0; n--) {
		steps[below(s, sizeof steps / sizeof *steps)](s);
		shard_drain(s);
		if (below(s, 4) > 0)
			continue;
		shard_sync(s);
		shard_begin(s);
		shard_drain(s);
	}
}

/* What came later goes out before what came earlier, and the queue is quiet at once: its limit is
 * drawn back while the disk has neither. */
void do_overtake(struct sim *s)
{
	unsigned q = MODEL_PRIORITIES, channel = below(s, TX_CHANNEL);
	if (below(s, 8) > 0)
		return;
	if (maybe(s))
		client_purge(s, q);
	shard_sync(s);
	shard_begin(s);
	core_tighten(s->core, true);
	publish_plain(s, q, 0);
	shard_end(s, false, true);
	shard_begin(s);
	publish_plain(s, q, 2);
	client_get(s, q, channel, maybe(s));
	core_tighten(s->core, true);
	shard_end(s, false, true);
	shard_begin(s);
	client_get(s, q, channel, maybe(s));
	if (maybe(s))
		broker_crash(s);
}

static void checkpoint_and_crash(struct sim *s)
{
	shard_end(s, true, true);
	s->durable = s->taken;
	shard_keep(s);
	shard_begin(s);
	broker_crash(s);
}

/* A key holds as long as its message is there. It was published before others that a checkpoint
 * meets in the making; and before it is loaded again its message is taken, or is unacked when the
 * queue is purged, or there is another checkpoint and another crash. */
void do_hold(struct sim *s)
{
	unsigned q = maybe(s) ? MODEL_UNIQUE : MODEL_UNIQUE_TOO, key = 1 + below(s, MODEL_KEYS);
	uint32_t how = below(s, 4);
	if (below(s, 6) > 0)
		return;
	broker_settle(s);
	client_purge(s, q);
	publish_keyed(s, q, key);
	shard_sync(s);
	shard_begin(s);
	for (uint32_t n = 8 + below(s, 100); n > 0; n--)
		publish_keyed(s, below(s, MODEL_QUEUES), 1 + below(s, MODEL_KEYS));
	checkpoint_and_crash(s);
	if (how == 0)
		checkpoint_and_crash(s);
	client_get(s, q, 0, how == 1); /* It may have to be read first. */
	shard_drain(s);
	client_get(s, q, 0, how == 1);
	if (how > 1)
		client_purge(s, q);
	broker_settle(s);
	publish_keyed(s, q, key);
}

void do_crash(struct sim *s)
{
	if (below(s, 12) == 0)
		broker_crash(s);
}

void do_boot(struct sim *s)
{
	s->platter = platter_create();
	broker_boot(s);
}
