/* Index: chunks of queues' indexes that the store has. */
#ifndef LEV_CORE_RESIDENCE_INDEX_H
#define LEV_CORE_RESIDENCE_INDEX_H

#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>

struct core;
struct effect;
struct queue;

/* A stretch of an index that was purged: the chunks are read once more, for what they refer to, and
 * deleted. */
struct doomed {
	struct list in_core;
	uint32_t queue; /* Its index_id. */
	uint64_t from;  /* Positions. */
	uint64_t until;
	bool is_stored; /* The store knows of it. */
	bool is_over;
};

/* The queue's index_id. */
uint32_t queue_index_id(struct queue *queue);
/* What older processes left under ids that mean nothing now is given up. */
void index_doom_volatile(struct core *core);
/* Adds the chunks of the queue that the store should have to the changes of a checkpoint, and
 * deletes those that it should not. */
void index_save(struct queue *queue);
/* That checkpoint is in the store: what it has may leave memory. */
void index_saved(struct queue *queue);
/* All of the queue's index goes: it is being deleted. */
void index_delete(struct queue *queue);
/* Positions that only the store knows are gone: what they refer to is to be given up. */
void index_doom(struct core *core, uint32_t queue, uint64_t from, uint64_t until, bool is_stored);
/* Adds what the store must know of that to the changes. */
void doomed_save(struct core *core);
void doomed_free(struct core *core);
/* Something of it has not been read yet. */
bool doomed_is_waiting(const struct core *core);
bool index_next(struct core *core, struct effect *effect);

#endif
