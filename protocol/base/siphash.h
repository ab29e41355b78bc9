/* SipHash (Aumasson and Bernstein, 2012): a keyed hash of 64 bits. Who does not know the key learns
 * nothing of other hashes from those he sees, and can choose no inputs that collide, not even in a
 * few bits.
 *
 * siphash() is SipHash-2-4, for what peers see and must not be able to forge. siphash_quick() is
 * SipHash-1-3, for tables, whose hashes nobody sees. */
#ifndef LEV_BASE_SIPHASH_H
#define LEV_BASE_SIPHASH_H

#include "base/bytes.h"

struct siphash_key {
	uint64_t words[2];
};

uint64_t siphash(const struct siphash_key *key, struct bytes input);
uint64_t siphash_quick(const struct siphash_key *key, struct bytes input);

/* The key as its 16 bytes are written. */
struct siphash_key siphash_key_of(const uint8_t bytes[16]);

#endif
