#include "histogram.h"

#include <math.h>

enum { TICKS_PER_HALF = 5 }; /* Lines of a .hgrm file for each halving of what is left. */

/* The lowest value that a counter stands for, and how many. */
static uint64_t lowest_of(unsigned index, uint64_t *width)
{
	unsigned bucket = index < 2 * HISTOGRAM_HALF ? 0 : (index >> HISTOGRAM_HALF_BITS) - 1;
	*width = (uint64_t)1 << bucket;
	return (uint64_t)(index - (bucket << HISTOGRAM_HALF_BITS)) << bucket;
}

static uint64_t highest_of(unsigned index)
{
	uint64_t width, lowest = lowest_of(index, &width);
	return lowest + width - 1;
}

static double middle_of(unsigned index)
{
	uint64_t width, lowest = lowest_of(index, &width);
	return (double)(lowest + (width >> 1));
}

void histogram_look(struct histogram *h, struct histogram_view *view)
{
	for (unsigned i = 0; i < HISTOGRAM_LEN; i++) {
		uint64_t count = atomic_load_explicit(&h->counts[i], memory_order_relaxed);
		view->counts[i] += count;
		view->total += count;
	}
}

void histogram_since(const struct histogram_view *a, const struct histogram_view *b,
		     struct histogram_view *difference)
{
	for (unsigned i = 0; i < HISTOGRAM_LEN; i++)
		difference->counts[i] = a->counts[i] - b->counts[i];
	difference->total = a->total - b->total;
}

uint64_t histogram_percentile(const struct histogram_view *view, double percent)
{
	if (view->total == 0)
		return 0;
	uint64_t wanted = (uint64_t)(percent / 100 * (double)view->total + 0.5), seen = 0;
	if (wanted == 0)
		wanted = 1;
	unsigned i = 0;
	while ((seen += view->counts[i]) < wanted)
		i++;
	return highest_of(i);
}

uint64_t histogram_min(const struct histogram_view *view)
{
	uint64_t width;
	for (unsigned i = 0; i < HISTOGRAM_LEN; i++)
		if (view->counts[i] > 0)
			return lowest_of(i, &width);
	return 0;
}

uint64_t histogram_max(const struct histogram_view *view)
{
	for (unsigned i = HISTOGRAM_LEN; i-- > 0;)
		if (view->counts[i] > 0)
			return highest_of(i);
	return 0;
}

double histogram_mean(const struct histogram_view *view)
{
	double sum = 0;
	for (unsigned i = 0; i < HISTOGRAM_LEN; i++)
		if (view->counts[i] > 0)
			sum += middle_of(i) * (double)view->counts[i];
	return view->total == 0 ? 0 : sum / (double)view->total;
}

static double deviation(const struct histogram_view *view, double mean)
{
	double sum = 0;
	for (unsigned i = 0; i < HISTOGRAM_LEN; i++)
		if (view->counts[i] > 0)
			sum += pow(middle_of(i) - mean, 2) * (double)view->counts[i];
	return view->total == 0 ? 0 : sqrt(sum / (double)view->total);
}

/* The next percentile to be printed: five more for each time that the distance to 100 halves. */
static double next_tick(double percent)
{
	double halvings = floor(log2(100 / (100 - percent)));
	return percent + 100 / (TICKS_PER_HALF * pow(2, halvings + 1));
}

void histogram_write_hgrm(const struct histogram_view *view, double unit, FILE *out)
{
	fprintf(out, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount",
		"1/(1-Percentile)");
	uint64_t seen = 0;
	double tick = 0;
	for (unsigned i = 0; i < HISTOGRAM_LEN && seen < view->total; i++) {
		seen += view->counts[i];
		double share = 100 * (double)seen / (double)view->total;
		if (view->counts[i] == 0 || (tick > share && seen < view->total))
			continue;
		do {
			fprintf(out, "%12.3f %2.12f %10llu %14.2f\n", (double)highest_of(i) / unit,
				tick / 100, (unsigned long long)seen, 1 / (1 - tick / 100));
			tick = next_tick(tick);
		} while (tick <= share && seen < view->total);
		if (seen == view->total)
			fprintf(out, "%12.3f %2.12f %10llu\n", (double)highest_of(i) / unit, 1.0,
				(unsigned long long)seen);
	}
	double mean = histogram_mean(view);
	fprintf(out, "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n", mean / unit,
		deviation(view, mean) / unit);
	fprintf(out, "#[Max     = %12.3f, Total count    = %12llu]\n",
		(double)histogram_max(view) / unit, (unsigned long long)view->total);
	fprintf(out, "#[Buckets = %12d, SubBuckets     = %12d]\n", HISTOGRAM_BUCKETS,
		2 * HISTOGRAM_HALF);
}
