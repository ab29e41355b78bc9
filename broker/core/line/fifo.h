/* Fifo: the messages of a queue that have never been delivered, in order of position.
 *
 * A slot is 8 bytes: a message in memory, or the location of one that is in the log. Positions
 * grow; between two of them there may be gaps (what was transient before a restart). Slots are held
 * in chunks:
 *
 *   front: chunks in memory | middle: chunks that only the store has | back: chunks in memory
 *
 * so that a deep queue costs nothing but its ends. Messages leave at the front, which is refilled
 * from the middle, and when there is no middle, is joined by the back. */
#ifndef LEV_CORE_LINE_FIFO_H
#define LEV_CORE_LINE_FIFO_H

#include "core/message/message.h"

#include <assert.h>

/* --- slot: bit 0 tells a location from a pointer; 0 is empty --- */

static inline uint64_t slot_of_message(struct message *m)
{
	return (uint64_t)(uintptr_t)m;
}

static inline uint64_t slot_of_location(uint64_t location)
{
	assert(location != 0 && location >> 63 == 0);
	return location << 1 | 1;
}

static inline bool slot_is_on_disk(uint64_t slot)
{
	return slot & 1;
}

static inline struct message *slot_message(uint64_t slot)
{
	assert(slot != 0 && !slot_is_on_disk(slot));
	return (struct message *)(uintptr_t)slot;
}

/* Of the message on disk, or in memory; 0 if the log does not have it. */
static inline uint64_t slot_location(uint64_t slot)
{
	return slot_is_on_disk(slot) ? slot >> 1 : slot_message(slot)->location;
}

/* --- fifo --- */

#ifndef FIFO_CHUNK_SLOTS /* The simulation has small ones, so that its queues have many. */
#define FIFO_CHUNK_SLOTS 508
#endif

enum chunk_save {
	CHUNK_DIRTY,  /* Differs from what the store has. */
	CHUNK_SAVING, /* On its way with the running checkpoint. */
	CHUNK_SAVED,
};

/* Copies in the log of messages that are there for want of memory only; not durable yet. */
struct fifo_spill {
	struct fifo_spill *next;
	uint64_t sequence;
	uint32_t len;
	uint64_t locations[FIFO_CHUNK_SLOTS]; /* By slot; 0: none. */
};

struct fifo_chunk {
	struct fifo_chunk *next;
	uint64_t base;  /* Position of slots[0]. */
	uint32_t first; /* Slots before it have been taken. */
	uint32_t len;   /* Slots used, from 0. */
	enum chunk_save save;
	bool is_stored;  /* The store has a version of it. */
	bool is_evicted; /* No slot is a message in memory. */
	struct fifo_spill *spill;
	uint64_t slots[FIFO_CHUNK_SLOTS];
};

struct fifo_chunks {
	struct fifo_chunk *head;
	struct fifo_chunk *tail;
};

struct fifo {
	struct fifo_chunks front;
	struct {
		uint64_t from; /* Positions. */
		uint64_t until;
		uint64_t len; /* Messages. */
	} middle;
	struct fifo_chunks back;
	struct fifo_chunk *evicted; /* Paging has been through every chunk of the back up to here;
				       NULL: through none. */
	struct fifo_spill *spills;  /* Of chunks that were needed before they could be let go. */
	uint64_t *dead;             /* Bases of chunks that the store has and nobody needs. */
	size_t dead_len;
	size_t dead_cap;
	uint64_t len;    /* Messages, without gaps. */
	uint64_t *total; /* Counts those of all fifos; NULL: nobody wants to know. */
};

void fifo_init(struct fifo *fifo);
void fifo_fini(struct fifo *fifo); /* Forgets the slots; what they refer to is the caller's. Spills
				      must be gone. */

/* Appends at a position higher than all before it. */
void fifo_push(struct fifo *fifo, uint64_t position, uint64_t slot);

/* The first slot, to be read or replaced in place; NULL if empty, or if it is in the middle. Valid
 * until the next call that changes the fifo. */
uint64_t *fifo_first(struct fifo *fifo, uint64_t *position);

/* The next messages are in the middle: fifo_unpark() is needed. */
bool fifo_is_parked(const struct fifo *fifo);

/* Slots that stand in memory behind the first one, gaps included: for reading several at once. */
size_t fifo_run(struct fifo *fifo, uint64_t **slots);

/* Removes a slot of the run that fifo_run() gave; the others stay where they are. Returns its
 * position. */
uint64_t fifo_drop(struct fifo *fifo, uint64_t *slot);

/* Removes the first slot. */
void fifo_pop(struct fifo *fifo);

/* --- paging --- */

/* The next full chunk that paging has not been through, well behind the head; NULL if there is
 * none. */
struct fifo_chunk *fifo_next_to_evict(struct fifo *fifo);

/* Lets chunks at the beginning of the back go that are evicted and saved: they become the end of
 * the middle. */
void fifo_park(struct fifo *fifo);

/* A chunk for the first slots of the middle, to be filled with fifo_fill(); the middle then goes on
 * at `until`. */
struct fifo_chunk *fifo_unpark(struct fifo *fifo, uint64_t base, uint64_t until);
void fifo_fill(struct fifo *fifo, struct fifo_chunk *chunk, uint64_t slot); /* 0: a gap. */

/* What the middle should have had is not there: forgets it and returns how many messages that were.
 */
uint64_t fifo_lose_middle(struct fifo *fifo);

/* Nothing but the middle is left, which is forgotten: false if there was none. For purging. */
bool fifo_drop_middle(struct fifo *fifo, uint64_t *from, uint64_t *until);

/* After a recovery, before the first push: the store has this many messages between these
 * positions. Chunks in memory are all of the front then. */
void fifo_set_middle(struct fifo *fifo, uint64_t from, uint64_t until, uint64_t len);

/* The store has a chunk that nobody needs. */
void fifo_add_dead(struct fifo *fifo, uint64_t base);

/* The chunk after this one, of front and back; the first with NULL. */
struct fifo_chunk *fifo_next_chunk(const struct fifo *fifo, const struct fifo_chunk *chunk);

#endif
