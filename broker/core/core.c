/* The core's life, connections, and the order in which effects come. */
#include "core/core.h"
#include "core/admin.h"
#include "core/channel/channel.h"
#include "core/channel/confirm.h"
#include "core/channel/connection.h"
#include "core/check/check.h"
#include "core/dedup/keylog.h"
#include "core/dedup/keys.h"
#include "core/dedup/producer.h"
#include "core/dispatch/consumer.h"
#include "core/effect.h"
#include "core/flow/serve.h"
#include "core/flow/tend.h"
#include "core/inputs.h"
#include "core/line/fifo.h"
#include "core/line/shelf.h"
#include "core/message/message.h"
#include "core/queue/grant.h"
#include "core/queue/load.h"
#include "core/queue/queue.h"
#include "core/residence/index.h"
#include "core/residence/paging.h"
#include "core/state.h"
#include "core/time/timer.h"
#include "core/topology/apply.h"
#include "core/topology/declare_queue.h"
#include "core/topology/lifetime.h"
#include "core/topology/vhosts.h"
#include "core/turnwork.h"
#include "core/vhost/vhost.h"

#include "base/alloc.h"

#include <stdlib.h>

enum {
	DOOMED_CHUNKS_PER_TURN = 32,
	CLOSED_QUEUES_PER_TURN = 1024,
	KEY_WINDOW_MS_DEFAULT = 3600 * 1000,
	KEYS_MAX_DEFAULT = 10000000,
	PRODUCERS_MAX_DEFAULT = 10000,
};

/* --- life --- */

/* Kept in the store, so it must say nothing of the seed of the tables. */
static uint64_t seed_of_keys(const struct siphash_key *secret, uint64_t hash_seed)
{
	return siphash(secret, bytes_of(&hash_seed, sizeof hash_seed));
}

struct core *core_create(const struct core_options *options)
{
	struct core *core = alloc_zeroed(sizeof *core);
	core->options = *options;
	if (options->key_window_ms == 0)
		core->options.key_window_ms = KEY_WINDOW_MS_DEFAULT;
	if (options->keys_max == 0)
		core->options.keys_max = KEYS_MAX_DEFAULT;
	if (options->producers_max == 0)
		core->options.producers_max = PRODUCERS_MAX_DEFAULT;
	message_pool_init(&core->messages);
	list_init(&core->connections);
	list_init(&core->closed);
	list_init(&core->walks);
	list_init(&core->queues);
	list_init(&core->exchanges);
	list_init(&core->dirty);
	list_init(&core->loading);
	list_init(&core->changed);
	list_init(&core->stale);
	list_init(&core->saving);
	list_init(&core->parked);
	list_init(&core->doomed);
	list_init(&core->throttled);
	list_init(&core->late);
	list_init(&core->granting);
	list_init(&core->loose);
	list_init(&core->confirming);
	list_init(&core->confirmable);
	list_init(&core->cancelling);
	keys_init(&core->keys);
	map_init(&core->key_queues, options->hash_seed);
	producers_init(&core->producers, options->hash_seed);
	core->secret = siphash_key_of(options->secret);
	core->key_seed = seed_of_keys(&core->secret, options->hash_seed);
	core->key_log.timer.kind = TIMER_KEYS;
	core->key_log.evicted_ms = NEVER;
	core->key_log.longest_ms = core->options.key_window_ms;
	core->evict_queue = &core->queues;
	map_init(&core->queues_by_id, options->hash_seed);
	map_init(&core->replies, options->hash_seed);
	vhosts_init(core);
	return core;
}

/* What closed connections still have goes, as far as this turn may. */
static void finish_closed(struct core *core)
{
	while (!list_is_empty(&core->closed)) {
		struct connection *c = list_entry(core->closed.next, struct connection, in_core);
		for (; !list_is_empty(&c->exclusive); core->closed_work--) {
			if (core->closed_work == 0)
				return;
			queue_delete(list_entry(c->exclusive.next, struct queue, in_owner));
		}
		list_remove(&c->in_core);
		free((void *)c->user.data);
		free(c);
	}
}

