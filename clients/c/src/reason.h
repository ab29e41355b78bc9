/* Reason: why something failed. One is kept for each thread, for lev_reason(); others lie where an
 * answer is waited for. */
#ifndef LEV_CLIENT_REASON_H
#define LEV_CLIENT_REASON_H

#include "base/bytes.h"
#include "leveret/leveret.h"

struct reason {
	int result;          /* enum lev_result; LEV_OK: nothing has failed. */
	uint16_t reply_code; /* The broker's; 0: not from the broker. */
	char text[300];
};

/* Returns result, so that a function that fails can end with `return reason_set(...)`. */
__attribute__((format(printf, 3, 4))) int reason_set(struct reason *r, int result,
						     const char *format, ...);

/* The broker's code and words. */
int reason_reply(struct reason *r, uint16_t code, struct bytes text);

/* Of this thread, for lev_reason(), besides lev_fail(). */
int fail_with(const struct reason *r);
int fail_plainly(int result); /* In the result's own words. */

#endif
