/* Queues: what is ready in them, and in which order it leaves. */
#include "core/queue/queue.h"
#include "core/dedup/identity.h"
#include "core/line/fifo.h"
#include "core/line/ranges.h"
#include "core/line/shelf.h"
#include "core/message/message.h"
#include "core/queue/limits.h"
#include "core/state.h"
#include "core/turnwork.h"
#include "core/vhost/settings.h"

uint64_t queue_ready(const struct queue *q)
{
	return q->fifo.len + q->shelf.ready.len;
}

uint64_t queue_counted(const struct queue *q)
{
	return queue_ready(q) + q->shelf.held.len;
}

uint64_t queue_ready_bytes(const struct queue *q)
{
	return q->fifo_bytes + q->shelf.ready.bytes;
}

uint64_t queue_counted_bytes(const struct queue *q)
{
	return queue_ready_bytes(q) + q->shelf.held.bytes;
}

void queue_set_fifo_bytes(struct queue *q, uint64_t bytes)
{
	q->vhost->core->lines.fifo_bytes += bytes - q->fifo_bytes;
	q->fifo_bytes = bytes;
}

/* --- in and out --- */

/* The message has a place of this queue in the log. */
bool queue_keeps(const struct queue *q, const struct message *message)
{
	return q->id != 0 && message->location != 0;
}

uint8_t queue_priority(const struct queue *q, uint8_t priority)
{
	int max = q->settings.max_priority;
	return max < 0 ? 0 : priority > max ? (uint8_t)max : priority;
}

struct shelf_item queue_item(const struct queue *q, uint64_t position, struct message *message)
{
	return (struct shelf_item){
		.position = position,
		.slot = slot_of_message(message),
		.time_ms = message->time_ms,
		.expires_ms = message->expires_ms == 0 ? NEVER : message->expires_ms,
		.size = (uint32_t)message->body_len,
		.priority = queue_priority(q, message->priority),
		.state = SHELF_READY,
	};
}

/* What the clock will do with the item, the queue's timer must know. */
static struct shelf_item *put_on_shelf(struct queue *q, struct shelf_item item)
{
	uint64_t due_ms;
	uint32_t id = shelf_add(&q->shelf, item);
	if (shelf_due(&q->shelf, &due_ms) != NULL)
		queue_arm(q, due_ms);
	return &q->shelf.items[id];
}

bool queue_stands_in_line(const struct queue *q, uint64_t expires_ms, uint8_t priority)
{
	return expires_ms == NEVER && (priority == 0 || q->settings.max_priority < 0);
}

static bool has_rules(const struct queue *q)
{
	const struct settings *s = &q->settings;
	return s->ttl_ms != NEVER || s->length_max != NEVER || s->bytes_max != NEVER;
}

void queue_push(struct queue *q, uint64_t position, struct message *message)
{
	bool is_durable = queue_keeps(q, message);
	if (is_durable) {
		q->kept_bytes += message->body_len;
		queue_mark_stale(q);
	}
	if (queue_stands_in_line(q, message->expires_ms == 0 ? NEVER : message->expires_ms,
				 message->priority)) {
		q->volatile_len += !is_durable;
		queue_set_fifo_bytes(q, q->fifo_bytes + message->body_len);
		fifo_push(&q->fifo, position, slot_of_message(message));
		if (q->settings.ttl_ms != NEVER)
			queue_arm(q, message->time_ms + q->settings.ttl_ms);
	} else {
		put_on_shelf(q, queue_item(q, position, message));
	}
	if (has_rules(q) || message->expires_ms != 0)
		queue_brought(q, message);
	queue_mark_dirty(q);
}

/* Where the fifo's first message stands; while that is not in memory, the first position at which
 * it may. */
static uint64_t fifo_from(struct queue *q, uint64_t **slot)
{
	uint64_t position = NEVER;
	*slot = fifo_first(&q->fifo, &position);
	return *slot == NULL && fifo_is_parked(&q->fifo) ? q->fifo.middle.from : position;
}

