/* Room: whether a queue takes another message. */
#include "core/flow/room.h"
#include "core/dispatch/consumer.h"
#include "core/line/shelf.h"
#include "core/queue/limits.h"
#include "core/queue/queue.h"
#include "core/vhost/settings.h"

/* What consumers are about to take does not count: they would have it by now, had it come more
 * slowly. */
static uint64_t credit(const struct queue *q)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < q->levels_len; i++) {
		list_each (node, &q->levels[i]->ready) {
			const struct consumer *c = list_entry(node, struct consumer, in_level);
			if (q->settings.is_single_active && q->active != c)
				continue;
			uint64_t own = consumer_credit(c);
			if (own == NEVER)
				return NEVER;
			sum += own;
		}
	}
	return sum;
}

bool queue_refuses(const struct queue *q, const struct message *message)
{
	bool is_rejecting = q->settings.overflow == OVERFLOW_REJECT ||
			    q->settings.overflow == OVERFLOW_REJECT_DLX;
	if (!queue_has_limits(q) || (!is_rejecting && q->dying_len == 0))
		return false;
	uint64_t ready = queue_ready(q), bytes = queue_ready_bytes(q) + message->body_len;
	if (!is_rejecting) /* Where what would make room cannot leave, nothing can come. */
		return queue_is_over(q, ready + q->dying_len + 1, bytes);
	if (!queue_is_over(q, ready + 1, bytes))
		return false;
	uint64_t taken = credit(q);
	return taken <= ready &&
	       queue_is_over(q, ready + 1 - taken, taken == 0 ? bytes : message->body_len);
}