/* Memory is given back; nothing is recorded any more. */
void core_destroy(struct core *core)
{
	if (core == NULL)
		return;
	struct space nowhere;
	struct changes nothing = { 0 };
	struct batch scratch; /* Closing connections records requeues and deletions that nobody will
				 see. */
	space_init(&nowhere);
	batch_init(&scratch, &nowhere, &nothing);
	scratch.sequence = UINT64_MAX;
	core->batch = &scratch;
	core->is_ending = true;
	core->closed_work = UINT32_MAX;
	finish_closed(core);
	while (!list_is_empty(&core->connections))
		connection_close(list_entry(core->connections.next, struct connection, in_core));
	vhosts_drop_exchanges(core);
	while (!list_is_empty(&core->queues))
		queue_destroy(list_entry(core->queues.next, struct queue, in_core));
	hand_out(core, NULL);
	assert(core->lines.shelves.items == 0);
	keylog_fini(core);
	map_fini(&core->key_queues);
	producers_fini(&core->producers);
	timers_fini(&core->timers);
	doomed_free(core);
	batch_close(&scratch, 0);
	batch_fini(&scratch);
	changes_fini(&nothing);
	space_fini(&nowhere);
	apply_fini(core);
	vhosts_fini(core);
	map_fini(&core->queues_by_id);
	map_fini(&core->replies);
	message_pool_fini(&core->messages);
	free((void *)core->cancelled_tag.data);
	free(core->router.queues);
	free(core->router.exchanges);
	free(core->router.headers.items);
	free(core->effects.items);
	free(core->orphans);
	free(core->survey);
	free(core);
}

struct message_pool *core_messages(struct core *core)
{
	return &core->messages;
}

uint64_t core_held_bytes(const struct core *core)
{
	return core->messages.bytes + core->lines.shelves.items * SHELF_ITEM_BYTES +
	       keys_bytes(&core->keys);
}

/* --- turns --- */

void core_begin(struct core *core, struct batch *batch, uint64_t now_ms)
{
	CHECKED_INPUT(core);
	assert(core->batch == NULL);
	core->batch = batch;
	core->doomed_work = DOOMED_CHUNKS_PER_TURN;
	bool is_first = core->now_ms == 0;
	if (now_ms > core->now_ms)
		core->now_ms = now_ms;
	if (is_first)
		list_each (node, &core->queues)
			queue_used(list_entry(
				node, struct queue,
				in_core)); /* Nobody could use them while the broker was down. */
	keylog_begin(core);
	core->closed_work = CLOSED_QUEUES_PER_TURN;
	finish_closed(core);
	apply_begin(core);
	tend_begin(core);
	vhosts_begin(core);
}

void core_durable(struct core *core, uint64_t sequence)
{
	CHECKED_INPUT(core);
	if (sequence <= core->durable)
		return;
	core->durable = sequence;
	grant_durable(core);
	cancellations_durable(core);
	while (!list_is_empty(&core->confirming)) {
		struct list *node = core->confirming.next;
		list_remove(node);
		list_push_tail(&core->confirmable, node);
	}
}

uint64_t core_awaited(const struct core *core)
{
	return core->awaited > core->durable ? core->awaited : 0;
}

bool core_is_durable(const struct core *core, uint64_t sequence)
{
	return sequence <= core->durable;
}

/* --- effects --- */

bool core_has_work(const struct core *core)
{
	return core->effects.len > 0 || !list_is_empty(&core->loading) ||
	       !list_is_empty(&core->dirty) || !list_is_empty(&core->confirmable) ||
	       !list_is_empty(&core->parked) || core->paging == PAGING_HAS_MORE ||
	       doomed_is_waiting(core) || !list_is_empty(&core->late) || core->is_behind_clock ||
	       !list_is_empty(&core->closed) || core->applying.is_going ||
	       keys_is_loading(&core->keys) || vhosts_are_going(core);
}

bool core_is_behind(const struct core *core)
{
	return core->effects.len > 0 || !list_is_empty(&core->loading) ||
	       !list_is_empty(&core->dirty) || !list_is_empty(&core->confirmable);
}

bool core_is_overdue(const struct core *core)
{
	return core->is_overdue;
}

bool core_next_effect(struct core *core, struct effect *effect)
{
	CHECKED_INPUT(core);
	assert(core->batch != NULL);
	hand_out(core, NULL);
	if (effect_next(core, effect) || load_next(core, effect) || deliver_next(core, effect) ||
	    confirm_next(core, effect) || index_next(core, effect) || keylog_next(core, effect))
		return true;
	core->is_overdue = false;
	return false;
}

/* --- connections --- */

struct connection *connection_open(struct core *core, struct vhost *vhost, struct bytes user)
{
	struct connection *connection = alloc_zeroed(sizeof *connection);
	connection->core = core;
	connection->vhost = vhost;
	vhost->connections_len++;
	connection->user = alloc_copy(user);
	connection->is_writable = true;
	list_init(&connection->in_throttled);
	list_init(&connection->channels);
	list_init(&connection->exclusive);
	list_push_tail(&core->connections, &connection->in_core);
	core->figures.connections_opened++;
	return connection;
}

void connection_set_owner(struct connection *connection, void *owner)
{
	connection->owner = owner;
}

