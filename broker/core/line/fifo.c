#include "core/line/fifo.h"

#include "base/alloc.h"

#include <stdlib.h>

enum { GAP_MAX = 64 }; /* Filled with empty slots; a wider gap begins a new chunk. */

void fifo_init(struct fifo *fifo)
{
	*fifo = (struct fifo){ 0 };
}

static void chunks_free(struct fifo_chunks *chunks)
{
	while (chunks->head != NULL) {
		struct fifo_chunk *next = chunks->head->next;
		assert(chunks->head->spill == NULL);
		free(chunks->head);
		chunks->head = next;
	}
	chunks->tail = NULL;
}

void fifo_fini(struct fifo *fifo)
{
	chunks_free(&fifo->front);
	chunks_free(&fifo->back);
	assert(fifo->spills == NULL);
	free(fifo->dead);
	if (fifo->total != NULL)
		*fifo->total -= fifo->len;
	*fifo = (struct fifo){ 0 };
}

/* n may be negative, as far as there are so many. */
static void count(struct fifo *fifo, int64_t n)
{
	fifo->len += (uint64_t)n;
	if (fifo->total != NULL)
		*fifo->total += (uint64_t)n;
}

static struct fifo_chunk *chunk_append(struct fifo_chunks *chunks, uint64_t base)
{
	struct fifo_chunk *chunk = alloc_resize(NULL, sizeof *chunk);
	chunk->next = NULL;
	chunk->base = base;
	chunk->first = chunk->len = 0;
	chunk->save = CHUNK_DIRTY;
	chunk->is_stored = chunk->is_evicted = false;
	chunk->spill = NULL;
	*(chunks->tail == NULL ? &chunks->head : &chunks->tail->next) = chunk;
	chunks->tail = chunk;
	return chunk;
}

void fifo_push(struct fifo *fifo, uint64_t position, uint64_t slot)
{
	assert(slot != 0);
	struct fifo_chunks *chunks =
		fifo->middle.len > 0 || fifo->back.head != NULL ? &fifo->back : &fifo->front;
	struct fifo_chunk *chunk = chunks->tail;
	uint64_t gap = chunk == NULL ? 0 : position - (chunk->base + chunk->len);
	assert(chunk == NULL || position >= chunk->base + chunk->len);
	if (chunk == NULL || gap > GAP_MAX || chunk->len + gap >= FIFO_CHUNK_SLOTS) {
		chunk = chunk_append(chunks, position);
		gap = 0;
	}
	while (gap-- > 0)
		chunk->slots[chunk->len++] = 0;
	chunk->slots[chunk->len++] = slot;
	chunk->save = CHUNK_DIRTY;
	chunk->is_evicted = false;
	count(fifo, 1);
}

void fifo_add_dead(struct fifo *fifo, uint64_t base)
{
	fifo->dead =
		alloc_grow(fifo->dead, &fifo->dead_cap, fifo->dead_len + 1, sizeof *fifo->dead);
	fifo->dead[fifo->dead_len++] = base;
}

/* What the chunk leaves behind when nothing in it is needed any more. */
static void chunk_leave(struct fifo *fifo, struct fifo_chunk *chunk)
{
	if (chunk->is_stored)
		fifo_add_dead(fifo, chunk->base);
	if (chunk->spill != NULL) {
		chunk->spill->next = fifo->spills;
		fifo->spills = chunk->spill;
	}
	if (fifo->evicted == chunk)
		fifo->evicted = NULL;
	chunk->is_stored = false;
	chunk->spill = NULL;
}

static void join_back(struct fifo *fifo)
{
	fifo->front = fifo->back;
	fifo->back = (struct fifo_chunks){ NULL, NULL };
	fifo->evicted = NULL;
}

/* Drops what is empty at the front, so that its first slot is a message. */
static void skip_empty(struct fifo *fifo)
{
	for (;;) {
		struct fifo_chunk *chunk = fifo->front.head;
		if (chunk == NULL)
			return;
		while (chunk->first < chunk->len && chunk->slots[chunk->first] == 0)
			chunk->first++;
		if (chunk->first < chunk->len)
			return;
		chunk_leave(fifo, chunk);
		if (chunk->next == NULL && fifo->middle.len == 0 && fifo->back.head == NULL) {
			chunk->base += chunk->len; /* Used again: a queue emptied again and again
						      allocates nothing. */
			chunk->first = chunk->len = 0;
			chunk->save = CHUNK_DIRTY;
			chunk->is_evicted = false;
			return;
		}
		fifo->front.head = chunk->next;
		free(chunk);
		if (fifo->front.head != NULL)
			continue;
		fifo->front.tail = NULL;
		if (fifo->middle.len > 0)
			return;
		join_back(fifo);
	}
}

bool fifo_is_parked(const struct fifo *fifo)
{
	return fifo->front.head == NULL && fifo->middle.len > 0;
}

