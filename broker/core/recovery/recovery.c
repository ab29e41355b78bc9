/* Recovery: the core's state from the journal.
 *
 * Queue records say what had been delivered and lived at the checkpoint, and where its index
 * begins; the log's tail says what happened since. Of the index only the chunks are read that hold
 * what the tail speaks of, or what may have been delivered: a start takes no longer with a deep
 * queue. What may have been delivered and was not settled comes back as redelivered, in its old
 * place; what surely was has one more failed delivery, since its consumer was lost. */
#include "core/core.h"
#include "core/dedup/keylog.h"
#include "core/dedup/producer.h"
#include "core/exchange/binding.h"
#include "core/exchange/exchange.h"
#include "core/exchange/type.h"
#include "core/flow/delay.h"
#include "core/line/fifo.h"
#include "core/line/shelf.h"
#include "core/message/message.h"
#include "core/queue/queue.h"
#include "core/record/definitions.h"
#include "core/residence/index.h"
#include "core/state.h"
#include "core/topology/apply.h"
#include "core/topology/lifetime.h"
#include "core/topology/vhosts.h"
#include "core/turnwork.h"
#include "core/vhost/vhost.h"

#include "base/alloc.h"
#include "chunk.h"
#include "reply.h"
#include "store.h"
#include "table.h"

#include <stdlib.h>

struct item {
	uint64_t position;
	uint64_t location;   /* 0: removed since. */
	uint64_t time_ms;    /* When it was published; 0: not known. */
	uint64_t until_ms;   /* 0: it does not wait. */
	uint64_t expires_ms; /* NEVER. */
	uint32_t size;       /* 0: not known. */
	uint32_t count;      /* Failed deliveries. */
	uint8_t priority;
	bool is_delivered;
};

struct items {
	struct item *items; /* Sorted by position. */
	size_t len;
	size_t cap;
};

/* Positions of a queue, in three stretches: below `loaded` what lives is in `known`; from there on
 * to `indexed` it is in the store's index; after that, in `fresh`. What did not simply stand in
 * line at the checkpoint is in `shelved`, wherever its position is. */
struct recovery {
	uint64_t cursor; /* Of the checkpoint: below it everything had been delivered, */
	uint64_t limit;  /* and below this it may have been since. */
	uint64_t
		tail; /* Above every position seen, also of what is gone: none may be used again. */
	uint64_t loaded;
	uint64_t indexed;
	uint64_t indexed_len; /* Messages between the two. */
	uint64_t bytes;       /* Of all bodies. */
	struct items shelved;
	struct items known;
	struct items fresh;
};

/* --- definitions --- */

static struct queue *queue_by_id(struct core *core, uint32_t id)
{
	return map_get(&core->queues_by_id, bytes_of(&id, sizeof id));
}

static void on_counters(void *arg, struct bytes value)
{
	struct core *core = arg;
	struct reader r = reader_of(value.data, value.len);
	core->queue_id_last = (uint32_t)read_varint(&r);
	core->binding_id_last = read_varint(&r);
	core->volatile_id_first = (uint32_t)read_varint(&r);
	core->volatile_id_last = (uint32_t)read_varint(&r);
	uint64_t seed = read_u64(&r);
	if (r.failed)
		return; /* Written before there were keys. */
	core->key_seed = seed;
	core->key_log.has_seed = true;
	uint32_t vhost_id_last = (uint32_t)read_varint(&r); /* Of younger ones only. */
	if (!r.failed && vhost_id_last > core->vhosts.id_last)
		core->vhosts.id_last = vhost_id_last;
}

/* The rest of a definition: its arguments. */
static bool are_arguments(const struct reader *r)
{
	return !r->failed && table_check(bytes_of(r->at, reader_left(r)));
}

/* These return false for a record that makes no sense: it is counted, and what it defined is not
 * there. */
