/* Stats: what the workers count. Each worker has its own; the main thread looks at them while they
 * grow. */
#ifndef LEV_BENCH_STATS_H
#define LEV_BENCH_STATS_H

#include "histogram.h"

#include <stdbool.h>

enum counter {
	COUNT_SENT,
	COUNT_REPEATED, /* Of them, those that are a message sent before. */
	COUNT_CONFIRMED,
	COUNT_NACKED,
	COUNT_RETURNED,
	COUNT_RECEIVED,
	COUNT_ACKED,
	COUNT_BYTES_RECEIVED, /* Of bodies. */
	COUNT_REDELIVERED,
	COUNTERS,
};

struct stats {
	_Atomic uint64_t counters[COUNTERS];
	_Atomic uint64_t first_ns; /* When the first message was received; 0: none has been. */
	struct histogram consumer; /* From when a message was to be sent until it was received, or
				      of a call; ns. */
	struct histogram confirm;  /* From when it was to be sent until it was confirmed. */
};

/* By the one thread that owns them. */
static inline void stats_count(struct stats *s, enum counter c, uint64_t n)
{
	atomic_store_explicit(&s->counters[c],
			      atomic_load_explicit(&s->counters[c], memory_order_relaxed) + n,
			      memory_order_relaxed);
}

/* A look at all workers at one moment. */
struct stats_view {
	uint64_t at_ns;
	uint64_t first_ns; /* Of all, the earliest; 0: none. */
	uint64_t counters[COUNTERS];
	struct histogram_view consumer;
	struct histogram_view confirm;
};

void stats_look(struct stats *const *stats, unsigned stats_len, uint64_t now,
		struct stats_view *view);
void stats_since(const struct stats_view *a, const struct stats_view *b,
		 struct stats_view *difference); /* at_ns: how long; first_ns: since then. */

#endif
