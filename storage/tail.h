/* Tail: what the log holds from the last checkpoint on. Found at a start, to be replayed.
 *
 * A batch counts if all of its segments are there and whole, or if a later batch is: that one was
 * written only after this one had been synced, so what is wrong with it now is damage and not the
 * end of the log. */
#ifndef LEV_STORAGE_TAIL_H
#define LEV_STORAGE_TAIL_H

#include "logfile.h"

struct tail_segment {
	uint64_t at;
	uint32_t bytes;
	bool is_damaged;      /* At least one of its entries. */
	bool has_definitions; /* Puts or deletes. */
};

struct tail_gap {
	uint64_t at;
	uint64_t bytes; /* Unreadable, where there must have been segments. */
};

struct tail {
	struct tail_segment *segments; /* In order. */
	size_t segments_len;
	size_t segments_cap;
	struct tail_gap *gaps;
	size_t gaps_len;
	size_t gaps_cap;
	uint64_t end_at; /* Where the next segment goes. */
	uint8_t *buffer;
	size_t buffer_cap;
};

/* Finds the tail from an address on. space knows the slots of the checkpoint; it learns of those
 * begun since. */
void tail_find(struct tail *tail, const struct logfile *log, struct space *space, uint64_t from_at);
void tail_fini(struct tail *tail);

/* The bytes of a segment, valid until the next call; empty if they cannot be read. */
struct bytes tail_read(struct tail *tail, const struct logfile *log, struct space *space,
		       const struct tail_segment *segment);

#endif
