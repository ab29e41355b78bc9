/* Route: from exchange and routing key to queues, through bound exchanges and alternates.
 *
 * Decisions that depend on the key alone are remembered by exchange; any change of topology forgets
 * them all. Marks with the number of the step, on queues and exchanges, see to it that a queue is
 * chosen once and that cycles end. */
#include "core/exchange/route.h"
#include "core/channel/channel.h"
#include "core/channel/connection.h"
#include "core/exchange/binding.h"
#include "core/exchange/exchange.h"
#include "core/exchange/type.h"
#include "core/message/message.h"
#include "core/queue/queue.h"
#include "core/state.h"
#include "core/vhost/vhost.h"

#include "base/alloc.h"
#include "table.h"

#include <stdlib.h>

enum {
	MEMO_MAX = 4096,       /* Keys remembered by one exchange: at 4 queues each, about 1 MB. */
	MEMO_QUEUES_MAX = 256, /* A wider route is not remembered: delivering it costs far more than
				  finding it. */
};

/* Its connection has closed: it is as good as gone. */
static bool is_going(const struct queue *queue)
{
	return queue->owner != NULL && queue->owner->is_closed;
}

void route_to(struct router *router, struct queue *queue)
{
	if (is_going(queue))
		return;
	router->is_matched = true;
	if (queue->routed == router->step)
		return;
	queue->routed = router->step;
	router->queues = alloc_grow(router->queues, &router->queues_cap, router->queues_len + 1,
				    sizeof *router->queues);
	router->queues[router->queues_len++] = queue;
}

static void choose_exchange(struct router *router, struct exchange *exchange)
{
	if (exchange->seen == router->step)
		return;
	exchange->seen = router->step;
	router->exchanges = alloc_grow(router->exchanges, &router->exchanges_cap,
				       router->exchanges_len + 1, sizeof *router->exchanges);
	router->exchanges[router->exchanges_len++] = exchange;
}

void route_along(struct router *router, const struct binding *binding)
{
	if (binding->queue != NULL) {
		route_to(router, binding->queue);
		return;
	}
	router->is_matched = true;
	choose_exchange(router, binding->exchange);
}

/* --- where it is sent to --- */

static struct key_list keys_of(const struct message *message, const struct properties *p)
{
	struct key_list keys = { .routing_key = message_routing_key(message) };
	if ((p->flags & HAS_headers) == 0)
		return keys;
	if (!table_find_array(p->headers, "CC", &keys.copies[0]))
		keys.copies[0].len = 0;
	if (!table_find_array(p->headers, "BCC", &keys.copies[1]))
		keys.copies[1].len = 0;
	return keys;
}

static bool are_several(const struct key_list *keys)
{
	return keys->copies[0].len > 0 || keys->copies[1].len > 0;
}

bool key_list_next(struct key_list *keys, struct bytes *key)
{
	struct table_value v;
	for (size_t i = 0; i < sizeof keys->copies / sizeof *keys->copies; i++)
		while (array_next(&keys->copies[i], &v))
			if (table_value_string(&v, key))
				return true;
	return false;
}

/* Asks the exchange and all those it leads to. */
static void walk(struct router *router, struct exchange *first, const struct key_list *keys,
		 const struct properties *p)
{
	size_t next = router->exchanges_len = 0;
	router->has_read_headers = false;
	choose_exchange(router, first);
	while (next < router->exchanges_len) {
		struct exchange *x = router->exchanges[next++];
		router->is_matched = false;
		exchange_catch_up(x);
		exchange_types[x->type]->choose(router, x, keys, p);
		if (!router->is_matched && x->alternate.len > 0) {
			struct exchange *alternate = exchange_find(x->vhost, x->alternate);
			if (alternate != NULL)
				choose_exchange(router, alternate);
		}
	}
}

/* --- memo --- */

void route_memo_clear(struct exchange *x)
{
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&x->memo, &at)) != NULL;)
		free(e->value);
	map_fini(&x->memo);
}

static const struct route *memo_find(struct exchange *x, struct bytes key)
{
	if (x->memo_version != x->vhost->topology) {
		route_memo_clear(x);
		x->memo_version = x->vhost->topology;
		return NULL;
	}
	return map_get(&x->memo, key);
}

