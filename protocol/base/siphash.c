#include "base/siphash.h"

#include <endian.h>
#include <string.h>

struct state {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate(uint64_t x, unsigned by)
{
	return x << by | x >> (64 - by);
}

static inline void round_of(struct state *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = rotate(s->v1, 13) ^ s->v0;
	s->v3 = rotate(s->v3, 16) ^ s->v2;
	s->v0 = rotate(s->v0, 32);
	s->v2 += s->v1;
	s->v0 += s->v3;
	s->v1 = rotate(s->v1, 17) ^ s->v2;
	s->v3 = rotate(s->v3, 21) ^ s->v0;
	s->v2 = rotate(s->v2, 32);
}

static inline void take(struct state *s, uint64_t word, int rounds)
{
	s->v3 ^= word;
	for (int i = 0; i < rounds; i++)
		round_of(s);
	s->v0 ^= word;
}

static inline uint64_t load(const uint8_t *at)
{
	uint64_t word;
	memcpy(&word, at, sizeof word);
	return le64toh(word);
}

/* The last 0 to 7 bytes, with the length above them. */
static inline uint64_t last_word(const uint8_t *at, size_t len)
{
	uint64_t word = (uint64_t)len << 56;
	for (size_t i = 0; i < (len & 7); i++)
		word |= (uint64_t)at[i] << 8 * i;
	return word;
}

static inline uint64_t hash(const struct siphash_key *key, struct bytes input, int rounds, int last)
{
	uint64_t k0 = key->words[0], k1 = key->words[1];
	struct state s = { k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du,
			   k0 ^ 0x6c7967656e657261u, k1 ^ 0x7465646279746573u };
	size_t i = 0;
	for (; i + 8 <= input.len; i += 8)
		take(&s, load(input.data + i), rounds);
	take(&s, last_word(input.len > 0 ? input.data + i : NULL, input.len), rounds);
	s.v2 ^= 0xff;
	for (int k = 0; k < last; k++)
		round_of(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

uint64_t siphash(const struct siphash_key *key, struct bytes input)
{
	return hash(key, input, 2, 4);
}

uint64_t siphash_quick(const struct siphash_key *key, struct bytes input)
{
	return hash(key, input, 1, 3);
}

struct siphash_key siphash_key_of(const uint8_t bytes[16])
{
	return (struct siphash_key){ { load(bytes), load(bytes + 8) } };
}
