/* View: what there is, listed a few at a time while it comes and goes. */
#include "broker.h"

#include "core/view.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

enum { NAMES = 60, ROUNDS = 40 };

struct census {
	unsigned seen[NAMES];
	bool is_there[NAMES];
	bool was_always[NAMES]; /* From open to close. */
	bool was_ever[NAMES];
};

static uint64_t seed;

static uint64_t chance(uint64_t below)
{
	seed = seed * 6364136223846793005 + 1442695040888963407;
	return (seed >> 33) % below;
}

static void count(struct census *c, struct bytes name)
{
	int i;
	char text[16] = "";
	if (name.len < sizeof text && name.len > 1 && name.data[0] == 'n') {
		memcpy(text, name.data, name.len);
		if (sscanf(text, "n%d", &i) == 1)
			c->seen[i]++;
	}
}

static void on_queue(void *arg, const void *info)
{
	count(arg, ((const struct queue_info *)info)->name);
}

/* Of the default exchange there are none; each queue has one with its name as the key. */
static void on_binding(void *arg, const void *info)
{
	count(arg, ((const struct binding_info *)info)->routing_key);
}

static void on_consumer(void *arg, const void *info)
{
	count(arg, ((const struct consumer_info *)info)->tag);
}

/* A queue with a binding and a consumer, or none of it. */
static void turn_over(struct client *c, struct census *census, size_t i)
{
	char name[16];
	snprintf(name, sizeof name, "n%zu", i);
	if (census->is_there[i]) {
		struct method m = { .id = METHOD_queue_delete };
		m.queue_delete.queue = bytes_str(name);
		client_method(c, 1, &m);
		client_expect(c, METHOD_queue_delete_ok);
		client_expect(c, METHOD_basic_cancel);
	} else {
		client_declare(c, name, false);
		client_bind(c, name, "amq.topic", name);
		client_consume(c, name, name, true, 0);
	}
	census->is_there[i] = !census->is_there[i];
	census->was_always[i] &= census->is_there[i];
	census->was_ever[i] |= census->is_there[i];
}

static void walk_through(struct broker *b, struct client *c, enum view_of of, struct census *census)
{
	static void (*const visits[])(void *arg, const void *info) = {
		[VIEW_QUEUES] = on_queue,
		[VIEW_BINDINGS] = on_binding,
		[VIEW_CONSUMERS] = on_consumer,
	};
	for (size_t i = 0; i < NAMES; i++) {
		census->seen[i] = 0;
		census->was_always[i] = census->was_ever[i] = census->is_there[i];
	}
	struct view *v = view_open(b->diskless.core, of, NULL);
	while (view_next(v, chance(6), visits[of], census))
		for (uint64_t n = chance(4); n > 0; n--)
			turn_over(c, census, chance(NAMES));
	view_close(v);
	for (size_t i = 0; i < NAMES; i++) {
		cr_assert(!census->was_always[i] || census->seen[i] == 1, "n%zu: %u times", i,
			  census->seen[i]);
		cr_assert(census->was_ever[i] || census->seen[i] == 0, "n%zu was never there", i);
	}
}

static void check(enum view_of of)
{
	struct census census = { 0 };
	if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
		abort();
	const char *again = getenv("CHANCE_SEED");
	seed = again == NULL ? seed : strtoull(again, NULL, 10);
	fprintf(stderr, "CHANCE_SEED=%llu\n", (unsigned long long)seed);
	struct broker *b = broker_create();
	struct client *c = client_open(b);
	for (size_t i = 0; i < NAMES; i += 2)
		turn_over(c, &census, i);
	for (int round = 0; round < ROUNDS; round++)
		walk_through(b, c, of, &census);
	broker_destroy(b);
}

Test(view, shows_each_queue_once_while_others_come_and_go)
{
	check(VIEW_QUEUES);
}

Test(view, shows_each_binding_once_while_others_come_and_go)
{
	check(VIEW_BINDINGS);
}

Test(view, shows_each_consumer_once_while_others_come_and_go)
{
	check(VIEW_CONSUMERS);
}
