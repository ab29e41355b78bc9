/* Disk: where the simulation's batches and checkpoints go. A crash keeps every batch up to some
 * sequence and no later one, and the last checkpoint that had reached the store. A slot of the log
 * that is used again has lost what was in it. */
#ifndef LEV_TESTS_SIM_DISK_H
#define LEV_TESTS_SIM_DISK_H

#include "journal.h"

struct disk;

struct disk *disk_create(void);
void disk_destroy(struct disk *disk);

/* Closes the batch and takes in what it holds, under its sequence; the batch is empty then. */
void disk_write(struct disk *disk, struct batch *batch);

/* Takes the changes of a checkpoint that depends on a sequence; changes is empty then. */
void disk_checkpoint(struct disk *disk, struct changes *changes, uint64_t at, uint64_t sequence);

/* Puts that checkpoint into the store, if there is one and what it depends on is durable. */
bool disk_keep(struct disk *disk, uint64_t durable);
bool disk_is_keeping(const struct disk *disk);

/* Forgets batches that came after this sequence, and the checkpoint that was on its way. */
void disk_crash(struct disk *disk, uint64_t durable);

/* What journal_recover() does. */
void disk_recover(struct disk *disk, struct space *space, uint32_t generation,
		  const struct journal_visitor *visitor, void *arg);

/* Reads a message back; false if it is not there or no good. */
bool disk_read(struct disk *disk, struct space *space, uint64_t location, struct entry *entry);

/* Copies what lives of a slot to the changes, as journal_clear_step() does; returns how many places
 * that is. */
uint64_t disk_copy_living(struct disk *disk, const struct space_slot *slot, struct changes *changes,
			  journal_living *living, void *arg);

bool disk_get(struct disk *disk, struct bytes key, struct bytes *value);
bool disk_index_find(struct disk *disk, uint32_t queue, uint64_t position, uint64_t *base,
		     struct bytes *chunk);

#endif
