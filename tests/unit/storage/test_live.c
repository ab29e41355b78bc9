#include "live.h"

#include <criterion/criterion.h>

Test(live, a_segment_is_reclaimed_only_after_a_checkpoint)
{
	struct live live;
	live_init(&live);
	live_add(&live, 10);
	live_ref(&live, 10);
	live_unref(&live, 10); /* Closed by its writer: one message lives. */
	cr_assert_eq(live.dead.len, 0);
	live_unref(&live, 10);
	cr_assert_eq(live.dead.len, 1);
	cr_assert_eq(live.reclaimable.len, 0);
	live_checkpoint(&live);
	cr_assert_eq(live.reclaimable.len, 1);
	cr_assert_eq(live.reclaimable.numbers[0], 10);
	cr_assert_eq(live.dead.len, 0);
	live_fini(&live);
}

Test(live, an_old_segment_does_not_hold_up_newer_ones)
{
	struct live live;
	live_init(&live);
	for (uint64_t n = 1; n <= 1000; n++) {
		live_add(&live, n);
		live_ref(&live, n);
		live_unref(&live, n);
	}
	for (uint64_t n = 2; n <= 1000; n++)
		live_unref(&live, n);
	cr_assert_eq(live.dead.len, 999);
	cr_assert_eq(live.len, 1000);
	live_unref(&live, 1);
	cr_assert_eq(live.len, 0, "the counters of dead segments at the front are dropped");
	live_add(&live, 2000);
	cr_assert_eq(live.len, 1);
	live_fini(&live);
}
