/* Queue record: what lives in a queue, as a checkpoint writes it.
 *
 *   queue record queue id                    cursor v, limit v, tail v, ready v, bytes v, shelf v,
 *                                            (position delta z, flags 1, location delta z, count v,
 *                                            size v, time delta z, until v, expires v, priority 1)*
 *
 * What lives is what does not simply stand in line (shelf.h) or has been delivered and not been
 * settled, and from the cursor on up to the tail what the index has (index.c), `ready` messages.
 * Below the limit they may have been delivered (grant.c). bytes are those of all bodies. until and
 * expires are 0 if there is none, otherwise relative to the time of the message. v: varint, z:
 * zigzag varint. */
#include "core/queue/queue_record.h"
#include "core/dispatch/unacked.h"
#include "core/line/fifo.h"
#include "core/line/shelf.h"
#include "core/queue/queue.h"
#include "core/record/definitions.h"
#include "core/state.h"

#include "base/alloc.h"

#include <stdlib.h>

enum { SHELVED_BYTES_MAX = 2 + 7 * VARINT_MAX };

/* The journal has it. */
static bool is_kept(uint64_t slot)
{
	return slot_location(slot) != 0 && !location_is_volatile(slot_location(slot));
}

static uint64_t relative(uint64_t time_ms, uint64_t from_ms)
{
	return time_ms == 0 || time_ms == NEVER ? 0 : time_ms > from_ms ? time_ms - from_ms : 1;
}

static void write_item(struct writer *w, const struct shelf_item *item, struct shelf_item *before)
{
	uint64_t location = slot_location(item->slot);
	write_varint(w, zigzag(item->position - before->position));
	write_u8(w, item->is_delivered ? DEFINITION_DELIVERED : 0);
	write_varint(w, zigzag(location - before->slot));
	write_varint(w, item->count);
	write_varint(w, item->size);
	write_varint(w, zigzag(item->time_ms - before->time_ms));
	write_varint(w, item->state == SHELF_WAITING ? relative(item->until_ms, item->time_ms) : 0);
	write_varint(w, relative(item->expires_ms, item->time_ms));
	write_u8(w, item->priority);
	*before = (struct shelf_item){ .position = item->position,
				       .slot = location,
				       .time_ms = item->time_ms };
}

/* An unacked message as it will come back after a crash: with one more failed delivery, since its
 * consumer is lost. */
static struct shelf_item item_of_delivery(const struct delivery *d)
{
	struct shelf_item item = queue_item(d->queue, d->position, d->message);
	item.count = d->count + 1;
	item.is_delivered = true;
	return item;
}

static void write_shelf(struct writer *w, const struct queue *q)
{
	struct shelf_item before = { 0 };
	list_each (node, &q->unacked) {
		const struct delivery *d = list_entry(node, struct delivery, in_queue);
		struct shelf_item item = item_of_delivery(d);
		if (d->message->location != 0)
			write_item(w, &item, &before);
	}
	for (const struct shelf_item *item = NULL; (item = shelf_next(&q->shelf, item)) != NULL;)
		if (is_kept(item->slot))
			write_item(w, item, &before);
}

static size_t count_kept(const struct queue *q)
{
	size_t n = 0;
	list_each (node, &q->unacked)
		n += list_entry(node, struct delivery, in_queue)->message->location != 0;
	for (const struct shelf_item *item = NULL; (item = shelf_next(&q->shelf, item)) != NULL;)
		n += is_kept(item->slot);
	return n;
}

void queue_write_record(struct core *core, struct queue *q)
{
	size_t len = count_kept(q);
	size_t size = 6 * VARINT_MAX + len * SHELVED_BYTES_MAX;
	uint8_t *value = alloc_resize(NULL, size);
	struct writer w = writer_of(value, size);
	write_varint(&w, q->cursor);
	write_varint(&w, q->asked);
	write_varint(&w, q->tail);
	write_varint(&w, q->fifo.len - q->volatile_len);
	write_varint(&w, q->kept_bytes);
	write_varint(&w, len);
	write_shelf(&w, q);
	assert(!w.failed);
	uint8_t key[QUEUE_KEY_BYTES];
	changes_put(core->batch->changes, queue_key(key, q->id),
		    bytes_of(value, (size_t)(w.at - value)));
	free(value);
}
