/* Durable: what the core writes to the journal's batch besides messages.
 *
 *   definition   key                         value
 *   exchange     '1' name                    type 1, flags 1, arguments
 *   queue        '2' name                    id v, flags 1, arguments
 *   binding      '3' id 8                    source s, identity (see binding_identity())
 *   counters     -                           last queue id v, last binding id v
 *   queue record queue id                    cursor v, limit v, tail v, ready v, returned v,
 *                                            (position delta v, count v, location delta z)*
 *
 * A queue record says what lives: what was delivered and came back, or has not been settled (with the number of failed
 * deliveries), and from the cursor on up to the tail what the index has (index.c), `ready` messages. Below the limit they may have
 * been delivered (grant.c). v: varint, z: zigzag varint, s: short string. */
#include "core/durable.h"

#include "core/state.h"

#include "base/alloc.h"
#include "store.h"

#include <stdlib.h>

static void put(struct core *core, uint8_t kind, struct bytes name, struct bytes value, bool is_deleted)
{
	uint8_t key[2 + UINT8_MAX];
	struct writer w = writer_of(key, sizeof key);
	write_u8(&w, STORE_KEY_DEFINITION);
	write_u8(&w, kind);
	write_bytes(&w, name);
	assert(!w.failed);
	struct bytes k = bytes_of(key, (size_t)(w.at - key));
	if (is_deleted)
		batch_delete(core->batch, k);
	else
		batch_put(core->batch, k, value);
}

/* Counters go into every turn that moved them: an id must never be used again. */
static void put_counters(struct core *core)
{
	static const uint8_t key[] = { STORE_KEY_COUNTERS };
	uint8_t value[2 * VARINT_MAX];
	struct writer w = writer_of(value, sizeof value);
	write_varint(&w, core->queue_id_last);
	write_varint(&w, core->binding_id_last);
	batch_put(core->batch, bytes_of(key, sizeof key), bytes_of(value, (size_t)(w.at - value)));
}

void durable_exchange(struct exchange *x, bool is_deleted)
{
	size_t size = 2 + x->arguments.len;
	uint8_t *value = alloc_resize(NULL, size);
	struct writer w = writer_of(value, size);
	write_u8(&w, (uint8_t)x->type);
	write_u8(&w, (uint8_t)((x->is_auto_delete ? DEFINITION_AUTO_DELETE : 0) | (x->is_internal ? DEFINITION_INTERNAL : 0)));
	write_bytes(&w, x->arguments);
	put(x->vhost->core, DEFINITION_EXCHANGE, x->name, bytes_of(value, size), is_deleted);
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
		put_counters(core);
	}
	size_t size = VARINT_MAX + 1 + q->arguments.len;
	uint8_t *value = alloc_resize(NULL, size);
	struct writer w = writer_of(value, size);
	write_varint(&w, q->id);
	write_u8(&w, q->is_auto_delete ? DEFINITION_AUTO_DELETE : 0);
	write_bytes(&w, q->arguments);
	put(core, DEFINITION_QUEUE, q->name, bytes_of(value, (size_t)(w.at - value)), is_deleted);
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
		put_counters(core);
	}
	uint8_t id[8];
	store_u64(id, b->id);
	size_t size = 1 + b->source->name.len + b->identity.len;
	uint8_t *value = alloc_resize(NULL, size);
	struct writer w = writer_of(value, size);
	write_shortstr(&w, b->source->name);
	write_bytes(&w, b->identity);
	put(core, DEFINITION_BINDING, bytes_of(id, sizeof id), bytes_of(value, size), is_deleted);
	free(value);
}

/* --- changes of queues ------------------------------------------------------------------------------------------ */

void ranges_add(struct ranges *ranges, uint64_t position, uint64_t len)
{
	struct range *last = ranges->len == 0 ? NULL : &ranges->items[ranges->len - 1];
	if (last != NULL && last->start + last->len == position) {
		last->len += len;
		return;
	}
	ranges->items = alloc_grow(ranges->items, &ranges->cap, ranges->len + 1, sizeof *ranges->items);
	ranges->items[ranges->len++] = (struct range){ position, len };
}

void queue_mark_changed(struct queue *q)
{
	struct core *core = q->vhost->core;
	assert(q->id != 0);
	if (list_is_empty(&q->in_changed))
		list_push_tail(&core->changed, &q->in_changed);
	queue_mark_stale(q);
}

void queue_mark_stale(struct queue *q)
{
	if (list_is_empty(&q->in_stale))
		list_push_tail(&q->vhost->core->stale, &q->in_stale);
}

static void write_ranges(struct core *core, enum entry_kind kind, const struct queue *q, struct ranges *ranges)
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
	}
	paging_evict(core);
	core->batch = NULL;
}

/* --- checkpoint ------------------------------------------------------------------------------------------------- */

struct returned_place {
	uint64_t position;
	uint64_t location;
	uint32_t count;
};

static int by_position(const void *a, const void *b)
{
	uint64_t x = ((const struct returned_place *)a)->position, y = ((const struct returned_place *)b)->position;
	return x < y ? -1 : x > y;
}

/* Delivered and still living: what is unacked, and what came back. Only what the journal has. Sorted. */
static struct returned_place *returned_places(const struct queue *q, size_t *len)
{
	size_t n = 0;
	struct returned_place *places = alloc_resize(NULL, (size_t)(q->unacked_len + q->returned_len + 1) * sizeof *places);
	list_each (node, &q->unacked) {
		const struct delivery *d = list_entry(node, struct delivery, in_queue);
		if (d->message->location != 0)
			places[n++] = (struct returned_place){ d->position, d->message->location, d->count };
	}
	for (size_t i = 0; i < q->returned_len; i++) {
		const struct returned *r = &q->returned[i];
		if (slot_location(r->slot) != 0)
			places[n++] = (struct returned_place){ r->position, slot_location(r->slot), r->count };
	}
	qsort(places, n, sizeof *places, by_position);
	*len = n;
	return places;
}

static void put_queue_record(struct core *core, struct queue *q)
{
	size_t len;
	struct returned_place *places = returned_places(q, &len), before = { 0 };
	size_t size = (5 + 3 * len) * VARINT_MAX;
	uint8_t *value = alloc_resize(NULL, size);
	struct writer w = writer_of(value, size);
	write_varint(&w, q->cursor);
	write_varint(&w, q->asked);
	write_varint(&w, q->tail);
	write_varint(&w, q->fifo.len - q->volatile_len);
	write_varint(&w, len);
	for (size_t i = 0; i < len; before = places[i++]) {
		write_varint(&w, places[i].position - before.position);
		write_varint(&w, places[i].count);
		write_varint(&w, zigzag(places[i].location - before.location));
	}
	uint8_t key[QUEUE_KEY_BYTES];
	changes_put(core->batch->changes, queue_key(key, q->id), bytes_of(value, (size_t)(w.at - value)));
	free(value);
	free(places);
}

void core_checkpoint(struct core *core)
{
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
	for (size_t i = 0; i < core->orphans_len; i++) {
		uint8_t key[QUEUE_KEY_BYTES];
		changes_delete(batch->changes, queue_key(key, core->orphans[i]));
	}
	core->orphans_len = 0;
}

void core_checkpointed(struct core *core)
{
	while (!list_is_empty(&core->saving))
		index_saved(list_entry(core->saving.next, struct queue, in_saving));
}
