/* Chance: random numbers of a seed that is another one each time, and is said when a test fails. */
#ifndef LEV_TESTS_UNIT_API_CHANCE_H
#define LEV_TESTS_UNIT_API_CHANCE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

struct chance {
	uint64_t state;
	uint64_t seed;
};

/* With CHANCE_SEED in the environment that one again. */
static inline struct chance chance_of_today(void)
{
	const char *again = getenv("CHANCE_SEED");
	uint64_t seed = 0;
	if (again != NULL)
		seed = strtoull(again, NULL, 10);
	else if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
		abort();
	fprintf(stderr, "CHANCE_SEED=%llu\n", (unsigned long long)seed);
	return (struct chance){ seed, seed };
}

/* splitmix64; 0 to below. */
static inline uint64_t chance(struct chance *c, uint64_t below)
{
	uint64_t z = c->state += 0x9e3779b97f4a7c15;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return (z ^ z >> 31) % below;
}

#endif
