/* Bindings of all types of exchanges. */
#include "core/exchange/binding.h"
#include "core/exchange/exchange.h"
#include "core/exchange/type.h"
#include "core/queue/queue.h"
#include "core/state.h"

#include "base/alloc.h"

#include <stdlib.h>

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

struct binding *binding_find(const struct exchange *source, struct bytes identity)
{
	return map_get(&source->identities, identity);
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
	map_put(&source->identities, b->identity, b);
	list_push_tail(&source->bindings, &b->in_source);
	list_push_tail(queue != NULL ? &queue->inbound : &exchange->inbound, &b->in_destination);
	if (exchange_types[source->type]->bound != NULL)
		exchange_types[source->type]->bound(b);
	source->vhost->core->bindings_len++;
	source->vhost->topology++;
	return b;
}

void binding_destroy(struct binding *b)
{
	if (exchange_types[b->source->type]->unbound != NULL)
		exchange_types[b->source->type]->unbound(b);
	map_remove(&b->source->identities, b->identity);
	walks_leave(&b->source->vhost->core->walks, &b->in_source);
	list_remove(&b->in_source);
	list_remove(&b->in_destination);
	b->source->vhost->core->bindings_len--;
	b->source->vhost->topology++;
	free((void *)b->identity.data);
	free(b->wanted.items);
	free(b);
}
