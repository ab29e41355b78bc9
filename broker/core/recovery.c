/* Recovery: the core's state from the journal.
 *
 * Queue records say which positions lived at the checkpoint; segments older than it contribute the messages at those
 * positions, newer ones also what happened since. What may have been delivered and was not settled comes back as redelivered,
 * in its old place; what surely was (the runs) has one more failed delivery, since its consumer was lost. */
#include "core/durable.h"
#include "core/state.h"

#include "base/alloc.h"
#include "table.h"

#include <stdlib.h>

struct item {
	uint64_t position;
	uint64_t location; /* 0: removed since. */
	uint32_t count;    /* Failed deliveries. */
};

struct living_run {
	uint64_t start;
	uint64_t len;
	uint32_t count;
};

struct recovery {
	uint64_t cursor;         /* As of the checkpoint: below it only the runs live. */
	uint64_t limit;          /* Below it a message may have been delivered. */
	uint64_t tail;           /* Above every position seen, also of what is gone: none may be used again. */
	struct living_run *runs; /* Sorted. */
	size_t runs_len;
	size_t runs_cap;
	struct item *items; /* Sorted by position. */
	size_t items_len;
	size_t items_cap;
};

/* --- definitions ----------------------------------------------------------------------------------------------- */

static void on_counters(void *arg, struct bytes value)
{
	struct core *core = arg;
	struct reader r = reader_of(value.data, value.len);
	core->queue_id_last = (uint32_t)read_varint(&r);
	core->binding_id_last = read_varint(&r);
}

static void recover_exchange(struct core *core, struct bytes name, struct reader *r)
{
	enum exchange_type type = (enum exchange_type)read_u8(r);
	uint8_t flags = read_u8(r);
	struct table_value ae;
	if (r->failed || type > EXCHANGE_HEADERS || exchange_find(&core->vhost, name) != NULL)
		return;
	struct exchange *x = exchange_create(&core->vhost, name, type);
	x->is_durable = true;
	x->is_auto_delete = flags & DEFINITION_AUTO_DELETE;
	x->is_internal = flags & DEFINITION_INTERNAL;
	x->arguments = alloc_copy(bytes_of(r->at, reader_left(r)));
	if (table_find(x->arguments, "alternate-exchange", &ae))
		x->alternate = ae.bytes;
}

static void recover_queue(struct core *core, struct bytes name, struct reader *r)
{
	uint32_t id = (uint32_t)read_varint(r);
	uint8_t flags = read_u8(r);
	if (r->failed || id == 0 || queue_find(&core->vhost, name) != NULL)
		return;
	struct queue *q = queue_create(&core->vhost, name);
	q->id = id;
	q->is_durable = true;
	q->is_auto_delete = flags & DEFINITION_AUTO_DELETE;
	queue_set_arguments(q, bytes_of(r->at, reader_left(r)));
	q->recovery = alloc_zeroed(sizeof *q->recovery);
	map_put(&core->queues_by_id, bytes_of(&q->id, sizeof q->id), q);
	if (id > core->queue_id_last)
		core->queue_id_last = id;
}

static void recover_binding(struct core *core, struct bytes name, struct reader *r)
{
	uint64_t id = name.len == 8 ? load_u64(name.data) : 0;
	struct exchange *source = exchange_find(&core->vhost, read_shortstr(r));
	struct bytes identity = bytes_of(r->at, reader_left(r));
	uint8_t kind = read_u8(r);
	struct bytes destination = read_shortstr(r);
	if (r->failed || id == 0 || source == NULL || binding_find(source, identity) != NULL)
		return;
	struct queue *q = kind == 'q' ? queue_find(&core->vhost, destination) : NULL;
	struct exchange *x = kind == 'e' ? exchange_find(&core->vhost, destination) : NULL;
	if (q != NULL || x != NULL)
		binding_create(source, q, x, identity)->id = id;
	if (id > core->binding_id_last)
		core->binding_id_last = id;
}

static void on_definition(void *arg, struct bytes kind_and_name, struct bytes value)
{
	struct core *core = arg;
	struct reader r = reader_of(value.data, value.len);
	struct bytes name = bytes_of(kind_and_name.data + 1, kind_and_name.len - 1);
	switch ((enum definition_kind)kind_and_name.data[0]) {
	case DEFINITION_EXCHANGE: recover_exchange(core, name, &r); break;
	case DEFINITION_QUEUE: recover_queue(core, name, &r); break;
	case DEFINITION_BINDING: recover_binding(core, name, &r); break;
	}
}

/* --- queues ---------------------------------------------------------------------------------------------------- */

static struct queue *queue_by_id(struct core *core, uint32_t id)
{
	return map_get(&core->queues_by_id, bytes_of(&id, sizeof id));
}

