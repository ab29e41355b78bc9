#include "batch.h"

#include "base/alloc.h"

#include <stdlib.h>

enum {
	FIRST_BYTES = 4096, /* A multiple of SEGMENT_ALIGN. A lone message should not cost a quarter
			       of a megabyte. */
	KEPT_SEGMENTS_MAX = 16, /* Buffers that an emptied batch keeps. */
	RANGES_PER_ENTRY = 1024,
	KIND_AT = ENTRY_HEAD_BYTES - 1,
	KIND_VOID = 0,
	BUFFER_ALIGN = 4096, /* For writes past the page cache. */
};

void batch_init(struct batch *batch, struct space *space, struct changes *changes)
{
	*batch = (struct batch){ .space = space, .changes = changes };
}

void batch_fini(struct batch *batch)
{
	for (size_t i = 0; i < batch->segments_cap; i++)
		free(batch->segments[i].data);
	free(batch->segments);
	changes_fini(&batch->notes);
}

void batch_clear(struct batch *batch)
{
	assert(!batch->is_segment_open);
	for (size_t i = 0; i < batch->segments_cap; i++) {
		struct batch_segment *s = &batch->segments[i];
		if (i >= KEPT_SEGMENTS_MAX || s->cap > SEGMENT_BYTES_MAX) {
			free(s->data);
			s->data = NULL;
			s->cap = 0;
		}
		s->len = s->entries = s->voids = 0;
	}
	changes_clear(&batch->notes);
	batch->segments_len = 0;
	batch->bytes = 0;
	batch->is_awaited = false;
}

bool batch_is_empty(const struct batch *batch)
{
	return batch->segments_len == 0 && batch->notes.len == 0;
}

/* --- segments --- */

static struct batch_segment *last_segment(struct batch *batch)
{
	return &batch->segments[batch->segments_len - 1];
}

/* Where a segment with an entry of this size goes. A long one has slots of its own. */
static void place_segment(struct batch *batch, struct batch_segment *s, size_t size)
{
	struct space *space = batch->space;
	uint64_t at = align_up(space->next_at, SEGMENT_ALIGN);
	uint64_t slot_end = (at / LOG_SLOT_BYTES + 1) * LOG_SLOT_BYTES;
	uint32_t span = 1;
	if (at + SEGMENT_HEAD_BYTES + size > slot_end) {
		at = align_up(at, LOG_SLOT_BYTES);
		span = (uint32_t)((SEGMENT_HEAD_BYTES + size + LOG_SLOT_BYTES - 1) /
				  LOG_SLOT_BYTES);
		slot_end = at + (uint64_t)span * LOG_SLOT_BYTES;
	}
	bool is_long = SEGMENT_HEAD_BYTES + size > SEGMENT_BYTES_MAX;
	uint64_t room = slot_end - at;
	if (!is_long && room > SEGMENT_BYTES_MAX)
		room = SEGMENT_BYTES_MAX;
	s->at = at;
	s->limit = is_long ? (uint32_t)(SEGMENT_HEAD_BYTES + size) : (uint32_t)room;
	space_open_slot(space, at / LOG_SLOT_BYTES, span);
	s->offset = space_offset(space, at);
}

static void open_segment(struct batch *batch, size_t size)
{
	if (batch->segments_len == batch->segments_cap) {
		size_t old = batch->segments_cap;
		batch->segments = alloc_grow(batch->segments, &batch->segments_cap, old + 1,
					     sizeof *batch->segments);
		memset(batch->segments + old, 0,
		       (batch->segments_cap - old) * sizeof *batch->segments);
	}
	batch->segments_len++;
	struct batch_segment *s = last_segment(batch);
	place_segment(batch, s, size);
	s->time_ms = batch->now_ms;
	s->len = SEGMENT_HEAD_BYTES;
	s->entries = s->voids = 0;
	batch->is_segment_open = true;
}

/* The next one begins in a slot of its own after one that spans several. */
static void close_segment(struct batch *batch)
{
	if (!batch->is_segment_open)
		return;
	const struct batch_segment *s = last_segment(batch);
	bool is_spanning = s->at / LOG_SLOT_BYTES != (s->at + s->len - 1) / LOG_SLOT_BYTES;
	batch->space->next_at =
		align_up(s->at + s->len, is_spanning ? LOG_SLOT_BYTES : SEGMENT_ALIGN);
	batch->is_segment_open = false;
}

static void reserve(struct batch_segment *s, size_t need)
{
	need = align_up(need, SEGMENT_ALIGN); /* It is written to the end of its last sector. */
	if (need <= s->cap)
		return;
	size_t cap = s->cap < FIRST_BYTES ? FIRST_BYTES : s->cap;
	while (cap < need)
		cap *= 2;
	uint8_t *data = alloc_aligned(BUFFER_ALIGN, cap);
	if (s->len > 0 && s->data != NULL)
		memcpy(data, s->data, s->len);
	free(s->data);
	s->data = data;
	s->cap = (uint32_t)cap;
}

/* --- entries --- */

/* A writer over room for an entry of at most size bytes, in a segment that can take it. */
static struct writer entry_room(struct batch *batch, size_t size)
{
	size_t padded = (size_t)align_up(size < SKIP_BYTES ? SKIP_BYTES : size, ENTRY_ALIGN);
	if (batch->is_segment_open &&
	    last_segment(batch)->len + padded > last_segment(batch)->limit)
		close_segment(batch);
	if (!batch->is_segment_open)
		open_segment(batch, padded);
	struct batch_segment *s = last_segment(batch);
	reserve(s, s->len + padded);
	return writer_of(s->data + s->len, size);
}

