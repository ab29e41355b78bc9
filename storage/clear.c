/* Clear: a slot of the log of which little lives is emptied by copying that into the store. */
#include "base/alloc.h"
#include "journal_state.h"
#include "survivors.h"

#include <stdlib.h>

bool journal_clear_begin(struct journal *j, uint64_t *from_at, uint64_t *until_at)
{
	const struct space_slot *slot = space_sparse(&j->space);
	if (slot == NULL)
		return false;
	*from_at = j->clear_at = slot->number * LOG_SLOT_BYTES;
	j->clear_places = 0;
	*until_at = (slot->number + slot->span) * LOG_SLOT_BYTES;
	return true;
}

/* The segment at clear_at; empty where there is none. */
static struct bytes read_segment(struct journal *j)
{
	uint8_t head_bytes[SEGMENT_HEAD_BYTES];
	struct segment_head head;
	uint64_t offset = space_offset(&j->space, j->clear_at);
	bool is_one =
		offset != UINT64_MAX &&
		logfile_read(j->log, offset, head_bytes, sizeof head_bytes) == sizeof head_bytes &&
		segment_open(bytes_of(head_bytes, sizeof head_bytes), j->clear_at, &head);
	if (!is_one)
		return (struct bytes){ NULL, 0 };
	j->clear_buffer = alloc_grow(j->clear_buffer, &j->clear_cap, head.bytes, 1);
	return bytes_of(j->clear_buffer, logfile_read(j->log, offset, j->clear_buffer, head.bytes));
}

static void copy_living(struct journal *j, struct bytes segment, journal_living *living, void *arg)
{
	struct survivors survivors = { .changes = &j->changes };
	struct entry e;
	uint32_t next = SEGMENT_HEAD_BYTES;
	for (uint32_t at = next; at != 0; at = next) {
		int rc = entry_read(segment, j->clear_at, at, &e, &next);
		if (rc == ENTRY_END)
			break;
		if (rc != ENTRY_OK || e.kind != ENTRY_MESSAGE)
			continue;
		uint32_t places = living(arg, location_of(e.at, e.message.is_volatile), &e);
		if (places > 0)
			survivors_add(&survivors, e.at,
				      bytes_of(segment.data + at, entry_length(segment.data + at)));
		j->clear_places += places;
	}
	survivors_finish(&survivors);
}

/* A slot ends where no segment follows, or where one is damaged. So what has been copied is
 * counted: if something that lives has not been found, the slot stays as it is. */
bool journal_clear_step(struct journal *j, journal_living *living, void *arg)
{
	struct space_slot *slot = space_slot_at(&j->space, j->clear_at);
	struct bytes segment = slot == NULL ? (struct bytes){ NULL, 0 } : read_segment(j);
	if (segment.len > 0) {
		copy_living(j, segment, living, arg);
		uint64_t next_at = align_up(j->clear_at + segment.len, SEGMENT_ALIGN);
		if (next_at < (slot->number + slot->span) * LOG_SLOT_BYTES) {
			j->clear_at = next_at;
			return true;
		}
	}
	if (slot != NULL) {
		bool is_whole = j->clear_places >= slot->places;
		*(is_whole ? &slot->is_copied : &slot->is_stuck) = true;
		slot->is_dirty = true;
	}
	free(j->clear_buffer);
	j->clear_buffer = NULL;
	j->clear_cap = 0;
	return false;
}