static void memo_add(struct exchange *x, struct bytes key, const struct router *router)
{
	if (router->queues_len > MEMO_QUEUES_MAX)
		return;
	if (x->memo.len >= MEMO_MAX)
		route_memo_clear(x);
	size_t queues_bytes = router->queues_len * sizeof *router->queues;
	struct route *route = alloc_resize(NULL, sizeof *route + queues_bytes + key.len + 1);
	route->queues_len = router->queues_len;
	if (queues_bytes > 0)
		memcpy(route->queues, router->queues, queues_bytes);
	uint8_t *copy = (uint8_t *)route->queues + queues_bytes;
	memcpy(copy, key.data, key.len);
	route->routing_key = bytes_of(copy, key.len);
	map_put(&x->memo, route->routing_key, route);
}

/* --- the decision --- */

/* Without copies the way may be known. */
static void route_key(struct core *core, struct exchange *x, const struct key_list *keys,
		      const struct properties *p)
{
	struct router *router = &core->router;
	const struct route *known = memo_find(x, keys->routing_key);
	if (known != NULL) {
		for (size_t i = 0; i < known->queues_len; i++)
			route_to(router, known->queues[i]);
		return;
	}
	walk(router, x, keys, p);
	if (!router->depends_on_headers && !x->is_default)
		memo_add(x, keys->routing_key, router);
}

struct queue **route(struct core *core, struct exchange *x, const struct message *message,
		     const struct properties *properties, size_t *queues_len)
{
	struct router *router = &core->router;
	struct key_list keys = keys_of(message, properties);
	router->step++;
	router->queues_len = 0;
	router->depends_on_headers = false;
	if (are_several(&keys))
		walk(router, x, &keys, properties);
	else
		route_key(core, x, &keys, properties);
	*queues_len = router->queues_len;
	return router->queues;
}

/* One a call, the first one that it comes to: the checks are many. */
uint64_t route_check_memo(struct exchange *x)
{
	struct core *core = x->vhost->core;
	struct router *router = &core->router;
	size_t at = x->memo.cap == 0 ? 0 : router->step % x->memo.cap;
	if (x->memo_version != x->vhost->topology || x->memo.len == 0)
		return 1;
	const struct map_entry *e = map_next(&x->memo, &at);
	if (e == NULL) { /* Round again. */
		at = 0;
		e = map_next(&x->memo, &at);
	}
	static const struct properties none = { 0 };
	const struct route *route = e->value;
	const struct key_list keys = { .routing_key = route->routing_key };
	router->step++;
	router->queues_len = 0;
	walk(router, x, &keys, &none);
	assert(router->queues_len == route->queues_len);
	for (size_t i = 0; i < route->queues_len; i++)
		assert(route->queues[i]->routed == router->step);
	return 1 + route->queues_len + router->exchanges_len;
}

/* --- what comes again --- */

bool route_is_last(const struct channel *ch, const struct message *message)
{
	const struct last_route *last = ch->last_route;
	return last != NULL && last->topology == ch->connection->vhost->topology &&
	       bytes_equal(message_tail(message), bytes_of(last->tail, last->tail_len));
}

static void remember_last(struct channel *ch, struct exchange *x, const struct message *message)
{
	const struct router *router = &ch->core->router;
	struct bytes tail = message_tail(message);
	if (ch->last_route == NULL)
		ch->last_route = alloc_zeroed(sizeof *ch->last_route);
	struct last_route *last = ch->last_route;
	last->topology = ch->connection->vhost->topology;
	last->exchange = x;
	last->tail_len = (uint16_t)tail.len;
	memcpy(last->tail, tail.data, tail.len);
	last->queues_len = router->queues_len;
	last->queues =
		alloc_grow(last->queues, &last->queues_cap, last->queues_len, sizeof *last->queues);
	if (last->queues_len > 0)
		memcpy(last->queues, router->queues, last->queues_len * sizeof *last->queues);
}

struct queue **route_publish(struct channel *ch, struct exchange *x, bool is_last, bool has_copies,
			     const struct message *message, const struct properties *properties,
			     size_t *queues_len)
{
	assert(!is_last || ch->last_route != NULL);
	if (!has_copies && is_last) {
		*queues_len = ch->last_route->queues_len;
		return ch->last_route->queues;
	}
	struct queue **queues = route(ch->core, x, message, properties, queues_len);
	if (!has_copies && !ch->core->router.depends_on_headers && *queues_len <= MEMO_QUEUES_MAX)
		remember_last(ch, x, message);
	return queues;
}

void route_forget_last(struct channel *ch)
{
	if (ch->last_route != NULL)
		free(ch->last_route->queues);
	free(ch->last_route);
	ch->last_route = NULL;
}