static bool recover_vhost(struct core *core, struct bytes key, struct reader *r)
{
	uint8_t flags = read_u8(r);
	struct bytes name = read_shortstr(r);
	uint64_t queues_max = read_varint(r), connections_max = read_varint(r);
	if (r->failed || key.len != VHOST_ID_BYTES || name.len == 0)
		return false;
	uint32_t id = load_u32(key.data);
	struct vhost *v = vhost_by_id(core, id);
	if (v == NULL && (flags & DEFINITION_GOING) == 0 && core_vhost(core, name) != NULL)
		return false;
	if (v == NULL)
		v = vhost_recover(core, id, name, flags & DEFINITION_GOING);
	else if (flags & DEFINITION_GOING)
		vhost_set_going(v);
	v->queues_max = (int64_t)queues_max - 1;
	v->connections_max = (int64_t)connections_max - 1;
	free((void *)v->notes.data);
	v->notes = alloc_copy(bytes_of(r->at, reader_left(r)));
	return true;
}

static bool recover_exchange(struct vhost *vhost, struct bytes name, struct reader *r)
{
	enum exchange_type type = (enum exchange_type)read_u8(r);
	uint8_t flags = read_u8(r);
	if (!are_arguments(r) || (unsigned)type >= EXCHANGE_TYPES ||
	    exchange_find(vhost, name) != NULL)
		return false;
	struct exchange *x = exchange_create(vhost, name, type);
	x->is_durable = true;
	x->is_auto_delete = flags & DEFINITION_AUTO_DELETE;
	x->is_internal = flags & DEFINITION_INTERNAL;
	x->arguments = alloc_copy(bytes_of(r->at, reader_left(r)));
	x->guise = flags & DEFINITION_DELAYED         ? GUISE_DELAYED
		   : flags & DEFINITION_DEDUPLICATING ? GUISE_DEDUPLICATING
						      : GUISE_NONE;
	exchange_apply_settings(x);
	return true;
}

static bool recover_queue(struct vhost *vhost, struct bytes name, struct reader *r)
{
	struct core *core = vhost->core;
	uint32_t id = (uint32_t)read_varint(r);
	uint8_t flags = read_u8(r);
	uint64_t keys_from = flags & DEFINITION_EMPTIED ? read_varint(r) : 0;
	if (!are_arguments(r) || id == 0 || queue_find(vhost, name) != NULL ||
	    queue_by_id(core, id) != NULL)
		return false;
	struct queue *q = queue_create(vhost, name);
	q->id = id;
	q->is_durable = true;
	q->keys_from = keys_from;
	q->is_auto_delete = flags & DEFINITION_AUTO_DELETE;
	q->is_delaying = bytes_equal_str(name, delay_queue);
	if (q->is_delaying)
		vhost->delayed = q;
	queue_set_arguments(q, bytes_of(r->at, reader_left(r)));
	q->recovery = alloc_zeroed(sizeof *q->recovery);
	map_put(&core->queues_by_id, bytes_of(&q->id, sizeof q->id), q);
	if (id > core->queue_id_last)
		core->queue_id_last = id;
	return true;
}

static bool is_identity(const struct exchange *source, struct bytes identity)
{
	struct refusal refusal;
	struct reader r = reader_of(identity.data, identity.len);
	read_u8(&r);
	read_shortstr(&r);
	struct bytes key = read_shortstr(&r);
	struct bytes arguments = bytes_of(r.at, reader_left(&r));
	const struct exchange_operations *type = exchange_types[source->type];
	return are_arguments(&r) &&
	       (type->check_binding == NULL || type->check_binding(key, arguments, &refusal));
}

