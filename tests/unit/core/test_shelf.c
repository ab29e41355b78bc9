/* Shelf, heap and timers, each against the plainest way to do the same. */
#include "core/line/shelf.h"
#include "core/time/timer.h"

#include "base/prng.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { ITEMS = 500 };

static struct prng prng;

Test(shelf, heap_gives_keys_in_order)
{
	struct heap heap = { 0 };
	uint64_t last = 0;
	prng.state = 1;
	for (int i = 0; i < 1000; i++)
		heap_push(&heap, (struct heap_entry){ .key = prng_below(&prng, 300),
						      .rank = prng_below(&prng, 300) });
	for (size_t i = 0; i < heap.len; i++)
		heap.entries[i].key ^= 0x55; /* Any order, then: rebuilt. */
	heap_rebuild(&heap);
	for (size_t left = 1000; left > 0; left--) {
		uint64_t place = heap.entries[0].key << 32 | heap.entries[0].rank;
		cr_assert_eq(heap.len, left);
		cr_assert_geq(place, last);
		last = place;
		heap_pop(&heap);
	}
	heap_fini(&heap);
}

Test(shelf, timers_fire_in_order_however_they_are_moved)
{
	static struct timer all[ITEMS];
	struct timers timers = { 0 };
	prng.state = 2;
	for (int step = 0; step < 20000; step++) {
		struct timer *t = &all[prng_below(&prng, ITEMS)];
		if (prng_below(&prng, 3) > 0)
			timer_set(&timers, t, prng_below(&prng, 1000));
		else
			timer_clear(&timers, t);
		const struct timer *first = timers_first(&timers), *least = NULL;
		for (size_t i = 0; step % 16 == 0 && i < ITEMS; i++)
			if (all[i].at != 0 && (least == NULL || all[i].due_ms < least->due_ms))
				least = &all[i];
		cr_assert(step % 16 != 0 || (first == NULL) == (least == NULL));
		cr_assert(step % 16 != 0 || first == NULL || first->due_ms == least->due_ms);
	}
	timers_fini(&timers);
}

/* What the shelf should say, found by looking at every item. */
static void check_order(struct shelf *shelf, struct shelf_order *order, enum shelf_state state)
{
	const struct shelf_item *first = NULL, *lowest = NULL;
	uint64_t bytes = 0;
	uint32_t len = 0;
	for (const struct shelf_item *i = NULL; (i = shelf_next(shelf, i)) != NULL;) {
		if (i->state != state)
			continue;
		len++;
		bytes += i->size;
		if (first == NULL || i->priority > first->priority ||
		    (i->priority == first->priority && i->position < first->position))
			first = i;
		if (lowest == NULL || i->priority < lowest->priority ||
		    (i->priority == lowest->priority && i->position < lowest->position))
			lowest = i;
	}
	cr_assert_eq(shelf_first(shelf, order), first);
	cr_assert_eq(shelf_lowest(shelf, order), lowest);
	cr_assert_eq(order->len, len);
	cr_assert_eq(order->bytes, bytes);
}

static void check(struct shelf *shelf)
{
	const struct shelf_item *next = NULL;
	uint64_t due = NEVER, due_ms = NEVER;
	uint32_t len = 0;
	for (const struct shelf_item *i = NULL; (i = shelf_next(shelf, i)) != NULL;) {
		uint64_t expires = shelf_expires(shelf, i);
		uint64_t own = i->state == SHELF_DYING                              ? i->until_ms
			       : i->state == SHELF_WAITING && i->until_ms < expires ? i->until_ms
										    : expires;
		if (own < due || (next != NULL && own == due && i->position < next->position))
			next = i;
		due = own < due ? own : due;
		len++;
	}
	check_order(shelf, &shelf->ready, SHELF_READY);
	check_order(shelf, &shelf->held, SHELF_HELD);
	cr_assert_eq(shelf_due(shelf, &due_ms), next);
	cr_assert_eq(due_ms, due);
	cr_assert_eq(shelf->len, len);
}

static struct shelf_item any_item(uint64_t position)
{
	return (struct shelf_item){
		.position = position,
		.slot = 2,
		.time_ms = 1 + prng_below(&prng, 1000),
		.expires_ms = prng_below(&prng, 2) ? NEVER : 1 + prng_below(&prng, 100),
		.until_ms = prng_below(&prng, 100),
		.size = prng_below(&prng, 100),
		.priority = (uint8_t)prng_below(&prng, 4),
		.state = (uint8_t)(SHELF_READY + prng_below(&prng, 4)),
	};
}

static struct shelf_item *choose(struct shelf *shelf)
{
	uint32_t skip = prng_below(&prng, shelf->len);
	struct shelf_item *item = shelf_next(shelf, NULL);
	while (skip-- > 0)
		item = shelf_next(shelf, item);
	return item;
}

Test(shelf, items_come_in_order_whatever_happens_to_them)
{
	struct shelf shelf = { .ttl_ms = NEVER };
	prng.state = 3;
	for (uint64_t step = 0; step < 20000; step++) {
		bool is_growing = step / 2000 % 2 == 0; /* It fills, and empties again. */
		uint32_t dice = prng_below(&prng, 10);
		if (shelf.len == 0 || dice < (is_growing ? 5u : 2u))
			shelf_add(&shelf, any_item(step));
		else if (dice < 7)
			shelf_remove(&shelf, choose(&shelf));
		else if (dice < 8)
			shelf_complete(&shelf, choose(&shelf), 1 + prng_below(&prng, 1000),
				       prng_below(&prng, 100));
		else
			shelf_update(&shelf, choose(&shelf),
				     (enum shelf_state)(SHELF_READY + prng_below(&prng, 4)));
		if (step % 1000 == 999)
			shelf_set_ttl(&shelf,
				      prng_below(&prng, 2) ? NEVER : prng_below(&prng, 500));
		if (step % 8 == 0)
			check(&shelf);
	}
	shelf_fini(&shelf);
}

Test(shelf, what_has_left_takes_no_memory_for_ever)
{
	struct shelf shelf = { .ttl_ms = NEVER };
	prng.state = 4;
	for (uint64_t i = 0; i < 100000; i++) {
		struct shelf_item item = any_item(i);
		item.state = SHELF_READY;
		item.expires_ms = 1000000 + i; /* Long after it has been consumed. */
		shelf_add(&shelf, item);
		if (shelf.len > 10)
			shelf_remove(&shelf, shelf_first(&shelf, &shelf.ready));
	}
	cr_assert_leq(shelf.due.cap, 256);
	cr_assert_leq(shelf.cap, 64);
	shelf_fini(&shelf);
}
