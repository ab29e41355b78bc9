#include "base/slab.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

enum {
	SLAB_BYTES =
		64 *
		1024, /* Also the alignment: an object finds its slab by masking its address. */
	EMPTY_KEPT = 4,
};

static const uint16_t class_bytes[SLAB_CLASSES] = { 64,  96,  128,  160,  192,  256,  384,
						    512, 768, 1024, 1536, 2048, 3072, 4096 };

struct free_object {
	struct free_object *next;
};

/* At the start of each slab. */
struct page {
	struct list node; /* On its class's partial list, or alone when full. */
	struct free_object *free;
	uint32_t used;  /* Objects handed out. */
	uint32_t fresh; /* Offset of the first byte never handed out yet. */
};

enum { FIRST_OFFSET = 64 };
static_assert(sizeof(struct page) <= FIRST_OFFSET, "the header leaves the first object aligned");

/* By size in steps of 32 bytes. */
static const uint8_t class_by_size[SLAB_OBJECT_MAX / 32 + 1] = {
	[0 ... 2] = 0,    [3] = 1,          [4] = 2,          [5] = 3,           [6] = 4,
	[7 ... 8] = 5,    [9 ... 12] = 6,   [13 ... 16] = 7,  [17 ... 24] = 8,   [25 ... 32] = 9,
	[33 ... 48] = 10, [49 ... 64] = 11, [65 ... 96] = 12, [97 ... 128] = 13,
};

static unsigned class_of(size_t size)
{
	return class_by_size[(size + 31) / 32];
}

size_t slab_rounded(size_t size)
{
	return size > SLAB_OBJECT_MAX ? (size + 15) & ~(size_t)15 : class_bytes[class_of(size)];
}

void slab_init(struct slab *slab)
{
	slab->allocated_bytes = 0;
	for (unsigned i = 0; i < SLAB_CLASSES; i++) {
		list_init(&slab->classes[i].partial);
		slab->classes[i].object_bytes = class_bytes[i];
		slab->classes[i].empty_len = 0;
	}
}

void slab_fini(struct slab *slab)
{
	assert(slab->allocated_bytes == 0);
	for (unsigned i = 0; i < SLAB_CLASSES; i++)
		list_each (node, &slab->classes[i].partial)
			free(list_entry(node, struct page, node));
}

#if !defined(__SANITIZE_ADDRESS__) && defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

#ifdef __SANITIZE_ADDRESS__
static const bool is_pooled = false;
#else
static const bool is_pooled = true;
#endif

size_t slab_usable(size_t size)
{
	return size > SLAB_OBJECT_MAX || !is_pooled ? size : slab_rounded(size);
}

static struct page *page_create(struct slab_class *class)
{
	struct page *page = aligned_alloc(SLAB_BYTES, SLAB_BYTES);
	if (page == NULL)
		return NULL;
	*page = (struct page){ .fresh = FIRST_OFFSET };
	list_push_head(&class->partial, &page->node);
	class->empty_len++;
	return page;
}

static bool has_room(const struct page *page, uint32_t object_bytes)
{
	return page->free != NULL || page->fresh + object_bytes <= SLAB_BYTES;
}

static void *class_alloc(struct slab_class *class)
{
	struct page *page = list_is_empty(&class->partial)
				    ? page_create(class)
				    : list_entry(class->partial.next, struct page, node);
	if (page == NULL)
		return NULL;
	void *object = page->free;
	if (object != NULL) {
		page->free = page->free->next;
	} else {
		object = (char *)page + page->fresh;
		page->fresh += class->object_bytes;
	}
	if (page->used++ == 0)
		class->empty_len--;
	if (!has_room(page, class->object_bytes))
		list_remove(&page->node);
	return object;
}

void *slab_alloc(struct slab *slab, size_t size)
{
	void *object = size > SLAB_OBJECT_MAX || !is_pooled
			       ? malloc(size)
			       : class_alloc(&slab->classes[class_of(size)]);
	if (object != NULL)
		slab->allocated_bytes += slab_rounded(size);
	return object;
}

static void class_free(struct slab_class *class, void *object)
{
	struct page *page = (struct page *)((uintptr_t)object & ~(uintptr_t)(SLAB_BYTES - 1));
	if (!has_room(page, class->object_bytes))
		list_push_head(&class->partial, &page->node);
	((struct free_object *)object)->next = page->free;
	page->free = object;
	assert(page->used > 0);
	if (--page->used > 0)
		return;
	if (class->empty_len == EMPTY_KEPT) {
		list_remove(&page->node);
		free(page);
		return;
	}
	class->empty_len++;
	list_remove(&page->node); /* To the back: partly used slabs fill up first. */
	list_push_tail(&class->partial, &page->node);
}

void slab_free(struct slab *slab, void *object, size_t size)
{
	if (object == NULL)
		return;
	slab->allocated_bytes -= slab_rounded(size);
	if (size > SLAB_OBJECT_MAX || !is_pooled)
		free(object);
	else
		class_free(&slab->classes[class_of(size)], object);
}
