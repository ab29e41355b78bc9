/* Log file: DIR/journal.log, made of slots (space.h). It is written by one thread and may be read
 * by another. */
#ifndef LEV_STORAGE_LOGFILE_H
#define LEV_STORAGE_LOGFILE_H

#include "batch.h"

enum logfile_result {
	LOGFILE_OK = 0,
	LOGFILE_FULL = -1,   /* No space on the disk. The same batch may be written again. */
	LOGFILE_FAILED = -2, /* The state of the disk is unknown: stop. */
};

struct logfile;

/* Opens or creates the file. On failure returns LOGFILE_FAILED, leaves *out untouched and writes
 * the reason to why. */
int logfile_open(struct logfile **out, const char *dir, bool is_read_only, char *why,
		 size_t why_size);
void logfile_close(struct logfile *log); /* NULL is fine. */

/* Writes a closed batch; it is durable after logfile_sync(). */
int logfile_write(struct logfile *log, const struct batch *batch);
int logfile_sync(struct logfile *log);

/* Gives a slot of the file its space on the disk. is_filled: fills it with zeros, which makes small
 * writes to it twice as fast, and is not worth it for large ones. For a thread with time to spare;
 * nobody else may use the slot meanwhile. */
int logfile_prepare(struct logfile *log, uint32_t slot, bool is_filled);

/* Gives the space of these slots back to the disk; their bytes read as zero. Failure is no harm. */
void logfile_release(struct logfile *log, uint32_t slot, uint32_t len);

/* Length of the file in slots; the last one may not be all there. */
uint32_t logfile_slots(const struct logfile *log);

/* Reads up to len bytes at an offset of the file; short only at its end, 0 also if the disk
 * refuses. */
size_t logfile_read(const struct logfile *log, uint64_t offset, uint8_t *buffer, size_t len);

/* Tells the kernel that these bytes will be needed soon. */
void logfile_will_need(const struct logfile *log, uint64_t offset, size_t len);

/* What went wrong last, for a message to the operator. Of the writing thread. */
const char *logfile_error(const struct logfile *log);

#endif
