/* Live: how many places of living messages each segment holds, and which segments hold none any more.
 *
 * Memory alone: the journal does the deleting. A segment may be deleted once (1) nothing in it lives and (2) a checkpoint has
 * been taken since its last change, because its entries also carry removals that recovery would otherwise miss. So a dead
 * segment first waits in `dead` and moves to `reclaimable` at the next checkpoint.
 *
 * Four bytes for each segment from the oldest living one on. Not thread-safe. */
#ifndef LEV_STORAGE_LIVE_H
#define LEV_STORAGE_LIVE_H

#include <stddef.h>
#include <stdint.h>

struct segment_set {
	uint64_t *numbers;
	size_t len;
	size_t cap;
};

struct live {
	uint32_t *counts; /* Ring of cap, first at index first. */
	size_t cap;       /* Power of two. */
	size_t len;
	size_t first;
	uint64_t base; /* The number of the segment at `first`. */
	struct segment_set dead;
	struct segment_set reclaimable;
};

void live_init(struct live *live);
void live_fini(struct live *live);

/* Announces a segment; numbers come in increasing order, gaps allowed. It starts with a count of one, held by whoever fills
 * it, and given up with live_unref(). */
void live_add(struct live *live, uint64_t number);

void live_ref(struct live *live, uint64_t number);
void live_unref(struct live *live, uint64_t number);

/* A checkpoint has been taken that covers every segment closed so far. */
void live_checkpoint(struct live *live);

#endif
