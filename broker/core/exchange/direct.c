/* Direct: along the bindings whose key is the message's. The default exchange, which has no
 * bindings, goes by the names of queues. Bindings are found by key; those with the same key are a
 * chain. */
#include "core/exchange/binding.h"
#include "core/exchange/exchange.h"
#include "core/exchange/route.h"
#include "core/exchange/type.h"
#include "core/queue/queue.h"
#include "core/vhost/vhost.h"

static void bound(struct binding *b)
{
	struct exchange *x = b->source;
	struct binding *first = map_get(&x->keys, b->routing_key);
	if (first == NULL) {
		map_put(&x->keys, b->routing_key, b);
	} else { /* Second in the chain: the map's key stays where it is. */
		b->same_key = first->same_key;
		b->before = first;
		if (b->same_key != NULL)
			b->same_key->before = b;
		first->same_key = b;
	}
}

static void unbound(struct binding *b)
{
	struct exchange *x = b->source;
	if (b->same_key != NULL)
		b->same_key->before = b->before;
	if (b->before != NULL) {
		b->before->same_key = b->same_key;
		return;
	}
	map_remove(&x->keys, b->routing_key);
	if (b->same_key != NULL)
		map_put(&x->keys, b->same_key->routing_key, b->same_key);
}

static void choose_by_name(struct router *router, const struct exchange *x, struct bytes name)
{
	struct queue *queue = queue_find(x->vhost, name);
	if (queue != NULL && !queue->is_delaying)
		route_to(router, queue);
}

static void choose(struct router *router, struct exchange *x, const struct key_list *keys,
		   const struct properties *p)
{
	struct key_list left = *keys;
	struct bytes key = keys->routing_key;
	(void)p;
	do
		if (x->is_default)
			choose_by_name(router, x, key);
		else
			for (struct binding *b = map_get(&x->keys, key); b != NULL; b = b->same_key)
				route_along(router, b);
	while (key_list_next(&left, &key));
}

const struct exchange_operations direct_exchange = {
	.name = "direct",
	.bound = bound,
	.unbound = unbound,
	.choose = choose,
};
