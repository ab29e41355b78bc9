/* Platter: where the simulation's batches and checkpoints go. A crash keeps every batch up to some
 * sequence and no later one, and the last checkpoint that had reached the store. A slot of the log
 * that is used again has lost what was in it. */
#ifndef LEV_TESTS_SIM_PLATTER_H
#define LEV_TESTS_SIM_PLATTER_H

#include "journal.h"

struct platter;

struct platter *platter_create(void);
void platter_destroy(struct platter *platter);

/* Closes the batch and takes in what it holds, under its sequence; the batch is empty then. */
void platter_write(struct platter *platter, struct batch *batch);

/* Takes the changes of a checkpoint that depends on a sequence; changes is empty then. */
void platter_checkpoint(struct platter *platter, struct changes *changes, uint64_t at,
			uint64_t sequence);

/* Puts that checkpoint into the store, if there is one and what it depends on is durable. */
bool platter_keep(struct platter *platter, uint64_t durable);
bool platter_is_keeping(const struct platter *platter);

/* Forgets batches that came after this sequence, and the checkpoint that was on its way. */
void platter_crash(struct platter *platter, uint64_t durable);

/* What journal_recover() does. */
void platter_recover(struct platter *platter, struct space *space, uint32_t generation,
		     const struct journal_visitor *visitor, void *arg);

/* Reads a message back; false if it is not there or no good. */
bool platter_read(struct platter *platter, struct space *space, uint64_t location,
		  struct entry *entry);

/* Copies what lives of a slot to the changes, as journal_clear_step() does; returns how many places
 * that is. */
uint64_t platter_copy_living(struct platter *platter, const struct space_slot *slot,
			     struct changes *changes, journal_living *living, void *arg);

bool platter_get(struct platter *platter, struct bytes key, struct bytes *value);
bool platter_index_find(struct platter *platter, uint32_t queue, uint64_t position, uint64_t *base,
			struct bytes *chunk);

#endif
