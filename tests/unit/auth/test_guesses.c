#include "auth/guesses.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { NOW = 1000000 };

static const struct siphash_key key = { { 1, 2 } };

struct address {
	uint8_t bytes[GUESSES_ADDRESS_BYTES];
};

static struct address v4(uint32_t number)
{
	return (struct address){ { [10] = 0xff, [11] = 0xff, [12] = (uint8_t)(number >> 24),
				   [13] = (uint8_t)(number >> 16), [14] = (uint8_t)(number >> 8),
				   [15] = (uint8_t)number } };
}

/* False: refused without a look at the password. */
static bool attempt(struct guesses *g, const char *user, struct address a, bool is_right,
		    uint64_t now_ms)
{
	if (guesses_are_enough(g, bytes_str(user), a.bytes, now_ms))
		return false;
	guesses_note(g, bytes_str(user), a.bytes, is_right, now_ms);
	return true;
}

Test(guesses, ten_failures_a_minute_of_an_address)
{
	struct guesses *g = guesses_create(key);
	char user[16];
	for (int i = 0; i < 10; i++) {
		snprintf(user, sizeof user, "user%d", i);
		cr_assert(attempt(g, user, v4(7), false, NOW + (uint64_t)i));
	}
	cr_assert_not(attempt(g, "another", v4(7), true, NOW + 59999));
	cr_assert(attempt(g, "another", v4(8), true, NOW + 59999));
	cr_assert(attempt(g, "another", v4(7), false, NOW + 60000));
	cr_assert_not(attempt(g, "another", v4(7), false, NOW + 60000));
	guesses_destroy(g);
}

Test(guesses, ten_failures_a_minute_of_a_user)
{
	struct guesses *g = guesses_create(key);
	for (uint32_t i = 0; i < 10; i++)
		cr_assert(attempt(g, "bob", v4(i), false, NOW));
	cr_assert_not(attempt(g, "bob", v4(100), true, NOW));
	cr_assert(attempt(g, "ann", v4(100), true, NOW));
	guesses_destroy(g);
}

Test(guesses, of_others_do_not_shut_out_who_has_been_in)
{
	struct guesses *g = guesses_create(key);
	cr_assert(attempt(g, "bob", v4(1), true, NOW));
	for (uint32_t i = 0; i < 10; i++)
		attempt(g, "bob", v4(50), false, NOW);
	for (uint32_t i = 0; i < 10; i++)
		attempt(g, "ann", v4(1), false, NOW);
	cr_assert_not(attempt(g, "ann", v4(1), true, NOW));
	for (uint32_t i = 0; i < 10; i++)
		cr_assert(attempt(g, "bob", v4(1), false, NOW));
	cr_assert_not(attempt(g, "bob", v4(1), true, NOW));
	guesses_destroy(g);
}

/* A customer has 2^64 addresses. */
Test(guesses, of_a_network_of_version_6_count_together)
{
	struct guesses *g = guesses_create(key);
	struct address a = { { 0x20, 1, 0xd, 0xb8, [15] = 1 } };
	for (uint8_t i = 0; i < 10; i++, a.bytes[15]++)
		cr_assert(attempt(g, "bob", a, false, NOW));
	cr_assert_not(attempt(g, "ann", a, false, NOW));
	a.bytes[7] = 1;
	cr_assert(attempt(g, "ann", a, false, NOW));
	guesses_destroy(g);
}

Test(guesses, of_many_strangers_do_not_make_the_worst_forgotten)
{
	struct guesses *g = guesses_create(key);
	char user[16];
	for (int i = 0; i < 10; i++)
		cr_assert(attempt(g, "bob", v4(1), false, NOW));
	for (uint32_t i = 0; i < 100000; i++) {
		snprintf(user, sizeof user, "u%u", i);
		attempt(g, user, v4(1000 + i), false, NOW);
	}
	cr_assert_not(attempt(g, "bob", v4(1), true, NOW));
	guesses_destroy(g);
}
