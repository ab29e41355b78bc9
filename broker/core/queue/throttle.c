/* Throttle: a publisher that outruns the consumers of a queue is made to wait for them, so that a
 * flood is not written to memory and disk and read again, only to reach consumers that take
 * messages as fast as the broker hands them out.
 *
 * It waits only for fast consumers, so never for long: where nobody consumes, or slowly, queues
 * fill up as they are meant to, and who has a million jobs to give away is rid of them at once. And
 * only connections that do nothing but publish wait: one that consumes as well would not get its
 * acks read. */
#include "core/queue/throttle.h"
#include "core/channel/connection.h"
#include "core/inputs.h"
#include "core/queue/queue.h"
#include "core/state.h"

enum {
	FLOOD_HIGH = 32 * 1024, /* Ready messages: more than a consumer needs to be kept busy. */
	FLOOD_LOW = 16 * 1024,
	STRETCH_MS = 100,
	FAST = 2000, /* Messages in a stretch; what is between the limits above is gone in a second
			then. */
};

void throttle_delivered(struct queue *q)
{
	struct pace *pace = &q->pace;
	uint64_t now_ms = q->vhost->core->now_ms;
	if (now_ms - pace->since_ms >= STRETCH_MS)
		*pace = (struct pace){ now_ms, 0,
				       now_ms - pace->since_ms < 2 * STRETCH_MS ? pace->taken : 0 };
	pace->taken++;
}

static bool is_consumed(const struct queue *q)
{
	uint64_t passed_ms = q->vhost->core->now_ms - q->pace.since_ms;
	return q->consumers_len > 0 && passed_ms < 2 * STRETCH_MS &&
	       (q->pace.taken >= FAST || q->pace.before >= FAST);
}

void throttle_published(struct connection *connection, struct queue *q)
{
	if (queue_ready(q) < FLOOD_HIGH || connection->flooded != NULL ||
	    connection->consumers_len > 0 || !is_consumed(q))
		return;
	connection->flooded = q;
	list_push_tail(&q->vhost->core->throttled, &connection->in_throttled);
}

static void release(struct connection *connection)
{
	assert(connection->flooded != NULL);
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
