#include "tail.h"

#include "base/alloc.h"

#include <stdlib.h>

/* --- slots that the checkpoint does not know --- */

struct candidate {
	uint64_t number;
	uint32_t span;
	uint32_t physical;
	uint32_t generation;
};

struct candidates {
	struct candidate *items;
	size_t len;
	size_t cap;
};

/* Of two that claim to be the same slot the one of the later process is it. */
static void consider(struct candidates *all, struct candidate c)
{
	for (size_t i = 0; i < all->len; i++) {
		if (all->items[i].number != c.number)
			continue;
		if (all->items[i].generation < c.generation)
			all->items[i] = c;
		return;
	}
	all->items = alloc_grow(all->items, &all->cap, all->len + 1, sizeof *all->items);
	all->items[all->len++] = c;
}

static bool is_known_place(const struct space *space, uint32_t physical)
{
	for (size_t i = 0; i < space->slots_len; i++) {
		const struct space_slot *s = &space->slots[i];
		if (!s->is_moved && physical >= s->physical && physical - s->physical < s->span)
			return true;
	}
	return false;
}

static void find_slots(const struct logfile *log, struct space *space, uint64_t from_at)
{
	struct candidates found = { 0 };
	uint32_t file_slots = logfile_slots(log);
	for (uint32_t physical = 0; physical < file_slots; physical++) {
		uint8_t bytes[SEGMENT_HEAD_BYTES];
		struct segment_head claimed, head;
		if (is_known_place(space, physical) ||
		    logfile_read(log, (uint64_t)physical * LOG_SLOT_BYTES, bytes, sizeof bytes) !=
			    sizeof bytes)
			continue;
		memcpy(&claimed, bytes, sizeof claimed);
		if (!segment_open(bytes_of(bytes, sizeof bytes), claimed.at, &head) ||
		    head.at % LOG_SLOT_BYTES != 0 || head.at < from_at)
			continue;
		uint32_t span =
			(uint32_t)((head.bytes + (uint64_t)LOG_SLOT_BYTES - 1) / LOG_SLOT_BYTES);
		consider(&found, (struct candidate){ head.at / LOG_SLOT_BYTES, span, physical,
						     head.generation });
	}
	for (size_t i = 0; i < found.len; i++)
		if (space_slot_at(space, found.items[i].number * LOG_SLOT_BYTES) == NULL)
			space_found(space, found.items[i].number, found.items[i].span,
				    found.items[i].physical);
	free(found.items);
}

/* --- segments --- */

static bool read_head(const struct logfile *log, struct space *space, uint64_t at,
		      struct segment_head *head)
{
	uint8_t bytes[SEGMENT_HEAD_BYTES];
	uint64_t offset = space_offset(space, at);
	return offset != UINT64_MAX &&
	       logfile_read(log, offset, bytes, sizeof bytes) == sizeof bytes &&
	       segment_open(bytes_of(bytes, sizeof bytes), at, head);
}

static bool is_later(const struct segment_head *a, const struct segment_head *b)
{
	return a->generation != b->generation ? a->generation > b->generation
					      : a->sequence > b->sequence;
}

/* before: NULL at the checkpoint, which may have been taken in the middle of a batch. */
static bool follows(const struct segment_head *before, const struct segment_head *head)
{
	if (before == NULL)
		return true;
	if (before->flags & SEGMENT_IS_LAST)
		return (head->flags & SEGMENT_IS_FIRST) && is_later(head, before);
	return !(head->flags & SEGMENT_IS_FIRST) && head->generation == before->generation &&
	       head->sequence == before->sequence;
}

/* The segment at *at, or at the next slot if the writer went on there. */
static bool next_head(const struct logfile *log, struct space *space,
		      const struct segment_head *before, uint64_t *at, struct segment_head *head)
{
	if (read_head(log, space, *at, head) && follows(before, head))
		return true;
	uint64_t slot = align_up(*at, LOG_SLOT_BYTES);
	if (slot == *at || !read_head(log, space, slot, head) || !follows(before, head))
		return false;
	*at = slot;
	return true;
}

/* Behind bytes that are no segment: the beginning of a later batch, which proves that there was
 * one. */
static bool find_later(const struct logfile *log, struct space *space,
		       const struct segment_head *before, uint64_t *at, struct segment_head *head)
{
	uint8_t block[64 << 10];
	for (uint64_t from = *at + SEGMENT_ALIGN; space_slot_at(space, from) != NULL;) {
		uint64_t slot_end = align_up(from + 1, LOG_SLOT_BYTES);
		size_t len =
			slot_end - from < sizeof block ? (size_t)(slot_end - from) : sizeof block;
		len = logfile_read(log, space_offset(space, from), block, len);
		for (size_t i = 0; i + SEGMENT_HEAD_BYTES <= len; i += SEGMENT_ALIGN) {
			bool is_one = segment_open(bytes_of(block + i, len - i), from + i, head);
			if (is_one && (head->flags & SEGMENT_IS_FIRST) &&
			    (before == NULL || is_later(head, before))) {
				*at = from + i;
				return true;
			}
		}
		if (len == 0)
			return false;
		from += len;
	}
	return false;
}

