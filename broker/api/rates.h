/* Rates: how fast counters grow, from samples a second or more apart. What nobody asks for is
 * forgotten after a minute, or earlier if there are more than RATES_OBJECTS_MAX objects. The api's
 * thread. */
#ifndef LEV_API_RATES_H
#define LEV_API_RATES_H

#include "base/bytes.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RATES_OBJECTS_MAX = 65536, RATES_HISTORIES_MAX = 512 };
enum { RATES_MAX = 20, RATES_SAMPLES = 600, RATES_KEPT_S = 600 };

struct rates;

/* A series of samples, a second apart, newest last. */
struct rates_history {
	uint64_t ms[RATES_SAMPLES];
	uint64_t values[RATES_SAMPLES][RATES_MAX];
	size_t first;
	size_t len;
};

struct rates *rates_create(uint64_t seed);
void rates_destroy(struct rates *rates); /* NULL is fine. */

/* Takes a sample of len counters of the object that key names, at a steady time. out: how many a
 * second each has grown by. keeps: a history is wanted, from now on;
 * there is none while there are RATES_HISTORIES_MAX others (100 KiB each). */
void rates_sample(struct rates *rates, struct bytes key, uint64_t now_ms, const uint64_t *values,
		  size_t len, bool keeps, double *out);
/* NULL: there is none. Valid until the next query of another function here. */
const struct rates_history *rates_history(const struct rates *rates, struct bytes key);
/* Forgets what has not been sampled for a minute. */
void rates_tidy(struct rates *rates, uint64_t now_ms);

#endif
