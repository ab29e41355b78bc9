/* Hash exchanges: each message goes to one of the bound queues, the same one for the same key.
 *
 * x-consistent-hash: a binding's key is its weight; of all bindings the one with the best score for
 * the message's key gets it (weighted rendezvous hashing), so that a binding that comes or goes
 * moves no keys but its own. x-modulus-hash: the bindings are numbered in the order in which they
 * were made, and the key's hash modulo their number decides. */
#include "core/exchange/hash.h"
#include "core/exchange/binding.h"
#include "core/exchange/exchange.h"
#include "core/queue/queue.h"

#include "reply.h"
#include "table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

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

bool hash_check_key(const struct exchange *x, struct bytes key, struct refusal *refusal)
{
	uint64_t weight;
	return x->type != EXCHANGE_CONSISTENT_HASH || weight_of(key, &weight) ||
	       refuse(refusal, REPLY_PRECONDITION_FAILED,
		      "The binding key must be an integer from 1 to %d: '%.*s'", WEIGHT_MAX,
		      BYTES_ARG(key));
}

bool hash_check_arguments(struct bytes arguments, struct refusal *refusal)
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

uint64_t hash_subject(const struct exchange *x, struct bytes key, const struct properties *p,
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

struct binding *hash_choose(const struct exchange *x, uint64_t subject)
{
	assert(x->type == EXCHANGE_CONSISTENT_HASH || x->type == EXCHANGE_MODULUS_HASH);
	struct binding *best = NULL;
	double lowest = 0;
	uint64_t len = 0;
	list_each (node, &x->bindings) {
		struct binding *b = list_entry(node, struct binding, in_source);
		double s = x->type == EXCHANGE_CONSISTENT_HASH ? score(b, subject) : 0;
		if (best == NULL || s < lowest) {
			best = b;
			lowest = s;
		}
		len++;
	}
	if (x->type == EXCHANGE_CONSISTENT_HASH || len == 0)
		return best;
	uint64_t chosen = subject % len;
	list_each (node, &x->bindings)
		if (chosen-- == 0)
			return list_entry(node, struct binding, in_source);
	return NULL;
}
