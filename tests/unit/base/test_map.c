#include "base/map.h"
#include "base/prng.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { KEYS = 5000 };

/* Compared with an array, through enough puts and removes to shift runs that wrap around the end.
 */
Test(map, agrees_with_an_array_through_random_changes)
{
	static char keys[KEYS][16];
	static bool present[KEYS];
	struct prng prng = { 7 };
	struct map map;
	size_t len = 0;
	map_init(&map, 42);
	for (size_t i = 0; i < KEYS; i++)
		snprintf(keys[i], sizeof keys[i], "key.%zu", i);
	for (int step = 0; step < 60000; step++) {
		uint32_t i = prng_below(&prng, KEYS);
		struct bytes key = bytes_str(keys[i]);
		cr_assert_eq(map_get(&map, key) != NULL, present[i]);
		if (present[i])
			cr_assert_eq(map_remove(&map, key), keys[i]);
		else
			map_put(&map, key, keys[i]);
		present[i] = !present[i];
		len = present[i] ? len + 1 : len - 1;
		cr_assert_eq(map.len, len);
	}
	for (size_t i = 0; i < KEYS; i++)
		cr_assert_eq(map_get(&map, bytes_str(keys[i])), present[i] ? keys[i] : NULL);
	map_fini(&map);
}

Test(map, iterates_over_every_entry_once)
{
	static char keys[100][8];
	bool seen[100] = { false };
	struct map map;
	size_t at = 0, n = 0;
	map_init(&map, 1);
	for (size_t i = 0; i < 100; i++) {
		snprintf(keys[i], sizeof keys[i], "%zu", i);
		map_put(&map, bytes_str(keys[i]), keys[i]);
	}
	for (const struct map_entry *e; (e = map_next(&map, &at)) != NULL; n++) {
		size_t i = (size_t)((char(*)[8])e->value - keys);
		cr_assert_not(seen[i]);
		seen[i] = true;
	}
	cr_assert_eq(n, 100);
	map_fini(&map);
}

Test(map, finds_nothing_when_empty)
{
	struct map map;
	map_init(&map, 0);
	cr_assert_null(map_get(&map, bytes_str("x")));
	cr_assert_null(map_remove(&map, bytes_str("x")));
	map_fini(&map);
}
