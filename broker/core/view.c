#include "core/view.h"

#include "core/admin.h"
#include "core/channel/channel.h"
#include "core/channel/connection.h"
#include "core/dispatch/consumer.h"
#include "core/dispatch/unacked.h"
#include "core/exchange/binding.h"
#include "core/exchange/exchange.h"
#include "core/exchange/route.h"
#include "core/line/fifo.h"
#include "core/line/shelf.h"
#include "core/queue/queue.h"
#include "core/state.h"
#include "core/topology/declare_exchange.h"
#include "core/vhost/vhost.h"

#include "base/alloc.h"

#include <stdlib.h>

/* --- what is said of each --- */

static struct policy_info holding(const struct vhost *vhost, enum policy_object object,
				  struct bytes arguments, struct bytes name)
{
	const struct policy *p, *o;
	struct policy_info i = { 0 };
	policy_holding(vhost, object, arguments, name, &p, &o);
	if (p != NULL) {
		i.name = p->name;
		i.definition = p->definition;
	}
	if (o != NULL) {
		i.operator_name = o->name;
		i.operator_definition = o->definition;
	}
	return i;
}

static struct queue_info of_queue(const struct queue *q)
{
	struct queue_info i = {
		.vhost = q->vhost->name,
		.name = q->name,
		.arguments = q->arguments,
		.policy = holding(q->vhost, POLICY_QUEUES, q->arguments, q->name),
		.is_durable = q->is_durable,
		.is_auto_delete = q->is_auto_delete,
		.is_exclusive = q->owner != NULL,
		.is_system = q->is_delaying,
		.is_single_active = q->settings.is_single_active,
		.has_exclusive_consumer = q->is_exclusive_consumer,
		.max_priority = q->settings.max_priority,
		.ready = queue_counted(q),
		.ready_bytes = queue_counted_bytes(q),
		.held = q->shelf.held.len,
		.waiting = q->shelf.len - q->shelf.ready.len - q->shelf.held.len,
		.unacked = q->unacked_len,
		.consumers = q->consumers_len,
		.used_ms = q->used_ms,
		.owner = q->owner == NULL ? NULL : q->owner->owner,
		.stats = q->stats,
	};
	if (q->settings.is_single_active && q->active != NULL) {
		i.active_tag = q->active->tag;
		i.active_owner = q->active->channel->owner;
	}
	return i;
}

static struct exchange_info of_exchange(const struct exchange *x)
{
	return (struct exchange_info){
		.vhost = x->vhost->name,
		.name = x->name,
		.type = exchange_declared_type(x),
		.arguments = x->arguments,
		.policy = holding(x->vhost, POLICY_EXCHANGES, x->arguments, x->name),
		.is_durable = x->is_durable,
		.is_auto_delete = x->is_auto_delete,
		.is_internal = x->is_internal,
		.is_predeclared = x->is_predeclared,
		.publish_in = x->publish_in,
		.publish_out = x->publish_out,
	};
}

static struct binding_info of_binding(const struct binding *b)
{
	return (struct binding_info){
		.vhost = b->source->vhost->name,
		.source = b->source->name,
		.destination = b->queue != NULL ? b->queue->name : b->exchange->name,
		.is_to_exchange = b->queue == NULL,
		.is_kept = b->id != 0,
		.routing_key = b->routing_key,
		.arguments = b->arguments,
	};
}

static struct channel_info of_channel(const struct channel *ch)
{
	return (struct channel_info){
		.owner = ch->owner,
		.vhost = ch->connection->vhost->name,
		.user = ch->connection->user,
		.is_confirm = ch->mode == CHANNEL_CONFIRM,
		.is_tx = ch->mode == CHANNEL_TX,
		.prefetch = ch->prefetch,
		.global_prefetch = ch->limit,
		.consumers = ch->consumers.len,
		.unacked = ch->deliveries.alive,
		.unconfirmed = ch->published - ch->confirmed,
		.uncommitted = ch->tx_publishes_len,
		.uncommitted_acks = ch->tx_settles_len,
		.confirmed = ch->confirmed,
		.returned = ch->returned,
		.dropped = ch->dropped,
		.stats = ch->stats,
	};
}

static struct consumer_info of_consumer(const struct consumer *c)
{
	const struct queue *q = c->queue;
	bool is_single = q->settings.is_single_active;
	return (struct consumer_info){
		.owner = c->channel->owner,
		.vhost = q->vhost->name,
		.queue = q->name,
		.tag = c->tag,
		.is_no_ack = c->is_no_ack,
		.is_exclusive = q->is_exclusive_consumer,
		.is_active = !is_single || q->active == c,
		.is_single = is_single && q->active == c,
		.prefetch = c->prefetch,
		.unacked = c->unacked_len,
		.priority = c->level->priority,
		.arguments = c->arguments,
	};
}

