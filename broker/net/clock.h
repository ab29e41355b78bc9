/* Clock: the only place that reads one. Everything below net/ is told the time. */
#ifndef LEV_NET_CLOCK_H
#define LEV_NET_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_ms(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Never jumps; says nothing about the time of day. */
static inline uint64_t clock_steady_ms(void)
{
	return clock_ms(CLOCK_MONOTONIC);
}

/* Since 1970. */
static inline uint64_t clock_unix_ms(void)
{
	return clock_ms(CLOCK_REALTIME);
}

#endif
