/* Room: whether a queue takes another message. */
#include "core/flow/room.h"
#include "core/dispatch/consumer.h"
#include "core/dispatch/group.h"
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

/* What consumers have credit for goes, but for what is aside: that stays, and so does what would be
 * put there. */
static bool is_full(struct queue *q, const struct message *message)
{
	uint64_t taken = credit(q), coming = queue_ready(q) + 1;
	uint64_t left = taken < coming ? coming - taken : 0,
		 bytes = taken == 0 ? queue_ready_bytes(q) : 0;
	if (left == 0 && q->groups.len > 0 && group_would_wait(q, message))
		left = 1;
	return left > 0 && queue_is_over(q, q->shelf.held.len + left,
					 q->shelf.held.bytes + bytes + message->body_len);
}

bool queue_refuses(struct queue *q, const struct message *message)
{
	bool is_rejecting = q->settings.overflow == OVERFLOW_REJECT ||
			    q->settings.overflow == OVERFLOW_REJECT_DLX;
	if (!queue_has_limits(q) || (!is_rejecting && q->dying_len == 0))
		return false;
	uint64_t len = queue_counted(q) + 1, bytes = queue_counted_bytes(q) + message->body_len;
	if (!is_rejecting) /* Where what would make room cannot leave, nothing can come. */
		return queue_is_over(q, len + q->dying_len, bytes);
	return queue_is_over(q, len, bytes) && is_full(q, message);
}
