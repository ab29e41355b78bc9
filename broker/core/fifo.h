/* Fifo: the messages of a queue that have never been delivered, in order of position.
 *
 * A slot is 8 bytes: a message in memory, or the journal's location of one that is on disk. Positions grow; between two of
 * them there may be gaps (what was transient before a restart). Slots are held in chunks, so that a deep queue costs 8 bytes
 * a message and an empty one nothing. */
#ifndef LEV_CORE_FIFO_H
#define LEV_CORE_FIFO_H

#include "core/message.h"

#include <assert.h>

/* --- slot: bit 0 tells a location from a pointer; 0 is empty --------------------------------------------------------- */

static inline uint64_t slot_of_message(struct message *m)
{
	return (uint64_t)(uintptr_t)m;
}

static inline uint64_t slot_of_location(uint64_t location)
{
	assert(location >> 63 == 0);
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

/* Of the message on disk, or in memory; 0 if the journal does not have it. */
static inline uint64_t slot_location(uint64_t slot)
{
	return slot_is_on_disk(slot) ? slot >> 1 : slot_message(slot)->location;
}

/* --- fifo ------------------------------------------------------------------------------------------------------ */

#ifndef FIFO_CHUNK_SLOTS /* The simulation has small ones, so that its queues have many. */
#define FIFO_CHUNK_SLOTS 508
#endif

struct fifo_chunk {
	struct fifo_chunk *next;
	uint64_t base;  /* Position of slots[0]. */
	uint32_t first; /* Slots before it have been taken. */
	uint32_t len;   /* Slots used, from 0. */
	uint64_t slots[FIFO_CHUNK_SLOTS];
};

struct fifo {
	struct fifo_chunk *head;
	struct fifo_chunk *tail;
	struct fifo_chunk *evicted; /* Paging has been through every chunk up to here; NULL: through none. */
	uint64_t len;               /* Messages, without gaps. */
};

void fifo_init(struct fifo *fifo);
void fifo_fini(struct fifo *fifo); /* Forgets the slots; what they refer to is the caller's. */

/* Appends at a position higher than all before it. */
void fifo_push(struct fifo *fifo, uint64_t position, uint64_t slot);

/* The first slot, to be read or replaced in place; NULL if empty. Valid until the next push or pop. */
uint64_t *fifo_first(struct fifo *fifo, uint64_t *position);

/* Slots that stand in memory behind the first one, gaps included: for reading several at once. */
size_t fifo_run(struct fifo *fifo, uint64_t **slots);

/* Removes a slot of the run that fifo_run() gave; the others stay where they are. Returns its position. */
uint64_t fifo_drop(struct fifo *fifo, uint64_t *slot);

/* The next full chunk that paging has not been through, well behind the head; NULL if there is none. */
struct fifo_chunk *fifo_next_to_evict(const struct fifo *fifo);

/* Removes the first slot. */
void fifo_pop(struct fifo *fifo);

#endif
