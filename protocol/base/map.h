/* Map: from a byte string to a pointer. Open addressing with linear probing and cached hashes;
 * deletion shifts back, so there are no tombstones. The key is borrowed and must live as long as
 * its entry: let the value own it.
 *
 * Iteration order depends on hashes alone, never on addresses, so a deterministic user stays
 * deterministic. The hash is keyed with the map's seed: a peer who chooses names cannot choose
 * collisions, as long as neither the seed nor a hash is ever shown to anybody. Not thread-safe. */
#ifndef LEV_BASE_MAP_H
#define LEV_BASE_MAP_H

#include "base/bytes.h"

struct map_entry {
	struct bytes key; /* Borrowed from the value. */
	uint64_t hash;    /* 0: the slot is free. */
	void *value;
};

struct map {
	struct map_entry *entries;
	size_t cap; /* A power of two, or 0. */
	size_t len;
	uint64_t seed;
};

void map_init(struct map *map, uint64_t seed);
void map_fini(struct map *map); /* The values stay the caller's. */

/* The keyed hash of a key: for tables, never for what leaves the process. */
uint64_t map_hash(const struct map *map, struct bytes key);

/* The value, or NULL. */
void *map_get(const struct map *map, struct bytes key);

/* The key must not be in the map yet; value must not be NULL. */
void map_put(struct map *map, struct bytes key, void *value);

/* Returns the value that was there, or NULL. */
void *map_remove(struct map *map, struct bytes key);

/* The first entry at or after slot *at, or NULL at the end; *at is moved past it. Start with *at =
 * 0. The map must not change between two calls, but for this: who removes each entry that it is
 * given takes one from *at, and misses none: what a removal moves comes into the slot of what is
 * gone, or, round the end, may come again. */
const struct map_entry *map_next(const struct map *map, size_t *at);

#endif
