#include "platter.h"

#include "base/alloc.h"
#include "chunk.h"
#include "store.h"
#include "survivors.h"

#include <stdlib.h>

struct segment {
	uint64_t sequence;
	uint64_t at;
	uint64_t offset;
	struct bytes data;
};

struct pair {
	struct bytes key;
	struct bytes value;
};

struct platter {
	struct segment *log; /* In order. */
	size_t log_len;
	size_t log_cap;
	struct pair *pairs; /* The store, by key. */
	size_t pairs_len;
	size_t pairs_cap;
	uint64_t at; /* Of the checkpoint in the store. */
	struct changes coming;
	uint64_t coming_at;
	uint64_t coming_sequence;
	bool is_coming;
};

struct platter *platter_create(void)
{
	struct platter *platter = alloc_zeroed(sizeof *platter);
	platter->at = LOG_SLOT_BYTES;
	return platter;
}

static void pair_free(struct pair *pair)
{
	free((void *)pair->key.data);
	free((void *)pair->value.data);
}

void platter_destroy(struct platter *platter)
{
	for (size_t i = 0; i < platter->log_len; i++)
		free((void *)platter->log[i].data.data);
	for (size_t i = 0; i < platter->pairs_len; i++)
		pair_free(&platter->pairs[i]);
	free(platter->log);
	free(platter->pairs);
	changes_fini(&platter->coming);
	free(platter);
}

/* --- the log --- */

/* What was in the file where this goes is gone. */
static void overwrite(struct platter *platter, uint64_t offset, uint64_t end)
{
	size_t kept = 0;
	for (size_t i = 0; i < platter->log_len; i++) {
		struct segment *s = &platter->log[i];
		if (s->offset < end && offset < s->offset + s->data.len)
			free((void *)s->data.data);
		else
			platter->log[kept++] = *s;
	}
	platter->log_len = kept;
}

void platter_write(struct platter *platter, struct batch *batch)
{
	batch_close(batch, 0);
	for (size_t i = 0; i < batch->segments_len; i++) {
		const struct batch_segment *s = &batch->segments[i];
		overwrite(platter, s->offset, s->offset + s->len);
		platter->log = alloc_grow(platter->log, &platter->log_cap, platter->log_len + 1,
					  sizeof *platter->log);
		platter->log[platter->log_len++] =
			(struct segment){ batch->sequence, s->at, s->offset,
					  alloc_copy(bytes_of(s->data, s->len)) };
	}
	batch_clear(batch);
}

static const struct segment *segment_of(const struct platter *platter, uint64_t at)
{
	for (size_t i = platter->log_len; i-- > 0;)
		if (at >= platter->log[i].at && at - platter->log[i].at < platter->log[i].data.len)
			return &platter->log[i];
	return NULL;
}

static bool read_survivor(struct platter *platter, uint64_t at, struct entry *entry)
{
	bool is_found = false;
	for (size_t i = 0; i < platter->pairs_len && !is_found; i++)
		is_found = platter->pairs[i].key.data[0] == STORE_KEY_SURVIVORS &&
			   survivors_find(platter->pairs[i].value, at, entry);
	return is_found;
}

bool platter_read(struct platter *platter, struct space *space, uint64_t location,
		  struct entry *entry)
{
	uint64_t at = location_at(location);
	uint32_t next;
	const struct space_slot *slot = space_slot_at(space, at);
	if (slot != NULL && slot->is_moved)
		return read_survivor(platter, at, entry);
	const struct segment *s = segment_of(platter, at);
	return s != NULL && space_offset(space, at) == s->offset + (at - s->at) &&
	       entry_read(s->data, s->at, (uint32_t)(at - s->at), entry, &next) == ENTRY_OK &&
	       entry->kind == ENTRY_MESSAGE;
}

/* --- the store --- */

