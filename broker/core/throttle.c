/* Throttle: a publisher that outruns the consumers of a queue is made to wait for them, so that a queue that is being consumed does not grow
 * without end. It waits only while they get on: where nobody consumes, or those who did have stopped, queues fill up as they are meant to.
 *
 * Only connections that do nothing but publish: one that consumes as well would not get its acks read. */
#include "core/state.h"

enum {
	FLOOD_HIGH = 32 * 1024, /* Ready messages: more than a consumer needs to be kept busy. */
	FLOOD_LOW = 16 * 1024,
	PROGRESS_MS = 100, /* Consumers that have taken nothing for so long do not get on. */
};

static bool is_consumed(const struct queue *q)
{
	return q->consumers_len > 0 && q->vhost->core->now_ms - q->consumed_ms < PROGRESS_MS;
}

void throttle_published(struct connection *connection, struct queue *q)
{
	if (queue_ready(q) < FLOOD_HIGH || connection->flooded != NULL || connection->consumers_len > 0 || !is_consumed(q))
		return;
	connection->flooded = q;
	list_push_tail(&q->vhost->core->throttled, &connection->in_throttled);
}

static void release(struct connection *connection)
{
	connection->flooded = NULL;
	list_remove(&connection->in_throttled);
}

bool connection_is_throttled(struct connection *connection)
{
	const struct queue *q = connection->flooded;
	if (q == NULL)
		return false;
	if (queue_ready(q) > FLOOD_LOW && is_consumed(q))
		return true;
	release(connection);
	return false;
}

void throttle_forget_queue(struct queue *q)
{
	list_each (node, &q->vhost->core->throttled) {
		struct connection *connection = list_entry(node, struct connection, in_throttled);
		if (connection->flooded == q)
			release(connection);
	}
}
