/* Idempotency keys: ten million of them, looked up, added with the oldest leaving, and read back as
 * after a start. */
#include "core/dedup/keys.h"
#include "micro.h"

#include <stdio.h>
#include <stdlib.h>

enum { MANY = 10000000 };

static struct keys keys;
static uint64_t last; /* Of the names so far. */

/* As good as a hash. */
static struct key_name name_of(uint64_t n)
{
	n = (n ^ n >> 32) * 0xd6e8feb86659fd93;
	n = (n ^ n >> 32) * 0xd6e8feb86659fd93;
	return (struct key_name){ n ^ n >> 32, (uint32_t)n };
}

static void add_one(void)
{
	if (keys.alive >= MANY)
		keys_remove(&keys, keys_oldest(&keys));
	last++;
	keys_add(&keys, name_of(last), last, 1000 + last / 1000, 0);
}

/* A publish with a fresh key: it is not there, and is added. */
static void check_and_add(void *arg, uint64_t rounds)
{
	(void)arg;
	while (rounds-- > 0) {
		if (keys_find(&keys, name_of(last + 1)) != KEYS_NONE)
			abort();
		add_one();
	}
}

static void find(void *arg, uint64_t rounds)
{
	uint64_t at = 1;
	(void)arg;
	while (rounds-- > 0) {
		at = at * 6364136223846793005u + 1442695040888963407u;
		if (keys_find(&keys, name_of(last - (at >> 33) % MANY)) == KEYS_NONE)
			abort();
	}
}

/* All chunks into an empty index, the newest first. */
static void load(void *arg, uint64_t rounds)
{
	static uint8_t value[KEYS_VALUE_BYTES_MAX];
	(void)arg;
	while (rounds-- > 0) {
		struct keys back;
		uint64_t number;
		keys_init(&back);
		keys_expect(&back, keys.first, keys.next);
		while (keys_next_unloaded(&back, &number)) {
			const struct keys_chunk *c = keys_chunk(&keys, number);
			struct writer w = writer_of(value, sizeof value);
			if (keys_write(c, 0, c->len, &w))
				keys_read(&back, number << KEYS_CHUNK_BITS,
					  bytes_of(value, (size_t)(w.at - value)), true);
			keys_loaded(&back, number);
		}
		keys_fini(&back);
	}
}

void micro_keys(void)
{
	keys_init(&keys);
	while (keys.alive < MANY)
		add_one();
	printf("keys_bytes/keys=10000000 %52.1f bytes a key\n",
	       (double)keys_bytes(&keys) / (double)keys.alive);
	micro_run("keys_find/keys=10000000", find, NULL, 1);
	micro_run("keys_find_add_evict/keys=10000000", check_and_add, NULL, 1);
	micro_run("keys_load/keys=10000000", load, NULL, MANY);
	keys_fini(&keys);
}
