/* Paging: when messages take more memory than the budget, those well behind the head of their queue
 * leave it. What the journal has is read back when its turn comes (EFFECT_LOAD); what it does not
 * have, for it need not survive, is copied into the log (spilled) first. Then 8 bytes a message
 * stay, until a checkpoint has the chunk they are in (index.c). */
#include "core/residence/paging.h"
#include "core/core.h"
#include "core/line/fifo.h"
#include "core/line/shelf.h"
#include "core/message/message.h"
#include "core/queue/queue.h"
#include "core/record/message_record.h"
#include "core/residence/index.h"
#include "core/state.h"
#include "core/turnwork.h"

#include "base/alloc.h"

#include <stdlib.h>

#ifndef SHELF_KEPT      /* The simulation keeps fewer. */
#define SHELF_KEPT 1024 /* A few may stay: they are about to be delivered. */
#endif

enum {
	CHUNKS_PER_TURN = 128,
	SHELF_PER_TURN = 64 * 1024,
	SPILL_AHEAD_CHUNKS = 256,
	RESTING_SHARE =
		4, /* This part of the budget is left to messages while nothing is published. */
};

static bool needs_spill(const struct queue *q, uint64_t slot)
{
	return slot != 0 && !slot_is_on_disk(slot) &&
	       (q->id == 0 || slot_message(slot)->location == 0);
}

/* Copies what needs it; NULL if nothing does. */
static struct fifo_spill *spill_chunk(struct core *core, struct queue *q,
				      const struct fifo_chunk *chunk)
{
	struct fifo_spill *spill = NULL;
	assert(chunk->spill == NULL);
	for (uint32_t i = chunk->first; i < chunk->len; i++) {
		if (!needs_spill(q, chunk->slots[i]))
			continue;
		if (spill == NULL)
			spill = alloc_zeroed(sizeof *spill);
		struct place place = { queue_index_id(q), chunk->base + i };
		spill->locations[i] =
			message_write(core, slot_message(chunk->slots[i]), &place, 1, true);
		spill->sequence = core->batch->sequence;
		spill->len = i + 1;
	}
	return spill;
}

/* False if something in the chunk is not on disk yet. */
static bool is_durable(const struct core *core, const struct queue *q,
		       const struct fifo_chunk *chunk)
{
	if (chunk->spill != NULL && chunk->spill->sequence > core->durable)
		return false;
	for (uint32_t i = chunk->first; i < chunk->len; i++) {
		uint64_t slot = chunk->slots[i];
		if (slot != 0 && !slot_is_on_disk(slot) && !needs_spill(q, slot) &&
		    slot_message(slot)->sequence > core->durable)
			return false;
	}
	return true;
}

/* False if it has to be looked at again, when more is on disk. */
static bool evict_chunk(struct core *core, struct queue *q, struct fifo_chunk *chunk)
{
	if (chunk->spill == NULL)
		chunk->spill = spill_chunk(core, q, chunk);
	if (!is_durable(core, q, chunk))
		return false;
	for (uint32_t i = chunk->first; i < chunk->len; i++) {
		uint64_t slot = chunk->slots[i];
		if (slot == 0 || slot_is_on_disk(slot))
			continue;
		uint64_t copy = chunk->spill == NULL ? 0 : chunk->spill->locations[i];
		assert((copy != 0) == needs_spill(q, slot));
		chunk->slots[i] = slot_of_location(copy != 0 ? copy : slot_location(slot));
		message_unref(&core->messages, slot_message(slot));
	}
	if (chunk->spill != NULL || q->id == 0)
		chunk->save = CHUNK_DIRTY;
	free(chunk->spill);
	chunk->spill = NULL;
	chunk->is_evicted = true;
	q->fifo.evicted = chunk;
	queue_mark_stale(q);
	return true;
}

