/* Lease: how long a consumer may have a message without settling it. Off unless a queue, a policy
 * or the consumer asks for it.
 *
 * When one ends the channel is closed with an error that says so, as RabbitMQ does: what the
 * channel has unacked goes back as failed. A consumer that needs longer says so by publishing to
 * the default exchange with routing key amq.lease.extend on the same channel (docs/extensions.md).
 */
#include "core/dispatch/lease.h"
#include "core/channel/channel.h"
#include "core/core.h"
#include "core/dispatch/consumer.h"
#include "core/dispatch/unacked.h"
#include "core/effect.h"
#include "core/line/shelf.h"
#include "core/queue/queue.h"
#include "core/state.h"
#include "core/time/timer.h"

#include "reply.h"
#include "table.h"

void lease_init(struct lease *lease, uint64_t ms)
{
	lease->ms = ms;
	list_init(&lease->deliveries);
	lease->timer.kind = TIMER_LEASE;
}

void lease_fini(struct core *core, struct lease *lease)
{
	list_each (node, &lease->deliveries)
		lease_end(list_entry(node, struct delivery, in_lease));
	timer_clear(&core->timers, &lease->timer);
}

/* All of them move by as much, so they stay in order. */
void lease_set(struct core *core, struct lease *lease, uint64_t ms)
{
	uint64_t was_ms = lease->ms;
	lease->ms = ms;
	if (ms == was_ms)
		return;
	list_each (node, &lease->deliveries) {
		struct delivery *d = list_entry(node, struct delivery, in_lease);
		d->lease_due_ms = d->lease_due_ms - was_ms + ms;
		if (ms == NEVER)
			lease_end(d);
	}
	timer_clear(&core->timers, &lease->timer);
	if (!list_is_empty(&lease->deliveries))
		timer_set(&core->timers, &lease->timer,
			  list_entry(lease->deliveries.next, struct delivery, in_lease)
				  ->lease_due_ms);
}

static void renew(struct delivery *d)
{
	struct core *core = d->channel->core;
	assert(d->lease != NULL && d->lease->ms != NEVER);
	d->lease_due_ms = core->now_ms + d->lease->ms;
	list_push_tail(&d->lease->deliveries, &d->in_lease);
	if (d->lease->timer.at == 0)
		timer_set(&core->timers, &d->lease->timer, d->lease_due_ms);
}

void lease_begin(struct delivery *d)
{
	struct lease *own = d->consumer == NULL ? NULL : &d->consumer->lease;
	list_init(&d->in_lease);
	d->lease = own != NULL && own->ms != NEVER ? own
		   : d->queue->lease.ms != NEVER   ? &d->queue->lease
						   : NULL;
	if (d->lease != NULL)
		renew(d);
}

void lease_end(struct delivery *d)
{
	list_remove(&d->in_lease);
	d->lease = NULL;
}

/* The timer may be early: the delivery that it was set for has been settled, or has got more time.
 */
void lease_is_due(struct lease *lease)
{
	while (!list_is_empty(&lease->deliveries)) {
		struct delivery *d = list_entry(lease->deliveries.next, struct delivery, in_lease);
		struct core *core = d->channel->core;
		if (d->lease_due_ms > core->now_ms) {
			timer_set(&core->timers, &lease->timer, d->lease_due_ms);
			return;
		}
		effect_push(core, EFFECT_CLOSE, d->channel->owner)->close.lease_ms = lease->ms;
		lease_end(d);
	}
}

static void extend(struct delivery *d)
{
	if (d->lease == NULL)
		return;
	list_remove(&d->in_lease);
	renew(d);
}

bool lease_extend(struct channel *ch, const struct properties *p, struct refusal *refusal)
{
	struct table_value v;
	if ((p->flags & HAS_headers) == 0 || !table_find(p->headers, "x-delivery-tag", &v)) {
		for (size_t i = 0; i < ch->deliveries.len; i++) {
			struct delivery *d = ch->deliveries
						     .slots[(ch->deliveries.first + i) &
							    (ch->deliveries.cap - 1)]
						     .delivery;
			if (d != NULL)
				extend(d);
		}
		return true;
	}
	int64_t tag;
	struct delivery *d =
		table_value_integer(&v, &tag) && tag > 0 ? delivery_find(ch, (uint64_t)tag) : NULL;
	if (d == NULL)
		return refuse(refusal, REPLY_PRECONDITION_FAILED,
			      "unknown delivery tag in a request to extend a lease");
	extend(d);
	return true;
}
