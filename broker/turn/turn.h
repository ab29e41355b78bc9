/* Turn: one shard's way through time: begin, inputs, effects, record, submit. The one driver of a
 * core, whoever owns it - server, mock, scripts, simulation, power cuts, fuzzers, benches.
 *
 *   turn_begin(t, now)    the batch, the time, and what has become durable go to the core
 *   ...inputs...          of sessions, or of a test
 *   turn_drain(t)         what they lead to; may be called in between, too
 *   turn_end(t, ...)      drains, records, takes a checkpoint, submits
 *
 * What the core asks the disk for is answered here; every other effect goes to on_effect. Nothing
 * is static: any number of shards live in one process, each with its own core, disk and thread. */
#ifndef LEV_TURN_TURN_H
#define LEV_TURN_TURN_H

#include "core/core.h"
#include "turn/disk.h"

struct turn_options {
	struct core *core; /* Borrowed. */
	struct disk disk;
	/* What must happen for a channel: everything but what is read from the disk. */
	void (*on_effect)(void *arg, const struct effect *effect);
	/* A message that cannot be read back is dropped. NULL: that does not happen. */
	void (*on_damage)(void *arg, uint64_t location);
	void *arg; /* Of the functions above. */
};

enum turn_checkpoint {
	TURN_NO_CHECKPOINT,
	TURN_CHECKPOINT,      /* If the one before is done. */
	TURN_LAST_CHECKPOINT, /* The same; and nothing will follow it. */
};

struct turn {
	struct turn_options options;
	struct batch *batch;      /* NULL: between turns. */
	uint64_t durable;         /* What the core knows to be. */
	bool is_clearing;         /* A sparse stretch of the log. */
	uint64_t begun_bytes;     /* Of the batch when the turn began. */
	uint64_t unchecked_bytes; /* Written since the last checkpoint. */
	/* Since the beginning: */
	uint64_t loads;       /* Answers from the disk, */
	uint64_t cleared;     /* stretches that were cleared. */
	uint64_t checkpoints; /* begun. */
};

/* The options are copied. There is nothing to be undone. */
void turn_init(struct turn *turn, const struct turn_options *options);

/* unix_ms: see core_begin(). Within a turn: nothing. */
void turn_begin(struct turn *turn, uint64_t unix_ms);
static inline bool turn_is_open(const struct turn *turn)
{
	return turn->batch != NULL;
}

void turn_drain(struct turn *turn);

/* Reads a message back for whoever wants to look at it: the one at a location of the log that is in
 * a queue at a position (struct message_info). Within a turn. One reference, the caller's; NULL: it
 * is not there any more, or damaged. */
struct message *turn_read(struct turn *turn, uint64_t location, uint32_t queue_id,
			  uint64_t position);

/* There is something that a checkpoint would keep. Within a turn. */
bool turn_has_unchecked(const struct turn *turn);

/* Returns the sequence to wait for, see disk_operations.submit. */
uint64_t turn_end(struct turn *turn, enum turn_checkpoint checkpoint, bool is_here);

#endif