bool queue_first(struct queue *q, struct head *head)
{
	*head = (struct head){ .is_new = true };
	struct shelf_item *item = shelf_first(&q->shelf, &q->shelf.ready);
	if (item == NULL) {
		head->slot = fifo_first(&q->fifo, &head->position);
		return head->slot != NULL;
	}
	head->position = fifo_from(q, &head->slot);
	if (q->fifo.len > 0 && item->priority == 0 && head->position < item->position)
		return head->slot != NULL;
	*head = (struct head){ &item->slot, item, item->position, !item->is_delivered };
	return true;
}

struct taken queue_take(struct queue *q, const struct head *head)
{
	struct taken t = { slot_message(*head->slot), head->position, 0, false };
	if (head->item != NULL) {
		t.count = head->item->count;
		t.is_redelivered = head->item->is_delivered;
		shelf_remove(&q->shelf, head->item);
	} else {
		fifo_pop(&q->fifo);
		q->volatile_len -= !queue_keeps(q, t.message);
		queue_set_fifo_bytes(q, q->fifo.len == 0 ? 0 : q->fifo_bytes - t.message->body_len);
		q->cursor = head->position + 1;
	}
	if (q->reached <= head->position)
		q->reached = head->position + 1;
	queue_mark_stale(q);
	return t;
}

struct shelf_item *queue_put_back(struct queue *q, const struct taken *t, bool is_delivered,
				  enum shelf_state state, uint64_t until_ms)
{
	struct shelf_item item = queue_item(q, t->position, t->message);
	item.count = t->count;
	item.is_delivered = is_delivered;
	item.state = (uint8_t)state;
	item.until_ms = until_ms;
	struct shelf_item *on_shelf = put_on_shelf(q, item);
	if (state == SHELF_READY && (has_rules(q) || t->message->expires_ms != 0))
		queue_brought(q, t->message);
	queue_mark_dirty(q);
	return on_shelf;
}

void queue_failed(struct queue *q, uint64_t position, struct message *message, uint32_t count,
		  uint64_t rest_ms)
{
	struct taken t = { message, position, count + 1, true };
	uint64_t wait_ms = rest_ms > 0 ? rest_ms : queue_backoff_ms(q, position, count + 1);
	queue_put_back(q, &t, true, wait_ms == 0 ? SHELF_READY : SHELF_WAITING,
		       q->vhost->core->now_ms + wait_ms);
	if (queue_keeps(q, message)) {
		ranges_add(&q->returned_ranges, position, 1);
		queue_mark_changed(q);
	}
}

void queue_forget_slot(struct queue *q, uint64_t slot)
{
	struct core *core = q->vhost->core;
	if (slot_is_on_disk(slot)) {
		space_unref(core->options.space, slot_location(slot));
		return;
	}
	struct message *message = slot_message(slot);
	if (queue_keeps(q, message))
		space_unref(core->options.space, message->location);
	message_unref(&core->messages, message);
}

/* What has not been written yet and is gone from all its queues is never written. */
static void record_settled(struct queue *q, uint64_t position, struct message *message)
{
	struct batch *batch = q->vhost->core->batch;
	if (message->sequence == batch->sequence && --message->places == 0 &&
	    batch_void(batch, message->location))
		return;
	ranges_add(&q->removed_ranges, position, 1);
	queue_mark_changed(q);
}

void queue_release(struct queue *q, uint64_t position, struct message *message)
{
	if (message->is_keyed)
		identity_left_queue(q, message);
	if (!queue_keeps(q, message))
		return;
	q->kept_bytes -= message->body_len < q->kept_bytes ? message->body_len : q->kept_bytes;
	record_settled(q, position, message);
	space_unref(q->vhost->core->options.space, message->location);
}

void queue_settle(struct queue *q, uint64_t position, struct message *message)
{
	queue_release(q, position, message);
	message_unref(&q->vhost->core->messages, message);
}

/* --- emptying --- */
