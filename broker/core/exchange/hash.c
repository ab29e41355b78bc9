/* Hash exchanges: each message goes to one of the bound queues, the same one for the same key.
 *
 * x-consistent-hash: a binding's key is its weight; of all bindings the one with the best score for
 * the message's key gets it (weighted rendezvous hashing), so that a binding that comes or goes
 * moves no keys but its own. x-modulus-hash: the bindings are numbered in the order in which they
 * were made, and the key's hash modulo their number decides. */
#include "core/exchange/binding.h"
#include "core/exchange/exchange.h"
#include "core/exchange/route.h"
#include "core/exchange/type.h"
#include "core/queue/queue.h"

#include "reply.h"
#include "table.h"

#include <math.h>

enum { WEIGHT_MAX = 1000000 };

/* FNV-1a with a finalizer; the same in every process, since keys must not move at a restart. */
static uint64_t hash_of(uint64_t h, struct bytes b)
{
	for (size_t i = 0; i < b.len; i++)
		h = (h ^ b.data[i]) * 0x100000001b3u;
	h ^= h >> 33;
	h *= 0xff51afd7ed558ccdu;
	h ^= h >> 33;
	h *= 0xc4ceb9fe1a85ec53u;
	return h ^ h >> 33;
}

static uint64_t hash_begin(struct bytes b)
{
	return hash_of(0xcbf29ce484222325u, b);
}

static bool weight_of(struct bytes key, uint64_t *weight)
{
	*weight = 0;
	for (size_t i = 0; i < key.len; i++) {
		if (key.data[i] < '0' || key.data[i] > '9' || *weight > WEIGHT_MAX)
			return false;
		*weight = *weight * 10 + (uint64_t)(key.data[i] - '0');
	}
	return *weight > 0 && *weight <= WEIGHT_MAX;
}

/* The binding key is a weight. */
static bool check_weight(struct bytes key, struct bytes arguments, struct refusal *refusal)
{
	uint64_t weight;
	(void)arguments;
	return weight_of(key, &weight) ||
	       refuse(refusal, REPLY_PRECONDITION_FAILED,
		      "The binding key must be an integer from 1 to %d: '%.*s'", WEIGHT_MAX,
		      BYTES_ARG(key));
}

static bool check_arguments(struct bytes arguments, struct refusal *refusal)
{
	struct table_value header, property;
	bool has_header = table_find(arguments, "hash-header", &header);
	if (!table_find(arguments, "hash-property", &property))
		return true;
	if (has_header)
		return refuse(refusal, REPLY_PRECONDITION_FAILED,
			      "hash-header and hash-property are mutually exclusive");
	if (table_value_is_text(&property, "message_id") ||
	    table_value_is_text(&property, "correlation_id") ||
	    table_value_is_text(&property, "timestamp"))
		return true;
	return refuse(refusal, REPLY_PRECONDITION_FAILED,
		      "Unsupported property for hash-property: expected message_id, correlation_id "
		      "or timestamp");
}

static uint64_t hash_of_property(struct bytes name, const struct properties *p)
{
	uint8_t timestamp[8];
	if (bytes_equal_str(name, "message_id"))
		return hash_begin(p->message_id);
	if (bytes_equal_str(name, "correlation_id"))
		return hash_begin(p->correlation_id);
	store_u64(timestamp, p->timestamp);
	return hash_begin(bytes_of(timestamp, sizeof timestamp));
}

/* What of the message decides, hashed. */
static uint64_t subject_of(const struct exchange *x, struct bytes key, const struct properties *p,
			   bool *depends_on_headers)
{
	struct table_value v;
	struct bytes rest = p->headers, name, found;
	if (table_find_string(x->arguments, "hash-header", &name)) {
		*depends_on_headers = true;
		while (table_next(&rest, &found, &v))
			if (bytes_equal(found, name))
				return hash_begin(v.raw);
		return hash_begin(bytes_of(NULL, 0));
	}
	if (table_find_string(x->arguments, "hash-property", &name)) {
		*depends_on_headers = true;
		return hash_of_property(name, p);
	}
	return hash_begin(key);
}

/* The lower the better: the time until the first of `weight` events, the dice being the hash of
 * binding and key. */
static double score(const struct binding *b, uint64_t subject)
{
	uint64_t weight;
	weight_of(b->routing_key, &weight);
	uint64_t h = hash_of(subject, b->queue != NULL ? b->queue->name : b->exchange->name);
	return -log(((double)(h >> 11) + 0.5) * 0x1p-53) / (double)weight;
}

/* All exchanges that spread messages choose by the routing key alone: a copy more does not make two
 * messages of one. */
static void choose_best(struct router *router, struct exchange *x, const struct key_list *keys,
			const struct properties *p)
{
	uint64_t subject = subject_of(x, keys->routing_key, p, &router->depends_on_headers);
	struct binding *best = NULL;
	double lowest = 0;
	list_each (node, &x->bindings) {
		struct binding *b = list_entry(node, struct binding, in_source);
		double s = score(b, subject);
		if (best == NULL || s < lowest) {
			best = b;
			lowest = s;
		}
	}
	if (best != NULL)
		route_along(router, best);
}

static void choose_modulo(struct router *router, struct exchange *x, const struct key_list *keys,
			  const struct properties *p)
{
	uint64_t subject = subject_of(x, keys->routing_key, p, &router->depends_on_headers);
	if (x->identities.len == 0)
		return;
	uint64_t chosen = subject % x->identities.len;
	struct list *node = x->bindings.next;
	for (; chosen > 0; chosen--)
		node = node->next;
	route_along(router, list_entry(node, struct binding, in_source));
}

const struct exchange_operations consistent_hash_exchange = {
	.name = "x-consistent-hash",
	.check_arguments = check_arguments,
	.check_binding = check_weight,
	.choose = choose_best,
};

const struct exchange_operations modulus_hash_exchange = {
	.name = "x-modulus-hash",
	.check_arguments = check_arguments,
	.choose = choose_modulo,
};
