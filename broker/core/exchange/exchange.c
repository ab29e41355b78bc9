/* Exchanges and the bindings that leave them. */
#include "core/exchange/exchange.h"
#include "core/exchange/binding.h"
#include "core/exchange/match.h"
#include "core/exchange/route.h"
#include "core/exchange/topic.h"
#include "core/queue/queue.h"
#include "core/state.h"
#include "core/vhost/settings.h"

#include "base/alloc.h"
#include "table.h"

#include <stdlib.h>

static const char *const type_names[] = {
	[EXCHANGE_DIRECT] = "direct",
	[EXCHANGE_FANOUT] = "fanout",
	[EXCHANGE_TOPIC] = "topic",
	[EXCHANGE_HEADERS] = "headers",
	[EXCHANGE_CONSISTENT_HASH] = "x-consistent-hash",
	[EXCHANGE_MODULUS_HASH] = "x-modulus-hash",
};

const char *exchange_type_name(enum exchange_type type)
{
	return type_names[type];
}

bool exchange_type_find(struct bytes name, enum exchange_type *type)
{
	for (size_t i = 0; i < sizeof type_names / sizeof *type_names; i++)
		if (bytes_equal_str(name, type_names[i])) {
			*type = (enum exchange_type)i;
			return true;
		}
	return false;
}

struct exchange *exchange_create(struct vhost *vhost, struct bytes name, enum exchange_type type)
{
	uint64_t seed = vhost->core->options.hash_seed;
	struct exchange *x = alloc_zeroed(sizeof *x);
	x->vhost = vhost;
	x->name = name.len == 0 ? bytes_str("") : alloc_copy(name);
	x->type = type;
	list_init(&x->bindings);
	list_init(&x->inbound);
	map_init(&x->identities, seed);
	map_init(&x->keys, seed);
	map_init(&x->memo, seed);
	x->topic = type == EXCHANGE_TOPIC ? topic_create(seed) : NULL;
	map_put(&vhost->exchanges, x->name, x);
	vhost->core->exchanges_len++;
	vhost->core->topology++;
	return x;
}

void exchange_destroy(struct exchange *x)
{
	assert(list_is_empty(&x->bindings) && list_is_empty(&x->inbound));
	dedup_forget(x->vhost->core, &x->dedup);
	map_remove(&x->vhost->exchanges, x->name);
	x->vhost->core->exchanges_len--;
	x->vhost->core->topology++;
	route_memo_clear(x);
	map_fini(&x->memo);
	map_fini(&x->keys);
	map_fini(&x->identities);
	topic_destroy(x->topic);
	if (x->name.len > 0)
		free((void *)x->name.data);
	free((void *)x->arguments.data);
	free(x);
}

/* --- bindings --- */

struct bytes binding_identity(struct writer *buffer, char kind, struct bytes destination,
			      struct bytes routing_key, struct bytes arguments)
{
	uint8_t *start = buffer->at;
	write_u8(buffer, (uint8_t)kind);
	write_shortstr(buffer, destination);
	write_shortstr(buffer, routing_key);
	write_bytes(buffer, arguments);
	assert(!buffer->failed);
	return bytes_of(start, (size_t)(buffer->at - start));
}

bool headers_match_parse(struct bytes arguments, enum headers_match *match)
{
	static const char *const names[] = {
		[MATCH_ALL] = "all",
		[MATCH_ANY] = "any",
		[MATCH_ALL_WITH_X] = "all-with-x",
		[MATCH_ANY_WITH_X] = "any-with-x",
	};
	struct table_value value;
	*match = MATCH_ALL;
	if (!table_find(arguments, "x-match", &value))
		return true;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (table_value_is_text(&value, names[i])) {
			*match = (enum headers_match)i;
			return true;
		}
	return false;
}

struct binding *binding_find(const struct exchange *source, struct bytes identity)
{
	return map_get(&source->identities, identity);
}

static void index_add(struct binding *b)
{
	struct exchange *x = b->source;
	if (x->type == EXCHANGE_TOPIC) {
		topic_add(x->topic, b->routing_key, b);
	} else if (x->type == EXCHANGE_DIRECT) {
		struct binding *first = map_get(&x->keys, b->routing_key);
		if (first == NULL) {
			map_put(&x->keys, b->routing_key, b);
		} else { /* Second in the chain: the map's key stays where it is. */
			b->same_key = first->same_key;
			first->same_key = b;
		}
	}
}

static void index_remove(struct binding *b)
{
	struct exchange *x = b->source;
	if (x->type == EXCHANGE_TOPIC) {
		topic_remove(x->topic, b->routing_key, b);
	} else if (x->type == EXCHANGE_DIRECT) {
		struct binding *first = map_get(&x->keys, b->routing_key);
		if (first == b) {
			map_remove(&x->keys, b->routing_key);
			if (b->same_key != NULL)
				map_put(&x->keys, b->same_key->routing_key, b->same_key);
			return;
		}
		while (first->same_key != b)
			first = first->same_key;
		first->same_key = b->same_key;
	}
}

struct binding *binding_create(struct exchange *source, struct queue *queue,
			       struct exchange *exchange, struct bytes identity)
{
	assert((queue == NULL) != (exchange == NULL));
	struct binding *b = alloc_zeroed(sizeof *b);
	b->source = source;
	b->queue = queue;
	b->exchange = exchange;
	b->identity = alloc_copy(identity);
	struct reader r = reader_of(b->identity.data + 1, b->identity.len - 1);
	read_shortstr(&r);
	b->routing_key = read_shortstr(&r);
	b->arguments = bytes_of(r.at, reader_left(&r));
	headers_match_parse(b->arguments, &b->match);
	if (source->type == EXCHANGE_HEADERS)
		match_bind(b);
	map_put(&source->identities, b->identity, b);
	list_push_tail(&source->bindings, &b->in_source);
	list_push_tail(queue != NULL ? &queue->inbound : &exchange->inbound, &b->in_destination);
	index_add(b);
	source->vhost->core->bindings_len++;
	source->vhost->core->topology++;
	return b;
}

void binding_destroy(struct binding *b)
{
	index_remove(b);
	map_remove(&b->source->identities, b->identity);
	list_remove(&b->in_source);
	list_remove(&b->in_destination);
	b->source->vhost->core->bindings_len--;
	b->source->vhost->core->topology++;
	free((void *)b->identity.data);
	free(b->wanted.items);
	free(b);
}
