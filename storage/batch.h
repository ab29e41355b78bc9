/* Batch: what one or more turns decided, already in the form it has on disk. All of it reaches the disk, or none.
 *
 * It is memory only, so the core can write to it and stay deterministic. Filled by one thread, then handed whole to the
 * journal's writer; never both at once. */
#ifndef LEV_STORAGE_BATCH_H
#define LEV_STORAGE_BATCH_H

#include "live.h"
#include "segment.h"

struct batch_segment {
	uint64_t number;
	uint64_t time_ms;
	uint8_t *data;
	uint32_t len;
	uint32_t cap;
	uint32_t entries;
};

struct batch {
	struct batch_segment *segments;
	size_t segments_len;
	size_t segments_cap;
	bool is_segment_open; /* The last one may still take entries. */
	uint8_t *puts;        /* Changes of definitions and queues in order, see batch_next_put(). */
	size_t puts_len;
	size_t puts_cap;
	uint64_t *deletes; /* Segments that are no longer needed. */
	size_t deletes_len;
	size_t deletes_cap;
	uint64_t checkpoint_segment; /* 0: no checkpoint in this batch. */
	uint64_t bytes;              /* Of entries and puts. */
	bool is_clean;               /* Its checkpoint is that of an orderly stop. */
	uint64_t sequence;           /* What makes it durable; set by the journal at the start of each turn. */
	uint64_t *next_segment;      /* Shared by all batches of a journal, borrowed, as is live. */
	struct live *live;
	uint64_t now_ms; /* Unix time of this turn: set by the owner before entries are added. */
};

void batch_init(struct batch *batch, uint64_t *next_segment, struct live *live);
void batch_fini(struct batch *batch);

/* Empties it for another use; its buffers are kept up to a few megabytes. */
void batch_clear(struct batch *batch);

bool batch_is_empty(const struct batch *batch);

/* Adds a message; returns its location. The segment's live count grows by the number of places. */
uint64_t batch_message(struct batch *batch, const struct message_record *m);

/* Adds a change of a queue. ranges_len may be large: it is split over entries and segments as needed. */
void batch_ranges(struct batch *batch, enum entry_kind kind, uint32_t queue, const struct range *ranges, size_t ranges_len);

/* Sets a key to a value, or deletes it. Keys are at most 511 bytes: LMDB's limit. */
void batch_put(struct batch *batch, struct bytes key, struct bytes value);
void batch_delete(struct batch *batch, struct bytes key);

/* Everything so far is covered by the queue records that the caller has just put: closes the open segment, and lets dead
 * segments be reclaimed from this batch on. */
void batch_checkpoint(struct batch *batch);

/* Ends the open segment, so that the batch can be written. */
void batch_close(struct batch *batch);

struct batch_change {
	bool is_delete;
	struct bytes key;
	struct bytes value;
};

/* Iterates over puts and deletes in order; start with *at = 0. */
bool batch_next_put(const struct batch *batch, size_t *at, struct batch_change *change);

#endif
