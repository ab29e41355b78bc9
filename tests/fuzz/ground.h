/* Ground: what a diskless broker stands on if it is to crash and start again: a platter (tests/sim)
 * in place of the number. */
#ifndef LEV_TESTS_FUZZ_GROUND_H
#define LEV_TESTS_FUZZ_GROUND_H

#include "platter.h"
#include "turn/diskless.h"

struct ground {
	struct diskless *diskless;
	struct platter *platter;
	uint64_t taken; /* Sequence: the platter has it, synced or not. */
	uint32_t generation;
	bool is_losing; /* What is submitted never reaches the platter: the crash came first. */
	bool is_kept;   /* A checkpoint is in the store, and the core has not been told. */
};

/* Puts a broker on it, with whatever the platter has. Twice and more, with ground_crash() in
 * between. limits as in diskless_init(); time goes on from now_ms. */
void ground_start(struct ground *ground, struct diskless *diskless,
		  const struct core_options *limits, uint64_t now_ms);
/* The broker is gone, and what was not durable with it. Its sessions have been destroyed while
 * ground->is_losing. */
void ground_crash(struct ground *ground);
/* A turn with a checkpoint, if none is on its way; what is durable of one reaches the store. */
void ground_checkpoint(struct ground *ground);
/* What has been decided is durable, from the next turn on. */
void ground_sync(struct ground *ground);
void ground_fini(struct ground *ground);

#endif
