#include "live.h"

#include "base/alloc.h"

#include <assert.h>
#include <stdlib.h>

void live_init(struct live *live)
{
	*live = (struct live){ 0 };
}

void live_fini(struct live *live)
{
	free(live->counts);
	free(live->dead.numbers);
	free(live->reclaimable.numbers);
}

static void set_add(struct segment_set *set, uint64_t number)
{
	set->numbers = alloc_grow(set->numbers, &set->cap, set->len + 1, sizeof *set->numbers);
	set->numbers[set->len++] = number;
}

static uint32_t *count_of(struct live *live, uint64_t number)
{
	assert(number >= live->base && number - live->base < live->len);
	return &live->counts[(live->first + (number - live->base)) & (live->cap - 1)];
}

static void grow(struct live *live, size_t need)
{
	if (need <= live->cap)
		return;
	size_t cap = live->cap == 0 ? 64 : live->cap;
	while (cap < need)
		cap *= 2;
	uint32_t *counts = alloc_zeroed(cap * sizeof *counts);
	for (size_t i = 0; i < live->len; i++)
		counts[i] = live->counts[(live->first + i) & (live->cap - 1)];
	free(live->counts);
	live->counts = counts;
	live->cap = cap;
	live->first = 0;
}

void live_add(struct live *live, uint64_t number)
{
	if (live->len == 0)
		live->base = number;
	assert(number >= live->base + live->len);
	size_t len = (size_t)(number - live->base) + 1;
	grow(live, len);
	for (; live->len < len; live->len++)
		live->counts[(live->first + live->len) & (live->cap - 1)] = 0;
	*count_of(live, number) = 1;
}

void live_ref(struct live *live, uint64_t number)
{
	uint32_t *count = count_of(live, number);
	assert(*count > 0); /* Whoever adds places to a segment still holds it. */
	++*count;
}

void live_unref(struct live *live, uint64_t number)
{
	uint32_t *count = count_of(live, number);
	assert(*count > 0);
	if (--*count > 0)
		return;
	set_add(&live->dead, number);
	while (live->len > 0 && live->counts[live->first] == 0) {
		live->first = (live->first + 1) & (live->cap - 1);
		live->base++;
		live->len--;
	}
}

void live_checkpoint(struct live *live)
{
	for (size_t i = 0; i < live->dead.len; i++)
		set_add(&live->reclaimable, live->dead.numbers[i]);
	live->dead.len = 0;
}
