/* View: what there is in a virtual host, for operators. */
#include "core/admin.h"
#include "core/channel/connection.h"
#include "core/dispatch/consumer.h"
#include "core/exchange/binding.h"
#include "core/exchange/exchange.h"
#include "core/queue/queue.h"
#include "core/state.h"
#include "core/topology/declare_exchange.h"
#include "core/vhost/vhost.h"

bool core_next_queue(const struct vhost *vhost, size_t *at, struct queue_info *info)
{
	const struct map_entry *e = map_next(&vhost->queues, at);
	if (e == NULL)
		return false;
	const struct queue *q = e->value;
	*info = (struct queue_info){
		.name = q->name,
		.arguments = q->arguments,
		.policy = policy_name(vhost, POLICY_QUEUES, q->arguments, q->name),
		.is_durable = q->is_durable,
		.is_auto_delete = q->is_auto_delete,
		.is_exclusive = q->owner != NULL,
		.is_system = q->is_delaying,
		.ready = queue_ready(q),
		.ready_bytes = queue_ready_bytes(q),
		.waiting = q->shelf.len - q->shelf.ready_len,
		.unacked = q->unacked_len,
		.consumers = q->consumers_len,
	};
	return true;
}

bool core_next_exchange(const struct vhost *vhost, size_t *at, struct exchange_info *info)
{
	const struct map_entry *e = map_next(&vhost->exchanges, at);
	if (e == NULL)
		return false;
	const struct exchange *x = e->value;
	*info = (struct exchange_info){
		.name = x->name,
		.type = exchange_declared_type(x),
		.arguments = x->arguments,
		.policy = policy_name(vhost, POLICY_EXCHANGES, x->arguments, x->name),
		.is_durable = x->is_durable,
		.is_auto_delete = x->is_auto_delete,
		.is_internal = x->is_internal,
		.is_predeclared = x->is_predeclared,
	};
	return true;
}

/* The exchange that the cursor stands at, or the next one. */
static const struct exchange *exchange_at(const struct vhost *vhost, struct binding_cursor *cursor)
{
	if (cursor->exchange == NULL) {
		const struct map_entry *e = map_next(&vhost->exchanges, &cursor->at);
		cursor->exchange = e == NULL ? NULL : e->value;
		cursor->node = e == NULL ? NULL : &cursor->exchange->bindings;
	}
	return cursor->exchange;
}

bool core_next_binding(const struct vhost *vhost, struct binding_cursor *cursor,
		       struct binding_info *info)
{
	const struct exchange *x;
	while ((x = exchange_at(vhost, cursor)) != NULL) {
		cursor->node = cursor->node->next;
		if (cursor->node == &x->bindings) {
			cursor->exchange = NULL;
			continue;
		}
		const struct binding *b = list_entry(cursor->node, struct binding, in_source);
		*info = (struct binding_info){
			.source = x->name,
			.destination = b->queue != NULL ? b->queue->name : b->exchange->name,
			.is_to_exchange = b->queue == NULL,
			.is_kept = b->id != 0,
			.routing_key = b->routing_key,
			.arguments = b->arguments,
		};
		return true;
	}
	return false;
}
