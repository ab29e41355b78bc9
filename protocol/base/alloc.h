/* Allocation for state whose absence leaves nothing sensible to do: these abort with a message when
 * memory is gone, so that their callers have no error path that no test ever takes. What a peer can
 * make large is bounded by limits before it gets here, and message bodies use message_create(),
 * which reports failure. */
#ifndef LEV_BASE_ALLOC_H
#define LEV_BASE_ALLOC_H

#include "base/bytes.h"

/* Zeroed; never NULL. Free with free(). */
void *alloc_zeroed(size_t size);

/* Never NULL; like realloc(), the old pointer is gone. */
void *alloc_resize(void *old, size_t size);

/* size must be a multiple of alignment. Never NULL. */
void *alloc_aligned(size_t alignment, size_t size);

/* Grows *cap to at least `need` elements of `size` bytes by doubling and returns the array. */
void *alloc_grow(void *array, size_t *cap, size_t need, size_t size);

/* A copy of b on the heap; b.len == 0 gives { NULL, 0 }. Free with free((void *)copy.data). */
struct bytes alloc_copy(struct bytes b);

#endif
