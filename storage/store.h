/* Store: the LMDB environment under the journal. The only file that includes lmdb.h is store.c.
 *
 *   key (big-endian)          value
 *   10                        checkpoint: format, clean flag, checkpoint segment
 *   11                        the core's counters
 *   20 kind name              definitions: exchanges, queues, bindings
 *   30 queue                  queue: where its consumers stand
 *   F0 segment                segment, see segment.h
 *
 * One thread writes (store_commit, store_flush), another may read; reads are copies of a moment and must be short. */
#ifndef LEV_STORAGE_STORE_H
#define LEV_STORAGE_STORE_H

#include "batch.h"

enum {
	STORE_KEY_CHECKPOINT = 0x10,
	STORE_KEY_COUNTERS = 0x11,
	STORE_KEY_DEFINITION = 0x20,
	STORE_KEY_QUEUE = 0x30,
	STORE_KEY_SEGMENT = 0xf0,
};

enum store_result {
	STORE_OK = 0,
	STORE_FULL = -1,   /* No space on the disk or in the map. Nothing changed; the same commit may be tried again. */
	STORE_FAILED = -2, /* The state of the disk is unknown: stop. */
};

struct store_checkpoint {
	uint32_t format;
	uint32_t is_clean; /* The broker was stopped, not cut off. */
	uint64_t segment;  /* Changes in segments up to this one are already in the queue records. */
};

struct store;

/* Opens or creates DIR/data.mdb; the directory must exist. map_bytes is address space, not disk. On failure returns
 * STORE_FAILED, leaves *out untouched and writes the reason to why. */
int store_open(struct store **out, const char *dir, uint64_t map_bytes, char *why, size_t why_size);

/* Closes without flushing. NULL is fine. */
void store_close(struct store *store);

/* One transaction with all of the batch. When it returns STORE_OK the batch is on disk except for the page that makes it
 * valid, which goes out with the next commit or flush: only then is it durable. */
int store_commit(struct store *store, const struct batch *batch);

/* Makes everything committed durable. */
int store_flush(struct store *store);

/* What went wrong last, for a message to the operator. */
const char *store_error(const struct store *store);

/* --- reading --------------------------------------------------------------------------------------------------- */

/* Begins a read of the newest committed state; views from store_get() and store_next() are valid until store_read_end(). */
int store_read_begin(struct store *store);
void store_read_end(struct store *store);

/* False if there is no such key. */
bool store_get(struct store *store, struct bytes key, struct bytes *value);

/* The first key after *key (or, with key->len == 0, the first of all) that begins with `prefix`. */
bool store_next(struct store *store, uint8_t prefix, struct bytes *key, struct bytes *value);

/* Tells the kernel that these bytes of a value will be needed soon. */
void store_will_need(struct bytes value);

/* Key of a segment; at least 9 bytes. */
struct bytes store_segment_key(uint8_t *key, uint64_t number);

#endif
