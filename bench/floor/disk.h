/* Disk: how often it takes some bytes and an fdatasync, one after the other, in a file that was
 * written before. */
#ifndef LEV_BENCH_DISK_H
#define LEV_BENCH_DISK_H

#include <stddef.h>

struct disk_options {
	const char *dir;
	size_t bytes; /* Of each write; rounded up to sectors. */
	double seconds;
};

/* Prints a line of JSON; 0, or 1 if it cannot be done. */
int disk_measure(const struct disk_options *options);

#endif
