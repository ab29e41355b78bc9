#include "schedule.h"

#include <criterion/criterion.h>

Test(schedule, a_constant_rate_spaces_events_evenly)
{
	struct schedule s = { .steps = { { 1000, 1 } }, .len = 1 };
	cr_assert_eq(schedule_due_ns(&s, 0), 0);
	cr_assert_eq(schedule_due_ns(&s, 1), 1000000);
	cr_assert_eq(schedule_due_ns(&s, 2500), 2500000000);
}

Test(schedule, steps_follow_each_other_and_begin_again)
{
	struct schedule s = { 0 };
	cr_assert(schedule_parse(&s, "100:2,0:1,10:1"));
	cr_assert_eq(s.len, 3);
	cr_assert_eq(schedule_due_ns(&s, 199), 1990000000);
	cr_assert_eq(schedule_due_ns(&s, 200),
		     3000000000); /* Nothing is due in the third second. */
	cr_assert_eq(schedule_due_ns(&s, 205), 3500000000);
	cr_assert_eq(schedule_due_ns(&s, 210), 4000000000); /* Once round. */
	cr_assert_eq(schedule_value(&s, 1999999999), 100);
	cr_assert_eq(schedule_value(&s, 2500000000), 0);
	cr_assert_eq(schedule_value(&s, 7500000000), 10);
}

Test(schedule, what_is_no_schedule_is_refused)
{
	static const char *const bad[] = { "",     "10",    "10:",      ":1",  "10:0",
					   "-1:1", "10:1,", "10:1;5:1", "x:1", "1:x" };
	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct schedule s = { 0 };
		cr_assert_not(schedule_parse(&s, bad[i]), "%s", bad[i]);
	}
}

Test(schedule, with_no_events_at_all_nothing_is_ever_due)
{
	struct schedule s = { .steps = { { 0, 1 } }, .len = 1 };
	cr_assert_eq(schedule_due_ns(&s, 0), UINT64_MAX);
}
