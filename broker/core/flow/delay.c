/* Delay: messages that are routed later. They wait in a queue of their own, `amq.delayed`, one to a
 * virtual host, where they can be looked at and taken out like those of any other queue; when their
 * time comes they leave it, and arrive, in one transaction. */
#include "core/flow/delay.h"
#include "core/flow/deadletter.h"
#include "core/flow/publish.h"
#include "core/flow/room.h"
#include "core/flow/tend.h"
#include "core/message/expiration.h"
#include "core/message/headers.h"
#include "core/message/message.h"
#include "core/queue/queue.h"
#include "core/record/definitions.h"
#include "core/state.h"
#include "core/topology/apply.h"
#include "core/topology/lifetime.h"
#include "core/vhost/vhost.h"

#include "table.h"

#include <stdlib.h>

const char delay_queue[] = "amq.delayed";

/* A delay that has been served has its sign turned, as RabbitMQ's plugin does: it is not served
 * again by the next exchange. */
uint64_t delay_wanted_ms(const struct headers *h)
{
	int64_t ms;
	return table_value_integer(&h->delay, &ms) && ms > 0 ? (uint64_t)ms : 0;
}

static struct queue *delayed_queue(struct vhost *vhost)
{
	if (vhost->delayed != NULL)
		return vhost->delayed;
	struct queue *q = queue_create(vhost, bytes_str(delay_queue));
	q->is_durable = q->is_delaying = true;
	queue_set_arguments(q, bytes_of(NULL, 0));
	durable_queue(q, false);
	vhost->delayed = q;
	return q;
}

bool delay_begin(struct vhost *vhost, struct message *message, uint64_t delay_ms)
{
	struct core *core = vhost->core;
	struct queue *q = delayed_queue(vhost);
	uint64_t latest = (uint64_t)INT64_MAX - core->now_ms;
	message->expires_ms = core->now_ms + (delay_ms < latest ? delay_ms : latest);
	return message_enqueue(core, message, &q, 1);
}

/* The message as it is routed: its delay served, its own time to live beginning now. NULL if there
 * is no memory for it. */
static struct message *released(struct core *core, const struct message *message,
				const struct properties *p)
{
	struct properties new = *p;
	struct bytes rest = p->headers, name;
	struct table_value v;
	int64_t ms;
	enum { ROOM = 32 }; /* The delay may come to need a wider integer. */
	size_t size = p->headers.len + ROOM;
	uint8_t *headers = size < ROOM ? NULL : malloc(size);
	if (headers == NULL)
		return NULL;
	struct writer w = writer_of(headers, size);
	while (table_next(&rest, &name, &v))
		if (!bytes_equal_str(name, "x-delay") || !table_value_integer(&v, &ms))
			table_write_value(&w, name, &v);
		else if (ms <= INT32_MAX)
			table_write_int(&w, "x-delay", (int32_t)-ms);
		else
			table_write_long(&w, "x-delay", -ms);
	assert(!w.failed);
	new.headers = bytes_of(headers, (size_t)(w.at - headers));
	struct message *m = message_remake(&core->messages, message, message_exchange(message),
					   message_routing_key(message), &new);
	free(headers);
	if (m == NULL)
		return NULL;
	m->time_ms = core->now_ms;
	m->expires_ms = p->flags & HAS_expiration ? core->now_ms + expiration_ms(p->expiration) : 0;
	return m;
}

/* Takes the reference unless a queue refuses the message: it has been confirmed, so it must not be
 * lost. */
static bool route_released(struct core *core, struct exchange *x, struct message *m)
{
	struct properties p;
	size_t queues_len = 0;
	bool is_decoded = properties_decode(&p, message_properties(m));
	assert(is_decoded); /* Whoever brings one in has looked. */
	struct queue **queues = x == NULL ? NULL : route(core, x, m, &p, &queues_len);
	queues_catch_up(core, queues, queues_len);
	for (size_t i = 0; i < queues_len; i++)
		if (queue_refuses(queues[i], m))
			return false;
	m = message_for_consumers(core, NULL, m, &p);
	if (queues_len > 0) {
		message_enqueue(core, m, queues, queues_len);
		return true;
	}
	core->figures.dropped++;
	message_unref(&core->messages, m);
	return true;
}

void delay_is_over(struct queue *q, const struct taken *t)
{
	struct core *core = q->vhost->core;
	struct properties p;
	bool is_decoded = properties_decode(&p, message_properties(t->message));
	assert(is_decoded); /* Whoever brings one in has looked. */
	struct message *m = released(core, t->message, &p);
	if (m != NULL &&
	    route_released(core, exchange_find(q->vhost, message_exchange(t->message)), m)) {
		queue_settle(q, t->position, t->message);
		return;
	}
	if (m != NULL)
		message_unref(&core->messages, m);
	queue_keep_dying(q, t, t->is_redelivered, DEATH_EXPIRED);
}
