/* Guesses: slows down who guesses passwords. Of a user from an address, of a user from all
 * addresses, and from an address for all users, GUESSES_MAX logins may fail in a minute; more are
 * refused without a look at the password, the right one included.
 *
 * Who has logged in as a user from an address before is not shut out by what others guess: for him
 * only the first of the three limits holds. Memory is bounded: of the failures that are remembered
 * the fewest are forgotten first. */
#ifndef LEV_AUTH_GUESSES_H
#define LEV_AUTH_GUESSES_H

#include "base/bytes.h"
#include "base/siphash.h"

enum { GUESSES_MAX = 10, GUESSES_MS = 60000, GUESSES_ADDRESS_BYTES = 16 };

struct guesses;

/* key: random, so that nobody can choose whom his failures make forgotten. */
struct guesses *guesses_create(struct siphash_key key);
void guesses_destroy(struct guesses *guesses); /* NULL is fine. */

/* address: an IPv6 address, or an IPv4 one mapped into one. Of the former the upper half counts: a
 * customer has all below it. now_ms: steady. */
bool guesses_are_enough(const struct guesses *guesses, struct bytes user,
			const uint8_t address[GUESSES_ADDRESS_BYTES], uint64_t now_ms);

/* A password was looked at. */
void guesses_note(struct guesses *guesses, struct bytes user,
		  const uint8_t address[GUESSES_ADDRESS_BYTES], bool is_right, uint64_t now_ms);

#endif
