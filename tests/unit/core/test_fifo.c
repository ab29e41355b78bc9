#include "base/prng.h"
#include "core/line/fifo.h"

#include <criterion/criterion.h>

Test(fifo, keeps_order_over_gaps_of_any_width)
{
	struct prng prng = { 9 };
	struct fifo fifo;
	uint64_t pushed = 0, popped = 0, position;
	static uint64_t positions[50000];
	fifo_init(&fifo);
	uint64_t next = 0;
	for (int step = 0; step < 100000; step++) {
		if (prng_below(&prng, 100) < 55 && pushed < 50000) {
			next += prng_below(&prng, 50) == 0 ? 1 + prng_below(&prng, 2000) : 1;
			positions[pushed] = next;
			fifo_push(&fifo, next, slot_of_location(++pushed));
		} else {
			uint64_t *slot = fifo_first(&fifo, &position);
			cr_assert_eq(slot == NULL, pushed == popped);
			if (slot == NULL)
				continue;
			cr_assert_eq(position, positions[popped]);
			cr_assert_eq(slot_location(*slot), ++popped);
			fifo_pop(&fifo);
		}
		cr_assert_eq(fifo.len, pushed - popped);
	}
	fifo_fini(&fifo);
}

Test(fifo, dropping_from_a_run_leaves_the_others_in_place)
{
	struct fifo fifo;
	uint64_t *run, position;
	fifo_init(&fifo);
	for (uint64_t i = 0; i < 10; i++)
		fifo_push(&fifo, i, slot_of_location(i + 1));
	cr_assert_eq(fifo_run(&fifo, &run), 10);
	cr_assert_eq(fifo_drop(&fifo, &run[0]), 0);
	cr_assert_eq(fifo_drop(&fifo, &run[5]), 5);
	cr_assert_eq(fifo.len, 8);
	cr_assert_eq(slot_location(*fifo_first(&fifo, &position)), 2);
	for (int i = 0; i < 4; i++)
		fifo_pop(&fifo);
	cr_assert_eq(slot_location(*fifo_first(&fifo, &position)), 7, "5 was dropped");
	fifo_fini(&fifo);
}

/* Parks all it can and takes it back, as the core does with the store's help. */
Test(fifo, keeps_order_with_its_middle_elsewhere)
{
	static uint64_t store[100000]; /* By position. */
	struct prng prng = { 4 };
	struct fifo fifo;
	uint64_t pushed = 0, popped = 0, position;
	fifo_init(&fifo);
	for (int step = 0; step < 200000; step++) {
		if (prng_below(&prng, 100) < 60 && pushed < 90000) {
			store[pushed] = slot_of_location(pushed + 1);
			fifo_push(&fifo, pushed, store[pushed]);
			pushed++;
		} else if (fifo_is_parked(&fifo)) {
			uint64_t base = fifo.middle.from, until = base + FIFO_CHUNK_SLOTS;
			struct fifo_chunk *chunk = fifo_unpark(
				&fifo, base, until < fifo.middle.until ? until : fifo.middle.until);
			for (uint64_t i = base;
			     i < base + FIFO_CHUNK_SLOTS && i < fifo.middle.until; i++)
				fifo_fill(&fifo, chunk, store[i]);
		} else if (fifo_first(&fifo, &position) != NULL) {
			cr_assert_eq(position, popped);
			cr_assert_eq(*fifo_first(&fifo, &position), slot_of_location(++popped));
			fifo_pop(&fifo);
		}
		for (struct fifo_chunk *c;
		     step % 100 == 0 && (c = fifo_next_to_evict(&fifo)) != NULL;) {
			c->is_evicted = c->is_stored = true;
			c->save = CHUNK_SAVED;
			fifo.evicted = c;
		}
		if (step % 100 == 0)
			fifo_park(&fifo);
		cr_assert_eq(fifo.len, pushed - popped);
	}
	cr_assert_gt(fifo.dead_len, 10, "what was parked and taken back can be deleted");
	fifo_fini(&fifo);
}
