#include "core/time/timer.h"

#include "base/alloc.h"

#include <assert.h>
#include <stdlib.h>

static void put(struct timers *timers, size_t at, struct timer *timer)
{
	timers->heap[at] = timer;
	timer->at = (uint32_t)at + 1;
}

static size_t up(struct timers *timers, size_t at, uint64_t due_ms)
{
	for (; at > 0 && timers->heap[(at - 1) / 2]->due_ms > due_ms; at = (at - 1) / 2)
		put(timers, at, timers->heap[(at - 1) / 2]);
	return at;
}

static size_t down(struct timers *timers, size_t at, uint64_t due_ms)
{
	for (size_t child; (child = 2 * at + 1) < timers->len; at = child) {
		if (child + 1 < timers->len &&
		    timers->heap[child + 1]->due_ms < timers->heap[child]->due_ms)
			child++;
		if (timers->heap[child]->due_ms >= due_ms)
			break;
		put(timers, at, timers->heap[child]);
	}
	return at;
}

void timer_set(struct timers *timers, struct timer *timer, uint64_t due_ms)
{
	if (timer->at == 0) {
		timers->heap = alloc_grow(timers->heap, &timers->cap, timers->len + 1,
					  sizeof(struct timer *));
		timers->heap[timers->len++] = timer;
		timer->at = (uint32_t)timers->len;
	}
	assert(timer->at <= timers->len && timers->heap[timer->at - 1] == timer);
	timer->due_ms = due_ms;
	put(timers, down(timers, up(timers, timer->at - 1, due_ms), due_ms), timer);
}

void timer_clear(struct timers *timers, struct timer *timer)
{
	if (timer->at == 0)
		return;
	assert(timer->at <= timers->len && timers->heap[timer->at - 1] == timer);
	size_t at = timer->at - 1;
	struct timer *last = timers->heap[--timers->len];
	if (last != timer)
		put(timers, down(timers, up(timers, at, last->due_ms), last->due_ms), last);
	timer->at = 0;
}

struct timer *timers_first(const struct timers *timers)
{
	return timers->len == 0 ? NULL : timers->heap[0];
}

void timers_fini(struct timers *timers)
{
	free(timers->heap);
	*timers = (struct timers){ 0 };
}
