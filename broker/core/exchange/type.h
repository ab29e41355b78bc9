/* Type: what the types of exchanges differ in. A new one is a file that says so, a row of the table
 * in type.c, and a number in enum exchange_type, which the journal keeps. */
#ifndef LEV_CORE_EXCHANGE_TYPE_H
#define LEV_CORE_EXCHANGE_TYPE_H

#include "base/bytes.h"

#include <stdbool.h>

struct binding;
struct exchange;
struct key_list;
struct properties;
struct refusal;
struct router;

struct exchange_operations {
	const char *name; /* As it is declared. */

	/* Whether an exchange may be declared with these arguments. NULL: with any. */
	bool (*check_arguments)(struct bytes arguments, struct refusal *refusal);
	/* Whether a binding may have this key and these arguments. NULL: any. */
	bool (*check_binding)(struct bytes routing_key, struct bytes arguments,
			      struct refusal *refusal);

	/* The exchange has been made, or goes; its bindings are gone by then. NULL: there is
	 * nothing to do. */
	void (*created)(struct exchange *exchange);
	void (*destroyed)(struct exchange *exchange);
	/* A binding that leaves it has been made, or goes. NULL: its place in exchange->bindings is
	 * enough. */
	void (*bound)(struct binding *binding);
	void (*unbound)(struct binding *binding);

	/* Calls route_along() for every binding that the message goes along. If anything but its
	 * keys decides, router->depends_on_headers is set, and the way is not remembered. */
	void (*choose)(struct router *router, struct exchange *exchange,
		       const struct key_list *keys, const struct properties *properties);
};

/* By enum exchange_type. */
extern const struct exchange_operations *const exchange_types[];

extern const struct exchange_operations direct_exchange, fanout_exchange, topic_exchange,
	headers_exchange, consistent_hash_exchange, modulus_hash_exchange;

#endif
