#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>

static void *or_abort(void *p, size_t size)
{
	if (p != NULL || size == 0)
		return p;
	fprintf(stderr, "leveret: out of memory (%zu bytes)\n", size);
	abort();
}

void *alloc_zeroed(size_t size)
{
	return or_abort(calloc(1, size), size);
}

void *alloc_resize(void *old, size_t size)
{
	return or_abort(realloc(old, size), size);
}

void *alloc_aligned(size_t alignment, size_t size)
{
	return or_abort(aligned_alloc(alignment, size), size);
}

void *alloc_grow(void *array, size_t *cap, size_t need, size_t size)
{
	if (need <= *cap)
		return array;
	size_t wanted = *cap == 0 ? 8 : *cap * 2;
	while (wanted < need)
		wanted *= 2;
	*cap = wanted;
	return alloc_resize(array, wanted * size);
}

struct bytes alloc_copy(struct bytes b)
{
	if (b.len == 0)
		return (struct bytes){ NULL, 0 };
	uint8_t *copy = alloc_resize(NULL, b.len);
	memcpy(copy, b.data, b.len);
	return (struct bytes){ copy, b.len };
}
