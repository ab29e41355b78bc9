#include "fetch.h"

#include "base/alloc.h"

#include <stdlib.h>

enum {
	STRETCH_MIN = 16 << 10,
	STRETCH_MAX = 512 << 10,
	AHEAD_BYTES = 4 << 20, /* The kernel is told to have ready. */
};

void fetch_init(struct fetch *fetch)
{
	*fetch = (struct fetch){ .stretch = STRETCH_MIN };
}

void fetch_fini(struct fetch *fetch)
{
	free(fetch->buffer);
}

/* What lies behind the end of what is durable may yet change: it is never kept. */
static bool fill(struct fetch *f, const struct logfile *log, struct space *space, uint64_t at,
		 size_t need, uint64_t end_at)
{
	const struct space_slot *slot = space_slot_at(space, at);
	if (slot == NULL || slot->is_moved)
		return false;
	uint64_t slot_end = (slot->number + slot->span) * LOG_SLOT_BYTES,
		 offset = space_offset(space, at);
	uint64_t room = (slot_end < end_at ? slot_end : end_at) - at;
	bool is_onward = at >= f->at && at <= f->at + f->len + STRETCH_MIN;
	f->stretch = !is_onward                 ? STRETCH_MIN
		     : f->stretch < STRETCH_MAX ? f->stretch * 2
						: STRETCH_MAX;
	size_t len = need > f->stretch ? need : f->stretch;
	if (len > room)
		len = (size_t)room;
	if (len < need)
		return false;
	if (len > f->cap || (f->cap > STRETCH_MAX && len <= STRETCH_MAX)) {
		f->cap = len > STRETCH_MAX ? len : STRETCH_MAX;
		f->buffer = alloc_resize(f->buffer, f->cap);
	}
	if (f->stretch == STRETCH_MAX)
		logfile_will_need(log, offset + len, AHEAD_BYTES);
	f->at = at;
	f->len = logfile_read(log, offset, f->buffer, len);
	return f->len >= need;
}

static const uint8_t *want(struct fetch *f, const struct logfile *log, struct space *space,
			   uint64_t at, size_t need, uint64_t end_at)
{
	bool is_there = at >= f->at && at - f->at < f->len && f->len - (at - f->at) >= need;
	if (!is_there && (at + need > end_at || !fill(f, log, space, at, need, end_at)))
		return NULL;
	return f->buffer + (at - f->at);
}

bool fetch_entry(struct fetch *f, const struct logfile *log, struct space *space, uint64_t at,
		 uint64_t end_at, struct entry *entry)
{
	uint32_t next;
	const uint8_t *start = want(f, log, space, at, ENTRY_HEAD_BYTES, end_at);
	uint32_t len = start == NULL ? 0 : entry_length(start);
	start = len == 0 ? NULL : want(f, log, space, at, len, end_at);
	return start != NULL && entry_read(bytes_of(start, len), at, 0, entry, &next) == ENTRY_OK;
}
