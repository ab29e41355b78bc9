/* Queues: what is ready in them, and in which order it leaves. */
#include "core/queue/queue.h"
#include "core/dedup/identity.h"
#include "core/dispatch/group.h"
#include "core/dispatch/lease.h"
#include "core/dispatch/unacked.h"
#include "core/line/fifo.h"
#include "core/line/ranges.h"
#include "core/line/shelf.h"
#include "core/message/message.h"
#include "core/queue/limits.h"
#include "core/queue/throttle.h"
#include "core/residence/index.h"
#include "core/residence/paging.h"
#include "core/state.h"
#include "core/time/timer.h"
#include "core/turnwork.h"
#include "core/vhost/settings.h"

#include "base/alloc.h"

#include <stdlib.h>

struct queue *queue_create(struct vhost *vhost, struct bytes name)
{
	struct queue *q = alloc_zeroed(sizeof *q);
	q->vhost = vhost;
	q->name = alloc_copy(name);
	fifo_init(&q->fifo);
	q->shelf.ttl_ms = NEVER;
	q->shelf.total = &vhost->core->shelved;
	q->serial = ++vhost->core->serial_last;
	q->loading_item = NEVER;
	q->tend.kind = TIMER_TEND;
	lease_init(&q->lease, NEVER);
	map_init(&q->groups, vhost->core->options.hash_seed);
	q->unused.kind = TIMER_UNUSED;
	list_init(&q->in_owner);
	list_init(&q->inbound);
	list_init(&q->unacked);
	list_init(&q->consumers);
	list_init(&q->in_dirty);
	list_init(&q->in_loading);
	list_init(&q->in_granting);
	list_init(&q->in_loose);
	list_init(&q->in_changed);
	list_init(&q->in_stale);
	list_init(&q->in_saving);
	list_init(&q->in_parked);
	list_init(&q->in_late);
	list_push_tail(&vhost->core->queues, &q->in_core);
	map_put(&vhost->queues, q->name, q);
	vhost->core->queues_len++;
	vhost->core->topology++;
	return q;
}

void queue_set_arguments(struct queue *q, struct bytes arguments)
{
	q->arguments = alloc_copy(arguments);
	queue_apply_settings(q);
}

uint64_t queue_ready(const struct queue *q)
{
	return q->fifo.len + q->shelf.ready_len;
}

uint64_t queue_ready_bytes(const struct queue *q)
{
	return q->fifo_bytes + q->shelf.ready_bytes;
}

/* --- in and out --- */

