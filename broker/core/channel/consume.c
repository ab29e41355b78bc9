/* Consume: consumers begin and end. */
#include "core/channel/channel.h"
#include "core/check/check.h"
#include "core/dispatch/consumer.h"
#include "core/dispatch/replies.h"
#include "core/inputs.h"
#include "core/queue/queue.h"
#include "core/state.h"
#include "core/topology/answer.h"
#include "core/topology/declare_queue.h"

#include "table.h"

static bool consume_priority(const struct consume *c, const struct queue *q, int64_t *priority,
			     struct refusal *refusal)
{
	struct table_value v;
	*priority = 0;
	if (!table_find(c->arguments, "x-priority", &v))
		return true;
	if (!table_value_integer(&v, priority))
		return refuse(refusal, REPLY_PRECONDITION_FAILED,
			      "invalid arg 'x-priority' for queue '%.*s' in vhost '%.*s': "
			      "\"expected integer, got %s\"",
			      BYTES_ARG(q->name), BYTES_ARG(q->vhost->name),
			      table_type_name(v.type));
	return true;
}

bool core_consume(struct channel *ch, const struct consume *c, struct refusal *refusal)
{
	CHECKED_INPUT(ch->core);
	int64_t priority;
	if (map_get(&ch->consumers, c->tag) != NULL || cancellation_find(ch, c->tag) != NULL ||
	    (ch->reply_tag.len > 0 && bytes_equal(ch->reply_tag, c->tag)))
		return refuse(refusal, REPLY_NOT_ALLOWED, "attempt to reuse consumer tag '%.*s'",
			      BYTES_ARG(c->tag));
	if (bytes_equal_str(c->queue, REPLY_QUEUE))
		return reply_begin(ch, c, refusal);
	struct queue *q = queue_find_allowed(ch->connection, c->queue, refusal);
	if (q == NULL || !consume_priority(c, q, &priority, refusal))
		return false;
	if (q->is_exclusive_consumer || (c->is_exclusive && q->consumers_len > 0))
		return refuse(refusal, REPLY_ACCESS_REFUSED,
			      "queue '%.*s' in vhost '%.*s' in exclusive use", BYTES_ARG(q->name),
			      BYTES_ARG(q->vhost->name));
	if (ch->consumers.len >= ch->core->options.consumers_max)
		return refuse(refusal, REPLY_NOT_ALLOWED,
			      "number of consumers has reached the limit of a channel (%u)",
			      ch->core->options.consumers_max);
	consumer_create(ch, q, c, priority);
	return true;
}

void core_cancel(struct channel *ch, struct bytes tag)
{
	CHECKED_INPUT(ch->core);
	if (ch->reply_tag.len > 0 && bytes_equal(ch->reply_tag, tag)) {
		reply_end(ch);
		return;
	}
	struct consumer *consumer = map_get(&ch->consumers, tag);
	struct cancellation *cancellation = cancellation_find(ch, tag);
	if (cancellation != NULL)
		cancellation_drop(cancellation);
	if (consumer == NULL)
		return;
	struct queue *q = consumer->queue;
	consumer_destroy(consumer);
	queue_lost_consumer(q);
}

void core_expel(struct channel *ch, struct bytes tag)
{
	CHECKED_INPUT(ch->core);
	struct consumer *consumer = map_get(&ch->consumers, tag);
	if (consumer == NULL)
		return;
	struct queue *q = consumer->queue;
	consumer_cancel(consumer, 0);
	queue_lost_consumer(q);
}

void channel_each_consumer(const struct channel *ch,
			   void (*visit)(void *arg, struct bytes tag, struct bytes queue),
			   void *arg)
{
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&ch->consumers, &at)) != NULL;) {
		const struct consumer *consumer = e->value;
		visit(arg, consumer->tag, consumer->queue->name);
	}
}
