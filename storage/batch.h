/* Batch: what one or more turns decided, already in the form it has in the log. All of it reaches
 * the disk, or none.
 *
 * It is memory only, so the core can write to it and stay deterministic. Filled by one thread, then
 * handed whole to the journal's writer; never both at once. */
#ifndef LEV_STORAGE_BATCH_H
#define LEV_STORAGE_BATCH_H

#include "changes.h"
#include "segment.h"
#include "space.h"

struct batch_segment {
	uint64_t at;     /* In the log, */
	uint64_t offset; /* and in the file. */
	uint64_t time_ms;
	uint8_t *data;
	uint32_t len;
	uint32_t cap;
	uint32_t limit; /* What it may grow to. */
	uint32_t entries;
	uint32_t voids; /* Entries that need not be written. */
};

struct batch {
	struct batch_segment *segments;
	size_t segments_len;
	size_t segments_cap;
	bool is_segment_open; /* The last one may still take entries. */
	uint64_t floor_at;    /* What lies before it stays: a checkpoint refers to it. */
	uint64_t bytes;       /* Of entries. */
	bool is_awaited; /* Somebody waits for it to be durable. What nobody waits for may take its
			    time. */
	uint64_t
		sequence; /* What makes it durable; set by the journal at the start of each turn. */
	uint64_t now_ms;  /* Unix time of this turn: set by the owner before entries are added. */
	struct space *space;     /* Shared by all batches of a journal, borrowed. */
	struct changes *changes; /* For the next checkpoint; as above. */
	struct changes notes;    /* They are put at its end. */
};

void batch_init(struct batch *batch, struct space *space, struct changes *changes);
void batch_fini(struct batch *batch);

/* Empties it for another use; its buffers are kept up to a few megabytes. */
void batch_clear(struct batch *batch);

bool batch_is_empty(const struct batch *batch);

/* Adds a message; returns its location, with one reference for each of its places. */
uint64_t batch_message(struct batch *batch, const struct message_record *m);

/* The message at this location, added to this very batch, is gone from all its places: it need not
 * be written. False if it must be: a checkpoint knows of it. */
bool batch_void(struct batch *batch, uint64_t location);

/* Adds a change of a queue. ranges_len may be large: it is split over entries and segments as
 * needed. */
void batch_ranges(struct batch *batch, enum entry_kind kind, uint32_t queue,
		  const struct range *ranges, size_t ranges_len);

/* Sets a key of the store, or deletes it: in the log now, in the store with the next checkpoint. */
void batch_put(struct batch *batch, struct bytes key, struct bytes value);
void batch_delete(struct batch *batch, struct bytes key);

/* Notes something in the log only, for recovery to find: its meaning, and that the store learns of
 * it, are the caller's. Notes come after all else in the batch, in order, so that they do not stand
 * between messages that need not be written: one may be found again although a checkpoint that was
 * taken after it has what it says. */
void batch_note(struct batch *batch, struct bytes key, struct bytes value);

/* Ends the open segment: what follows has not happened yet at the checkpoint that is being taken.
 */
void batch_checkpoint(struct batch *batch);

/* Ends the batch, so that it can be written: leaves out what need not be. */
void batch_close(struct batch *batch, uint32_t generation);

#endif
