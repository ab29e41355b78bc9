/* Load: bodies that only the journal has are read back when they are wanted. */
#include "core/queue/load.h"
#include "core/check/check.h"
#include "core/core.h"
#include "core/dedup/identity.h"
#include "core/line/fifo.h"
#include "core/line/ranges.h"
#include "core/line/shelf.h"
#include "core/message/message.h"
#include "core/queue/queue.h"
#include "core/residence/index.h"
#include "core/state.h"
#include "core/turnwork.h"

enum {
	LOAD_MAX = 256, /* Messages read from the journal at once. */
};

/* The one of the shelf that somebody asked for, if it is still there, or the next one. */
static bool find_wanted(struct queue *q, struct head *head)
{
	struct shelf_item *item = NULL;
	if (q->loading_item != NEVER)
		item = shelf_get(&q->shelf, (uint32_t)q->loading_item,
				 (uint32_t)(q->loading_item >> 32));
	q->loading_item = NEVER;
	bool is_fifo = q->is_loading_fifo;
	q->is_loading_fifo = false;
	if (item != NULL) {
		*head = (struct head){ &item->slot, item, item->position, false };
		return true;
	}
	if (!is_fifo)
		return queue_first(q, head);
	*head = (struct head){ .is_new = true };
	head->slot = fifo_first(&q->fifo, &head->position);
	return head->slot != NULL;
}

bool load_next(struct core *core, struct effect *effect)
{
	while (!list_is_empty(&core->loading)) {
		struct queue *q = list_entry(core->loading.next, struct queue, in_loading);
		struct head head;
		list_remove(&q->in_loading);
		queue_mark_dirty(q);
		if (!find_wanted(q, &head) || !slot_is_on_disk(*head.slot))
			continue;
		*effect = (struct effect){ .kind = EFFECT_LOAD };
		effect->load.queue = q;
		effect->load.slots = head.slot;
		effect->load.slots_len = 1;
		effect->load.queue_id = queue_index_id(q);
		effect->load.position = head.position;
		if (head.item == NULL) {
			size_t run = fifo_run(&q->fifo, &effect->load.slots);
			effect->load.slots_len = run < LOAD_MAX ? run : LOAD_MAX;
		}
		return true;
	}
	return false;
}

bool core_needs_load(uint64_t slot, uint64_t *location)
{
	if (slot == 0 || !slot_is_on_disk(slot))
		return false;
	*location = slot_location(slot);
	return true;
}

/* The journal's copy is no good: it is as if the message had been removed. */
static void drop_damaged(struct queue *q, uint64_t *slot)
{
	uint64_t location = slot_location(*slot), position;
	struct shelf_item *item = shelf_item_of_slot(&q->shelf, slot);
	space_forget(q->vhost->core->options.space, location);
	if (item != NULL) {
		position = item->position;
		q->dying_len -= item->state == SHELF_DYING;
		shelf_remove(&q->shelf, item);
	} else {
		position = fifo_drop(&q->fifo, slot);
		q->volatile_len -= location_is_volatile(location);
	}
	if (!location_is_volatile(location)) {
		ranges_add(&q->removed_ranges, position, 1);
		queue_mark_changed(q);
	}
	q->vhost->core->figures.damaged++;
	q->vhost->core->figures.set_aside++;
}

/* What was not known of it while it was on disk. */
static void complete_item(struct queue *q, struct shelf_item *item, const struct message *message)
{
	if (item->size == 0 && q->fifo_bytes >= message->body_len)
		queue_set_fifo_bytes(q,
				     q->fifo_bytes - message->body_len); /* It was counted there. */
	q->shelf.unlooked++;
	if (item->time_ms == message->time_ms && item->size == message->body_len)
		return;
	shelf_complete(&q->shelf, item, message->time_ms, (uint32_t)message->body_len);
}

/* A copy for want of memory is of no use any more. */
void core_loaded(struct queue *q, uint64_t *slot, struct message *message)
{
	CHECKED_INPUT(q->vhost->core);
	assert(slot_is_on_disk(*slot));
	if (message == NULL) {
		drop_damaged(q, slot);
		identity_queue_emptied(q); /* Which key it had is not known: its retry must not be
					      taken for a duplicate. */
		return;
	}
	uint64_t location = slot_location(*slot);
	bool is_volatile = location_is_volatile(location);
	message->location = is_volatile ? 0 : location;
	message->sequence = 0; /* It has been durable for long. */
	message->is_persistent = !is_volatile || message_wants_persistence(message);
	if (is_volatile)
		space_unref(q->vhost->core->options.space, location);
	*slot = slot_of_message(message);
	struct shelf_item *item = shelf_item_of_slot(&q->shelf, slot);
	if (item != NULL)
		complete_item(q, item, message);
}