static void on_queue(void *arg, uint32_t id, struct bytes value)
{
	struct queue *q = queue_by_id(arg, id);
	if (q == NULL)
		return;
	struct recovery *rec = q->recovery;
	struct reader r = reader_of(value.data, value.len);
	uint64_t end = 0;
	rec->cursor = read_varint(&r);
	rec->limit = read_varint(&r);
	for (uint64_t left = read_varint(&r); left > 0 && !r.failed; left--) {
		struct living_run run = { .start = end + read_varint(&r) };
		run.len = read_varint(&r);
		run.count = (uint32_t)read_varint(&r);
		end = run.start + run.len;
		rec->runs = alloc_grow(rec->runs, &rec->runs_cap, rec->runs_len + 1, sizeof *rec->runs);
		rec->runs[rec->runs_len++] = run;
	}
}

static const struct living_run *run_find(const struct recovery *rec, uint64_t position)
{
	size_t low = 0, high = rec->runs_len;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (rec->runs[middle].start + rec->runs[middle].len <= position)
			low = middle + 1;
		else
			high = middle;
	}
	return low < rec->runs_len && rec->runs[low].start <= position ? &rec->runs[low] : NULL;
}

/* The first item at or after a position. */
static size_t item_at(const struct recovery *rec, uint64_t position)
{
	size_t low = 0, high = rec->items_len;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (rec->items[middle].position < position)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void recover_place(struct core *core, struct place place, uint64_t location, bool is_tail)
{
	struct queue *q = queue_by_id(core, place.queue);
	if (q == NULL)
		return;
	struct recovery *rec = q->recovery;
	if (place.position >= rec->tail)
		rec->tail = place.position + 1;
	const struct living_run *run = is_tail ? NULL : run_find(rec, place.position);
	if (!is_tail && run == NULL && place.position < rec->cursor)
		return;
	size_t at = rec->items_len;
	if (at > 0 && rec->items[at - 1].position >= place.position) {
		at = item_at(rec, place.position);
		if (rec->items[at].position == place.position)
			return; /* A copy of one that is there already. */
	}
	rec->items = alloc_grow(rec->items, &rec->items_cap, rec->items_len + 1, sizeof *rec->items);
	memmove(rec->items + at + 1, rec->items + at, (rec->items_len - at) * sizeof *rec->items);
	rec->items[at] = (struct item){ place.position, location, run == NULL ? 0 : run->count + 1 };
	rec->items_len++;
	live_ref(core->options.live, location_segment(location));
}

static void recover_range(struct core *core, struct recovery *rec, enum entry_kind kind, struct range range)
{
	if (kind == ENTRY_DELIVERED) {
		rec->limit = range.start; /* The last one holds: it may have been drawn back. */
		return;
	}
	for (size_t i = item_at(rec, range.start); i < rec->items_len; i++) {
		struct item *item = &rec->items[i];
		if (item->position - range.start >= range.len)
			break;
		if (item->location == 0)
			continue;
		if (kind == ENTRY_RETURNED) {
			item->count++;
		} else {
			live_unref(core->options.live, location_segment(item->location));
			item->location = 0;
		}
	}
}

static void on_entry(void *arg, uint64_t location, struct entry *entry, bool is_tail)
{
	struct core *core = arg;
	struct place place;
	struct range range;
	if (entry->kind == ENTRY_MESSAGE) {
		while (entry_next_place(entry, &place))
			recover_place(core, place, location, is_tail);
		return;
	}
	struct queue *q = queue_by_id(core, entry->queue);
	while (q != NULL && entry_next_range(entry, &range))
		recover_range(core, q->recovery, entry->kind, range);
}

static void on_damage(void *arg, uint64_t segment, uint32_t offset)
{
	struct core *core = arg;
	(void)segment;
	(void)offset;
	core->figures.damaged++;
}

const struct journal_visitor core_recovery = { on_counters, on_definition, on_queue, on_entry, on_damage };

/* --- the end --------------------------------------------------------------------------------------------------- */

/* Between the cursor and the first message beyond it nothing lives, so the cursor moves up: what was purged there must not be
 * taken for living at the next recovery. */
static void fill_queue(struct queue *q)
{
	struct recovery *rec = q->recovery;
	uint64_t delivered = rec->cursor > rec->limit ? rec->cursor : rec->limit;
	q->tail = rec->tail > delivered ? rec->tail : delivered;
	q->cursor = q->tail;
	for (size_t i = 0; i < rec->items_len; i++) {
		const struct item *item = &rec->items[i];
		if (item->location == 0)
			continue;
		if (item->position < delivered) {
			queue_put_back(q, item->position, slot_of_location(item->location), item->count);
			continue;
		}
		if (q->fifo.len == 0)
			q->cursor = item->position;
		fifo_push(&q->fifo, item->position, slot_of_location(item->location));
	}
	q->granted = q->asked = q->cursor;
	free(rec->runs);
	free(rec->items);
	free(rec);
	q->recovery = NULL;
}

/* The first checkpoint rewrites every record, so nothing that was recovered depends on old ones any longer. */
void core_recovered(struct core *core)
{
	list_each (node, &core->queues) {
		struct queue *q = list_entry(node, struct queue, in_core);
		fill_queue(q);
		queue_mark_changed(q);
	}
}
