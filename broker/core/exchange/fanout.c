/* Fanout: along all bindings. */
#include "core/exchange/binding.h"
#include "core/exchange/exchange.h"
#include "core/exchange/route.h"
#include "core/exchange/type.h"

static void choose(struct router *router, struct exchange *x, const struct key_list *keys,
		   const struct properties *p)
{
	(void)keys;
	(void)p;
	list_each (node, &x->bindings)
		route_along(router, list_entry(node, struct binding, in_source));
}

const struct exchange_operations fanout_exchange = { .name = "fanout", .choose = choose };