uint64_t *fifo_first(struct fifo *fifo, uint64_t *position)
{
	if (fifo->len == 0 || fifo->front.head == NULL)
		return NULL;
	struct fifo_chunk *chunk = fifo->front.head;
	if (chunk->first == chunk->len || chunk->slots[chunk->first] == 0) {
		skip_empty(fifo);
		chunk = fifo->front.head;
		if (chunk == NULL)
			return NULL;
	}
	*position = chunk->base + chunk->first;
	return &chunk->slots[chunk->first];
}

size_t fifo_run(struct fifo *fifo, uint64_t **slots)
{
	if (fifo->front.head == NULL || fifo->len == 0)
		return 0;
	*slots = &fifo->front.head->slots[fifo->front.head->first];
	return fifo->front.head->len - fifo->front.head->first;
}

void fifo_pop(struct fifo *fifo)
{
	assert(fifo->len > 0);
	fifo->front.head->slots[fifo->front.head->first] = 0;
	count(fifo, -1);
	skip_empty(fifo);
}

uint64_t fifo_drop(struct fifo *fifo, uint64_t *slot)
{
	struct fifo_chunk *chunk = fifo->front.head;
	assert(slot >= chunk->slots + chunk->first && slot < chunk->slots + chunk->len &&
	       *slot != 0);
	*slot = 0;
	chunk->save = CHUNK_DIRTY;
	count(fifo, -1);
	return chunk->base + (uint64_t)(slot - chunk->slots);
}

/* --- paging --- */

/* The first two chunks are about to be delivered; what is behind them may go. */
static void split_front(struct fifo *fifo)
{
	struct fifo_chunk *second = fifo->front.head == NULL ? NULL : fifo->front.head->next;
	if (fifo->middle.len > 0 || fifo->back.head != NULL || second == NULL ||
	    second->next == NULL)
		return;
	fifo->back = (struct fifo_chunks){ second->next, fifo->front.tail };
	fifo->front.tail = second;
	second->next = NULL;
	fifo->evicted = NULL;
}

struct fifo_chunk *fifo_next_to_evict(struct fifo *fifo)
{
	split_front(fifo);
	struct fifo_chunk *chunk = fifo->evicted == NULL ? fifo->back.head : fifo->evicted->next;
	return chunk == NULL || chunk->next == NULL ? NULL : chunk;
}

void fifo_park(struct fifo *fifo)
{
	for (struct fifo_chunk *chunk; (chunk = fifo->back.head) != NULL && chunk->next != NULL;) {
		if (!chunk->is_evicted || chunk->save != CHUNK_SAVED)
			return;
		uint64_t messages = 0;
		for (uint32_t i = chunk->first; i < chunk->len; i++)
			messages += chunk->slots[i] != 0;
		if (fifo->middle.len == 0)
			fifo->middle.from = chunk->base;
		fifo->middle.until = chunk->base + chunk->len;
		fifo->middle.len += messages;
		fifo->back.head = chunk->next;
		if (fifo->evicted == chunk)
			fifo->evicted = NULL;
		if (messages == 0)
			fifo_add_dead(fifo, chunk->base);
		free(chunk);
	}
}

struct fifo_chunk *fifo_unpark(struct fifo *fifo, uint64_t base, uint64_t until)
{
	struct fifo_chunk *chunk = chunk_append(&fifo->front, base);
	chunk->save = CHUNK_SAVED;
	chunk->is_stored = chunk->is_evicted = true;
	fifo->middle.from = until;
	return chunk;
}

/* The messages of the middle count already; there are never more of them than was said. */
void fifo_fill(struct fifo *fifo, struct fifo_chunk *chunk, uint64_t slot)
{
	assert(chunk->len < FIFO_CHUNK_SLOTS);
	chunk->slots[chunk->len++] = slot;
	if (slot == 0)
		return;
	if (fifo->middle.len > 0)
		fifo->middle.len--;
	else
		count(fifo, 1);
}

uint64_t fifo_lose_middle(struct fifo *fifo)
{
	uint64_t lost = fifo->middle.len;
	fifo->middle.len = 0;
	count(fifo, -(int64_t)lost);
	if (fifo->front.head == NULL)
		join_back(fifo);
	return lost;
}

bool fifo_drop_middle(struct fifo *fifo, uint64_t *from, uint64_t *until)
{
	*from = fifo->middle.from;
	*until = fifo->middle.until;
	return fifo_lose_middle(fifo) > 0;
}

void fifo_set_middle(struct fifo *fifo, uint64_t from, uint64_t until, uint64_t len)
{
	assert(fifo->back.head == NULL && fifo->middle.len == 0);
	fifo->middle.from = from;
	fifo->middle.until = until;
	fifo->middle.len = len;
	count(fifo, (int64_t)len);
}

struct fifo_chunk *fifo_next_chunk(const struct fifo *fifo, const struct fifo_chunk *chunk)
{
	if (chunk == NULL)
		return fifo->front.head != NULL ? fifo->front.head : fifo->back.head;
	if (chunk->next != NULL)
		return chunk->next;
	return chunk == fifo->front.tail ? fifo->back.head : NULL;
}
