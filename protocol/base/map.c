#include "base/map.h"

#include "base/alloc.h"
#include "base/siphash.h"

#include <assert.h>
#include <stdlib.h>

uint64_t map_hash(const struct map *map, struct bytes key)
{
	const struct siphash_key secret = { { map->seed, ~map->seed } };
	return siphash_quick(&secret, key) | 1; /* 0 means free. */
}

/* The low bit is fixed by map_hash(), so the index starts above it. */
static size_t home_of(const struct map *map, uint64_t hash)
{
	return (size_t)(hash >> 1) & (map->cap - 1);
}

void map_init(struct map *map, uint64_t seed)
{
	*map = (struct map){ .seed = seed };
}

void map_fini(struct map *map)
{
	free(map->entries);
	*map = (struct map){ .seed = map->seed };
}

static struct map_entry *find(const struct map *map, struct bytes key)
{
	if (map->len == 0)
		return NULL;
	uint64_t hash = map_hash(map, key);
	for (size_t i = home_of(map, hash);; i = (i + 1) & (map->cap - 1)) {
		struct map_entry *e = &map->entries[i];
		if (e->hash == 0)
			return NULL;
		if (e->hash == hash && bytes_equal(e->key, key))
			return e;
	}
}

void *map_get(const struct map *map, struct bytes key)
{
	const struct map_entry *e = find(map, key);
	return e == NULL ? NULL : e->value;
}

static void place(struct map *map, struct map_entry entry)
{
	size_t i = home_of(map, entry.hash);
	while (map->entries[i].hash != 0)
		i = (i + 1) & (map->cap - 1);
	map->entries[i] = entry;
}

static void grow(struct map *map)
{
	struct map old = *map;
	map->cap = old.cap == 0 ? 8 : old.cap * 2;
	map->entries = alloc_zeroed(map->cap * sizeof *map->entries);
	for (size_t i = 0; i < old.cap; i++)
		if (old.entries[i].hash != 0)
			place(map, old.entries[i]);
	free(old.entries);
}

void map_put(struct map *map, struct bytes key, void *value)
{
	assert(value != NULL);
	assert(find(map, key) == NULL);
	if (4 * (map->len + 1) > 3 * map->cap)
		grow(map);
	place(map, (struct map_entry){ key, map_hash(map, key), value });
	map->len++;
}

void *map_remove(struct map *map, struct bytes key)
{
	struct map_entry *e = find(map, key);
	if (e == NULL)
		return NULL;
	void *value = e->value;
	size_t hole = (size_t)(e - map->entries);
	size_t mask = map->cap - 1;
	for (size_t i = (hole + 1) & mask; map->entries[i].hash != 0; i = (i + 1) & mask) {
		size_t home = home_of(map, map->entries[i].hash);
		if (((i - home) & mask) < ((i - hole) & mask))
			continue; /* It sits between its home and here: the hole is before its home.
				   */
		map->entries[hole] = map->entries[i];
		hole = i;
	}
	map->entries[hole] = (struct map_entry){ .hash = 0 };
	map->len--;
	return value;
}

const struct map_entry *map_next(const struct map *map, size_t *at)
{
	while (*at < map->cap)
		if (map->entries[(*at)++].hash != 0)
			return &map->entries[*at - 1];
	return NULL;
}
