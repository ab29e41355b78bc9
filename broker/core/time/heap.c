#include "core/time/heap.h"

#include "base/alloc.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

enum {
	ARITY = 4
}; /* Four entries are next to each other: fewer levels at nearly the same price. */

void heap_fini(struct heap *heap)
{
	free(heap->entries);
	*heap = (struct heap){ 0 };
}

static bool goes_before(const struct heap_entry *a, const struct heap_entry *b)
{
	return a->key != b->key ? a->key < b->key : a->rank < b->rank;
}

void heap_push(struct heap *heap, struct heap_entry entry)
{
	heap->entries = alloc_grow(heap->entries, &heap->cap, heap->len + 1, sizeof *heap->entries);
	size_t at = heap->len++;
	for (; at > 0 && goes_before(&entry, &heap->entries[(at - 1) / ARITY]);
	     at = (at - 1) / ARITY)
		heap->entries[at] = heap->entries[(at - 1) / ARITY];
	heap->entries[at] = entry;
}

static void sift_down(struct heap *heap, size_t at, struct heap_entry entry)
{
	for (;;) {
		size_t first = ARITY * at + 1, least = first;
		if (first >= heap->len)
			break;
		for (size_t i = 0; i < ARITY && ARITY * (first + i) + 1 < heap->len; i++)
			__builtin_prefetch(
				&heap->entries[ARITY * (first + i) +
					       1]); /* A large heap is mostly not in the cache. */
		for (size_t i = first + 1; i < first + ARITY && i < heap->len; i++)
			if (goes_before(&heap->entries[i], &heap->entries[least]))
				least = i;
		if (!goes_before(&heap->entries[least], &entry))
			break;
		heap->entries[at] = heap->entries[least];
		at = least;
	}
	heap->entries[at] = entry;
}

void heap_pop(struct heap *heap)
{
	assert(heap->len > 0);
	struct heap_entry last = heap->entries[--heap->len];
	if (heap->len > 0)
		sift_down(heap, 0, last);
}

void heap_rebuild(struct heap *heap)
{
	for (size_t i = heap->len / ARITY + 1; i-- > 0;)
		if (i < heap->len)
			sift_down(heap, i, heap->entries[i]);
}
