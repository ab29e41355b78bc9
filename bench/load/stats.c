#include "stats.h"

#include <string.h>

void stats_look(struct stats *const *stats, unsigned stats_len, uint64_t now,
		struct stats_view *view)
{
	memset(view, 0, sizeof *view);
	view->at_ns = now;
	for (unsigned i = 0; i < stats_len; i++) {
		for (unsigned c = 0; c < COUNTERS; c++)
			view->counters[c] +=
				atomic_load_explicit(&stats[i]->counters[c], memory_order_relaxed);
		uint64_t first = atomic_load_explicit(&stats[i]->first_ns, memory_order_relaxed);
		if (first != 0 && (view->first_ns == 0 || first < view->first_ns))
			view->first_ns = first;
		histogram_look(&stats[i]->consumer, &view->consumer);
		histogram_look(&stats[i]->confirm, &view->confirm);
	}
}

void stats_since(const struct stats_view *a, const struct stats_view *b,
		 struct stats_view *difference)
{
	difference->at_ns = a->at_ns - b->at_ns;
	difference->first_ns = a->first_ns > b->at_ns ? a->first_ns - b->at_ns : 0;
	for (unsigned c = 0; c < COUNTERS; c++)
		difference->counters[c] = a->counters[c] - b->counters[c];
	histogram_since(&a->consumer, &b->consumer, &difference->consumer);
	histogram_since(&a->confirm, &b->confirm, &difference->confirm);
}
