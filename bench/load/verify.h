/* Verify: has every message come, once, and in order? A bit for each message of each producing
 * channel (a stream) and queue.
 *
 * Threads: all may call verify_received() at once, each with consumers of its own. */
#ifndef LEV_BENCH_VERIFY_H
#define LEV_BENCH_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

struct verify;

/* What a consumer has seen last of each stream. */
struct verify_order {
	uint32_t *last; /* Sequence + 1, by stream. */
};

struct verify *verify_create(uint32_t queues, uint32_t streams);
void verify_destroy(struct verify *verify);

void verify_order_init(struct verify_order *order, const struct verify *verify);
void verify_order_fini(struct verify_order *order);

/* A queue gave a message to a consumer. Sequences of a stream begin with 0. */
void verify_received(struct verify *verify, struct verify_order *order, uint32_t queue,
		     uint32_t stream, uint32_t sequence, bool is_redelivered);

struct verify_result {
	uint64_t lost;
	uint64_t doubled;  /* Received again, without `redelivered` being set. */
	uint64_t disorder; /* Received after a later one of its stream. */
	uint64_t foreign;  /* Not of this run. */
};

/* How it stands once `sent` messages of each stream must be in a queue: called for each pair that
 * was to meet. */
void verify_expect(const struct verify *verify, uint32_t queue, uint32_t stream, uint64_t sent,
		   struct verify_result *result);

/* What was noticed on the way: all but `lost`. */
void verify_noticed(const struct verify *verify, struct verify_result *result);

#endif
