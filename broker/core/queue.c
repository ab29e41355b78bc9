/* Queues: what is ready in them, and in which order it leaves. */
#include "core/state.h"

#include "base/alloc.h"
#include "table.h"

#include <stdlib.h>

struct queue *queue_create(struct vhost *vhost, struct bytes name)
{
	struct queue *q = alloc_zeroed(sizeof *q);
	q->vhost = vhost;
	q->name = alloc_copy(name);
	q->delivery_limit = UINT64_MAX;
	fifo_init(&q->fifo);
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
	list_push_tail(&vhost->core->queues, &q->in_core);
	map_put(&vhost->queues, q->name, q);
	vhost->core->queues_len++;
	vhost->core->topology++;
	return q;
}

void queue_set_arguments(struct queue *q, struct bytes arguments)
{
	struct table_value v;
	q->arguments = alloc_copy(arguments);
	q->is_counting = table_find(arguments, "x-queue-type", &v) && v.type == 'S' && bytes_equal_str(v.bytes, "quorum");
	bool has_limit = table_find(arguments, "x-delivery-limit", &v) && table_value_is_integer(&v);
	q->delivery_limit = has_limit ? (uint64_t)v.integer : UINT64_MAX;
}

struct queue *queue_find(const struct vhost *vhost, struct bytes name)
{
	return map_get(&vhost->queues, name);
}

uint64_t queue_ready(const struct queue *q)
{
	return q->fifo.len + q->returned_len;
}

void queue_mark_dirty(struct queue *q)
{
	if (list_is_empty(&q->in_dirty))
		list_push_tail(&q->vhost->core->dirty, &q->in_dirty);
}

/* --- the heap of returned messages ----------------------------------------------------------------------------- */

static void returned_push(struct queue *q, struct returned item)
{
	q->returned = alloc_grow(q->returned, &q->returned_cap, q->returned_len + 1, sizeof *q->returned);
	size_t at = q->returned_len++;
	for (; at > 0 && q->returned[(at - 1) / 2].position > item.position; at = (at - 1) / 2)
		q->returned[at] = q->returned[(at - 1) / 2];
	q->returned[at] = item;
}

static struct returned returned_pop(struct queue *q)
{
	struct returned top = q->returned[0];
	struct returned last = q->returned[--q->returned_len];
	size_t at = 0;
	for (;;) {
		size_t child = 2 * at + 1;
		if (child >= q->returned_len)
			break;
		if (child + 1 < q->returned_len && q->returned[child + 1].position < q->returned[child].position)
			child++;
		if (q->returned[child].position >= last.position)
			break;
		q->returned[at] = q->returned[child];
		at = child;
	}
	if (q->returned_len > 0)
		q->returned[at] = last;
	else if (q->returned_cap > 1024) { /* A burst of requeues should not hold memory for ever. */
		free(q->returned);
		q->returned = NULL;
		q->returned_cap = 0;
	}
	return top;
}

uint64_t queue_drop_returned(struct queue *q)
{
	return returned_pop(q).position;
}

/* --- in and out ------------------------------------------------------------------------------------------------ */

/* The message has a place of this queue in the log. */
static bool is_durable_in(const struct queue *q, const struct message *message)
{
	return q->id != 0 && message->location != 0;
}

void queue_push(struct queue *q, uint64_t position, struct message *message)
{
	if (is_durable_in(q, message))
		queue_mark_stale(q);
	else
		q->volatile_len++;
	fifo_push(&q->fifo, position, slot_of_message(message));
	queue_mark_dirty(q);
}

uint64_t *queue_first(struct queue *q, uint64_t *position, bool *is_new)
{
	*is_new = q->returned_len == 0;
	return *is_new ? fifo_first(&q->fifo, position) : &q->returned[0].slot;
}

struct message *queue_pop(struct queue *q, uint64_t *position, uint32_t *count, bool *is_redelivered)
{
	*is_redelivered = q->returned_len > 0;
	if (q->returned_len > 0) {
		struct returned item = returned_pop(q);
		*position = item.position;
		*count = item.count;
		return slot_message(item.slot);
	}
	struct message *message = slot_message(*fifo_first(&q->fifo, position));
	fifo_pop(&q->fifo);
	queue_mark_stale(q);
	q->volatile_len -= !is_durable_in(q, message);
	q->cursor = *position + 1;
	*count = 0;
	return message;
}

void queue_put_back(struct queue *q, uint64_t position, uint64_t slot, uint32_t count)
{
	assert(position < q->cursor);
	returned_push(q, (struct returned){ position, slot, count });
	if (q->id != 0 && slot_location(slot) != 0) {
		ranges_add(&q->returned_ranges, position, 1);
		queue_mark_changed(q);
	}
	queue_mark_dirty(q);
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
	if (message->sequence == batch->sequence && --message->places == 0 && batch_void(batch, message->location))
		return;
	ranges_add(&q->removed_ranges, position, 1);
	queue_mark_changed(q);
}

void queue_release(struct queue *q, uint64_t position, struct message *message)
{
	if (!is_durable_in(q, message))
		return;
	record_settled(q, position, message);
	space_unref(q->vhost->core->options.space, message->location);
}

void queue_settle(struct queue *q, uint64_t position, struct message *message)
{
	queue_release(q, position, message);
	message_unref(&q->vhost->core->messages, message);
}

/* --- emptying -------------------------------------------------------------------------------------------------- */

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

uint64_t queue_purge(struct queue *q)
{
	uint64_t messages = queue_ready(q);
	while (q->returned_len > 0) {
		struct returned item = returned_pop(q);
		if (q->id != 0 && slot_location(item.slot) != 0)
			ranges_add(&q->removed_ranges, item.position, 1);
		queue_forget_slot(q, item.slot);
	}
	if (q->id != 0 && q->fifo.len > 0) /* One range for all, whatever of it the journal has. */
		ranges_add(&q->removed_ranges, q->cursor, q->tail - q->cursor);
	drop_fifo(q);
	q->cursor = q->tail;
	if (q->id != 0 && messages > 0)
		queue_mark_changed(q);
	return messages;
}

/* Unacked deliveries stay with their channels, which may still ack them; the messages go now. */
static void orphan_deliveries(struct queue *q)
{
	list_each (node, &q->unacked) {
		struct delivery *d = list_entry(node, struct delivery, in_queue);
		list_remove(&d->in_queue);
		queue_forget_slot(q, slot_of_message(d->message));
		d->queue = NULL;
		d->message = NULL;
	}
	q->unacked_len = 0;
}

void queue_destroy(struct queue *q)
{
	struct core *core = q->vhost->core;
	assert(list_is_empty(&q->inbound) && q->consumers_len == 0);
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
	if (core->evict_queue == &q->in_core)
		core->evict_queue = q->in_core.next;
	list_remove(&q->in_core);
	map_remove(&q->vhost->queues, q->name);
	if (q->id != 0)
		map_remove(&core->queues_by_id, bytes_of(&q->id, sizeof q->id));
	index_delete(q);
	core->queues_len--;
	core->topology++;
	fifo_fini(&q->fifo);
	for (size_t i = 0; i < q->levels_len; i++)
		free(q->levels[i]);
	free(q->levels);
	free(q->returned);
	free(q->removed_ranges.items);
	free(q->returned_ranges.items);
	free((void *)q->arguments.data);
	free((void *)q->name.data);
	free(q);
}