static bool recover_binding(struct vhost *vhost, struct bytes name, struct reader *r)
{
	struct core *core = vhost->core;
	uint64_t id = name.len == 8 ? load_u64(name.data) : 0;
	struct exchange *source = exchange_find(vhost, read_shortstr(r));
	struct bytes identity = bytes_of(r->at, reader_left(r));
	uint8_t kind = read_u8(r);
	struct bytes destination = read_shortstr(r);
	if (r->failed || id == 0 || source == NULL || !is_identity(source, identity) ||
	    binding_find(source, identity) != NULL)
		return false;
	struct queue *q = kind == 'q' ? queue_find(vhost, destination) : NULL;
	struct exchange *x = kind == 'e' ? exchange_find(vhost, destination) : NULL;
	if (id > core->binding_id_last)
		core->binding_id_last = id;
	if (q == NULL && x == NULL)
		return false;
	binding_create(source, q, x, identity)->id = id;
	return true;
}

static bool recover_document(struct core *core, uint8_t kind, struct bytes key,
			     const struct reader *r)
{
	const struct core_options *o = &core->options;
	if (o->on_document != NULL)
		o->on_document(o->arg, kind, key, bytes_of(r->at, reader_left(r)));
	return true;
}

/* What is not in "/" says where it is. */
static struct vhost *take_vhost(struct core *core, uint8_t *kind, struct bytes *name)
{
	if (*kind <= DEFINITION_BINDING)
		return vhost_by_id(core, 0);
	if (name->len <= VHOST_ID_BYTES)
		return NULL;
	struct vhost *v = vhost_by_id(core, load_u32(name->data));
	*kind = (uint8_t)(*kind - DEFINITION_ELSEWHERE);
	*name = bytes_of(name->data + VHOST_ID_BYTES, name->len - VHOST_ID_BYTES);
	return v;
}

static bool recover_definition(struct core *core, uint8_t kind, struct bytes name, struct reader *r)
{
	if (kind >= DEFINITION_DOCUMENT_FIRST && kind <= DEFINITION_DOCUMENT_LAST)
		return recover_document(core, kind, name, r);
	if (kind == DEFINITION_VHOST)
		return recover_vhost(core, name, r);
	struct vhost *vhost = take_vhost(core, &kind, &name);
	if (vhost == NULL || name.len == 0 || name.len > UINT8_MAX)
		return false;
	switch (kind) {
	case DEFINITION_EXCHANGE: return recover_exchange(vhost, name, r);
	case DEFINITION_QUEUE: return recover_queue(vhost, name, r);
	case DEFINITION_BINDING: return recover_binding(vhost, name, r);
	default: return false;
	}
}

static void on_definition(void *arg, struct bytes kind_and_name, struct bytes value)
{
	struct core *core = arg;
	struct reader r = reader_of(value.data, value.len);
	struct reader key = reader_of(kind_and_name.data, kind_and_name.len);
	uint8_t kind = read_u8(&key);
	if (!recover_definition(core, kind, bytes_of(key.at, reader_left(&key)), &r))
		core->figures.damaged++;
}

/* --- queues --- */

static void items_add(struct items *items, struct item item)
{
	items->items = alloc_grow(items->items, &items->cap, items->len + 1, sizeof *items->items);
	items->items[items->len++] = item;
}

