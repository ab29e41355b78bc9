#include "base/prng.h"
#include "base/slab.h"

#include <criterion/criterion.h>
#include <string.h>

enum { OBJECTS = 4000 };

Test(slab, objects_never_overlap_and_all_memory_comes_back)
{
	static uint8_t *objects[OBJECTS];
	static size_t sizes[OBJECTS];
	struct prng prng = { 3 };
	struct slab slab;
	slab_init(&slab);
	for (int step = 0; step < 40000; step++) {
		uint32_t i = prng_below(&prng, OBJECTS);
		if (objects[i] == NULL) {
			sizes[i] = 1 + prng_below(&prng, 6000);
			objects[i] = slab_alloc(&slab, sizes[i]);
			cr_assert_eq((uintptr_t)objects[i] % 16, 0);
			memset(objects[i], (int)(i & 0xff), sizes[i]);
		} else {
			for (size_t b = 0; b < sizes[i]; b++)
				cr_assert_eq(objects[i][b], i & 0xff);
			slab_free(&slab, objects[i], sizes[i]);
			objects[i] = NULL;
		}
	}
	for (size_t i = 0; i < OBJECTS; i++)
		slab_free(&slab, objects[i], sizes[i]);
	cr_assert_eq(slab.allocated_bytes, 0);
	slab_fini(&slab);
}

Test(slab, rounding_covers_the_size)
{
	for (size_t size = 1; size <= 5000; size++)
		cr_assert_geq(slab_rounded(size), size);
	cr_assert_eq(slab_rounded(64), 64);
	cr_assert_eq(slab_rounded(65), 96);
}
