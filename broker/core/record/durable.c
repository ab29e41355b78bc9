/* Durable: what the core writes to the journal's batch besides messages.
 *
 *   definition   key                         value
 *   exchange     '1' name                    type 1, flags 1, arguments
 *   queue        '2' name                    id v, flags 1, with DEFINITION_EMPTIED: from which
 *                                            key on v, arguments
 *   binding      '3' id 8                    source s, identity (see binding_identity())
 *   counters     -                           last queue id v, last binding id v, volatile ids of
 *                                            this process: before the first v, last v,
 *                                            seed of the names of idempotency keys 8
 *   queue record queue id                    cursor v, limit v, tail v, ready v, bytes v, shelf v,
 *                                            (position delta z, flags 1, location delta z, count v,
 * size v, time delta z, until v, expires v, priority 1)*
 *
 * A queue record says what lives: what does not simply stand in line (shelf.h) or has been
 * delivered and not been settled, and from the cursor on up to the tail what the index has
 * (index.c), `ready` messages. Below the limit they may have been delivered (grant.c). bytes are
 * those of all bodies. until and expires are 0 if there is none, otherwise relative to the time of
 * the message. v: varint, z: zigzag varint, s: short string. */
#include "core/record/durable.h"
#include "core/check/check.h"
#include "core/core.h"
#include "core/dedup/keylog.h"
#include "core/dedup/producer.h"
#include "core/dispatch/unacked.h"
#include "core/exchange/binding.h"
#include "core/exchange/exchange.h"
#include "core/line/fifo.h"
#include "core/line/shelf.h"
#include "core/queue/queue.h"
#include "core/residence/index.h"
#include "core/residence/paging.h"
#include "core/state.h"

#include "base/alloc.h"
#include "store.h"

#include <stdlib.h>

static void put(struct core *core, uint8_t kind, struct bytes name, struct bytes value,
		bool is_deleted)
{
	uint8_t key[2 + UINT8_MAX];
	struct writer w = writer_of(key, sizeof key);
	write_u8(&w, STORE_KEY_DEFINITION);
	write_u8(&w, kind);
	write_bytes(&w, name);
	assert(!w.failed);
	struct bytes k = bytes_of(key, (size_t)(w.at - key));
	if (is_deleted) {
		core->removed = core->batch->sequence;
		batch_delete(core->batch, k);
	} else {
		batch_put(core->batch, k, value);
	}
}

/* Counters go into every turn that moved them: an id must never be used again. */
void durable_counters(struct core *core)
{
	static const uint8_t key[] = { STORE_KEY_COUNTERS };
	uint8_t value[4 * VARINT_MAX + 8];
	struct writer w = writer_of(value, sizeof value);
	write_varint(&w, core->queue_id_last);
	write_varint(&w, core->binding_id_last);
	write_varint(&w, core->volatile_id_first);
	write_varint(&w, core->volatile_id_last);
	write_u64(&w, core->key_seed);
	core->key_log.has_seed = true;
	batch_put(core->batch, bytes_of(key, sizeof key), bytes_of(value, (size_t)(w.at - value)));
}

void durable_exchange(struct exchange *x, bool is_deleted)
{
	size_t size = 2 + x->arguments.len;
	uint8_t *value = alloc_resize(NULL, size);
	struct writer w = writer_of(value, size);
	write_u8(&w, (uint8_t)x->type);
	write_u8(&w, (uint8_t)((x->is_auto_delete ? DEFINITION_AUTO_DELETE : 0) |
			       (x->is_internal ? DEFINITION_INTERNAL : 0) |
			       (x->guise == GUISE_DELAYED ? DEFINITION_DELAYED : 0) |
			       (x->guise == GUISE_DEDUPLICATING ? DEFINITION_DEDUPLICATING : 0)));
	write_bytes(&w, x->arguments);
	put(x->vhost->core, DEFINITION_EXCHANGE, x->name, bytes_of(value, size), is_deleted);
	x->defined = x->vhost->core->batch->sequence;
	free(value);
}

enum { QUEUE_KEY_BYTES = 5 };

static struct bytes queue_key(uint8_t *key, uint32_t id)
{
	key[0] = STORE_KEY_QUEUE;
	store_u32(key + 1, id);
	return bytes_of(key, QUEUE_KEY_BYTES);
}