/* The first item at or after a position. */
static size_t items_at(const struct items *items, uint64_t position)
{
	size_t low = 0, high = items->len;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (items->items[middle].position < position)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int by_position(const void *a, const void *b)
{
	uint64_t x = ((const struct item *)a)->position, y = ((const struct item *)b)->position;
	return (x > y) - (x < y);
}

/* What lies nowhere in the log is no message. */
static bool is_kept(struct core *core, uint64_t location)
{
	return space_slot_at(core->options.space, location_at(location)) != NULL;
}

static void read_shelf(struct core *core, struct recovery *rec, struct reader *r)
{
	struct item item = { 0 };
	for (uint64_t left = read_varint(r); left > 0; left--) {
		item.position += unzigzag(read_varint(r));
		item.is_delivered = read_u8(r) & DEFINITION_DELIVERED;
		item.location += unzigzag(read_varint(r));
		item.count = (uint32_t)read_varint(r);
		item.size = (uint32_t)read_varint(r);
		item.time_ms += unzigzag(read_varint(r));
		uint64_t until = read_varint(r), expires = read_varint(r);
		item.until_ms = until == 0 ? 0 : item.time_ms + until;
		item.expires_ms = expires == 0 ? NEVER : item.time_ms + expires;
		item.priority = read_u8(r);
		if (r->failed)
			break;
		if (is_kept(core, item.location))
			items_add(&rec->shelved, item);
		else
			core->figures.damaged++;
	}
	if (rec->shelved.len > 1)
		qsort(rec->shelved.items, rec->shelved.len, sizeof item, by_position);
}

/* Of a queue that was deleted after the checkpoint, everything is given up. */
static void doom_queue(struct core *core, uint32_t id, const struct recovery *rec)
{
	for (size_t i = 0; i < rec->shelved.len; i++)
		space_forget(core->options.space, rec->shelved.items[i].location);
	index_doom(core, id, rec->loaded, UINT64_MAX, false);
	core->orphans = alloc_grow(core->orphans, &core->orphans_cap, core->orphans_len + 1,
				   sizeof *core->orphans);
	core->orphans[core->orphans_len++] = id;
}

static void on_queue(void *arg, uint32_t id, struct bytes value)
{
	struct core *core = arg;
	struct queue *q = queue_by_id(core, id);
	struct recovery none = { 0 }, *rec = q == NULL ? &none : q->recovery;
	struct reader r = reader_of(value.data, value.len);
	rec->cursor = rec->loaded = read_varint(&r);
	rec->limit = read_varint(&r);
	rec->tail = rec->indexed = read_varint(&r);
	rec->indexed_len = read_varint(&r);
	rec->bytes = read_varint(&r);
	read_shelf(core, rec, &r);
	if (q == NULL) {
		doom_queue(core, id, rec);
		free(rec->shelved.items);
		free(rec->known.items);
	}
}

static void on_doomed(void *arg, uint32_t queue, uint64_t from, uint64_t until)
{
	index_doom(arg, queue, from, until, true);
}

/* Reads the next chunk of the index. What it says to be volatile went with the process that wrote
 * it. */
static void load_chunk(struct core *core, struct queue *q, struct recovery *rec)
{
	struct chunk_reader chunk;
	struct bytes value;
	uint64_t base, location;
	bool is_found = core->index->find(core->index->arg, q->id, rec->loaded, &base, &value) &&
			base < rec->indexed;
	if (!is_found || !chunk_open(&chunk, value)) {
		core->figures.damaged += is_found ? 0 : rec->indexed_len;
		rec->indexed_len = is_found ? rec->indexed_len : 0;
		rec->loaded = is_found ? base + 1 : rec->indexed;
		return;
	}
	uint64_t end = base + chunk.left;
	for (uint64_t position = base; chunk_next(&chunk, &location); position++) {
		if (position < rec->loaded || position >= rec->indexed || location == 0 ||
		    location_is_volatile(location) || !is_kept(core, location))
			continue;
		items_add(&rec->known, (struct item){ .position = position,
						      .location = location,
						      .expires_ms = NEVER });
		rec->indexed_len -= rec->indexed_len > 0;
	}
	fifo_add_dead(&q->fifo, base); /* What is left of it will be saved anew. */
	rec->loaded = end > rec->loaded ? end : rec->loaded + 1;
}

/* Makes sure that no position below this one is in the index only. */
static void load_up_to(struct core *core, struct queue *q, uint64_t position)
{
	struct recovery *rec = q->recovery;
	while (rec->loaded < position && rec->loaded < rec->indexed)
		load_chunk(core, q, rec);
}

/* --- the tail of the log --- */

static void recover_place(struct core *core, struct place place, uint64_t location,
			  const struct message_record *m)
{
	struct queue *q = queue_by_id(core, place.queue);
	if (q == NULL)
		return;
	struct recovery *rec = q->recovery;
	if (place.position < rec->tail) {
		core->figures.damaged++; /* Positions only grow. */
		return;
	}
	rec->tail = place.position + 1;
	rec->bytes += m->body.len;
	items_add(&rec->fresh, (struct item){
				       .position = place.position,
				       .location = location,
				       .time_ms = m->time_ms,
				       .expires_ms = m->expiry_ms == 0 ? NEVER : m->expiry_ms,
				       .size = (uint32_t)m->body.len,
				       .priority = properties_priority(m->properties),
			       });
	space_ref(core->options.space, location);
}

static void change_items(struct core *core, struct items *items, enum entry_kind kind,
			 struct range range)
{
	for (size_t i = items_at(items, range.start); i < items->len; i++) {
		struct item *item = &items->items[i];
		if (item->position - range.start >= range.len)
			break;
		if (item->location == 0)
			continue;
		if (kind == ENTRY_RETURNED) {
			item->count++;
			item->is_delivered = true;
			item->until_ms = 0; /* When it was to come again is not known: at once. */
		} else {
			space_forget(core->options.space, item->location);
			item->location = 0;
		}
	}
}

static void recover_range(struct core *core, struct queue *q, enum entry_kind kind,
			  struct range range)
{
	struct recovery *rec = q->recovery;
	uint64_t end = range.start + range.len;
	if (kind == ENTRY_BYTES) {
		rec->bytes = range.start;
		return;
	}
	if (kind == ENTRY_DELIVERED) {
		rec->limit = range.start; /* The last one holds: it may have been drawn back. */
		return;
	}
	bool is_purge = kind == ENTRY_REMOVED && range.start <= rec->loaded && end >= rec->indexed;
	if (is_purge && rec->loaded < rec->indexed) {
		index_doom(core, q->id, rec->loaded, rec->indexed, false);
		rec->loaded = rec->indexed;
		rec->indexed_len = 0;
	}
	load_up_to(core, q, end);
	change_items(core, &rec->shelved, kind, range);
	change_items(core, &rec->known, kind, range);
	change_items(core, &rec->fresh, kind, range);
	if (kind == ENTRY_REMOVED && end > rec->tail)
		rec->tail = end; /* What was never written had a position, too. */
}

static void on_note(struct core *core, struct bytes key, struct bytes value)
{
	if (key.len > 0 && key.data[0] == STORE_KEY_PRODUCER)
		producers_on_record(core, key, value);
	else if (key.len > 0)
		keylog_on_note(core, key, value);
}

static void on_state(void *arg, struct bytes key, struct bytes value)
{
	if (key.data[0] == STORE_KEY_PRODUCER)
		producers_on_record(arg, key, value);
	else
		keylog_on_state(arg, value);
}

static void on_entry(void *arg, uint64_t location, struct entry *entry)
{
	struct core *core = arg;
	struct place place;
	struct range range;
	if (entry->kind == ENTRY_MESSAGE) {
		while (entry_next_place(entry, &place))
			recover_place(core, place, location, &entry->message);
		return;
	}
	if (entry->kind == ENTRY_NOTE) {
		on_note(core, entry->key, entry->value);
		return;
	}
	struct queue *q = queue_by_id(core, entry->queue);
	while (q != NULL && entry_next_range(entry, &range))
		recover_range(core, q, entry->kind, range);
}

static void on_damage(void *arg, uint64_t at)
{
	struct core *core = arg;
	(void)at;
	core->figures.damaged++;
}

/* --- the end --- */

static void shelve(struct queue *q, const struct item *item, bool is_delivered)
{
	struct shelf_item put = {
		.position = item->position,
		.slot = slot_of_location(item->location),
		.time_ms = item->time_ms,
		.expires_ms = item->expires_ms,
		.until_ms = item->until_ms,
		.size = item->size,
		.count = item->count,
		.priority = queue_priority(q, item->priority),
		.state = item->until_ms != 0 ? SHELF_WAITING : SHELF_READY,
		.is_delivered = is_delivered,
	};
	shelf_add(&q->shelf, put);
}

/* Those that may have been delivered come back, the others go to the fifo. */
static void take_items(struct queue *q, const struct items *items, uint64_t delivered)
{
	for (size_t i = 0; i < items->len; i++) {
		const struct item *item = &items->items[i];
		if (item->location == 0)
			continue;
		bool is_delivered = item->is_delivered || item->position < delivered;
		if (!is_delivered && queue_stands_in_line(q, item->expires_ms, item->priority))
			fifo_push(&q->fifo, item->position, slot_of_location(item->location));
		else
			shelve(q, item, is_delivered);
	}
}

/* What was on the shelf stays there: it may stand anywhere among those of the fifo. */
static void take_shelved(struct queue *q, const struct items *items, uint64_t delivered)
{
	for (size_t i = 0; i < items->len; i++)
		if (items->items[i].location != 0)
			shelve(q, &items->items[i],
			       items->items[i].is_delivered ||
				       items->items[i].position < delivered);
}

/* Between the cursor and the first message beyond it nothing lives, so the cursor moves up: what
 * was purged there must not be taken for living at the next recovery. */
static void fill_queue(struct core *core, struct queue *q)
{
	struct recovery *rec = q->recovery;
	assert(rec != NULL && q->fifo.len == 0 && q->shelf.len == 0);
	uint64_t delivered = rec->cursor > rec->limit ? rec->cursor : rec->limit, position;
	load_up_to(core, q, delivered);
	if (rec->loaded >= rec->indexed) { /* Should there be more, the index was damaged. */
		core->figures.damaged += rec->indexed_len;
		rec->indexed_len = 0;
	}
	q->tail = rec->tail > delivered ? rec->tail : delivered;
	q->cursor = q->tail;
	take_shelved(q, &rec->shelved, delivered);
	take_items(q, &rec->known, delivered);
	if (rec->indexed_len > 0)
		fifo_set_middle(&q->fifo, rec->loaded, rec->indexed, rec->indexed_len);
	take_items(q, &rec->fresh, delivered);
	if (fifo_first(&q->fifo, &position) != NULL)
		q->cursor = position;
	else if (fifo_is_parked(&q->fifo))
		q->cursor = q->fifo.middle.from;
	q->reached = q->granted = q->asked = delivered;
	q->kept_bytes = rec->bytes;
	uint64_t bytes = q->fifo.len == 0 ? 0 : rec->bytes;
	for (const struct shelf_item *i = NULL;
	     q->fifo.len > 0 && (i = shelf_next(&q->shelf, i)) != NULL;)
		bytes -= i->size < bytes ? i->size
					 : bytes; /* Sizes not known yet: complete_item(). */
	queue_set_fifo_bytes(q, bytes);
	queue_apply_settings(q);
	queue_mark_dirty(q);
	queue_index_id(q);
	queue_mark_stale(q);
	free(rec->shelved.items);
	free(rec->known.items);
	free(rec->fresh.items);
	free(rec);
	q->recovery = NULL;
}

static void on_begin(void *arg, const struct journal_index *index, uint32_t generation)
{
	struct core *core = arg;
	core->index = index;
	core->generation = generation;
}

static void on_end(void *arg)
{
	struct core *core = arg;
	list_each (node, &core->queues) {
		struct queue *q = list_entry(node, struct queue, in_core);
		fill_queue(core, q);
		keylog_skip(core, q->keys_from);
	}
	index_doom_volatile(core);
	core->index = NULL;
}

const struct journal_visitor core_recovery = {
	on_begin, on_counters, on_definition, on_queue, on_doomed,
	on_state, on_entry,    on_damage,     on_end,
};
