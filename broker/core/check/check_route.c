/* Exchanges and bindings, and what is remembered of routes. */
#include "core/check/check.h"
#include "core/exchange/binding.h"
#include "core/exchange/exchange.h"
#include "core/exchange/route.h"

#include <assert.h>

static uint64_t bindings_check(const struct exchange *x)
{
	uint64_t bindings = 0;
	list_each (node, &x->bindings) {
		const struct binding *b = list_entry(node, struct binding, in_source);
		assert(b->source == x && (b->queue == NULL) != (b->exchange == NULL));
		assert(binding_find(x, b->identity) == b);
		assert(!list_is_empty(&b->in_destination));
		assert(b->id == 0 || x->is_durable);
		bindings++;
	}
	assert(bindings == x->identities.len);
	return bindings;
}

/* Every binding is in the chain of its key. */
static uint64_t keys_chained(const struct exchange *x)
{
	uint64_t chained = 0;
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&x->keys, &at)) != NULL;) {
		const struct binding *before = NULL;
		for (const struct binding *b = e->value; b != NULL; b = b->same_key) {
			assert(b->source == x && bytes_equal(b->routing_key, e->key));
			assert(b->before == before);
			before = b;
			chained++;
		}
	}
	return chained;
}

uint64_t exchange_check(struct exchange *x)
{
	uint64_t bindings = bindings_check(x);
	assert(x->type != EXCHANGE_DIRECT || keys_chained(x) == bindings);
	assert((x->type == EXCHANGE_TOPIC) == (x->topic != NULL));
	assert(x->is_default == (x->name.len == 0) && (!x->is_default || bindings == 0));
	return 1 + 2 * bindings + route_check_memo(x);
}
