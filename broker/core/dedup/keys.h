/* Keys: the idempotency keys that are remembered, and nothing of what they mean (identity.c) or
 * where they are kept (keylog.c).
 *
 * They stand in the order in which they came, in chunks, and leave in that order: a key's position
 * never changes, and whole chunks are what the store has. A hash table over them says where a key
 * is; it refers to positions and can be made from the chunks at any time. At most 31 bytes a key
 * when it is full: 24 in the chunk, four and a tag in a table of which four fifths are used. The
 * table grows a little with each key that is added, never all at once.
 *
 * After a start the chunks of the last process come back one by one, the newest first, while new
 * keys are added behind them: until keys_is_loading() is false, a key that is not found may still
 * be there.
 *
 * Some keys name a group besides: of those it is known how many live, however they came and went.
 * Deterministic; not thread-safe. */
#ifndef LEV_CORE_KEYS_H
#define LEV_CORE_KEYS_H

#include "base/bytes.h"
#include "base/list.h"
#include "base/map.h"

#ifndef KEYS_CHUNK_BITS /* The simulation has small ones. */
#define KEYS_CHUNK_BITS 10
#endif
enum {
	KEYS_CHUNK_LEN = 1 << KEYS_CHUNK_BITS,
	KEYS_VALUE_BYTES_MAX = 16 + KEYS_CHUNK_LEN * 24,
};

static const uint64_t KEYS_NONE = UINT64_MAX; /* No position. */

/* 96 bits of a hash of what the key is and where it holds: enough that two are never the same by
 * chance. */
struct key_name {
	uint64_t hash;
	uint32_t check;
};

enum key_flags {
	KEY_IS_DEAD = 1u << 31,
	KEY_IS_VOLATILE = 1u << 30, /* Gone with this process, like its message. */
	KEY_IS_QUEUED = 1u << 29,   /* Remembered as long as its message is in its queue. */
	KEY_IS_COUNTED = 1u << 28,  /* Its check and its print are the name of a group. */
	KEY_AGE = KEY_IS_COUNTED - 1,
};

struct key {
	uint64_t hash;
	uint64_t print; /* Fingerprint of the message's body. */
	uint32_t check;
	uint32_t when; /* Flags, and milliseconds since the chunk was begun. */
};

struct group_name {
	uint64_t print;
	uint32_t check;
};

/* Living keys that name it: there is at least one. */
struct keys_group {
	struct group_name name;
	uint64_t len;
	uint64_t newest;   /* Position of the last one that is not volatile, which may have gone
			      since; KEYS_NONE: none was. */
	uint64_t time_ms;  /* When the last one was added. */
	uint8_t bytes[12]; /* Of the name, for the map. */
};

struct keys_chunk {
	uint64_t base_ms;
	uint64_t number;
	struct list in_dirty; /* Differs from what the store has. */
	uint32_t len;
	struct key keys[KEYS_CHUNK_LEN];
};

struct keys_bucket;
struct keys_table {
	struct keys_bucket *buckets;
	uint64_t mask;
	uint64_t used; /* References in it. */
};

struct keys {
	struct keys_chunk **chunks; /* A ring, by number; NULL: not loaded, or lost. */
	uint64_t chunks_cap;
	uint64_t first;    /* Chunk: those before it are gone. */
	uint64_t next;     /* Position of the next key. */
	uint64_t oldest;   /* Below it nothing lives. */
	uint64_t unloaded; /* Chunks below this one are still to be loaded; 0: none. */
	uint64_t alive;
	uint64_t queued;   /* Of them, those with KEY_IS_QUEUED. */
	struct map groups; /* struct keys_group. */
	struct keys_table table;
	struct keys_table old; /* While the table grows: what has not been moved yet, */
	uint64_t moved;        /* which are the positions from here on, */
	uint64_t moving_until; /* up to here. */
	struct list dirty;
};

void keys_init(struct keys *keys);
void keys_fini(struct keys *keys);

/* The position of a living key, or KEYS_NONE. */
uint64_t keys_find(const struct keys *keys, struct key_name name);

/* keys_find() or keys_add() will follow: the cache may begin to look. */
void keys_prefetch(const struct keys *keys, struct key_name name);

/* The key at a position; NULL if it is gone. *time_ms is when it was added. */
const struct key *keys_at(const struct keys *keys, uint64_t position, uint64_t *time_ms);

/* NULL: no key of it lives. */
const struct keys_group *keys_group(const struct keys *keys, struct group_name name);

/* The first living key of a group at this position or after it, or KEYS_NONE. Looks at all of them.
 */
uint64_t keys_of_group(const struct keys *keys, struct group_name name, uint64_t from);

/* Adds a key that is not there; flags: KEY_IS_VOLATILE, KEY_IS_QUEUED, KEY_IS_COUNTED. Returns its
 * position. */
uint64_t keys_add(struct keys *keys, struct key_name name, uint64_t print, uint64_t now_ms,
		  uint32_t flags);

void keys_remove(struct keys *keys, uint64_t position);

/* The oldest one that lives, or KEYS_NONE: there is none, or it has not been loaded. Chunks before
 * it are given up. */
uint64_t keys_oldest(struct keys *keys);

/* Memory that it takes. */
uint64_t keys_bytes(const struct keys *keys);

/* NULL: it is gone, or has not been loaded. */
const struct keys_chunk *keys_chunk(const struct keys *keys, uint64_t number);

/* --- what is kept of it --- */

/* Writes keys [from, until) of a chunk as a value of at most KEYS_VALUE_BYTES_MAX: without the
 * volatile ones. False: none of them is to be kept. */
bool keys_write(const struct keys_chunk *chunk, uint32_t from, uint32_t until, struct writer *w);

/* The next key comes at this position or after it. */
void keys_skip(struct keys *keys, uint64_t position);

/* Says where the keys of the last process are: before anything else. */
void keys_expect(struct keys *keys, uint64_t first, uint64_t next);

/* The chunk to be loaded next; false: all are there. */
bool keys_next_unloaded(const struct keys *keys, uint64_t *number);
bool keys_is_loading(const struct keys *keys);
/* What is known of this chunk is not all of it. */
bool keys_awaits(const struct keys *keys, uint64_t number);

/* Takes what keys_write() wrote: keys from this position on; is_stored: the store has them, not
 * only the log. Of two with the same name the later one lives. False if it makes no sense. */
bool keys_read(struct keys *keys, uint64_t position, struct bytes value, bool is_stored);

/* The chunk has been loaded, or is lost. */
void keys_loaded(struct keys *keys, uint64_t number);

#endif
