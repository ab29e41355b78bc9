/* Route: from exchange and routing key to queues, through bound exchanges and alternates.
 *
 * Decisions that depend on the key alone are remembered by exchange; any change of topology forgets
 * them all. Marks with the number of the step, on queues and exchanges, see to it that a queue is
 * chosen once and that cycles end. */
#include "core/state.h"

#include "base/alloc.h"
#include "table.h"

#include <stdlib.h>

enum {
	MEMO_MAX = 4096,       /* Keys remembered by one exchange: at 4 queues each, about 1 MB. */
	MEMO_QUEUES_MAX = 256, /* A wider route is not remembered: delivering it costs far more than
				  finding it. */
};

static void choose_queue(struct router *router, struct queue *queue)
{
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

static void on_match(void *arg, void *value)
{
	struct router *router = arg;
	const struct binding *binding = value;
	router->is_matched = true;
	if (binding->queue != NULL)
		choose_queue(router, binding->queue);
	else
		choose_exchange(router, binding->exchange);
}

/* --- headers exchanges --- */

static bool header_matches(struct bytes headers, struct bytes name,
			   const struct table_value *wanted)
{
	struct bytes found;
	struct table_value value;
	while (table_next(&headers, &found, &value))
		if (bytes_equal(found, name))
			return wanted->type == 'V' || table_value_equal(wanted, &value);
	return false;
}

static bool headers_match(const struct binding *binding, struct bytes headers)
{
	bool is_any = binding->match == MATCH_ANY || binding->match == MATCH_ANY_WITH_X;
	bool with_x = binding->match == MATCH_ALL_WITH_X || binding->match == MATCH_ANY_WITH_X;
	struct bytes rest = binding->arguments, name;
	struct table_value wanted;
	while (table_next(&rest, &name, &wanted)) {
		if (bytes_equal_str(name, "x-match") || (!with_x && bytes_has_prefix(name, "x-")))
			continue;
		if (header_matches(headers, name, &wanted) == is_any)
			return is_any;
	}
	return !is_any;
}

/* --- one exchange --- */

static void ask(struct router *router, struct exchange *x, struct bytes key,
		const struct properties *p)
{
	router->is_matched = false;
	if (x->is_default) {
		struct queue *queue = queue_find(x->vhost, key);
		if (queue != NULL && !queue->is_delaying) {
			router->is_matched = true;
			choose_queue(router, queue);
		}
		return;
	}
	switch (x->type) {
	case EXCHANGE_DIRECT:
		for (struct binding *b = map_get(&x->keys, key); b != NULL; b = b->same_key)
			on_match(router, b);
		break;
	case EXCHANGE_FANOUT:
		list_each (node, &x->bindings)
			on_match(router, list_entry(node, struct binding, in_source));
		break;
	case EXCHANGE_TOPIC: topic_match(x->topic, key, on_match, router); break;
	case EXCHANGE_CONSISTENT_HASH:
	case EXCHANGE_MODULUS_HASH: {
		struct binding *b =
			hash_choose(x, hash_subject(x, key, p, &router->depends_on_headers));
		if (b != NULL)
			on_match(router, b);
		break;
	}
	case EXCHANGE_HEADERS:
		router->depends_on_headers = true;
		list_each (node, &x->bindings) {
			struct binding *b = list_entry(node, struct binding, in_source);
			if (headers_match(b, p->headers))
				on_match(router, b);
		}
		break;
	}
}

/* Asks the exchange and all those it leads to. */
static void walk(struct router *router, struct exchange *first, struct bytes key,
		 const struct properties *p)
{
	size_t next = router->exchanges_len = 0;
	choose_exchange(router, first);
	while (next < router->exchanges_len) {
		struct exchange *x = router->exchanges[next++];
		ask(router, x, key, p);
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

static const struct route *memo_find(struct core *core, struct exchange *x, struct bytes key)
{
	if (x->memo_version != core->topology) {
		route_memo_clear(x);
		x->memo_version = core->topology;
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

static void add_key(struct core *core, struct exchange *x, struct bytes key,
		    const struct properties *p)
{
	struct router *router = &core->router;
	router->depends_on_headers = false;
	const struct route *known = memo_find(core, x, key);
	if (known != NULL) {
		for (size_t i = 0; i < known->queues_len; i++)
			choose_queue(router, known->queues[i]);
		return;
	}
	size_t before = router->queues_len;
	walk(router, x, key, p);
	if (before == 0 && !router->depends_on_headers && !x->is_default)
		memo_add(x, key, router);
}

/* The keys in header CC or BCC; publishing has checked that they are arrays of strings. */
static void add_copies(struct core *core, struct exchange *x, const struct properties *p,
		       const char *header)
{
	struct table_value v;
	struct bytes keys, key;
	if (!table_find_array(p->headers, header, &keys))
		return;
	while (array_next(&keys, &v))
		if (table_value_string(&v, &key)) {
			core->router.step++; /* Exchanges may be asked again for another key, but */
			for (size_t i = 0; i < core->router.queues_len; i++)
				core->router.queues[i]->routed =
					core->router.step; /* queues stay chosen. */
			add_key(core, x, key, p);
		}
}

struct queue **route(struct core *core, struct exchange *x, const struct message *message,
		     const struct properties *properties, size_t *queues_len)
{
	struct router *router = &core->router;
	router->step++;
	router->queues_len = 0;
	add_key(core, x, message_routing_key(message), properties);
	if (properties->flags & HAS_headers) {
		add_copies(core, x, properties, "CC");
		add_copies(core, x, properties, "BCC");
	}
	*queues_len = router->queues_len;
	return router->queues;
}

/* --- what comes again --- */

bool route_is_last(const struct channel *ch, const struct message *message)
{
	const struct last_route *last = ch->last_route;
	return last != NULL && last->topology == ch->core->topology &&
	       bytes_equal(message_tail(message), bytes_of(last->tail, last->tail_len));
}

static void remember_last(struct channel *ch, struct exchange *x, const struct message *message)
{
	const struct router *router = &ch->core->router;
	struct bytes tail = message_tail(message);
	if (ch->last_route == NULL)
		ch->last_route = alloc_zeroed(sizeof *ch->last_route);
	struct last_route *last = ch->last_route;
	last->topology = ch->core->topology;
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
