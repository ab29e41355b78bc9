#include "api/rates.h"

#include "base/alloc.h"
#include "base/list.h"
#include "base/map.h"

#include <stdlib.h>
#include <string.h>

enum { SAMPLE_MS = 900, FORGET_MS = 60000 };

struct rate {
	struct list in_order;
	struct bytes key; /* Owned. */
	uint64_t sampled_ms;
	uint64_t asked_ms;
	uint64_t values[RATES_MAX];
	double rates[RATES_MAX];
	struct rates_history *history; /* Owned; NULL: none is wanted. */
};

struct rates {
	struct map by_key; /* -> struct rate */
	struct list order; /* Who was asked for longest ago first. */
	size_t histories;
};

struct rates *rates_create(uint64_t seed)
{
	struct rates *r = alloc_zeroed(sizeof *r);
	map_init(&r->by_key, seed);
	list_init(&r->order);
	return r;
}

static void drop(struct rates *r, struct rate *one)
{
	map_remove(&r->by_key, one->key);
	list_remove(&one->in_order);
	free((void *)one->key.data);
	r->histories -= one->history != NULL;
	free(one->history);
	free(one);
}

void rates_destroy(struct rates *r)
{
	if (r == NULL)
		return;
	while (!list_is_empty(&r->order))
		drop(r, list_entry(r->order.next, struct rate, in_order));
	map_fini(&r->by_key);
	free(r);
}

static struct rate *find(struct rates *r, struct bytes key)
{
	struct rate *one = map_get(&r->by_key, key);
	if (one == NULL) {
		if (r->by_key.len >= RATES_OBJECTS_MAX)
			drop(r, list_entry(r->order.next, struct rate, in_order));
		one = alloc_zeroed(sizeof *one);
		one->key = alloc_copy(key);
		list_init(&one->in_order);
		map_put(&r->by_key, one->key, one);
	}
	return one;
}

static void remember(struct rates_history *h, uint64_t now_ms, const uint64_t *values, size_t len)
{
	size_t at = (h->first + h->len) % RATES_SAMPLES;
	if (h->len == RATES_SAMPLES)
		h->first = (h->first + 1) % RATES_SAMPLES;
	else
		h->len++;
	h->ms[at] = now_ms;
	memcpy(h->values[at], values, len * sizeof *values);
}

/* A counter that is lower than it was is of another object of the same name. */
static void measure(struct rate *one, uint64_t now_ms, const uint64_t *values, size_t len)
{
	double seconds = (double)(now_ms - one->sampled_ms) / 1000;
	for (size_t i = 0; i < len; i++) {
		bool is_known = one->sampled_ms != 0 && values[i] >= one->values[i];
		one->rates[i] = is_known ? (double)(values[i] - one->values[i]) / seconds : 0;
		one->values[i] = values[i];
	}
	one->sampled_ms = now_ms;
	if (one->history != NULL)
		remember(one->history, now_ms, values, len);
}

void rates_sample(struct rates *r, struct bytes key, uint64_t now_ms, const uint64_t *values,
		  size_t len, bool keeps, double *out)
{
	struct rate *one = find(r, key);
	if (keeps && one->history == NULL && r->histories < RATES_HISTORIES_MAX) {
		r->histories++;
		one->history = alloc_zeroed(sizeof *one->history);
		one->sampled_ms = one->sampled_ms > 1 ? one->sampled_ms : 0;
	}
	one->asked_ms = now_ms;
	list_remove(&one->in_order);
	list_push_tail(&r->order, &one->in_order);
	if (one->sampled_ms == 0 || now_ms - one->sampled_ms >= SAMPLE_MS)
		measure(one, now_ms, values, len);
	memcpy(out, one->rates, len * sizeof *out);
}

const struct rates_history *rates_history(const struct rates *r, struct bytes key)
{
	const struct rate *one = map_get(&r->by_key, key);
	return one == NULL ? NULL : one->history;
}

void rates_tidy(struct rates *r, uint64_t now_ms)
{
	while (!list_is_empty(&r->order)) {
		struct rate *one = list_entry(r->order.next, struct rate, in_order);
		if (now_ms - one->asked_ms < FORGET_MS)
			return;
		drop(r, one);
	}
}
