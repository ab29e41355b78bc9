/* CHECK(condition): if it does not hold the program ends with 1, and says which it was and why. */
#ifndef LEV_TESTS_CLIENT_MUST_H
#define LEV_TESTS_CLIENT_MUST_H

#include <leveret/leveret.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition) check(condition, #condition, __LINE__)

static inline void check(bool is_good, const char *what, int line)
{
	if (is_good)
		return;
	fprintf(stderr, "line %d: %s (%s)\n", line, what, lev_reason());
	exit(1);
}

#endif
