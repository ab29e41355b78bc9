/* Heap: keys with an id each, lowest first, and of equal keys the lowest rank. Nothing is ever
 * taken out of its middle: who no longer means an entry changes the stamp by which it is
 * recognized, and skips it when it comes up, or rebuilds the heap when most of it is stale. */
#ifndef LEV_CORE_HEAP_H
#define LEV_CORE_HEAP_H

#include <stddef.h>
#include <stdint.h>

struct heap_entry {
	uint64_t key;
	uint64_t rank;
	uint32_t id;
	uint32_t stamp;
};

/* Zeroed it is empty. */
struct heap {
	struct heap_entry *entries;
	size_t len;
	size_t cap;
};

void heap_fini(struct heap *heap); /* It is empty again. */
void heap_push(struct heap *heap, struct heap_entry entry);
/* The first entry must be there. */
void heap_pop(struct heap *heap);
/* After entries have been removed from the array, in any way. */
void heap_rebuild(struct heap *heap);

#endif