void connection_close(struct connection *connection)
{
	CHECKED_INPUT(connection->core);
	while (!list_is_empty(&connection->channels))
		channel_close(list_entry(connection->channels.next, struct channel, in_connection));
	connection->vhost->connections_len--;
	if (!list_is_empty(&connection->exclusive))
		connection->vhost->topology++; /* They get nothing any more. */
	list_remove(&connection->in_throttled);
	walks_leave(&connection->core->walks, &connection->in_core);
	list_remove(&connection->in_core);
	list_push_tail(&connection->core->closed, &connection->in_core);
	connection->is_closed = true;
	connection->owner = NULL;
	connection->core->figures.connections_closed++;
	finish_closed(connection->core);
}

void connection_set_writable(struct connection *connection, bool is_writable)
{
	CHECKED_INPUT(connection->core);
	if (connection->is_writable == is_writable)
		return;
	connection->is_writable = is_writable;
	list_each (node, &connection->channels)
		channel_update_consumers(list_entry(node, struct channel, in_connection));
}

struct vhost *connection_vhost(const struct connection *connection)
{
	return connection->vhost;
}

void connection_let_impersonate(struct connection *connection)
{
	connection->is_impersonator = true;
}

void connection_tell_repeated(struct connection *connection)
{
	connection->knows_duplicates = true;
}

/* --- figures --- */

static uint64_t spill_copies(const struct fifo_spill *spill)
{
	uint64_t copies = 0;
	for (uint32_t i = 0; spill != NULL && i < spill->len; i++)
		copies += spill->locations[i] != 0;
	return copies;
}

static uint64_t queue_spilling(const struct queue *q)
{
	uint64_t copies = 0;
	for (const struct fifo_spill *spill = q->fifo.spills; spill != NULL; spill = spill->next)
		copies += spill_copies(spill);
	for (const struct fifo_chunk *c = NULL; (c = fifo_next_chunk(&q->fifo, c)) != NULL;)
		copies += spill_copies(c->spill);
	return copies;
}

void core_totals(const struct core *core, struct core_figures *figures, struct message_stats *stats)
{
	*figures = core->figures;
	*stats = core->stats;
	stats->published = core->figures.published;
	figures->delivered =
		stats->delivered + stats->delivered_no_ack + stats->got + stats->got_no_ack;
	figures->queues = core->queues_len;
	figures->exchanges = core->exchanges_len;
	figures->bindings = core->bindings_len;
	figures->messages_ready = core->lines.in_fifos + core->lines.shelves.standing;
	figures->ready_bytes = core->lines.fifo_bytes + core->lines.shelves.bytes;
	figures->messages_unacked = core->lines.unacked;
	figures->message_bytes = core->messages.bytes;
	keylog_figures(core, figures);
	figures->producers = core->producers.by_name.len;
}

void core_figures(const struct core *core, struct core_figures *figures)
{
	struct message_stats stats;
	core_totals(core, figures, &stats);
	list_each (node, &core->queues)
		figures->spilling += queue_spilling(list_entry(node, struct queue, in_core));
}

void core_each_held(const struct core *core, void (*visit)(void *arg, const struct held *held),
		    void *arg)
{
	list_each (node, &core->queues) {
		const struct queue *q = list_entry(node, struct queue, in_core);
		struct held held = { .vhost = q->vhost->name, .queue = q->name };
		for (const struct shelf_item *item = NULL;
		     (item = shelf_next(&q->shelf, item)) != NULL;) {
			held.position = item->position;
			held.slot = item->slot;
			held.is_delivered = item->is_delivered;
			visit(arg, &held);
		}
		held.is_delivered = false;
		for (const struct fifo_chunk *c = NULL;
		     (c = fifo_next_chunk(&q->fifo, c)) != NULL;) {
			for (uint32_t i = c->first; i < c->len; i++) {
				held.position = c->base + i;
				held.slot = c->slots[i];
				if (held.slot != 0)
					visit(arg, &held);
			}
		}
		held = (struct held){ .vhost = q->vhost->name,
				      .queue = q->name,
				      .is_unacked = true,
				      .is_delivered = true };
		list_each (unacked, &q->unacked) {
			const struct delivery *d = list_entry(unacked, struct delivery, in_queue);
			held.position = d->position;
			held.slot = slot_of_message(d->message);
			visit(arg, &held);
		}
		held = (struct held){
			.vhost = q->vhost->name,
			.queue = q->name,
			.position = q->fifo.middle.from,
			.index_id = q->index_id,
			.until = q->fifo.middle.until,
			.len = q->fifo.middle.len,
		};
		if (held.len > 0)
			visit(arg, &held);
	}
}

uint64_t core_next_due(const struct core *core)
{
	const struct timer *t = timers_first(&core->timers);
	return t == NULL ? NEVER : t->due_ms;
}
