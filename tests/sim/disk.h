/* Disk: where the simulation's batches go. A crash keeps everything up to some sequence and nothing after it. */
#ifndef LEV_TESTS_SIM_DISK_H
#define LEV_TESTS_SIM_DISK_H

#include "journal.h"

struct disk;

struct disk *disk_create(void);
void disk_destroy(struct disk *disk);

/* Closes the batch and takes in what it holds, under its sequence; the batch is empty then. */
void disk_write(struct disk *disk, struct batch *batch);

/* Forgets what came after this sequence. */
void disk_crash(struct disk *disk, uint64_t durable);

/* What journal_recover() does. Returns the next free segment number. */
uint64_t disk_recover(struct disk *disk, struct live *live, const struct journal_visitor *visitor, void *arg);

/* Reads a message back; false if it is not there or no good. */
bool disk_read(struct disk *disk, uint64_t location, struct entry *entry);

size_t disk_segments(const struct disk *disk);

#endif