/* The message has a place of this queue in the log. */
static bool is_durable_in(const struct queue *q, const struct message *message)
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
	bool is_durable = is_durable_in(q, message);
	if (is_durable) {
		q->kept_bytes += message->body_len;
		queue_mark_stale(q);
	}
	if (queue_stands_in_line(q, message->expires_ms == 0 ? NEVER : message->expires_ms,
				 message->priority)) {
		q->volatile_len += !is_durable;
		q->fifo_bytes += message->body_len;
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
	struct shelf_item *item = shelf_first(&q->shelf);
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
		q->volatile_len -= !is_durable_in(q, t.message);
		q->fifo_bytes = q->fifo.len == 0 ? 0 : q->fifo_bytes - t.message->body_len;
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
	if (is_durable_in(q, message)) {
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
	if (is_durable_in(q, message))
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
	if (!is_durable_in(q, message))
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

/* What only the store knows is given up little by little. */
static void drop_fifo(struct queue *q)
{
	uint64_t from, until, position;
	if (fifo_drop_middle(&q->fifo, &from, &until))
		index_doom(q->vhost->core, q->index_id, from, until, false);
	for (uint64_t *slot; (slot = fifo_first(&q->fifo, &position)) != NULL; fifo_pop(&q->fifo))
		queue_forget_slot(q, *slot);
	paging_drop_spills(q);
	q->volatile_len = 0;
}

static int by_position(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

/* All positions from the cursor on are removed, in as few ranges as those of unacked messages among
 * them allow. */
static void remove_from_cursor(struct queue *q)
{
	uint64_t *kept = alloc_resize(NULL, (size_t)(q->unacked_len + 1) * sizeof *kept),
		 from = q->cursor;
	size_t len = 0;
	list_each (node, &q->unacked) {
		const struct delivery *d = list_entry(node, struct delivery, in_queue);
		if (d->position >= q->cursor)
			kept[len++] = d->position;
	}
	qsort(kept, len, sizeof *kept, by_position);
	kept[len++] = q->tail;
	for (size_t i = 0; i < len; i++) {
		if (kept[i] > from)
			ranges_add(&q->removed_ranges, from, kept[i] - from);
		from = kept[i] + 1;
	}
	free(kept);
}

static void drop_shelf(struct queue *q)
{
	for (struct shelf_item *item = NULL; (item = shelf_next(&q->shelf, item)) != NULL;) {
		if (q->id != 0 && slot_location(item->slot) != 0 && item->position < q->cursor)
			ranges_add(&q->removed_ranges, item->position, 1);
		queue_forget_slot(q, item->slot);
	}
	shelf_fini(&q->shelf);
	q->dying_len = 0;
	groups_forget_held(q);
}

/* What waits goes, too; what is unacked stays. */
uint64_t queue_purge(struct queue *q)
{
	uint64_t messages = queue_ready(q), unready = q->shelf.len - q->shelf.ready_len;
	bool is_changed = q->id != 0 && messages + unready > 0;
	if (is_changed)
		remove_from_cursor(q); /* Whatever of it the journal has. */
	drop_shelf(q);
	drop_fifo(q);
	q->cursor = q->reached = q->tail;
	q->fifo_bytes = q->kept_bytes = 0;
	list_each (node, &q->unacked) {
		const struct message *m = list_entry(node, struct delivery, in_queue)->message;
		q->kept_bytes += is_durable_in(q, m) ? m->body_len : 0;
	}
	if (is_changed) {
		queue_mark_changed(q);
		q->purged = q->vhost->core->batch->sequence;
	}
	return messages;
}

/* Unacked deliveries stay with their channels, which may still ack them; the messages go now. */
static void orphan_deliveries(struct queue *q)
{
	list_each (node, &q->unacked) {
		struct delivery *d = list_entry(node, struct delivery, in_queue);
		list_remove(&d->in_queue);
		queue_forget_slot(q, slot_of_message(d->message));
		if (d->lease == &q->lease)
			lease_end(d);
		d->queue = NULL;
		d->message = NULL;
	}
	q->unacked_len = 0;
}

void queue_destroy(struct queue *q)
{
	struct core *core = q->vhost->core;
	assert(list_is_empty(&q->inbound) && q->consumers_len == 0);
	dedup_forget(core, &q->settings.dedup);
	throttle_forget_queue(q);
	orphan_deliveries(q);
	queue_purge(q);
	list_remove(&q->in_owner);
	list_remove(&q->in_dirty);
	list_remove(&q->in_loading);
	list_remove(&q->in_granting);
	list_remove(&q->in_loose);
	list_remove(&q->in_changed);
	list_remove(&q->in_stale);
	list_remove(&q->in_saving);
	list_remove(&q->in_parked);
	list_remove(&q->in_late);
	timer_clear(&core->timers, &q->tend);
	timer_clear(&core->timers, &q->unused);
	groups_fini(q);
	lease_fini(core, &q->lease);
	if (q->vhost->delayed == q)
		q->vhost->delayed = NULL;
	if (core->evict_queue == &q->in_core)
		core->evict_queue = q->in_core.next;
	list_remove(&q->in_core);
	map_remove(&q->vhost->queues, q->name);
	if (q->id != 0)
		map_remove(&core->queues_by_id, bytes_of(&q->id, sizeof q->id));
	if (q->key_number != 0)
		map_remove(&core->key_queues, bytes_of(&q->key_number, sizeof q->key_number));
	index_delete(q);
	core->queues_len--;
	core->topology++;
	fifo_fini(&q->fifo);
	for (size_t i = 0; i < q->levels_len; i++)
		free(q->levels[i]);
	free(q->levels);
	shelf_fini(&q->shelf);
	free(q->removed_ranges.items);
	free(q->returned_ranges.items);
	free((void *)q->arguments.data);
	free((void *)q->name.data);
	free(q);
}