/* --- lists --- */

struct view {
	struct walk walk;
	struct core *core;
	enum view_of of;
	bool is_of_vhost;
	struct bytes vhost; /* Owned. */
};

struct visit {
	const struct view *view;
	void (*visit)(void *arg, const void *info);
	void *arg;
};

static struct list *outer_list(const struct view *v)
{
	switch (v->of) {
	case VIEW_QUEUES:
	case VIEW_CONSUMERS: return &v->core->queues;
	case VIEW_EXCHANGES:
	case VIEW_BINDINGS: return &v->core->exchanges;
	case VIEW_CHANNELS: break;
	}
	return &v->core->connections;
}

static bool is_wanted(const struct view *v, const struct vhost *vhost)
{
	return !v->is_of_vhost || bytes_equal(v->vhost, vhost->name);
}

/* Of an object of the outer list the inner one; NULL: there is none, it has been visited itself or
 * is not wanted. */
static struct list *look_at_outer(const struct visit *visit, struct list *node)
{
	const struct view *v = visit->view;
	if (v->of == VIEW_QUEUES || v->of == VIEW_CONSUMERS) {
		struct queue *q = list_entry(node, struct queue, in_core);
		if (!is_wanted(v, q->vhost) || v->of == VIEW_CONSUMERS)
			return is_wanted(v, q->vhost) ? &q->consumers : NULL;
		struct queue_info info = of_queue(q);
		visit->visit(visit->arg, &info);
	} else if (v->of == VIEW_CHANNELS) {
		struct connection *c = list_entry(node, struct connection, in_core);
		return is_wanted(v, c->vhost) ? &c->channels : NULL;
	} else {
		struct exchange *x = list_entry(node, struct exchange, in_core);
		if (!is_wanted(v, x->vhost) || v->of == VIEW_BINDINGS)
			return is_wanted(v, x->vhost) ? &x->bindings : NULL;
		struct exchange_info info = of_exchange(x);
		visit->visit(visit->arg, &info);
	}
	return NULL;
}

static void look_at_inner(const struct visit *visit, struct list *node)
{
	if (visit->view->of == VIEW_BINDINGS) {
		struct binding_info info = of_binding(list_entry(node, struct binding, in_source));
		visit->visit(visit->arg, &info);
	} else if (visit->view->of == VIEW_CHANNELS) {
		struct channel_info info =
			of_channel(list_entry(node, struct channel, in_connection));
		visit->visit(visit->arg, &info);
	} else {
		struct consumer_info info =
			of_consumer(list_entry(node, struct consumer, in_queue));
		visit->visit(visit->arg, &info);
	}
}

/* Where the inner list of the outer object begins and ends. */
static struct list *inner_head(const struct view *v)
{
	struct list *node = v->walk.outer;
	if (v->of == VIEW_BINDINGS)
		return &list_entry(node, struct exchange, in_core)->bindings;
	if (v->of == VIEW_CHANNELS)
		return &list_entry(node, struct connection, in_core)->channels;
	return &list_entry(node, struct queue, in_core)->consumers;
}

/* One object. */
static void step(struct view *v, const struct visit *visit)
{
	struct walk *w = &v->walk;
	if (w->inner == NULL) {
		struct list *inner = look_at_outer(visit, w->outer);
		if (inner == NULL)
			w->outer = w->outer->next;
		else
			w->inner = inner->next;
	} else if (w->inner == inner_head(v)) {
		w->inner = NULL;
		w->outer = w->outer->next;
	} else {
		look_at_inner(visit, w->inner);
		w->inner = w->inner->next;
	}
}

struct view *view_open(struct core *core, enum view_of of, const struct bytes *vhost)
{
	struct view *v = alloc_zeroed(sizeof *v);
	v->core = core;
	v->of = of;
	v->is_of_vhost = vhost != NULL;
	if (vhost != NULL)
		v->vhost = alloc_copy(*vhost);
	v->walk.outer = outer_list(v)->next;
	list_push_tail(&core->walks, &v->walk.in_walks);
	return v;
}

void view_close(struct view *v)
{
	if (v == NULL)
		return;
	list_remove(&v->walk.in_walks);
	free((void *)v->vhost.data);
	free(v);
}

bool view_next(struct view *v, size_t budget, void (*visit)(void *arg, const void *info), void *arg)
{
	const struct visit how = { v, visit, arg };
	const struct list *end = outer_list(v);
	for (; budget > 0 && v->walk.outer != end; budget--)
		step(v, &how);
	return v->walk.outer != end;
}

/* --- one --- */

bool view_queue(const struct vhost *vhost, struct bytes name, struct queue_info *info)
{
	const struct queue *q = map_get(&vhost->queues, name);
	if (q != NULL)
		*info = of_queue(q);
	return q != NULL;
}