/* While the first chunk's copies are on their way to the disk, those of the next ones follow. */
static void spill_ahead(struct core *core, struct queue *q, struct fifo_chunk *chunk)
{
	unsigned chunks = 0;
	for (chunk = chunk->next;
	     chunk != NULL && chunk->next != NULL && chunks < SPILL_AHEAD_CHUNKS;
	     chunk = chunk->next) {
		if (chunk->spill == NULL)
			chunk->spill = spill_chunk(core, q, chunk);
		chunks++;
	}
}

/* Looking at all of them is worth it only when there are many new ones. */
static bool is_worth_looking(const struct shelf *shelf)
{
	return shelf->len > SHELF_KEPT && shelf->unlooked > shelf->len / 8;
}

/* Of the shelf, those that the journal has leave memory, some at a time. False: not all of them
 * have been looked at. */
static bool evict_shelf(struct core *core, struct queue *q)
{
	struct shelf *shelf = &q->shelf;
	uint32_t looked = 0;
	if (shelf->evictable == 0)
		shelf->unlooked = 0;
	for (; shelf->evictable < shelf->used && looked < SHELF_PER_TURN; looked++) {
		struct shelf_item *item = &shelf->items[shelf->evictable++];
		if (item->state == SHELF_FREE || item->state == SHELF_HELD ||
		    slot_is_on_disk(item->slot))
			continue;
		struct message *message = slot_message(item->slot);
		shelf->unlooked +=
			q->id != 0 && message->location != 0 && message->sequence > core->durable;
		if (q->id == 0 || message->location == 0 || message->sequence > core->durable)
			continue;
		item->slot = slot_of_location(message->location);
		message_unref(&core->messages, message);
	}
	if (shelf->evictable < shelf->used)
		return false;
	shelf->evictable = 0;
	return true;
}

void paging_drop_spills(struct queue *q)
{
	while (q->fifo.spills != NULL) {
		struct fifo_spill *spill = q->fifo.spills;
		for (uint32_t i = 0; i < spill->len; i++)
			if (spill->locations[i] != 0)
				space_unref(q->vhost->core->options.space, spill->locations[i]);
		q->fifo.spills = spill->next;
		free(spill);
	}
}

/* Goes round the queues once. */
static enum paging evict(struct core *core)
{
	unsigned chunks = 0;
	enum paging outcome = PAGING_DONE;
	struct list *first = core->evict_queue;
	uint64_t budget =
		core->options.memory_budget_bytes / (core->is_resting ? RESTING_SHARE : 1);
	while (core->messages.bytes > budget) {
		if (core->evict_queue == &core->queues) { /* The list's head. */
			core->evict_queue = core->queues.next;
			if (core->evict_queue == first || list_is_empty(&core->queues))
				return outcome;
			continue;
		}
		if (chunks == CHUNKS_PER_TURN)
			return PAGING_HAS_MORE;
		struct queue *q = list_entry(core->evict_queue, struct queue, in_core);
		paging_drop_spills(q);
		if ((q->shelf.evictable > 0 || is_worth_looking(&q->shelf)) &&
		    !evict_shelf(core, q))
			return PAGING_HAS_MORE;
		struct fifo_chunk *chunk = fifo_next_to_evict(&q->fifo);
		if (chunk != NULL && evict_chunk(core, q, chunk)) {
			chunks++;
			continue;
		}
		if (chunk != NULL)
			outcome = PAGING_WAITS;
		if (chunk != NULL && chunk->spill != NULL)
			spill_ahead(core, q, chunk);
		core->evict_queue = core->evict_queue->next;
		if (core->evict_queue == first)
			return outcome;
	}
	return PAGING_DONE;
}

void core_rest(struct core *core)
{
	core->is_resting = core->figures.published == core->published_before;
	core->published_before = core->figures.published;
}

void paging_evict(struct core *core)
{
	core->paging = evict(core);
}

bool core_is_paging(const struct core *core)
{
	return core->paging != PAGING_DONE;
}
