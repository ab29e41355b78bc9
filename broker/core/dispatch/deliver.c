/* Delivery: from the head of a queue to the consumer whose turn it is. */
#include "core/dispatch/deliver.h"
#include "core/channel/channel.h"
#include "core/check/check.h"
#include "core/core.h"
#include "core/dedup/identity.h"
#include "core/dispatch/consumer.h"
#include "core/dispatch/group.h"
#include "core/dispatch/unacked.h"
#include "core/effect.h"
#include "core/flow/tend.h"
#include "core/line/fifo.h"
#include "core/line/ranges.h"
#include "core/line/shelf.h"
#include "core/message/message.h"
#include "core/queue/grant.h"
#include "core/queue/limits.h"
#include "core/queue/queue.h"
#include "core/queue/throttle.h"
#include "core/residence/index.h"
#include "core/state.h"
#include "core/turnwork.h"

enum {
	BURST_MAX = 64, /* Deliveries from one queue before the next one has its turn. */
	LOAD_MAX = 256, /* Messages read from the journal at once. */
};

void deliver(struct queue *q, const struct head *head, struct channel *ch,
	     struct consumer *consumer, bool is_no_ack, struct effect *effect)
{
	struct core *core = ch->core;
	struct taken t = queue_take(q, head);
	*effect = (struct effect){ .kind = EFFECT_DELIVER, .owner = ch->owner };
	effect->deliver.message = t.message;
	effect->deliver.delivery_tag = ++ch->last_tag;
	effect->deliver.delivery_count = q->settings.is_counting ? (int64_t)t.count : -1;
	effect->deliver.is_redelivered = t.is_redelivered;
	core->figures.delivered++;
	throttle_delivered(q);
	if (!t.is_redelivered)
		grant_used(q, t.position, t.message);
	if (is_no_ack) {
		if (q->groups.len > 0)
			group_lost(q, t.message);
		queue_release(q, t.position, t.message);
		hand_out(core, t.message);
	} else {
		delivery_create(ch, q, consumer, &t);
	}
	if (consumer != NULL) {
		effect->deliver.consumer_tag = consumer->tag;
		consumer_took_turn(consumer);
		if (consumer->is_ready && !list_is_empty(&consumer->groups))
			group_consumer_ready(consumer);
	}
}

static void queue_rest(struct queue *q)
{
	list_remove(&q->in_dirty);
	q->burst = 0;
}

/* Why a queue's next message does not go out now. */
enum offer { OFFER_DELIVERED, OFFER_LOADING, OFFER_BLOCKED, OFFER_AGAIN };

static enum offer offer(struct queue *q, struct effect *effect)
{
	struct head head;
	struct consumer *consumer = queue_ready(q) == 0 ? NULL : queue_next_consumer(q);
	if (consumer == NULL)
		return OFFER_BLOCKED;
	if (!queue_first(q, &head)) {
		queue_rest(q);
		queue_want_index(q);
		return index_next(q->vhost->core, effect) ? OFFER_LOADING : OFFER_AGAIN;
	}
	if (slot_is_on_disk(*head.slot)) {
		queue_rest(q);
		queue_want_load(q);
		return load_next(q->vhost->core, effect) ? OFFER_LOADING : OFFER_AGAIN;
	}
	if (head.is_new && !grant_covers(q, head.position, slot_message(*head.slot)))
		return OFFER_BLOCKED;
	if (q->settings.group_header.len > 0) {
		consumer = group_consumer(q, &head, consumer);
		if (consumer == NULL)
			return group_set_aside(q, &head) ? OFFER_AGAIN : OFFER_BLOCKED;
	}
	deliver(q, &head, consumer->channel, consumer, consumer->is_no_ack, effect);
	return OFFER_DELIVERED;
}

/* Nobody takes its next message: what is to leave by itself does, then it rests. True: an effect.
 */
static bool rest_tended(struct queue *q, struct effect *effect)
{
	q->is_woken = false;
	if (q->held_len > 0 && groups_go_on(q))
		return false;
	if (queue_needs_tending(q) && queue_tend(q, true, effect))
		return true;
	if (list_is_empty(&q->in_dirty))
		return false; /* It goes on in the next turn. */
	queue_rest(q);
	if (q->is_woken)
		queue_mark_dirty(q);
	return false;
}

bool deliver_next(struct core *core, struct effect *effect)
{
	while (!list_is_empty(&core->dirty)) {
		struct queue *q = list_entry(core->dirty.next, struct queue, in_dirty);
		if (queue_needs_tending(q) && queue_tend(q, false, effect))
			return true;
		if (list_is_empty(&q->in_dirty))
			continue;
		enum offer o = offer(q, effect);
		if (o == OFFER_LOADING || (o == OFFER_BLOCKED && rest_tended(q, effect)))
			return true;
		if (o != OFFER_DELIVERED)
			continue;
		if (++q->burst >= BURST_MAX) {
			queue_rest(q);
			queue_mark_dirty(q);
		}
		return true;
	}
	return false;
}

/* --- messages that are on disk --- */

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
		q->fifo_bytes -= message->body_len; /* It was counted there. */
	q->shelf.unlooked++;
	struct shelf_item was = *item;
	if (was.time_ms == message->time_ms && was.size == message->body_len)
		return;
	shelf_update(&q->shelf, item, SHELF_HELD);
	item->time_ms = message->time_ms;
	item->size = (uint32_t)message->body_len;
	shelf_update(&q->shelf, item, (enum shelf_state)was.state);
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
