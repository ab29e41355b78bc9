/* Paging: when messages take more memory than the budget, bodies that the journal holds leave it. What stays is the slot of
 * 8 bytes; the message is read back when its turn comes (EFFECT_LOAD). The head of a queue is spared. */
#include "core/state.h"

enum { CHUNKS_PER_TURN = 16 };

/* False if something in the chunk is not on disk yet: it will be looked at again. */
static bool evict_chunk(struct core *core, struct queue *q, struct fifo_chunk *chunk)
{
	for (uint32_t i = chunk->first; i < chunk->len; i++) {
		uint64_t slot = chunk->slots[i];
		if (slot == 0 || slot_is_on_disk(slot) || slot_message(slot)->location == 0)
			continue;
		if (slot_message(slot)->sequence > core->durable)
			return false;
		chunk->slots[i] = slot_of_location(slot_message(slot)->location);
		message_unref(&core->messages, slot_message(slot));
	}
	q->fifo.evicted = chunk;
	return true;
}

void paging_evict(struct core *core)
{
	unsigned chunks = 0;
	struct list *first = core->evict_queue;
	while (core->messages.bytes > core->options.memory_budget_bytes && chunks < CHUNKS_PER_TURN) {
		if (core->evict_queue == &core->queues) { /* The list's head. */
			core->evict_queue = core->queues.next;
			if (core->evict_queue == first || list_is_empty(&core->queues))
				return;
			continue;
		}
		struct queue *q = list_entry(core->evict_queue, struct queue, in_core);
		struct fifo_chunk *chunk = q->id == 0 ? NULL : fifo_next_to_evict(&q->fifo);
		if (chunk != NULL && evict_chunk(core, q, chunk)) {
			chunks++;
			continue;
		}
		core->evict_queue = core->evict_queue->next;
		if (core->evict_queue == first)
			return; /* Once round: nothing more to be had now. */
	}
}
