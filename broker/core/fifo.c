#include "core/fifo.h"

#include "base/alloc.h"

#include <stdlib.h>

enum { GAP_MAX = 64 }; /* Filled with empty slots; a wider gap begins a new chunk. */

void fifo_init(struct fifo *fifo)
{
	*fifo = (struct fifo){ 0 };
}

void fifo_fini(struct fifo *fifo)
{
	while (fifo->head != NULL) {
		struct fifo_chunk *next = fifo->head->next;
		free(fifo->head);
		fifo->head = next;
	}
	*fifo = (struct fifo){ 0 };
}

static struct fifo_chunk *chunk_append(struct fifo *fifo, uint64_t base)
{
	struct fifo_chunk *chunk = alloc_resize(NULL, sizeof *chunk);
	chunk->next = NULL;
	chunk->base = base;
	chunk->first = chunk->len = 0;
	*(fifo->tail == NULL ? &fifo->head : &fifo->tail->next) = chunk;
	fifo->tail = chunk;
	return chunk;
}

void fifo_push(struct fifo *fifo, uint64_t position, uint64_t slot)
{
	assert(slot != 0);
	struct fifo_chunk *chunk = fifo->tail;
	uint64_t gap = chunk == NULL ? 0 : position - (chunk->base + chunk->len);
	assert(chunk == NULL || position >= chunk->base + chunk->len);
	if (chunk == NULL || gap > GAP_MAX || chunk->len + gap >= FIFO_CHUNK_SLOTS) {
		chunk = chunk_append(fifo, position);
		gap = 0;
	}
	while (gap-- > 0)
		chunk->slots[chunk->len++] = 0;
	chunk->slots[chunk->len++] = slot;
	fifo->len++;
}

/* Drops what is empty at the front, so that the first slot is a message. */
static void skip_empty(struct fifo *fifo)
{
	for (;;) {
		struct fifo_chunk *chunk = fifo->head;
		while (chunk->first < chunk->len && chunk->slots[chunk->first] == 0)
			chunk->first++;
		if (chunk->first < chunk->len)
			return;
		if (chunk->next == NULL) { /* Reused: a queue that is emptied again and again allocates nothing. */
			chunk->base += chunk->len;
			chunk->first = chunk->len = 0;
			return;
		}
		fifo->head = chunk->next;
		if (fifo->evicted == chunk)
			fifo->evicted = NULL;
		free(chunk);
	}
}

uint64_t *fifo_first(struct fifo *fifo, uint64_t *position)
{
	if (fifo->len == 0)
		return NULL;
	if (fifo->head->slots[fifo->head->first] == 0)
		skip_empty(fifo);
	struct fifo_chunk *chunk = fifo->head;
	*position = chunk->base + chunk->first;
	return &chunk->slots[chunk->first];
}

size_t fifo_run(struct fifo *fifo, uint64_t **slots)
{
	if (fifo->len == 0)
		return 0;
	*slots = &fifo->head->slots[fifo->head->first];
	return fifo->head->len - fifo->head->first;
}

void fifo_pop(struct fifo *fifo)
{
	assert(fifo->len > 0);
	fifo->head->slots[fifo->head->first] = 0;
	fifo->len--;
	skip_empty(fifo);
}

uint64_t fifo_drop(struct fifo *fifo, uint64_t *slot)
{
	const struct fifo_chunk *chunk = fifo->head;
	assert(slot >= chunk->slots + chunk->first && slot < chunk->slots + chunk->len && *slot != 0);
	*slot = 0;
	fifo->len--;
	return chunk->base + (uint64_t)(slot - chunk->slots);
}

struct fifo_chunk *fifo_next_to_evict(const struct fifo *fifo)
{
	struct fifo_chunk *chunk = fifo->evicted;
	if (chunk == NULL) { /* The first two are about to be delivered. */
		if (fifo->head == NULL || fifo->head->next == NULL)
			return NULL;
		chunk = fifo->head->next;
	}
	chunk = chunk->next;
	return chunk == NULL || chunk->next == NULL ? NULL : chunk;
}
