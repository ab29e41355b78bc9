/* Index: what the store knows of the order of queues, so that a restart need not read every
 * message, and the middle of a deep queue need not be in memory. Chunks of the fifo are saved with
 * checkpoints; a purged stretch that only the store knows is given up chunk by chunk (doomed). */
#include "core/residence/index.h"
#include "core/check/check.h"
#include "core/core.h"
#include "core/line/fifo.h"
#include "core/queue/queue.h"
#include "core/record/definitions.h"
#include "core/state.h"
#include "core/turnwork.h"

#include "base/alloc.h"
#include "chunk.h"
#include "store.h"

#include <stdlib.h>

enum { VOLATILE_ID = (uint32_t)1 << 31, DOOMED_KEY_BYTES = 13 };

/* Those that mean nothing to the next process have the highest bit. */
uint32_t queue_index_id(struct queue *q)
{
	struct core *core = q->vhost->core;
	if (q->index_id != 0)
		return q->index_id;
	q->index_id = q->id != 0 ? q->id : (VOLATILE_ID | ++core->volatile_id_last);
	if (q->id == 0)
		durable_counters(
			core); /* It is never used again: old chunks would hide new ones. */
	return q->index_id;
}

/* --- saving --- */

/* Where the log has the message of a slot, as this queue's. */
static uint64_t slot_place(const struct queue *q, uint64_t slot)
{
	if (slot == 0)
		return 0;
	return slot_is_on_disk(slot) || q->id != 0 ? slot_location(slot) : 0;
}

/* Chunks are saved to be found by a recovery, or to leave memory. */
static bool is_worth_saving(const struct queue *q, const struct fifo_chunk *chunk)
{
	if (chunk->save != CHUNK_DIRTY)
		return false;
	if (chunk->is_stored || chunk->is_evicted)
		return true;
	for (uint32_t i = chunk->first; q->id != 0 && i < chunk->len; i++)
		if (slot_place(q, chunk->slots[i]) != 0)
			return true;
	return false;
}

static void save_chunk(struct queue *q, const struct fifo_chunk *chunk)
{
	uint8_t key[STORE_INDEX_KEY_BYTES],
		value[CHUNK_HEAD_BYTES_MAX + FIFO_CHUNK_SLOTS * CHUNK_SLOT_BYTES_MAX];
	struct core *core = q->vhost->core;
	assert(chunk->save == CHUNK_DIRTY && chunk->len > 0);
	struct chunk_writer w;
	chunk_begin(&w, value, sizeof value, core->generation, chunk->len);
	for (uint32_t i = 0; i < chunk->len; i++)
		chunk_add(&w, i < chunk->first ? 0 : slot_place(q, chunk->slots[i]));
	changes_put(core->batch->changes, store_index_key(key, queue_index_id(q), chunk->base),
		    bytes_of(value, (size_t)(w.w.at - value)));
}

static void delete_dead(struct queue *q)
{
	uint8_t key[STORE_INDEX_KEY_BYTES];
	for (size_t i = 0; i < q->fifo.dead_len; i++)
		changes_delete(q->vhost->core->batch->changes,
			       store_index_key(key, q->index_id, q->fifo.dead[i]));
	q->fifo.dead_len = 0;
}

void index_save(struct queue *q)
{
	delete_dead(
		q); /* First: one that is saved now may have the position of one that is dead. */
	for (struct fifo_chunk *chunk = NULL; (chunk = fifo_next_chunk(&q->fifo, chunk)) != NULL;) {
		if (!is_worth_saving(q, chunk))
			continue;
		save_chunk(q, chunk);
		chunk->save = CHUNK_SAVING;
		chunk->is_stored = true;
		if (list_is_empty(&q->in_saving))
			list_push_tail(&q->vhost->core->saving, &q->in_saving);
	}
}

void index_saved(struct queue *q)
{
	list_remove(&q->in_saving);
	for (struct fifo_chunk *chunk = NULL; (chunk = fifo_next_chunk(&q->fifo, chunk)) != NULL;)
		if (chunk->save == CHUNK_SAVING)
			chunk->save = CHUNK_SAVED;
	fifo_park(&q->fifo);
}

void index_delete(struct queue *q)
{
	delete_dead(q);
}

/* --- doomed --- */

void index_doom(struct core *core, uint32_t queue, uint64_t from, uint64_t until, bool is_stored)
{
	struct doomed *d = alloc_zeroed(sizeof *d);
	d->queue = queue;
	d->from = from;
	d->until = until;
	d->is_stored = is_stored;
	list_push_head(&core->doomed, &d->in_core);
}

void index_doom_volatile(struct core *core)
{
	for (uint32_t id = core->volatile_id_first; id < core->volatile_id_last; id++)
		index_doom(core, VOLATILE_ID | (id + 1), 0, UINT64_MAX, false);
	core->volatile_id_first = core->volatile_id_last;
}

static struct bytes doomed_key(uint8_t *key, const struct doomed *d)
{
	key[0] = STORE_KEY_DOOMED;
	store_u32(key + 1, d->queue);
	store_u64(key + 5, d->until);
	return bytes_of(key, DOOMED_KEY_BYTES);
}

