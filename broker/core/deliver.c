/* Delivery: from the head of a queue to the consumer whose turn it is. */
#include "core/state.h"

enum {
	BURST_MAX = 64, /* Deliveries from one queue before the next one has its turn. */
	LOAD_MAX = 256, /* Messages read from the journal at once. */
};

void deliver(struct queue *q, struct channel *ch, struct consumer *consumer, bool is_no_ack, struct effect *effect)
{
	uint64_t position;
	uint32_t count;
	bool is_redelivered;
	struct core *core = ch->core;
	struct message *message = queue_pop(q, &position, &count, &is_redelivered);
	*effect = (struct effect){ .kind = EFFECT_DELIVER, .owner = ch->owner };
	effect->deliver.message = message;
	effect->deliver.delivery_tag = ++ch->last_tag;
	effect->deliver.delivery_count = q->is_counting ? (int64_t)count : -1;
	effect->deliver.is_redelivered = is_redelivered;
	core->figures.delivered++;
	throttle_delivered(q);
	if (!is_redelivered)
		grant_used(q, position, message);
	if (is_no_ack) {
		queue_release(q, position, message);
		hand_out(core, message);
	} else {
		delivery_create(ch, q, consumer, message, position, count);
	}
	if (consumer != NULL) {
		effect->deliver.consumer_tag = consumer->tag;
		consumer_took_turn(consumer);
	}
}

static void queue_rest(struct queue *q)
{
	list_remove(&q->in_dirty);
	q->burst = 0;
}

bool deliver_next(struct core *core, struct effect *effect)
{
	while (!list_is_empty(&core->dirty)) {
		struct queue *q = list_entry(core->dirty.next, struct queue, in_dirty);
		uint64_t *slot, position;
		bool is_new;
		slot = queue_first(q, &position, &is_new);
		struct consumer *consumer = queue_ready(q) == 0 ? NULL : queue_next_consumer(q);
		if (consumer == NULL) {
			queue_rest(q);
			continue;
		}
		if (slot == NULL) {
			queue_rest(q);
			queue_want_index(q);
			return index_next(core, effect);
		}
		if (slot_is_on_disk(*slot)) {
			queue_rest(q);
			queue_want_load(q);
			return load_next(core, effect);
		}
		if (is_new && !grant_covers(q, position, slot_message(*slot))) {
			queue_rest(q);
			continue;
		}
		deliver(q, consumer->channel, consumer, consumer->is_no_ack, effect);
		if (++q->burst >= BURST_MAX) {
			queue_rest(q);
			queue_mark_dirty(q);
		}
		return true;
	}
	return false;
}

/* --- messages that are on disk ---------------------------------------------------------------------------------- */

void queue_want_load(struct queue *q)
{
	if (list_is_empty(&q->in_loading))
		list_push_tail(&q->vhost->core->loading, &q->in_loading);
}

bool load_next(struct core *core, struct effect *effect)
{
	while (!list_is_empty(&core->loading)) {
		struct queue *q = list_entry(core->loading.next, struct queue, in_loading);
		uint64_t *slot, position;
		bool is_new;
		slot = queue_first(q, &position, &is_new);
		list_remove(&q->in_loading);
		queue_mark_dirty(q);
		if (slot == NULL || !slot_is_on_disk(*slot))
			continue;
		*effect = (struct effect){ .kind = EFFECT_LOAD };
		effect->load.queue = q;
		effect->load.slots = slot;
		effect->load.slots_len = 1;
		effect->load.queue_id = queue_index_id(q);
		effect->load.position = is_new ? position : q->returned[0].position;
		if (q->returned_len == 0) {
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
	space_forget(q->vhost->core->options.space, location);
	if (q->returned_len > 0) {
		position = queue_drop_returned(q);
	} else {
		position = fifo_drop(&q->fifo, slot);
		q->volatile_len -= location_is_volatile(location);
	}
	if (!location_is_volatile(location)) {
		ranges_add(&q->removed_ranges, position, 1);
		queue_mark_changed(q);
	}
	q->vhost->core->figures.damaged++;
}

/* A copy for want of memory is of no use any more. */
void core_loaded(struct queue *q, uint64_t *slot, struct message *message)
{
	assert(slot_is_on_disk(*slot));
	if (message == NULL) {
		drop_damaged(q, slot);
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
}
