#include "histogram.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { VALUES = 20000 };

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

/* Spread over nine powers of ten, as latencies may be. */
static void fill(struct histogram *h, uint64_t *values)
{
	uint64_t random = 42;
	for (unsigned i = 0; i < VALUES; i++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		values[i] = (random >> 33) >> (random >> 20 & 31) % 30;
		histogram_add(h, values[i], 1);
	}
	qsort(values, VALUES, sizeof *values, by_value);
}

Test(histogram, percentiles_are_those_of_the_sorted_values_to_a_thousandth)
{
	static uint64_t values[VALUES];
	struct histogram *h = calloc(1, sizeof *h);
	struct histogram_view *view = calloc(1, sizeof *view);
	fill(h, values);
	histogram_look(h, view);
	cr_assert_eq(view->total, VALUES);
	static const double percents[] = { 0.01, 1, 25, 50, 75, 90, 99, 99.9, 99.99, 100 };
	for (unsigned i = 0; i < sizeof percents / sizeof *percents; i++) {
		uint64_t exact = values[(unsigned)(percents[i] / 100 * VALUES + 0.5) - 1];
		uint64_t found = histogram_percentile(view, percents[i]);
		cr_assert(found >= exact && found <= exact + exact / 1000, "%f %%: %lu for %lu",
			  percents[i], found, exact);
	}
	cr_assert(histogram_max(view) >= values[VALUES - 1] && histogram_min(view) <= values[0]);
	free(h);
	free(view);
}

Test(histogram, small_values_are_exact_and_huge_ones_count_as_the_highest)
{
	struct histogram *h = calloc(1, sizeof *h);
	struct histogram_view *view = calloc(1, sizeof *view);
	for (uint64_t i = 0; i < 2048; i++)
		cr_assert_eq(histogram_index(i), i);
	histogram_add(h, UINT64_MAX, 3);
	histogram_look(h, view);
	cr_assert_eq(view->counts[HISTOGRAM_LEN - 1], 3);
	free(h);
	free(view);
}

Test(histogram, neighbouring_counters_leave_no_gap)
{
	unsigned last = 0;
	for (uint64_t value = 0; value < 5000000; value++) {
		unsigned index = histogram_index(value);
		cr_assert(index == last || index == last + 1);
		last = index;
	}
}

Test(histogram, two_looks_tell_what_came_between)
{
	struct histogram *h = calloc(1, sizeof *h);
	struct histogram_view *a = calloc(1, sizeof *a), *b = calloc(1, sizeof *b),
			      *d = calloc(1, sizeof *d);
	histogram_add(h, 100, 5);
	histogram_look(h, a);
	histogram_add(h, 200, 7);
	histogram_look(h, b);
	histogram_since(b, a, d);
	cr_assert_eq(d->total, 7);
	cr_assert_eq(histogram_min(d), 200);
	cr_assert_eq(histogram_percentile(d, 50), 200);
	free(h);
	free(a);
	free(b);
	free(d);
}

/* As HdrHistogram's own classes print these values (hdr-histogram-js 3, three digits,
 * outputPercentileDistribution). */
Test(histogram, the_distribution_is_printed_as_hdrhistogram_does)
{
	struct histogram *h = calloc(1, sizeof *h);
	struct histogram_view *view = calloc(1, sizeof *view);
	char text[4096] = { 0 };
	for (uint64_t i = 1; i <= 100; i++)
		histogram_add(h, i * 1000, 1);
	histogram_look(h, view);
	FILE *f = fmemopen(text, sizeof text, "w");
	histogram_write_hgrm(view, 1, f);
	fclose(f);
	static const char begin[] = "       Value     Percentile TotalCount 1/(1-Percentile)\n\n"
				    "    1000.000 0.000000000000          1           1.00\n"
				    "   10007.000 0.100000000000         10           1.11\n"
				    "   20015.000 0.200000000000         20           1.25\n";
	cr_assert_eq(strncmp(text, begin, sizeof begin - 1), 0, "%s", text);
	cr_assert(strstr(text,
			 "   99007.000 0.989062500000         99          91.43\n"
			 "  100031.000 0.990625000000        100         106.67\n"
			 "  100031.000 1.000000000000        100\n"
			 "#[Mean    =    50503.620, StdDeviation   =    28866.206]\n") != NULL,
		  "%s", text);
	cr_assert(strstr(text, "Total count    =          100]") != NULL, "%s", text);
	free(h);
	free(view);
}