bool view_exchange(const struct vhost *vhost, struct bytes name, struct exchange_info *info)
{
	const struct exchange *x = map_get(&vhost->exchanges, name);
	if (x != NULL)
		*info = of_exchange(x);
	return x != NULL;
}

/* --- messages --- */

/* The lowest positions so far, in order. */
struct lowest {
	struct message_info *items;
	size_t len;
	size_t max;
	uint64_t from;
};

static void offer(struct lowest *l, const struct message_info *info)
{
	if (info->position < l->from ||
	    (l->len == l->max && info->position >= l->items[l->len - 1].position))
		return;
	size_t at = l->len == l->max ? l->len - 1 : l->len++;
	for (; at > 0 && l->items[at - 1].position > info->position; at--)
		l->items[at] = l->items[at - 1];
	l->items[at] = *info;
}

static void set_slot(struct message_info *info, uint64_t slot)
{
	if (slot_is_on_disk(slot))
		info->location = slot_location(slot);
	else
		info->message = slot_message(slot);
}

static void offer_shelf(const struct queue *q, struct lowest *l)
{
	static const enum message_place places[] = {
		[SHELF_READY] = MESSAGE_READY,
		[SHELF_WAITING] = MESSAGE_WAITING,
		[SHELF_HELD] = MESSAGE_HELD,
		[SHELF_DYING] = MESSAGE_DYING,
	};
	for (const struct shelf_item *i = NULL; (i = shelf_next(&q->shelf, i)) != NULL;) {
		struct message_info info = { .position = i->position,
					     .place = places[i->state],
					     .queue_id = q->id,
					     .failed = i->count,
					     .is_delivered = i->is_delivered,
					     .until_ms = i->until_ms };
		set_slot(&info, i->slot);
		offer(l, &info);
	}
}

/* Positions only grow: what is behind the last one that is wanted need not be looked at. */
static void offer_fifo(const struct queue *q, struct lowest *l)
{
	for (const struct fifo_chunk *c = NULL; (c = fifo_next_chunk(&q->fifo, c)) != NULL;) {
		if (c->base + c->len <= l->from)
			continue;
		if (l->len == l->max && c->base > l->items[l->len - 1].position)
			return;
		for (uint32_t i = c->first; i < c->len; i++) {
			struct message_info info = { .position = c->base + i, .queue_id = q->id };
			if (c->slots[i] == 0)
				continue;
			set_slot(&info, c->slots[i]);
			offer(l, &info);
		}
	}
}

static void offer_unacked(const struct queue *q, struct lowest *l)
{
	list_each (node, &q->unacked) {
		const struct delivery *d = list_entry(node, struct delivery, in_queue);
		struct message_info info = { .position = d->position,
					     .place = MESSAGE_UNACKED,
					     .message = d->message,
					     .failed = d->count,
					     .is_delivered = true,
					     .owner = d->channel->owner,
					     .delivery_tag = d->tag };
		if (d->consumer != NULL)
			info.tag = d->consumer->tag;
		offer(l, &info);
	}
}

size_t view_messages(const struct vhost *vhost, struct bytes queue, uint64_t from,
		     struct message_info *out, size_t max, uint64_t *hidden)
{
	const struct queue *q = map_get(&vhost->queues, queue);
	struct lowest l = { .items = out, .max = max, .from = from };
	*hidden = 0;
	if (q == NULL || max == 0)
		return 0;
	*hidden = q->fifo.middle.len;
	offer_shelf(q, &l);
	offer_unacked(q, &l);
	offer_fifo(q, &l);
	return l.len;
}

bool view_route(struct channel *ch, const struct message *m, const struct properties *properties,
		void (*visit)(void *arg, struct bytes queue), void *arg)
{
	struct exchange *x = exchange_find(ch->connection->vhost, message_exchange(m));
	size_t len = 0;
	if (x == NULL)
		return false;
	struct queue **queues = route(ch->core, x, m, properties, &len);
	for (size_t i = 0; i < len; i++)
		visit(arg, queues[i]->name);
	return true;
}

/* --- all of a virtual host, in one go --- */

bool core_next_queue(const struct vhost *vhost, size_t *at, struct queue_info *info)
{
	const struct map_entry *e = map_next(&vhost->queues, at);
	if (e != NULL)
		*info = of_queue(e->value);
	return e != NULL;
}

bool core_next_exchange(const struct vhost *vhost, size_t *at, struct exchange_info *info)
{
	const struct map_entry *e = map_next(&vhost->exchanges, at);
	if (e != NULL)
		*info = of_exchange(e->value);
	return e != NULL;
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
		*info = of_binding(list_entry(cursor->node, struct binding, in_source));
		return true;
	}
	return false;
}
