/* Histogram: counts of durations with three significant digits, in the log-linear layout of
 * HdrHistogram.
 *
 * A value is shifted right until it fits 11 bits; the shift chooses the bucket, the upper half of
 * those bits the counter in it. One thread adds while others may look: counters only grow, so what
 * was added between two looks is their difference. */
#ifndef LEV_BENCH_HISTOGRAM_H
#define LEV_BENCH_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

enum {
	HISTOGRAM_HALF_BITS = 10, /* Counters in a bucket: 2^10, hence 0.1 %. */
	HISTOGRAM_HALF = 1 << HISTOGRAM_HALF_BITS,
	HISTOGRAM_BUCKETS = 32, /* Up to 2^42 ns, an hour and more; longer ones count as that. */
	HISTOGRAM_LEN = (HISTOGRAM_BUCKETS + 1) * HISTOGRAM_HALF,
};

struct histogram {
	_Atomic uint64_t counts[HISTOGRAM_LEN];
};

/* What a histogram held at one moment, or between two. */
struct histogram_view {
	uint64_t counts[HISTOGRAM_LEN];
	uint64_t total;
};

static inline unsigned histogram_index(uint64_t value)
{
	const uint64_t most = ((uint64_t)1 << (HISTOGRAM_BUCKETS + HISTOGRAM_HALF_BITS)) - 1;
	if (value > most)
		value = most;
	unsigned bucket = 63u - (unsigned)__builtin_clzll(value | (2 * HISTOGRAM_HALF - 1)) -
			  HISTOGRAM_HALF_BITS;
	return (bucket << HISTOGRAM_HALF_BITS) + (unsigned)(value >> bucket);
}

/* One thread only. */
static inline void histogram_add(struct histogram *h, uint64_t value, uint64_t times)
{
	_Atomic uint64_t *count = &h->counts[histogram_index(value)];
	atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + times,
			      memory_order_relaxed);
}

/* Adds what h holds now to view. */
void histogram_look(struct histogram *h, struct histogram_view *view);

/* a - b, where b is an earlier look at the same. */
void histogram_since(const struct histogram_view *a, const struct histogram_view *b,
		     struct histogram_view *difference);

/* The value below or at which this share (0 to 100) lies, as the highest that its counter stands
 * for; 0 if empty. */
uint64_t histogram_percentile(const struct histogram_view *view, double percent);
uint64_t histogram_min(const struct histogram_view *view);
uint64_t histogram_max(const struct histogram_view *view);
double histogram_mean(const struct histogram_view *view);

/* The percentile distribution as HdrHistogram's plotters read it; values are divided by unit. */
void histogram_write_hgrm(const struct histogram_view *view, double unit, FILE *out);

#endif
