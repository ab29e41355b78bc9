/* Micro: ns per operation of the broker's parts, one by one. A benchmark is a function that does
 * something `rounds` times; its name tells its parameters: topic_match/bindings=10000. */
#ifndef LEV_BENCH_MICRO_H
#define LEV_BENCH_MICRO_H

#include <stdint.h>

/* Does it until it has taken long enough, several times, and prints a line: the best and the
 * median, ns for each of `operations`. */
void micro_run(const char *name, void (*work)(void *arg, uint64_t rounds), void *arg,
	       uint64_t operations);

/* Keeps the compiler from leaving out what nobody looks at. */
static inline void micro_use(const void *p)
{
	__asm__ volatile("" : : "r"(p) : "memory");
}

void micro_protocol(void);
void micro_topic(void);
void micro_core(void);
void micro_queue(void);
void micro_journal(void);
void micro_keys(void);

#endif
