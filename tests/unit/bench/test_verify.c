#include "verify.h"

#include <criterion/criterion.h>

static struct verify *v;
static struct verify_order order;

static void set_up(void)
{
	v = verify_create(2, 3);
	verify_order_init(&order, v);
}

static void tear_down(void)
{
	verify_order_fini(&order);
	verify_destroy(v);
}

static struct verify_result result_of(uint32_t queue, uint32_t stream, uint64_t sent)
{
	struct verify_result r = { 0 };
	verify_noticed(v, &r);
	verify_expect(v, queue, stream, sent, &r);
	return r;
}

TestSuite(verify, .init = set_up, .fini = tear_down);

Test(verify, all_there_once_and_in_order_is_fine)
{
	for (uint32_t i = 0; i < 3000000; i++)
		verify_received(v, &order, 1, 2, i, false);
	struct verify_result r = result_of(1, 2, 3000000);
	cr_assert(r.lost == 0 && r.doubled == 0 && r.disorder == 0 && r.foreign == 0);
}

Test(verify, what_is_missing_is_lost)
{
	for (uint32_t i = 0; i < 200; i++)
		if (i != 0 && i != 64 && i != 199)
			verify_received(v, &order, 0, 0, i, false);
	cr_assert_eq(result_of(0, 0, 200).lost, 3);
	cr_assert_eq(result_of(0, 0, 199).lost, 2);
	cr_assert_eq(result_of(0, 1, 7).lost, 7);
	cr_assert_eq(result_of(1, 0, 7).lost, 7);
}

Test(verify, twice_is_doubled_unless_it_says_redelivered)
{
	verify_received(v, &order, 0, 0, 5, false);
	verify_received(v, &order, 0, 0, 5, true);
	cr_assert_eq(result_of(0, 0, 0).doubled, 0);
	verify_received(v, &order, 0, 0, 5, false);
	cr_assert_eq(result_of(0, 0, 0).doubled, 1);
}

Test(verify, an_earlier_one_after_a_later_one_is_out_of_order)
{
	verify_received(v, &order, 0, 0, 9, false);
	verify_received(v, &order, 0, 0, 8, false);
	verify_received(v, &order, 0, 1, 3, false); /* Another stream has an order of its own. */
	struct verify_result r = result_of(0, 0, 0);
	cr_assert_eq(r.disorder, 1);
	cr_assert_eq(r.doubled, 0);
}

Test(verify, what_nobody_sent_is_foreign)
{
	verify_received(v, &order, 0, 3, 0, false);
	cr_assert_eq(result_of(0, 0, 0).foreign, 1);
}
