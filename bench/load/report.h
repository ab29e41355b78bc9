/* Report: what a run came to, and its forms. */
#ifndef LEV_BENCH_REPORT_H
#define LEV_BENCH_REPORT_H

#include "options.h"
#include "peer.h"
#include "process.h"
#include "stats.h"
#include "verify.h"

struct latencies { /* Nanoseconds. */
	uint64_t count;
	uint64_t min;
	uint64_t p50;
	uint64_t p75;
	uint64_t p95;
	uint64_t p99;
	uint64_t p999;
	uint64_t p9999;
	uint64_t max;
	double mean;
};

/* An interval. */
struct sample {
	double at_s; /* Its end, since the start. */
	double length_s;
	uint64_t counts[COUNTERS];
	struct latencies consumer;
	struct latencies confirm;
};

/* A part of a run that is measured by itself: all of it, or filling and draining. */
struct phase {
	const char *name;
	double seconds;
	struct stats_view stats;      /* What was counted in it. */
	struct process_use use;       /* Of the broker, if its process is known. */
	struct process_memory memory; /* At its end. */
};

enum { PHASES_MAX = 2 };

struct report {
	const struct options *options;
	struct broker_name broker;
	struct sample *samples; /* Owned. */
	size_t samples_len;
	size_t samples_cap;
	struct phase *phases[PHASES_MAX]; /* Owned. */
	unsigned phases_len;
	struct process_memory memory_before;
	struct verify_result verified;
	uint64_t left_ready; /* Messages in the queues at the end. */
};

void latencies_of(const struct histogram_view *view, struct latencies *latencies);

/* Throughput only: time stamps of a closed loop say how long its queues are, not how fast the
 * broker is. */
bool report_has_latency(const struct options *options);

void report_progress(const struct report *report, const struct sample *sample); /* A line. */
void report_text(const struct report *report);
bool report_is_verified(const struct report *report);

/* Write files; end the tool if they cannot. */
void report_csv(const struct report *report, const char *file);
void report_json(const struct report *report, const char *file);
void report_hgrm(const struct report *report, const char *prefix);
void report_html(const struct report *report, const char *file);

/* The JSON text of all; to be freed. */
char *report_to_json(const struct report *report);

void report_fini(struct report *report);

#endif