void durable_queue(struct queue *q, bool is_deleted)
{
	struct core *core = q->vhost->core;
	if (q->id == 0) {
		q->id = ++core->queue_id_last;
		map_put(&core->queues_by_id, bytes_of(&q->id, sizeof q->id), q);
		durable_counters(core);
	}
	size_t size = 2 * VARINT_MAX + 1 + q->arguments.len;
	uint8_t *value = alloc_resize(NULL, size);
	struct writer w = writer_of(value, size);
	write_varint(&w, q->id);
	write_u8(&w, (uint8_t)((q->is_auto_delete ? DEFINITION_AUTO_DELETE : 0) |
			       (q->keys_from > 0 ? DEFINITION_EMPTIED : 0)));
	if (q->keys_from > 0)
		write_varint(&w, q->keys_from);
	write_bytes(&w, q->arguments);
	put(core, DEFINITION_QUEUE, q->name, bytes_of(value, (size_t)(w.at - value)), is_deleted);
	q->defined = core->batch->sequence;
	free(value);
	if (is_deleted) {
		uint8_t key[QUEUE_KEY_BYTES];
		changes_delete(core->batch->changes, queue_key(key, q->id));
	}
}

void durable_binding(struct binding *b, bool is_deleted)
{
	struct core *core = b->source->vhost->core;
	if (b->id == 0) {
		b->id = ++core->binding_id_last;
		durable_counters(core);
	}
	uint8_t id[8];
	store_u64(id, b->id);
	size_t size = 1 + b->source->name.len + b->identity.len;
	uint8_t *value = alloc_resize(NULL, size);
	struct writer w = writer_of(value, size);
	write_shortstr(&w, b->source->name);
	write_bytes(&w, b->identity);
	put(core, DEFINITION_BINDING, bytes_of(id, sizeof id), bytes_of(value, size), is_deleted);
	b->defined = core->batch->sequence;
	free(value);
}

/* --- changes of queues --- */

static void write_ranges(struct core *core, enum entry_kind kind, const struct queue *q,
			 struct ranges *ranges)
{
	enum { KEPT = 1024 };
	if (ranges->len == 0)
		return;
	batch_ranges(core->batch, kind, q->id, ranges->items, ranges->len);
	ranges->len = 0;
	if (ranges->cap > KEPT) {
		free(ranges->items);
		*ranges = (struct ranges){ 0 };
	}
}

void core_end(struct core *core)
{
	CHECKED_INPUT(core);
	while (!list_is_empty(&core->changed)) {
		struct queue *q = list_entry(core->changed.next, struct queue, in_changed);
		list_remove(&q->in_changed);
		if (q->is_limit_changed) {
			struct range limit = { q->asked, 0 };
			batch_ranges(core->batch, ENTRY_DELIVERED, q->id, &limit, 1);
			q->is_limit_changed = false;
		}
		/* A position may come back and be settled, but not the other way round. */
		write_ranges(core, ENTRY_RETURNED, q, &q->returned_ranges);
		write_ranges(core, ENTRY_REMOVED, q, &q->removed_ranges);
		struct range bytes = { q->kept_bytes, 0 };
		batch_ranges(core->batch, ENTRY_BYTES, q->id, &bytes, 1);
	}
	keylog_end(core);
	producers_end(core);
	paging_evict(core);
	core->batch = NULL;
}

/* --- checkpoint --- */

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

static void put_queue_record(struct core *core, struct queue *q)
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

void core_checkpoint(struct core *core)
{
	CHECKED_INPUT(core);
	struct batch *batch = core->batch;
	core_end(core); /* The records below stand for everything that happened so far. */
	core->batch = batch;
	while (!list_is_empty(&core->stale)) {
		struct queue *q = list_entry(core->stale.next, struct queue, in_stale);
		list_remove(&q->in_stale);
		paging_drop_spills(q);
		index_save(q);
		if (q->id != 0)
			put_queue_record(core, q);
	}
	doomed_save(core);
	keylog_save(core);
	producers_save(core);
	for (size_t i = 0; i < core->orphans_len; i++) {
		uint8_t key[QUEUE_KEY_BYTES];
		changes_delete(batch->changes, queue_key(key, core->orphans[i]));
	}
	core->orphans_len = 0;
}

void core_checkpointed(struct core *core)
{
	CHECKED_INPUT(core);
	while (!list_is_empty(&core->saving))
		index_saved(list_entry(core->saving.next, struct queue, in_saving));
}