/* Accounts for the entry that w wrote; returns its address. */
static uint64_t entry_added(struct batch *batch, const struct writer *w)
{
	struct batch_segment *s = last_segment(batch);
	uint32_t offset = s->len;
	uint32_t end = (uint32_t)(w->at - s->data);
	batch->bytes += end - offset;
	s->len = (uint32_t)align_up(end, ENTRY_ALIGN);
	memset(s->data + end, 0, s->len - end);
	s->entries++;
	return s->at + offset;
}

uint64_t batch_message(struct batch *batch, const struct message_record *m)
{
	struct writer w = entry_room(batch, entry_message_size_max(m));
	entry_write_message(&w, m);
	uint64_t location = location_of(entry_added(batch, &w), m->is_volatile);
	for (uint32_t i = 0; i < m->places_len; i++)
		space_ref(batch->space, location);
	return location;
}

/* The segment that holds an address. */
static struct batch_segment *segment_at(struct batch *batch, uint64_t at)
{
	size_t low = 0, high = batch->segments_len;
	while (low + 1 < high) {
		size_t middle = low + (high - low) / 2;
		if (batch->segments[middle].at <= at)
			low = middle;
		else
			high = middle;
	}
	return &batch->segments[low];
}

bool batch_void(struct batch *batch, uint64_t location)
{
	uint64_t at = location_at(location);
	if (at < batch->floor_at)
		return false;
	struct batch_segment *s = segment_at(batch, at);
	assert(at >= s->at + SEGMENT_HEAD_BYTES && at < s->at + s->len);
	uint8_t *kind = s->data + (at - s->at) + KIND_AT;
	assert(*kind == ENTRY_MESSAGE);
	*kind = KIND_VOID;
	s->voids++;
	return true;
}

void batch_ranges(struct batch *batch, enum entry_kind kind, uint32_t queue,
		  const struct range *ranges, size_t ranges_len)
{
	while (ranges_len > 0) {
		size_t len = ranges_len < RANGES_PER_ENTRY ? ranges_len : RANGES_PER_ENTRY;
		struct writer w = entry_room(batch, entry_ranges_size_max(len));
		entry_write_ranges(&w, kind, queue, ranges, len);
		entry_added(batch, &w);
		ranges += len;
		ranges_len -= len;
	}
}

void batch_put(struct batch *batch, struct bytes key, struct bytes value)
{
	struct writer w = entry_room(batch, entry_put_size_max(key, value));
	entry_write_put(&w, ENTRY_PUT, key, value);
	entry_added(batch, &w);
	changes_put(batch->changes, key, value);
}

void batch_note(struct batch *batch, struct bytes key, struct bytes value)
{
	changes_put(&batch->notes, key, value);
	batch->bytes += key.len + value.len;
}

void batch_delete(struct batch *batch, struct bytes key)
{
	static const struct bytes nothing = { NULL, 0 };
	struct writer w = entry_room(batch, entry_put_size_max(key, nothing));
	entry_write_put(&w, ENTRY_DELETE, key, nothing);
	entry_added(batch, &w);
	changes_delete(batch->changes, key);
}

/* --- ends --- */

void batch_checkpoint(struct batch *batch)
{
	close_segment(batch);
	batch->floor_at = batch->space->next_at;
}

/* What is void at the end of the batch leaves no trace. */
static void drop_void_tail(struct batch *batch)
{
	while (batch->segments_len > 0) {
		const struct batch_segment *s = last_segment(batch);
		if (s->voids < s->entries || s->at < batch->floor_at)
			return;
		batch->space->next_at = s->at;
		if (s->at % LOG_SLOT_BYTES == 0)
			space_close_slot(batch->space, s->at / LOG_SLOT_BYTES);
		batch->segments_len--;
	}
}

/* What is void in the middle becomes one entry that says how much is not there. */
static void skip_voids(struct batch_segment *s)
{
	for (uint32_t at = SEGMENT_HEAD_BYTES, from = at; at < s->len;) {
		uint32_t end = (uint32_t)align_up(at + entry_length(s->data + at), ENTRY_ALIGN);
		bool is_void = s->data[at + KIND_AT] == KIND_VOID;
		bool is_next_void = is_void && end < s->len && s->data[end + KIND_AT] == KIND_VOID;
		if (is_void && !is_next_void)
			entry_write_skip(s->data + from, end - from);
		at = end;
		if (!is_next_void)
			from = end;
	}
}

static void add_notes(struct batch *batch)
{
	struct change note;
	for (size_t at = 0; changes_next(&batch->notes, &at, &note);) {
		struct writer w = entry_room(batch, entry_put_size_max(note.key, note.value));
		entry_write_put(&w, ENTRY_NOTE, note.key, note.value);
		entry_added(batch, &w);
	}
	close_segment(batch);
}

void batch_close(struct batch *batch, uint32_t generation)
{
	close_segment(batch);
	drop_void_tail(batch);
	add_notes(batch);
	for (size_t i = 0; i < batch->segments_len; i++) {
		struct batch_segment *s = &batch->segments[i];
		if (s->voids > 0)
			skip_voids(s);
		memset(s->data + s->len, 0, align_up(s->len, SEGMENT_ALIGN) - s->len);
		segment_seal(s->data,
			     (struct segment_head){
				     .at = s->at,
				     .sequence = batch->sequence,
				     .time_ms = s->time_ms,
				     .generation = generation,
				     .flags = (i == 0 ? SEGMENT_IS_FIRST : 0u) |
					      (i + 1 == batch->segments_len ? SEGMENT_IS_LAST : 0u),
				     .bytes = s->len,
				     .entries = s->entries,
			     });
	}
	batch->floor_at = 0;
}
