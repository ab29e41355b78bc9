/* Timer: when something of the core is due next. All of them are in one heap, so that the owner of
 * the core need know but one time. */
#ifndef LEV_CORE_TIMER_H
#define LEV_CORE_TIMER_H

#include <stddef.h>
#include <stdint.h>

enum timer_kind {
	TIMER_TEND,   /* Of a queue: a message is due. */
	TIMER_UNUSED, /* Of a queue: x-expires. */
	TIMER_KEYS,   /* Of the core: the oldest idempotency keys. */
	TIMER_LEASE,  /* Of a struct lease: its first delivery. */
};

struct timer {
	uint64_t due_ms;
	uint32_t at; /* In the heap, from 1; 0: it is not set. */
	enum timer_kind kind;
};

struct timers {
	struct timer **heap;
	size_t len;
	size_t cap;
};

/* Set, or moved. */
void timer_set(struct timers *timers, struct timer *timer, uint64_t due_ms);
/* Not set is fine. */
void timer_clear(struct timers *timers, struct timer *timer);
/* The next one; NULL. */
struct timer *timers_first(const struct timers *timers);
void timers_fini(struct timers *timers);

#endif