void doomed_save(struct core *core)
{
	list_each (node, &core->doomed) {
		struct doomed *d = list_entry(node, struct doomed, in_core);
		uint8_t key[DOOMED_KEY_BYTES], value[8];
		store_u64(value, d->from);
		if (!d->is_over)
			changes_put(core->batch->changes, doomed_key(key, d),
				    bytes_of(value, sizeof value));
		else if (d->is_stored)
			changes_delete(core->batch->changes, doomed_key(key, d));
		d->is_stored = true;
		if (!d->is_over)
			continue;
		list_remove(&d->in_core);
		free(d);
	}
}

void doomed_free(struct core *core)
{
	while (!list_is_empty(&core->doomed)) {
		struct doomed *d = list_entry(core->doomed.next, struct doomed, in_core);
		list_remove(&d->in_core);
		free(d);
	}
}

bool doomed_is_waiting(const struct core *core)
{
	return !list_is_empty(&core->doomed) &&
	       !list_entry(core->doomed.next, struct doomed, in_core)->is_over;
}

/* Those that are over wait at the end of the list for the next checkpoint. */
static void doomed_over(struct core *core, struct doomed *d)
{
	d->is_over = true;
	list_remove(&d->in_core);
	list_push_tail(&core->doomed, &d->in_core);
}

/* --- reading --- */

bool index_next(struct core *core, struct effect *effect)
{
	*effect = (struct effect){ .kind = EFFECT_INDEX };
	while (!list_is_empty(&core->parked)) {
		struct queue *q = list_entry(core->parked.next, struct queue, in_parked);
		list_remove(&q->in_parked);
		queue_mark_dirty(q);
		if (!fifo_is_parked(&q->fifo))
			continue;
		core->indexing = q;
		effect->index.queue_id = q->index_id;
		effect->index.position = q->fifo.middle.from;
		return true;
	}
	if (!doomed_is_waiting(core) || core->doomed_work == 0)
		return false;
	const struct doomed *d = list_entry(core->doomed.next, struct doomed, in_core);
	core->doomed_work--;
	core->indexing = NULL;
	effect->index.queue_id = d->queue;
	effect->index.position = d->from;
	return true;
}

/* What an older process had in the log for want of memory went with it. */
static bool is_gone(const struct core *core, const struct chunk_reader *chunk, uint64_t location)
{
	return location == 0 ||
	       (location_is_volatile(location) && chunk->generation != core->generation);
}

static void lose_middle(struct queue *q)
{
	q->vhost->core->figures.damaged += fifo_lose_middle(&q->fifo);
	if (q->volatile_len > q->fifo.len)
		q->volatile_len = q->fifo.len;
}

/* Into the front of the queue. A chunk of which a part only is wanted is saved anew. */
static void take_chunk(struct queue *q, uint64_t base, struct chunk_reader *chunk)
{
	struct core *core = q->vhost->core;
	uint64_t from = q->fifo.middle.from > base ? q->fifo.middle.from : base, location;
	struct fifo_chunk *taken = fifo_unpark(&q->fifo, from, base + chunk->left);
	if (from != base) {
		fifo_add_dead(&q->fifo, base);
		taken->is_stored = false;
		taken->save = CHUNK_DIRTY;
	}
	for (uint64_t position = base;
	     chunk_next(chunk, &location) && taken->len < FIFO_CHUNK_SLOTS; position++) {
		if (position < from)
			continue;
		bool is_there = !is_gone(core, chunk, location);
		fifo_fill(&q->fifo, taken, is_there ? slot_of_location(location) : 0);
	}
}

static void queue_index_loaded(struct queue *q, bool is_found, uint64_t base, struct bytes value)
{
	struct chunk_reader chunk;
	assert(fifo_is_parked(&q->fifo)); /* That is why it was asked for. */
	queue_mark_dirty(q);
	queue_mark_stale(q);
	if (!is_found || base >= q->fifo.middle.until) {
		lose_middle(q);
		return;
	}
	if (!chunk_open(&chunk, value) || base + chunk.left <= q->fifo.middle.from) {
		fifo_add_dead(&q->fifo, base);
		q->fifo.middle.from = base + 1; /* What comes after it may be good. */
		return;
	}
	take_chunk(q, base, &chunk);
	if (q->fifo.middle.from >= q->fifo.middle.until && q->fifo.middle.len > 0)
		lose_middle(q);
}

static void doomed_index_loaded(struct core *core, bool is_found, uint64_t base, struct bytes value)
{
	assert(doomed_is_waiting(core));
	struct doomed *d = list_entry(core->doomed.next, struct doomed, in_core);
	struct chunk_reader chunk;
	uint8_t key[STORE_INDEX_KEY_BYTES];
	uint64_t location;
	if (!is_found || base >= d->until) {
		doomed_over(core, d);
		return;
	}
	bool is_good = chunk_open(&chunk, value) && base + chunk.left > d->from;
	uint64_t end = is_good ? base + chunk.left : base + 1;
	for (uint64_t position = base; is_good && chunk_next(&chunk, &location); position++)
		if (position >= d->from && position < d->until && !is_gone(core, &chunk, location))
			space_forget(core->options.space, location);
	changes_delete(core->batch->changes, store_index_key(key, d->queue, base));
	d->from = end;
}

void core_index_loaded(struct core *core, bool is_found, uint64_t base, struct bytes chunk)
{
	CHECKED_INPUT(core);
	if (core->indexing != NULL)
		queue_index_loaded(core->indexing, is_found, base, chunk);
	else
		doomed_index_loaded(core, is_found, base, chunk);
}
