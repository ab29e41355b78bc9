/* Headers: along the bindings whose arguments the message's headers meet (match.h). */
#include "core/exchange/binding.h"
#include "core/exchange/exchange.h"
#include "core/exchange/match.h"
#include "core/exchange/route.h"
#include "core/exchange/type.h"
#include "core/exchange/wants.h"
#include "core/state.h"

#include "properties.h"
#include "reply.h"
#include "table.h"

static void created(struct exchange *x)
{
	x->wants = wants_create(x->vhost->core->options.hash_seed);
}

static void destroyed(struct exchange *x)
{
	wants_destroy(x->wants);
}

static bool check_binding(struct bytes routing_key, struct bytes arguments, struct refusal *refusal)
{
	enum headers_match match;
	struct table_value v;
	struct bytes text;
	(void)routing_key;
	if (headers_match_parse(arguments, &match) || !table_find(arguments, "x-match", &v))
		return true;
	if (table_value_string(&v, &text))
		return refuse(refusal, REPLY_PRECONDITION_FAILED,
			      "Invalid x-match field value <<\"%.*s\">>; expected all, any, "
			      "all-with-x, or any-with-x",
			      BYTES_ARG(text));
	return refuse(refusal, REPLY_PRECONDITION_FAILED,
		      "Invalid x-match field type %s; expected longstr", table_type_name(v.type));
}

static void bound(struct binding *b)
{
	headers_match_parse(b->arguments, &b->match);
	match_bind(b);
	wants_add(b->source->wants, b);
}

static void unbound(struct binding *b)
{
	wants_remove(b->source->wants, b);
}

static void on_match(void *arg, const struct binding *b)
{
	route_along(arg, b);
}

/* A message's headers are read once, however many exchanges ask. */
static void choose(struct router *router, struct exchange *x, const struct key_list *keys,
		   const struct properties *p)
{
	(void)keys;
	router->depends_on_headers = true;
	if (!router->has_read_headers)
		match_read(&router->headers, p->headers);
	router->has_read_headers = true;
	wants_match(x->wants, &router->headers, on_match, router);
}

const struct exchange_operations headers_exchange = {
	.name = "headers",
	.created = created,
	.destroyed = destroyed,
	.check_binding = check_binding,
	.bound = bound,
	.unbound = unbound,
	.choose = choose,
};
