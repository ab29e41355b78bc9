/* Slab: memory for many small objects of a few sizes. Sizes are rounded up to a class; each class
 * carves 64 KiB slabs. A slab whose objects are all free goes back to the system (a few are kept),
 * so a drained backlog gives its memory back.
 *
 * Under AddressSanitizer every object is its own malloc(), so that a use after free is seen. Not
 * thread-safe. */
#ifndef LEV_BASE_SLAB_H
#define LEV_BASE_SLAB_H

#include "base/list.h"

#include <stddef.h>
#include <stdint.h>

enum {
	SLAB_CLASSES = 14,
	SLAB_OBJECT_MAX = 4096, /* Larger objects are plain malloc(). */
};

struct slab_class {
	struct list partial; /* Slabs with room. */
	uint32_t object_bytes;
	uint32_t empty_len; /* How many of them hold nothing. */
};

struct slab {
	struct slab_class classes[SLAB_CLASSES];
	size_t allocated_bytes; /* Of objects handed out, rounded up to their classes. */
};

void slab_init(struct slab *slab);
void slab_fini(struct slab *slab); /* Every object must have been freed. */

/* At least size bytes, aligned to 16, not zeroed; NULL when memory is gone. */
void *slab_alloc(struct slab *slab, size_t size);

/* size as it was given to slab_alloc(). NULL is fine. */
void slab_free(struct slab *slab, void *object, size_t size);

/* What an object of this size really takes, */
size_t slab_rounded(size_t size);
/* and how much of that may be used: it can be given to slab_free() as its size. */
size_t slab_usable(size_t size);

#endif