struct bytes tail_read(struct tail *tail, const struct logfile *log, struct space *space,
		       const struct tail_segment *segment)
{
	uint64_t offset = space_offset(space, segment->at);
	if (segment->bytes > tail->buffer_cap) {
		tail->buffer = alloc_resize(tail->buffer, segment->bytes);
		tail->buffer_cap = segment->bytes;
	}
	bool is_read = offset != UINT64_MAX &&
		       logfile_read(log, offset, tail->buffer, segment->bytes) == segment->bytes;
	return bytes_of(tail->buffer, is_read ? segment->bytes : 0);
}

static void look_into(struct tail *tail, const struct logfile *log, struct space *space,
		      struct tail_segment *segment)
{
	struct bytes bytes = tail_read(tail, log, space, segment);
	struct entry entry;
	uint32_t next = SEGMENT_HEAD_BYTES;
	int rc = bytes.len == 0 ? ENTRY_DAMAGED : ENTRY_OK;
	while (rc == ENTRY_OK) {
		rc = entry_read(bytes, segment->at, next, &entry, &next);
		segment->has_definitions |=
			rc == ENTRY_OK && (entry.kind == ENTRY_PUT || entry.kind == ENTRY_DELETE);
	}
	segment->is_damaged = rc != ENTRY_END;
}

/* Where the segment after this one goes: as in batch.c. */
static uint64_t end_of(const struct tail_segment *s)
{
	bool is_spanning = s->at / LOG_SLOT_BYTES != (s->at + s->bytes - 1) / LOG_SLOT_BYTES;
	return align_up(s->at + s->bytes, is_spanning ? LOG_SLOT_BYTES : SEGMENT_ALIGN);
}

static void add_gap(struct tail *tail, uint64_t at, uint64_t end)
{
	tail->gaps =
		alloc_grow(tail->gaps, &tail->gaps_cap, tail->gaps_len + 1, sizeof *tail->gaps);
	tail->gaps[tail->gaps_len++] = (struct tail_gap){ at, end - at };
}

static void add_segment(struct tail *tail, const struct logfile *log, struct space *space,
			uint64_t at, uint32_t bytes)
{
	tail->segments = alloc_grow(tail->segments, &tail->segments_cap, tail->segments_len + 1,
				    sizeof *tail->segments);
	struct tail_segment *s = &tail->segments[tail->segments_len++];
	*s = (struct tail_segment){ .at = at, .bytes = bytes };
	look_into(tail, log, space, s);
}

/* Where the last batch that counts ends, as the log is read on. */
struct mark {
	size_t segments_len;
	uint64_t end_at;
};

static bool has_damage(const struct tail *tail, size_t from, size_t to)
{
	bool is_damaged = false;
	for (size_t i = from; i < to; i++)
		is_damaged |= tail->segments[i].is_damaged;
	return is_damaged;
}

/* sure: the end of the last batch that is known to have been durable. last: the end of the one
 * after it, whose wholeness decides if nothing follows. */
static void read_on(struct tail *tail, const struct logfile *log, struct space *space,
		    uint64_t from_at)
{
	struct segment_head head, before;
	const struct segment_head *known = NULL;
	struct mark sure = { 0, from_at }, last = sure;
	for (uint64_t at = from_at;; at = end_of(&tail->segments[tail->segments_len - 1])) {
		uint64_t gap_at = at;
		if (!next_head(log, space, known, &at, &head)) {
			if (!find_later(log, space, known, &at, &head))
				break;
			add_gap(tail, gap_at, at);
			sure = (struct mark){ tail->segments_len, at };
		} else if (known != NULL && (known->flags & SEGMENT_IS_LAST)) {
			sure = last;
		}
		add_segment(tail, log, space, at, head.bytes);
		before = head;
		known = &before;
		if (head.flags & SEGMENT_IS_LAST)
			last = (struct mark){ tail->segments_len,
					      end_of(&tail->segments[tail->segments_len - 1]) };
	}
	if (last.segments_len > sure.segments_len &&
	    !has_damage(tail, sure.segments_len, last.segments_len))
		sure = last;
	tail->segments_len = sure.segments_len;
	tail->end_at = sure.end_at;
}

void tail_find(struct tail *tail, const struct logfile *log, struct space *space, uint64_t from_at)
{
	*tail = (struct tail){ .end_at = from_at };
	find_slots(log, space, from_at);
	read_on(tail, log, space, from_at);
	space_forget_from(space, tail->end_at);
	space_loaded(space, logfile_slots(log));
	space->next_at = tail->end_at;
}

void tail_fini(struct tail *tail)
{
	free(tail->segments);
	free(tail->gaps);
	free(tail->buffer);
}
