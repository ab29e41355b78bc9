#include "auth/guesses.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

enum { SETS = 512, WAYS = 8, KNOWN_SETS = 256, V6_BYTES = 8 };

/* The times of the last failures, in a ring. */
struct failures {
	uint64_t hash; /* 0: free. */
	uint64_t at_ms[GUESSES_MAX];
	uint32_t len;
	uint32_t next;
};

struct known {
	uint64_t hash;
	uint64_t at_ms; /* When he last came in. */
};

struct guesses {
	struct siphash_key key;
	struct failures sets[SETS][WAYS];
	struct known known[KNOWN_SETS][WAYS];
};

enum what { PAIR, USER, ADDRESS, WHATS };

struct guesses *guesses_create(struct siphash_key key)
{
	struct guesses *g = alloc_zeroed(sizeof *g);
	g->key = key;
	return g;
}

void guesses_destroy(struct guesses *g)
{
	free(g);
}

static size_t address_len(const uint8_t *address)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	static const uint8_t loopback[GUESSES_ADDRESS_BYTES] = { [15] = 1 };
	bool is_whole = memcmp(address, mapped, sizeof mapped) == 0 ||
			memcmp(address, loopback, sizeof loopback) == 0;
	return is_whole ? GUESSES_ADDRESS_BYTES : V6_BYTES;
}

static uint64_t hash_of(const struct guesses *g, enum what what, struct bytes user,
			const uint8_t *address)
{
	const uint64_t of_user = what == ADDRESS ? 0 : siphash(&g->key, user);
	struct {
		uint64_t what, user;
		uint8_t address[GUESSES_ADDRESS_BYTES];
	} all = { (uint64_t)what, of_user, { 0 } };
	if (what != USER)
		memcpy(all.address, address, address_len(address));
	return siphash(&g->key, bytes_of(&all, sizeof all)) | 1;
}

static uint32_t failed_lately(const struct failures *f, uint64_t now_ms)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < f->len; i++)
		n += now_ms - f->at_ms[i] < GUESSES_MS;
	return n;
}

static bool is_enough(const struct guesses *g, uint64_t hash, uint64_t now_ms)
{
	const struct failures *set = g->sets[(hash >> 1) % SETS];
	for (size_t i = 0; i < WAYS; i++)
		if (set[i].hash == hash)
			return failed_lately(&set[i], now_ms) == GUESSES_MAX;
	return false;
}

static bool is_known(const struct guesses *g, uint64_t hash)
{
	const struct known *set = g->known[(hash >> 1) % KNOWN_SETS];
	for (size_t i = 0; i < WAYS; i++)
		if (set[i].hash == hash)
			return true;
	return false;
}

bool guesses_are_enough(const struct guesses *g, struct bytes user,
			const uint8_t address[GUESSES_ADDRESS_BYTES], uint64_t now_ms)
{
	uint64_t pair = hash_of(g, PAIR, user, address);
	if (is_enough(g, pair, now_ms))
		return true;
	return !is_known(g, pair) && (is_enough(g, hash_of(g, USER, user, address), now_ms) ||
				      is_enough(g, hash_of(g, ADDRESS, user, address), now_ms));
}

static struct failures *place_of(struct guesses *g, uint64_t hash, uint64_t now_ms)
{
	struct failures *set = g->sets[(hash >> 1) % SETS], *least = set;
	for (size_t i = 0; i < WAYS; i++) {
		if (set[i].hash == hash)
			return &set[i];
		if (failed_lately(&set[i], now_ms) < failed_lately(least, now_ms))
			least = &set[i];
	}
	*least = (struct failures){ .hash = hash };
	return least;
}

static void note_failure(struct guesses *g, uint64_t hash, uint64_t now_ms)
{
	struct failures *f = place_of(g, hash, now_ms);
	f->at_ms[f->next] = now_ms;
	f->next = (f->next + 1) % GUESSES_MAX;
	f->len += f->len < GUESSES_MAX;
}

static void note_known(struct guesses *g, uint64_t hash, uint64_t now_ms)
{
	struct known *set = g->known[(hash >> 1) % KNOWN_SETS], *oldest = set;
	for (size_t i = 0; i < WAYS; i++) {
		if (set[i].hash == hash) {
			oldest = &set[i];
			break;
		}
		if (set[i].at_ms < oldest->at_ms)
			oldest = &set[i];
	}
	*oldest = (struct known){ hash, now_ms };
}

void guesses_note(struct guesses *g, struct bytes user,
		  const uint8_t address[GUESSES_ADDRESS_BYTES], bool is_right, uint64_t now_ms)
{
	if (is_right) {
		note_known(g, hash_of(g, PAIR, user, address), now_ms);
		return;
	}
	for (enum what what = PAIR; what < WHATS; what++)
		note_failure(g, hash_of(g, what, user, address), now_ms);
}
