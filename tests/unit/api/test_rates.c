#include "api/rates.h"

#include "chance.h"

#include <criterion/criterion.h>
#include <string.h>

static double sample(struct rates *r, const char *key, uint64_t ms, uint64_t value, bool keeps)
{
	double rate = -1;
	rates_sample(r, bytes_str(key), ms, &value, 1, keeps, &rate);
	return rate;
}

Test(rates, are_what_a_counter_has_grown_by_in_a_second)
{
	struct rates *r = rates_create(1);
	cr_assert_eq(sample(r, "q", 10000, 500, false), 0);
	cr_assert_eq(sample(r, "q", 11000, 700, false), 200);
	cr_assert_eq(sample(r, "q", 15000, 900, false), 50);
	cr_assert_eq(sample(r, "q", 16000, 900, false), 0);
	cr_assert_eq(sample(r, "other", 16000, 900, false), 0);
	rates_destroy(r);
}

Test(rates, stay_between_samples)
{
	struct rates *r = rates_create(1);
	sample(r, "q", 10000, 0, false);
	cr_assert_eq(sample(r, "q", 11000, 100, false), 100);
	for (uint64_t ms = 11001; ms < 11900; ms += 100)
		cr_assert_eq(sample(r, "q", ms, 100000, false), 100);
	cr_assert_eq(sample(r, "q", 12000, 300, false), 200);
	rates_destroy(r);
}

/* One that was deleted and made anew. */
Test(rates, begin_anew_with_a_counter_that_is_lower)
{
	struct rates *r = rates_create(1);
	sample(r, "q", 10000, 5000, false);
	cr_assert_eq(sample(r, "q", 11000, 10, false), 0);
	cr_assert_eq(sample(r, "q", 12000, 40, false), 30);
	rates_destroy(r);
}

Test(rates, of_several_counters_are_apart)
{
	struct rates *r = rates_create(1);
	uint64_t first[RATES_MAX], second[RATES_MAX];
	double out[RATES_MAX];
	for (size_t i = 0; i < RATES_MAX; i++) {
		first[i] = i * 1000;
		second[i] = i * 1001;
	}
	rates_sample(r, bytes_str("q"), 10000, first, RATES_MAX, false, out);
	rates_sample(r, bytes_str("q"), 11000, second, RATES_MAX, false, out);
	for (size_t i = 0; i < RATES_MAX; i++)
		cr_assert_eq(out[i], (double)i);
	rates_destroy(r);
}

/* Against a list that is never cut. */
Test(rates, keep_the_last_samples_in_order)
{
	enum { SAMPLES = 3000 };
	struct chance c = chance_of_today();
	struct rates *r = rates_create(c.seed);
	static uint64_t ms[SAMPLES], values[SAMPLES];
	size_t len = 0;
	uint64_t now = 1000, value = 0;
	cr_assert_null(rates_history(r, bytes_str("q")));
	for (size_t i = 0; i < SAMPLES; i++) {
		now += chance(&c, 2000);
		value += chance(&c, 50);
		if (len == 0 || now - ms[len - 1] >= 900) {
			ms[len] = now;
			values[len++] = value;
		}
		sample(r, "q", now, value, true);
		const struct rates_history *h = rates_history(r, bytes_str("q"));
		size_t kept = len < RATES_SAMPLES ? len : RATES_SAMPLES;
		cr_assert_eq(h->len, kept);
		for (size_t k = i % 97; k < kept; k += 97) {
			size_t at = (h->first + k) % RATES_SAMPLES;
			cr_assert_eq(h->ms[at], ms[len - kept + k]);
			cr_assert_eq(h->values[at][0], values[len - kept + k]);
		}
	}
	cr_assert_gt(len, RATES_SAMPLES);
	rates_destroy(r);
}

Test(rates, forget_what_nobody_has_asked_for_in_a_minute)
{
	struct rates *r = rates_create(1);
	sample(r, "old", 10000, 1, true);
	sample(r, "young", 10000, 1, true);
	sample(r, "young", 50000, 1, true);
	rates_tidy(r, 69999);
	cr_assert_not_null(rates_history(r, bytes_str("old")));
	rates_tidy(r, 70000);
	cr_assert_null(rates_history(r, bytes_str("old")));
	cr_assert_not_null(rates_history(r, bytes_str("young")));
	cr_assert_eq(sample(r, "old", 71000, 1000, false), 0);
	rates_destroy(r);
}

Test(rates, keep_histories_of_so_many_and_no_more)
{
	struct rates *r = rates_create(1);
	char key[20];
	size_t kept = 0;
	for (int i = 0; i < RATES_HISTORIES_MAX + 50; i++) {
		snprintf(key, sizeof key, "q%d", i);
		sample(r, key, 10000, 1, true);
		kept += rates_history(r, bytes_str(key)) != NULL;
	}
	cr_assert_eq(kept, RATES_HISTORIES_MAX);
	cr_assert_eq(sample(r, key, 11000, 8, true), 7);
	rates_tidy(r, 10000 + 60000);
	sample(r, "fresh", 80000, 1, true);
	cr_assert_not_null(rates_history(r, bytes_str("fresh")));
	rates_destroy(r);
}
