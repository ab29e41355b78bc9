/* Bind: what bindings a peer makes and takes away. */
#include "core/topology/bind.h"
#include "core/channel/connection.h"
#include "core/check/check.h"
#include "core/exchange/binding.h"
#include "core/exchange/exchange.h"
#include "core/exchange/type.h"
#include "core/inputs.h"
#include "core/queue/queue.h"
#include "core/record/definitions.h"
#include "core/state.h"
#include "core/topology/answer.h"
#include "core/topology/declare_exchange.h"
#include "core/vhost/vhost.h"

#include "base/alloc.h"

#include <stdlib.h>

/* Drops a binding; an auto-delete source goes with the last one that leaves it. */
void binding_drop(struct binding *b)
{
	struct exchange *source = b->source;
	if (b->id != 0)
		durable_binding(b, true);
	binding_destroy(b);
	if (source->is_auto_delete && list_is_empty(&source->bindings))
		exchange_delete(source);
}

void bindings_drop_to(struct list *inbound)
{
	while (!list_is_empty(inbound))
		binding_drop(list_entry(inbound->next, struct binding, in_destination));
}

static bool check_by_type(const struct exchange *source, const struct bind *b,
			  struct refusal *refusal)
{
	const struct exchange_operations *type = exchange_types[source->type];
	return type->check_binding == NULL ||
	       type->check_binding(b->routing_key, b->arguments, refusal);
}

struct ends {
	struct exchange *source;
	struct queue *queue;
	struct exchange *exchange;
};

static bool find_ends(const struct connection *connection, const struct bind *b, struct ends *ends,
		      struct refusal *refusal)
{
	const struct vhost *vhost = connection->vhost;
	if (!exchange_check_not_default(b->source, refusal) ||
	    (b->is_to_exchange && !exchange_check_not_default(b->destination, refusal)))
		return false;
	*ends = (struct ends){ .source = exchange_find(vhost, b->source) };
	if (ends->source == NULL)
		return refuse_not_found("exchange", b->source, vhost, refusal);
	if (!b->is_to_exchange) {
		ends->queue = queue_find_allowed(connection, b->destination, refusal);
		if (ends->queue != NULL && ends->queue->is_delaying)
			return refuse(refusal, REPLY_ACCESS_REFUSED,
				      "cannot bind system queue '%.*s' in vhost '%.*s'",
				      BYTES_ARG(b->destination), BYTES_ARG(vhost->name));
		return ends->queue != NULL;
	}
	ends->exchange = exchange_find(vhost, b->destination);
	return ends->exchange != NULL ||
	       refuse_not_found("exchange", b->destination, vhost, refusal);
}

static struct binding *existing(const struct ends *ends, const struct bind *b, uint8_t *buffer,
				size_t size, struct bytes *identity)
{
	struct writer w = writer_of(buffer, size);
	*identity = binding_identity(&w, b->is_to_exchange ? 'e' : 'q', b->destination,
				     b->routing_key, b->arguments);
	return binding_find(ends->source, *identity);
}

static size_t identity_size(const struct bind *b)
{
	return BINDING_IDENTITY_OVERHEAD + b->destination.len + b->routing_key.len +
	       b->arguments.len;
}

bool core_bind(struct connection *connection, const struct bind *b, struct refusal *refusal)
{
	CHECKED_INPUT(connection->core);
	struct core *core = connection->core;
	struct ends ends;
	if (!find_ends(connection, b, &ends, refusal) || !check_by_type(ends.source, b, refusal))
		return false;
	size_t size = identity_size(b);
	uint8_t *buffer = alloc_resize(NULL, size);
	struct bytes identity;
	struct binding *binding = existing(&ends, b, buffer, size, &identity);
	bool is_new = binding == NULL, has_room = core->bindings_len < core->options.bindings_max;
	if (is_new && has_room) {
		binding = binding_create(ends.source, ends.queue, ends.exchange, identity);
		bool is_kept = ends.queue != NULL ? ends.queue->id != 0 : ends.exchange->is_durable;
		if (ends.source->is_durable && is_kept)
			durable_binding(binding, false);
	}
	free(buffer);
	core->awaited = binding == NULL ? 0 : binding->defined;
	return !is_new || has_room ||
	       refuse(refusal, REPLY_PRECONDITION_FAILED,
		      "cannot bind: binding limit (%u) is reached", core->options.bindings_max);
}

/* What is not there need not be removed: that succeeds, as in RabbitMQ. */
bool core_unbind(struct connection *connection, const struct bind *b, struct refusal *refusal)
{
	CHECKED_INPUT(connection->core);
	struct ends ends;
	if (!find_ends(connection, b, &ends, refusal)) {
		if (refusal->code != REPLY_NOT_FOUND)
			return false;
		*refusal = (struct refusal){ 0 };
		connection->core->awaited = connection->core->removed;
		return true;
	}
	size_t size = identity_size(b);
	uint8_t *buffer = alloc_resize(NULL, size);
	struct bytes identity;
	struct binding *binding = existing(&ends, b, buffer, size, &identity);
	free(buffer);
	if (binding != NULL)
		binding_drop(binding);
	connection->core->awaited = connection->core->removed;
	return true;
}