static int compare(struct bytes a, struct bytes b)
{
	size_t len = a.len < b.len ? a.len : b.len;
	int order = memcmp(a.data, b.data, len);
	return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* The first pair whose key is not below. */
static size_t lower_bound(const struct platter *platter, struct bytes key)
{
	size_t low = 0, high = platter->pairs_len;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (compare(platter->pairs[middle].key, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void remove_pair(struct platter *platter, size_t at)
{
	pair_free(&platter->pairs[at]);
	platter->pairs_len--;
	memmove(platter->pairs + at, platter->pairs + at + 1,
		(platter->pairs_len - at) * sizeof *platter->pairs);
}

static void apply(struct platter *platter, enum change_kind kind, struct bytes key,
		  struct bytes value)
{
	size_t at = lower_bound(platter, key);
	if (kind == CHANGE_DELETE_RANGE) {
		while (at < platter->pairs_len && compare(platter->pairs[at].key, value) < 0)
			remove_pair(platter, at);
		return;
	}
	bool is_there = at < platter->pairs_len && bytes_equal(platter->pairs[at].key, key);
	if (is_there)
		remove_pair(platter, at);
	if (kind == CHANGE_DELETE)
		return;
	platter->pairs = alloc_grow(platter->pairs, &platter->pairs_cap, platter->pairs_len + 1,
				    sizeof *platter->pairs);
	memmove(platter->pairs + at + 1, platter->pairs + at,
		(platter->pairs_len - at) * sizeof *platter->pairs);
	platter->pairs[at] = (struct pair){ alloc_copy(key), alloc_copy(value) };
	platter->pairs_len++;
}

void platter_checkpoint(struct platter *platter, struct changes *changes, uint64_t at,
			uint64_t sequence)
{
	struct changes empty = platter->coming;
	platter->coming = *changes;
	*changes = empty;
	platter->coming_at = at;
	platter->coming_sequence = sequence;
	platter->is_coming = true;
}

bool platter_is_keeping(const struct platter *platter)
{
	return platter->is_coming;
}

bool platter_keep(struct platter *platter, uint64_t durable)
{
	struct change change;
	size_t at = 0;
	if (!platter->is_coming || platter->coming_sequence > durable)
		return false;
	while (changes_next(&platter->coming, &at, &change))
		apply(platter, change.kind, change.key, change.value);
	changes_clear(&platter->coming);
	platter->at = platter->coming_at;
	platter->is_coming = false;
	return true;
}

bool platter_get(struct platter *platter, struct bytes key, struct bytes *value)
{
	size_t at = lower_bound(platter, key);
	bool is_there = at < platter->pairs_len && bytes_equal(platter->pairs[at].key, key);
	if (is_there)
		*value = platter->pairs[at].value;
	return is_there;
}

bool platter_index_find(struct platter *platter, uint32_t queue, uint64_t position, uint64_t *base,
			struct bytes *chunk)
{
	uint8_t wanted[STORE_INDEX_KEY_BYTES];
	struct bytes key = store_index_key(wanted, queue, position);
	size_t at = lower_bound(platter, key);
	struct chunk_reader reader;
	if (at > 0 && !(at < platter->pairs_len && bytes_equal(platter->pairs[at].key, key))) {
		const struct pair *before = &platter->pairs[at - 1];
		bool is_same = before->key.len == STORE_INDEX_KEY_BYTES &&
			       memcmp(before->key.data, wanted, 5) == 0;
		if (is_same && chunk_open(&reader, before->value) &&
		    position - store_index_position(before->key) < reader.left)
			at--;
	}
	if (at == platter->pairs_len || platter->pairs[at].key.len != STORE_INDEX_KEY_BYTES ||
	    memcmp(platter->pairs[at].key.data, wanted, 5) != 0)
		return false;
	*base = store_index_position(platter->pairs[at].key);
	*chunk = platter->pairs[at].value;
	return true;
}

uint64_t platter_copy_living(struct platter *platter, const struct space_slot *slot,
			     struct changes *changes, journal_living *living, void *arg)
{
	struct survivors survivors = { .changes = changes };
	uint64_t places = 0;
	for (size_t i = 0; i < platter->log_len; i++) {
		const struct segment *s = &platter->log[i];
		struct entry e;
		if (s->at / LOG_SLOT_BYTES != slot->number)
			continue;
		for (uint32_t at = SEGMENT_HEAD_BYTES, next;
		     entry_read(s->data, s->at, at, &e, &next) == ENTRY_OK; at = next) {
			uint32_t n =
				e.kind == ENTRY_MESSAGE
					? living(arg, location_of(e.at, e.message.is_volatile), &e)
					: 0;
			if (n > 0)
				survivors_add(&survivors, e.at,
					      bytes_of(s->data.data + at,
						       entry_length(s->data.data + at)));
			places += n;
		}
	}
	survivors_finish(&survivors);
	return places;
}

/* --- crashes --- */

void platter_crash(struct platter *platter, uint64_t durable)
{
	changes_clear(&platter->coming);
	platter->is_coming = false;
	while (platter->log_len > 0 && platter->log[platter->log_len - 1].sequence > durable)
		free((void *)platter->log[--platter->log_len].data.data);
}

static bool find_index(void *arg, uint32_t queue, uint64_t position, uint64_t *base,
		       struct bytes *chunk)
{
	return platter_index_find(arg, queue, position, base, chunk);
}

static void each_tail_entry(struct platter *platter, void (*visit)(void *arg, struct entry *entry),
			    void *arg)
{
	for (size_t i = 0; i < platter->log_len; i++) {
		struct segment *s = &platter->log[i];
		struct entry entry;
		uint32_t next = SEGMENT_HEAD_BYTES;
		if (s->at < platter->at)
			continue;
		for (int rc; (rc = entry_read(s->data, s->at, next, &entry, &next)) != ENTRY_END;) {
			if (rc != ENTRY_OK)
				abort();
			visit(arg, &entry);
		}
	}
}

static void redo(void *arg, struct entry *e)
{
	if (e->kind == ENTRY_PUT || e->kind == ENTRY_DELETE)
		apply(arg, e->kind == ENTRY_DELETE ? CHANGE_DELETE : CHANGE_PUT, e->key, e->value);
}

static bool get_value(void *arg, struct bytes key, struct bytes *value)
{
	return platter_get(arg, key, value);
}

struct replay {
	const struct journal_visitor *visitor;
	void *arg;
};

static void visit_entry(void *arg, struct entry *e)
{
	struct replay *r = arg;
	bool is_gone = e->kind == ENTRY_MESSAGE && e->message.is_volatile;
	if (!is_gone && e->kind != ENTRY_PUT && e->kind != ENTRY_DELETE && e->kind != ENTRY_SKIP)
		r->visitor->entry(r->arg, location_of(e->at, false), e);
}

static void visit_pair(const struct pair *p, struct space *space,
		       const struct journal_visitor *visitor, void *arg)
{
	struct bytes rest = bytes_of(p->key.data + 1, p->key.len - 1);
	switch (p->key.data[0]) {
	case STORE_KEY_COUNTERS: visitor->counters(arg, p->value); break;
	case STORE_KEY_DEFINITION: visitor->definition(arg, rest, p->value); break;
	case STORE_KEY_QUEUE: visitor->queue(arg, load_u32(rest.data), p->value); break;
	case STORE_KEY_INDEX:
	case STORE_KEY_KEYS: break; /* Looked up when wanted. */
	case STORE_KEY_KEYS_STATE:
	case STORE_KEY_PRODUCER: visitor->state(arg, p->key, p->value); break;
	case STORE_KEY_DOOMED:
		visitor->doomed(arg, load_u32(rest.data), load_u64(p->value.data),
				load_u64(rest.data + 4));
		break;
	case STORE_KEY_SLOT: /* Taken in before. */
	case STORE_KEY_SURVIVORS: break;
	default: abort();
	}
	(void)space;
}

void platter_recover(struct platter *platter, struct space *space, uint32_t generation,
		     const struct journal_visitor *visitor, void *arg)
{
	const struct journal_index index = { find_index, get_value, platter };
	struct replay replay = { visitor, arg };
	uint32_t file_slots = 0;
	for (size_t i = 0; i < platter->pairs_len; i++)
		if (platter->pairs[i].key.data[0] == STORE_KEY_SLOT &&
		    !space_load(space, platter->pairs[i].key, platter->pairs[i].value))
			abort();
	space->next_at = platter->at;
	for (size_t i = 0; i < platter->log_len; i++) {
		const struct segment *s = &platter->log[i];
		uint32_t end =
			(uint32_t)((s->offset + s->data.len + LOG_SLOT_BYTES - 1) / LOG_SLOT_BYTES);
		uint32_t span = (uint32_t)((s->data.len + LOG_SLOT_BYTES - 1) / LOG_SLOT_BYTES);
		file_slots = end > file_slots ? end : file_slots;
		if (s->at < platter->at)
			continue;
		if (space_slot_at(space, s->at) == NULL)
			space_found(space, s->at / LOG_SLOT_BYTES, span,
				    (uint32_t)(s->offset / LOG_SLOT_BYTES));
		space->next_at =
			align_up(s->at + s->data.len, span > 1 ? LOG_SLOT_BYTES : SEGMENT_ALIGN);
	}
	for (size_t i = 0; i < space->slots_len; i++)
		if (!space->slots[i].is_moved &&
		    space->slots[i].physical + space->slots[i].span > file_slots)
			file_slots = space->slots[i].physical + space->slots[i].span;
	space_loaded(space, file_slots);
	each_tail_entry(platter, redo, platter);
	visitor->begin(arg, &index, generation);
	for (size_t i = 0; i < platter->pairs_len; i++)
		visit_pair(&platter->pairs[i], space, visitor, arg);
	each_tail_entry(platter, visit_entry, &replay);
	visitor->end(arg);
}
