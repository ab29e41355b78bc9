#include "base/prng.h"
#include "core/fifo.h"

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
