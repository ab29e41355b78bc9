/* Prng: splitmix64, for tests, simulation and names derived from a seed. Not for secrets by itself.
 */
#ifndef LEV_BASE_PRNG_H
#define LEV_BASE_PRNG_H

#include <stdint.h>

struct prng {
	uint64_t state;
};

static inline uint64_t prng_next(struct prng *p)
{
	uint64_t z = (p->state += 0x9e3779b97f4a7c15u);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* In [0, bound). The bias is below 2^-32 for bounds under 2^32. bound must not be 0. */
static inline uint32_t prng_below(struct prng *p, uint32_t bound)
{
	return (uint32_t)(prng_next(p) % bound);
}

#endif
