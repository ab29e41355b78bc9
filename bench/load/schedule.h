/* Schedule: values that change with time, over and over: "1000:10,5000:2" is 1000 for ten seconds,
 * 5000 for two, 1000 again. */
#ifndef LEV_BENCH_SCHEDULE_H
#define LEV_BENCH_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SCHEDULE_STEPS_MAX = 32 };

struct schedule_step {
	double value;
	double seconds;
};

struct schedule {
	struct schedule_step steps[SCHEDULE_STEPS_MAX];
	size_t len; /* 0: no schedule. */
};

/* Adds the steps of a list. False if it is none. */
bool schedule_parse(struct schedule *schedule, const char *text);

/* The value at this many nanoseconds from the start. */
double schedule_value(const struct schedule *schedule, uint64_t ns);

/* When event number n (from 0) is due, the value being events a second; nanoseconds from the start.
 * UINT64_MAX: never. */
uint64_t schedule_due_ns(const struct schedule *schedule, uint64_t n);

#endif
