#include "base/siphash.h"

#include <criterion/criterion.h>

/* The key and the inputs of the authors' own vectors: 0, 1, 2, ... */
static uint64_t hash_of_first(uint64_t (*hash)(const struct siphash_key *, struct bytes),
			      size_t len)
{
	uint8_t bytes[64];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)i;
	struct siphash_key key = siphash_key_of(bytes);
	return hash(&key, bytes_of(bytes, len));
}

Test(siphash, agrees_with_its_authors_vectors)
{
	cr_assert_eq(hash_of_first(siphash, 0), 0x726fdb47dd0e0e31u);
	cr_assert_eq(hash_of_first(siphash, 1), 0x74f839c593dc67fdu);
	cr_assert_eq(hash_of_first(siphash, 15), 0xa129ca6149be45e5u);
}

Test(siphash, is_the_quick_one_for_tables)
{
	cr_assert_eq(hash_of_first(siphash_quick, 0), 0xabac0158050fc4dcu);
	cr_assert_eq(hash_of_first(siphash_quick, 1), 0xc9f49bf37d57ca93u);
}

Test(siphash, of_nothing_needs_no_bytes)
{
	struct siphash_key key = siphash_key_of((const uint8_t[16]){ 0 });
	struct bytes none = { NULL, 0 };
	cr_assert_eq(siphash(&key, none), siphash(&key, bytes_str("")));
}
