/* Durable: what the core writes to the journal's batch besides messages.
 *
 *   definition   key                         value
 *   exchange     '1' name                    type 1, flags 1, arguments
 *   queue        '2' name                    id v, flags 1, arguments
 *   binding      '3' id 8                    source s, identity (see binding_identity())
 *   counters     -                           last queue id v, last binding id v
 *   queue record queue id                    cursor v, limit v, runs v, (start delta v, len v, count v)*
 *
 * A queue record says which positions live: the runs (delivered at least once, with the number of failed deliveries), and every
 * position from the cursor on that some message in the journal has. Below the limit it may have been delivered (grant.c).
 * v: varint, s: short string. */
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

static void put_queue_id(struct queue *q, uint8_t *key)
{
	key[0] = STORE_KEY_QUEUE;
	store_u32(key + 1, q->id);
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
		uint8_t key[5];
		put_queue_id(q, key);
		batch_delete(core->batch, bytes_of(key, sizeof key));
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
	if (list_is_empty(&q->in_stale))
		list_push_tail(&core->stale, &q->in_stale);
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

struct run {
	uint64_t start;
	uint64_t len;
	uint32_t count;
};

static int by_start(const void *a, const void *b)
{
	uint64_t x = ((const struct run *)a)->start, y = ((const struct run *)b)->start;
	return x < y ? -1 : x > y;
}

/* Delivered and still living: what is unacked, and what came back. Only what the journal has. Sorted and joined. */
static struct run *living_runs(const struct queue *q, size_t *len)
{
	size_t n = 0, joined = 0;
	struct run *runs = alloc_resize(NULL, (size_t)(q->unacked_len + q->returned_len + 1) * sizeof *runs);
	list_each (node, &q->unacked) {
		const struct delivery *d = list_entry(node, struct delivery, in_queue);
		if (d->message->location != 0)
			runs[n++] = (struct run){ d->position, 1, d->count };
	}
	for (size_t i = 0; i < q->returned_len; i++)
		if (slot_location(q->returned[i].slot) != 0)
			runs[n++] = (struct run){ q->returned[i].position, 1, q->returned[i].count };
	qsort(runs, n, sizeof *runs, by_start);
	for (size_t i = 0; i < n; i++) {
		struct run *last = joined == 0 ? NULL : &runs[joined - 1];
		if (last != NULL && last->start + last->len == runs[i].start && last->count == runs[i].count)
			last->len++;
		else
			runs[joined++] = runs[i];
	}
	*len = joined;
	return runs;
}

static void put_queue_record(struct core *core, struct queue *q)
{
	size_t len;
	struct run *runs = living_runs(q, &len);
	size_t size = (3 + 3 * len) * VARINT_MAX;
	uint8_t *value = alloc_resize(NULL, size);
	struct writer w = writer_of(value, size);
	uint64_t end = 0;
	write_varint(&w, q->cursor);
	write_varint(&w, q->asked);
	write_varint(&w, len);
	for (size_t i = 0; i < len; i++) {
		write_varint(&w, runs[i].start - end);
		write_varint(&w, runs[i].len);
		write_varint(&w, runs[i].count);
		end = runs[i].start + runs[i].len;
	}
	uint8_t key[5];
	put_queue_id(q, key);
	batch_put(core->batch, bytes_of(key, sizeof key), bytes_of(value, (size_t)(w.at - value)));
	free(value);
	free(runs);
}

void core_checkpoint(struct core *core)
{
	struct batch *batch = core->batch;
	core_end(core); /* The records below stand for everything that happened so far. */
	core->batch = batch;
	while (!list_is_empty(&core->stale)) {
		struct queue *q = list_entry(core->stale.next, struct queue, in_stale);
		list_remove(&q->in_stale);
		put_queue_record(core, q);
	}
	batch_checkpoint(batch);
}
