#include "batch.h"

#include "base/alloc.h"

#include <stdlib.h>

enum {
	FIRST_BYTES = 4096,     /* A lone message should not cost a quarter of a megabyte. */
	KEPT_SEGMENTS_MAX = 16, /* Buffers that an emptied batch keeps. */
	RANGES_PER_ENTRY = 4096,
	DELETES_PER_BATCH = 256, /* 64 pages each: bounded work in one transaction. */
};

void batch_init(struct batch *batch, uint64_t *next_segment, struct live *live)
{
	*batch = (struct batch){ .next_segment = next_segment, .live = live };
}

void batch_fini(struct batch *batch)
{
	for (size_t i = 0; i < batch->segments_cap; i++)
		free(batch->segments[i].data);
	free(batch->segments);
	free(batch->puts);
	free(batch->deletes);
}

void batch_clear(struct batch *batch)
{
	assert(!batch->is_segment_open);
	for (size_t i = 0; i < batch->segments_cap; i++) {
		struct batch_segment *s = &batch->segments[i];
		if (i >= KEPT_SEGMENTS_MAX || s->cap > SEGMENT_BYTES_MAX + 8) {
			free(s->data);
			s->data = NULL;
			s->cap = 0;
		}
		s->len = s->entries = 0;
	}
	batch->segments_len = batch->puts_len = batch->deletes_len = 0;
	batch->checkpoint_segment = batch->bytes = 0;
	batch->is_clean = false;
}

bool batch_is_empty(const struct batch *batch)
{
	return batch->segments_len == 0 && batch->puts_len == 0 && batch->deletes_len == 0 && batch->checkpoint_segment == 0;
}

/* --- entries --------------------------------------------------------------------------------------------------- */

static struct batch_segment *last_segment(struct batch *batch)
{
	return &batch->segments[batch->segments_len - 1];
}

static void close_segment(struct batch *batch)
{
	if (!batch->is_segment_open)
		return;
	struct batch_segment *s = last_segment(batch);
	segment_seal(s->data, s->number, s->time_ms, s->len, s->entries);
	batch->is_segment_open = false;
	live_unref(batch->live, s->number);
}

static void open_segment(struct batch *batch)
{
	if (batch->segments_len == batch->segments_cap) {
		size_t old = batch->segments_cap;
		batch->segments = alloc_grow(batch->segments, &batch->segments_cap, old + 1, sizeof *batch->segments);
		memset(batch->segments + old, 0, (batch->segments_cap - old) * sizeof *batch->segments);
	}
	batch->segments_len++;
	struct batch_segment *s = last_segment(batch);
	s->number = (*batch->next_segment)++;
	s->time_ms = batch->now_ms;
	s->len = SEGMENT_HEAD_BYTES;
	s->entries = 0;
	batch->is_segment_open = true;
	live_add(batch->live, s->number);
}

static void reserve(struct batch_segment *s, size_t need)
{
	if (need <= s->cap)
		return;
	size_t cap = s->cap < FIRST_BYTES ? FIRST_BYTES : s->cap;
	while (cap < need)
		cap *= 2;
	if (cap > SEGMENT_BYTES_MAX && need <= SEGMENT_BYTES_MAX)
		cap = SEGMENT_BYTES_MAX + 8;
	s->data = alloc_resize(s->data, cap);
	s->cap = (uint32_t)cap;
}

/* A writer over room for an entry of at most size bytes, in a segment that can take it. */
static struct writer entry_room(struct batch *batch, size_t size)
{
	if (batch->is_segment_open && last_segment(batch)->len + size > SEGMENT_BYTES_MAX)
		close_segment(batch);
	if (!batch->is_segment_open)
		open_segment(batch);
	struct batch_segment *s = last_segment(batch);
	reserve(s, s->len + size + 8);
	return writer_of(s->data + s->len, size);
}

/* Accounts for the entry that w wrote; returns its offset. */
static uint32_t entry_added(struct batch *batch, const struct writer *w)
{
	struct batch_segment *s = last_segment(batch);
	uint32_t offset = s->len;
	uint32_t end = (uint32_t)(w->at - s->data);
	batch->bytes += end - offset;
	s->len = (end + 7) & ~(uint32_t)7;
	memset(s->data + end, 0, s->len - end);
	s->entries++;
	return offset;
}

uint64_t batch_message(struct batch *batch, const struct message_record *m)
{
	struct writer w = entry_room(batch, entry_message_size_max(m));
	struct batch_segment *s = last_segment(batch);
	entry_write_message(&w, m, s->time_ms);
	uint64_t location = location_of(s->number, entry_added(batch, &w));
	for (uint32_t i = 0; i < m->places_len; i++)
		live_ref(batch->live, s->number);
	if (s->len > SEGMENT_BYTES_MAX)
		close_segment(batch);
	return location;
}

void batch_ranges(struct batch *batch, enum entry_kind kind, uint32_t queue, const struct range *ranges, size_t ranges_len)
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

/* --- definitions ----------------------------------------------------------------------------------------------- */

struct put_head {
	uint32_t value_len;
	uint16_t key_len;
	uint16_t is_delete;
};

static void add_put(struct batch *batch, struct bytes key, struct bytes value, bool is_delete)
{
	assert(key.len > 0 && key.len <= 511 && value.len <= UINT32_MAX);
	struct put_head head = { (uint32_t)value.len, (uint16_t)key.len, is_delete };
	size_t size = sizeof head + key.len + value.len;
	batch->puts = alloc_grow(batch->puts, &batch->puts_cap, batch->puts_len + size, 1);
	struct writer w = writer_of(batch->puts + batch->puts_len, size);
	write_raw(&w, &head, sizeof head);
	write_bytes(&w, key);
	write_bytes(&w, value);
	batch->puts_len += size;
	batch->bytes += size;
}

void batch_put(struct batch *batch, struct bytes key, struct bytes value)
{
	add_put(batch, key, value, false);
}

void batch_delete(struct batch *batch, struct bytes key)
{
	add_put(batch, key, (struct bytes){ NULL, 0 }, true);
}

bool batch_next_put(const struct batch *batch, size_t *at, struct batch_change *change)
{
	if (*at == batch->puts_len)
		return false;
	struct put_head head;
	memcpy(&head, batch->puts + *at, sizeof head);
	const uint8_t *key = batch->puts + *at + sizeof head;
	change->is_delete = head.is_delete;
	change->key = bytes_of(key, head.key_len);
	change->value = bytes_of(key + head.key_len, head.value_len);
	*at += sizeof head + head.key_len + head.value_len;
	return true;
}

/* --- ends ------------------------------------------------------------------------------------------------------ */

static void take_reclaimable(struct batch *batch)
{
	struct segment_set *from = &batch->live->reclaimable;
	size_t len = from->len < DELETES_PER_BATCH ? from->len : DELETES_PER_BATCH;
	if (len == 0)
		return;
	batch->deletes = alloc_grow(batch->deletes, &batch->deletes_cap, batch->deletes_len + len, sizeof(uint64_t));
	from->len -= len;
	memcpy(batch->deletes + batch->deletes_len, from->numbers + from->len, len * sizeof(uint64_t));
	batch->deletes_len += len;
}

void batch_checkpoint(struct batch *batch)
{
	close_segment(batch);
	batch->checkpoint_segment = *batch->next_segment - 1;
	live_checkpoint(batch->live);
}

void batch_close(struct batch *batch)
{
	close_segment(batch);
	take_reclaimable(batch);
}
