/* Store: the LMDB environment DIR/data.mdb, which holds what a start needs to know. The only file
 * that includes lmdb.h is store.c.
 *
 *   key (big-endian)          value
 *   10                        checkpoint: struct store_checkpoint
 *   11                        the core's counters
 *   20 kind name              definitions: exchanges, queues, bindings
 *   30 queue                  queue: where its consumers stand, what is unacked
 *   40 queue position         index: where in the log the messages from this position on are
 *   48 queue position         index chunks that nobody needs any more, below this position: from which one on
 *   60 chunk                  idempotency keys: a chunk of those that are remembered
 *   61                        which chunks there are
 *   62 producer               what a producer has published
 *   50 slot                   slot of the log: where in the file it is, how much in it lives
 *   F0 slot part              survivors of a slot whose place in the file has been given back
 *
 * One thread writes (store_commit), another may read; reads are copies of a moment and must be
 * short. */
#ifndef LEV_STORAGE_STORE_H
#define LEV_STORAGE_STORE_H

#include "changes.h"

enum {
	STORE_KEY_CHECKPOINT = 0x10,
	STORE_KEY_COUNTERS = 0x11,
	STORE_KEY_DEFINITION = 0x20,
	STORE_KEY_QUEUE = 0x30,
	STORE_KEY_INDEX = 0x40,
	STORE_KEY_DOOMED = 0x48,
	STORE_KEY_SLOT = 0x50,
	STORE_KEY_KEYS = 0x60,
	STORE_KEY_KEYS_STATE = 0x61,
	STORE_KEY_PRODUCER = 0x62,
	STORE_KEY_SURVIVORS = 0xf0,
};

/* Key of an index chunk: that of its first position. */
enum { STORE_INDEX_KEY_BYTES = 13 };

static inline struct bytes store_index_key(uint8_t *key, uint32_t queue, uint64_t position)
{
	key[0] = STORE_KEY_INDEX;
	store_u32(key + 1, queue);
	store_u64(key + 5, position);
	return bytes_of(key, STORE_INDEX_KEY_BYTES);
}

static inline uint64_t store_index_position(struct bytes key)
{
	return key.len == STORE_INDEX_KEY_BYTES ? load_u64(key.data + 5) : 0;
}

enum store_result {
	STORE_OK = 0,
	STORE_FULL = -1, /* No space on the disk or in the map. Nothing changed; the same commit may
			    be tried again. */
	STORE_FAILED = -2, /* The state of the disk is unknown: stop. */
};

/* As it is stored, little-endian. */
struct store_checkpoint {
	uint32_t format;
	uint32_t is_clean;   /* The broker was stopped, not cut off. */
	uint32_t generation; /* Of the process that runs, or ran last. */
	uint32_t reserved;
	uint64_t at; /* Of the log: everything before it is in the store. */
};

struct store;

struct store_options {
	const char *dir;    /* Must exist. */
	uint64_t map_bytes; /* Address space, not disk. */
	bool is_read_only;  /* Whatever else is running; nothing is created. */
	bool is_unchecked;  /* Of any format, without a reader's lock: nobody else has it open. */
};

/* Opens or creates DIR/data.mdb. On failure returns STORE_FAILED, leaves *out untouched and writes
 * the reason to why. */
int store_open(struct store **out, const struct store_options *options, char *why, size_t why_size);

/* Closes without flushing. NULL is fine. */
void store_close(struct store *store);

/* One transaction: the changes and, unless NULL, the checkpoint. Durable when it returns STORE_OK.
 */
int store_commit(struct store *store, const struct changes *changes,
		 const struct store_checkpoint *checkpoint);

/* The checkpoint that was committed last; all zero if there is none. */
struct store_checkpoint store_checkpoint(struct store *store);

/* What went wrong last, for a message to the operator. */
const char *store_error(const struct store *store);

/* --- reading --- */

/* Begins a read of the newest committed state; views from store_get() and store_next() are valid
 * until store_read_end(). */
int store_read_begin(struct store *store);
void store_read_end(struct store *store);

/* How many keys there are, as the store counts them itself. Within a read. */
uint64_t store_entries(struct store *store);

/* False if there is no such key. Here and below, a value that is damaged is empty. */
bool store_get(struct store *store, struct bytes key, struct bytes *value);

/* The first key at or after *key that begins with `prefix`; *key and *value are set. */
bool store_seek(struct store *store, struct bytes prefix, struct bytes *key, struct bytes *value);

/* The key after the one that store_seek() or store_next() gave, if it begins with `prefix`. */
bool store_next(struct store *store, struct bytes prefix, struct bytes *key, struct bytes *value);

/* The key before that one. */
bool store_previous(struct store *store, struct bytes prefix, struct bytes *key,
		    struct bytes *value);

#endif
