#include "server/log_ring.h"

#include <assert.h>
#include <string.h>

void log_ring_init(struct log_ring *ring)
{
	memset(ring, 0, sizeof *ring);
	pthread_mutex_init(&ring->mutex, NULL);
}

static struct log_ring_place *place(struct log_ring_part *p, uint64_t i)
{
	return &p->places[i % LOG_RING_LINES];
}

/* Until there is a place, and as many bytes. */
static void make_room(struct log_ring_part *p, size_t len)
{
	if (p->end - p->begin == LOG_RING_LINES)
		p->begin++;
	while (p->begin < p->end && p->written + len - place(p, p->begin)->at > LOG_RING_BYTES)
		p->begin++;
}

static void copy_in(struct log_ring_part *p, const char *line, size_t len)
{
	size_t at = p->written % LOG_RING_BYTES, room = LOG_RING_BYTES - at;
	size_t first = len < room ? len : room;
	memcpy(p->bytes + at, line, first);
	memcpy(p->bytes, line + first, len - first);
	p->written += len;
}

static void copy_out(const struct log_ring_part *p, const struct log_ring_place *from, char *line)
{
	size_t at = from->at % LOG_RING_BYTES, room = LOG_RING_BYTES - at;
	size_t first = from->len < room ? from->len : room;
	memcpy(line, p->bytes + at, first);
	memcpy(line + first, p->bytes, from->len - first);
}

void log_ring_put(struct log_ring *ring, unsigned level, const char *line, size_t len)
{
	assert(level < LOG_RING_LEVELS);
	struct log_ring_part *p = &ring->parts[level];
	if (len > LOG_LINE_BYTES)
		len = LOG_LINE_BYTES;
	pthread_mutex_lock(&ring->mutex);
	make_room(p, len);
	*place(p, p->end++) = (struct log_ring_place){ ++ring->last, p->written, (uint32_t)len };
	copy_in(p, line, len);
	pthread_mutex_unlock(&ring->mutex);
}

/* The first place whose sequence is beyond that one; p->end: there is none. */
static uint64_t find_after(struct log_ring_part *p, uint64_t after)
{
	uint64_t low = p->begin, high = p->end;
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		if (place(p, middle)->sequence > after)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

bool log_ring_next(struct log_ring *ring, uint64_t after, unsigned level, struct log_entry *entry)
{
	const struct log_ring_place *found = NULL;
	pthread_mutex_lock(&ring->mutex);
	for (unsigned i = level; i < LOG_RING_LEVELS; i++) {
		struct log_ring_part *p = &ring->parts[i];
		uint64_t at = find_after(p, after);
		if (at == p->end || (found != NULL && found->sequence < place(p, at)->sequence))
			continue;
		found = place(p, at);
		entry->level = i;
	}
	if (found != NULL) {
		entry->sequence = found->sequence;
		entry->len = found->len;
		copy_out(&ring->parts[entry->level], found, entry->line);
	}
	pthread_mutex_unlock(&ring->mutex);
	return found != NULL;
}

/* Goes back from the newest of each level. */
uint64_t log_ring_tail(struct log_ring *ring, unsigned level, size_t lines)
{
	uint64_t at[LOG_RING_LEVELS], after;
	pthread_mutex_lock(&ring->mutex);
	after = ring->last;
	for (unsigned i = level; i < LOG_RING_LEVELS; i++)
		at[i] = ring->parts[i].end;
	for (size_t n = 0; n < lines; n++) {
		uint64_t newest = 0;
		unsigned of = 0;
		for (unsigned i = level; i < LOG_RING_LEVELS; i++) {
			struct log_ring_part *p = &ring->parts[i];
			if (at[i] > p->begin && place(p, at[i] - 1)->sequence > newest) {
				newest = place(p, at[i] - 1)->sequence;
				of = i;
			}
		}
		if (newest == 0)
			break;
		at[of]--;
		after = newest - 1;
	}
	pthread_mutex_unlock(&ring->mutex);
	return after;
}
