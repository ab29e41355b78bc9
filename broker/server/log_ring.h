/* Log ring: the last lines of the log in memory, for those who look at a broker that runs.
 *
 * Each level has its own part, of a fixed size, so that a flood of one does not wash away what the
 * others have said; within a part the oldest lines go first. Lines have sequence numbers from 1, in
 * the order in which they were put, whatever their level: a gap is a line that has gone. Any
 * thread; nobody waits longer than it takes to copy a line. */
#ifndef LEV_SERVER_LOG_RING_H
#define LEV_SERVER_LOG_RING_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	LOG_RING_LEVELS = 4,
	LOG_RING_BYTES = 64 * 1024, /* Of the lines of a level. */
	LOG_RING_LINES = 512,       /* Of a level, at most. */
	LOG_LINE_BYTES = 4096,      /* Of a line, with its end. */
};

/* Where a line is. Positions grow without end; where they are is their rest. */
struct log_ring_place {
	uint64_t sequence;
	uint64_t at;
	uint32_t len;
};

struct log_ring {
	pthread_mutex_t mutex;
	uint64_t last; /* Sequence of the newest. */
	struct log_ring_part {
		struct log_ring_place places[LOG_RING_LINES];
		uint64_t begin, end; /* Places begin to end - 1 are in use. */
		uint64_t written;    /* Bytes ever. */
		char bytes[LOG_RING_BYTES];
	} parts[LOG_RING_LEVELS];
};

/* With static storage, instead of log_ring_init(). */
#define LOG_RING_EMPTY                             \
	{                                          \
		.mutex = PTHREAD_MUTEX_INITIALIZER \
	}

struct log_entry {
	uint64_t sequence;
	unsigned level;
	size_t len; /* Of line, which has no end of line and no NUL. */
	char line[LOG_LINE_BYTES];
};

void log_ring_init(struct log_ring *ring);

/* level: from 0, below LOG_RING_LEVELS. Of a line that is longer than LOG_LINE_BYTES, the
 * beginning. */
void log_ring_put(struct log_ring *ring, unsigned level, const char *line, size_t len);

/* The oldest line after that sequence (0: of all) whose level is at least this. False: there is
 * none yet. Who wants them all begins with 0 and goes on with entry->sequence. */
bool log_ring_next(struct log_ring *ring, uint64_t after, unsigned level, struct log_entry *entry);

/* The sequence after which that many lines of at least this level, or as many as there are, follow:
 * where somebody begins who wants the last ones. */
uint64_t log_ring_tail(struct log_ring *ring, unsigned level, size_t lines);

#endif
