/* Mistakes: what is wrong with a configuration, a line of text each, all of them and not just the
 * first, in the order in which they were found. One thread. */
#ifndef LEV_SERVER_MISTAKES_H
#define LEV_SERVER_MISTAKES_H

#include <stddef.h>

enum { MISTAKES_MAX = 1000 }; /* What is beyond is counted: nobody reads that. */

/* All zero: none yet. */
struct mistakes {
	char **lines; /* Owned, without the end of the line; those that are kept. */
	size_t kept;
	size_t len; /* All, kept or not. */
};

void mistakes_fini(struct mistakes *mistakes);

__attribute__((format(printf, 2, 3))) void mistakes_add(struct mistakes *mistakes,
							const char *format, ...);

#endif
