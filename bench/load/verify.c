#include "verify.h"

#include "base/alloc.h"

#include <stdatomic.h>
#include <stdlib.h>

enum {
	CHUNK_BITS = 20, /* Messages of a chunk: 128 KiB. */
	CHUNK_WORDS = 1 << (CHUNK_BITS - 6),
	CHUNKS = 1 << (32 - CHUNK_BITS),
};

typedef _Atomic uint64_t word;

struct seen {
	word *_Atomic chunks[CHUNKS];
};

struct verify {
	uint32_t queues;
	uint32_t streams;
	struct seen *_Atomic *seen; /* By queue and stream. */
	_Atomic uint64_t doubled;
	_Atomic uint64_t disorder;
	_Atomic uint64_t foreign;
};

struct verify *verify_create(uint32_t queues, uint32_t streams)
{
	struct verify *v = alloc_zeroed(sizeof *v);
	v->queues = queues;
	v->streams = streams;
	v->seen = alloc_zeroed((size_t)queues * streams * sizeof *v->seen);
	return v;
}

void verify_destroy(struct verify *v)
{
	if (v == NULL)
		return;
	for (size_t i = 0; i < (size_t)v->queues * v->streams; i++) {
		struct seen *seen = v->seen[i];
		for (unsigned c = 0; seen != NULL && c < CHUNKS; c++)
			free(seen->chunks[c]);
		free(seen);
	}
	free(v->seen);
	free(v);
}

void verify_order_init(struct verify_order *order, const struct verify *v)
{
	order->last = v == NULL ? NULL : alloc_zeroed(v->streams * sizeof *order->last);
}

void verify_order_fini(struct verify_order *order)
{
	free(order->last);
	order->last = NULL;
}

/* Two threads may come first: one of their allocations stays. */
static struct seen *seen_of(struct verify *v, uint32_t queue, uint32_t stream)
{
	struct seen *_Atomic *at = &v->seen[(size_t)queue * v->streams + stream];
	struct seen *seen = atomic_load(at);
	if (seen != NULL)
		return seen;
	struct seen *fresh = alloc_zeroed(sizeof *fresh);
	if (atomic_compare_exchange_strong(at, &seen, fresh))
		return fresh;
	free(fresh);
	return seen;
}

static word *chunk_of(struct seen *seen, uint32_t sequence)
{
	word *_Atomic *at = &seen->chunks[sequence >> CHUNK_BITS];
	word *chunk = atomic_load(at);
	if (chunk != NULL)
		return chunk;
	word *fresh = alloc_zeroed(CHUNK_WORDS * sizeof *fresh);
	if (atomic_compare_exchange_strong(at, &chunk, fresh))
		return fresh;
	free(fresh);
	return chunk;
}

void verify_received(struct verify *v, struct verify_order *order, uint32_t queue, uint32_t stream,
		     uint32_t sequence, bool is_redelivered)
{
	if (stream >= v->streams || queue >= v->queues) {
		atomic_fetch_add(&v->foreign, 1);
		return;
	}
	word *chunk = chunk_of(seen_of(v, queue, stream), sequence);
	uint32_t bit = sequence & ((1u << CHUNK_BITS) - 1);
	uint64_t mask = (uint64_t)1 << (bit & 63);
	bool is_again =
		atomic_fetch_or_explicit(&chunk[bit >> 6], mask, memory_order_relaxed) & mask;
	if (is_redelivered)
		return;
	if (is_again)
		atomic_fetch_add(&v->doubled, 1);
	else if (sequence < order->last[stream])
		atomic_fetch_add(&v->disorder, 1);
	else
		order->last[stream] = sequence + 1;
}

static uint64_t count_seen(const struct seen *seen, uint64_t sent)
{
	uint64_t count = 0;
	for (unsigned c = 0; seen != NULL && c < CHUNKS; c++) {
		const word *chunk = seen->chunks[c];
		for (uint64_t i = 0; chunk != NULL && i < CHUNK_WORDS; i++) {
			uint64_t first = ((uint64_t)c << CHUNK_BITS) + i * 64;
			if (first >= sent)
				return count;
			uint64_t bits = chunk[i];
			if (sent - first < 64)
				bits &= ((uint64_t)1 << (sent - first)) - 1;
			count += (uint64_t)__builtin_popcountll(bits);
		}
	}
	return count;
}

void verify_expect(const struct verify *v, uint32_t queue, uint32_t stream, uint64_t sent,
		   struct verify_result *result)
{
	result->lost += sent - count_seen(v->seen[(size_t)queue * v->streams + stream], sent);
}

void verify_noticed(const struct verify *v, struct verify_result *result)
{
	result->doubled = v->doubled;
	result->disorder = v->disorder;
	result->foreign = v->foreign;
}
