/* Pattern: topic exchanges, along the bindings whose pattern meets the message's key (topic.h). */
#include "core/exchange/binding.h"
#include "core/exchange/exchange.h"
#include "core/exchange/route.h"
#include "core/exchange/topic.h"
#include "core/exchange/type.h"
#include "core/state.h"

static void created(struct exchange *x)
{
	x->topic = topic_create(x->vhost->core->options.hash_seed);
}

static void destroyed(struct exchange *x)
{
	topic_destroy(x->topic);
}

static void bound(struct binding *b)
{
	topic_add(b->source->topic, b->routing_key, &b->in_topic);
}

static void unbound(struct binding *b)
{
	topic_remove(&b->in_topic);
}

static void on_match(void *arg, struct topic_value *value)
{
	route_along(arg, list_entry(value, struct binding, in_topic));
}

static void choose(struct router *router, struct exchange *x, const struct key_list *keys,
		   const struct properties *p)
{
	struct key_list left = *keys;
	struct bytes key = keys->routing_key;
	(void)p;
	do
		topic_match(x->topic, key, on_match, router);
	while (key_list_next(&left, &key));
}

const struct exchange_operations topic_exchange = {
	.name = "topic",
	.created = created,
	.destroyed = destroyed,
	.bound = bound,
	.unbound = unbound,
	.choose = choose,
};
