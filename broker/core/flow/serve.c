/* Serve: a queue that may have something to do is tended, and offers its next message. */
#include "core/flow/serve.h"
#include "core/dispatch/consumer.h"
#include "core/dispatch/deliver.h"
#include "core/dispatch/group.h"
#include "core/flow/tend.h"
#include "core/line/fifo.h"
#include "core/queue/grant.h"
#include "core/queue/limits.h"
#include "core/queue/load.h"
#include "core/queue/queue.h"
#include "core/residence/index.h"
#include "core/state.h"
#include "core/topology/apply.h"
#include "core/turnwork.h"

enum {
	BURST_MAX = 64, /* Deliveries from one queue before the next one has its turn. */
};

static void queue_rest(struct queue *q)
{
	list_remove(&q->in_dirty);
	q->burst = 0;
}

/* Why a queue's next message does not go out now. */
enum offer { OFFER_DELIVERED, OFFER_LOADING, OFFER_BLOCKED, OFFER_AGAIN };

static enum offer offer(struct queue *q, struct effect *effect)
{
	struct head head;
	struct consumer *consumer = queue_ready(q) == 0 ? NULL : queue_next_consumer(q);
	if (consumer == NULL)
		return OFFER_BLOCKED;
	if (!queue_first(q, &head)) {
		queue_rest(q);
		queue_want_index(q);
		return index_next(q->vhost->core, effect) ? OFFER_LOADING : OFFER_AGAIN;
	}
	if (slot_is_on_disk(*head.slot)) {
		queue_rest(q);
		queue_want_load(q);
		return load_next(q->vhost->core, effect) ? OFFER_LOADING : OFFER_AGAIN;
	}
	if (head.is_new && !grant_covers(q, head.position, slot_message(*head.slot)))
		return OFFER_BLOCKED;
	if (q->settings.group_header.len > 0) {
		consumer = group_consumer(q, &head, consumer);
		if (consumer == NULL)
			return group_set_aside(q, &head) ? OFFER_AGAIN : OFFER_BLOCKED;
	}
	deliver(q, &head, consumer->channel, consumer, consumer->is_no_ack, effect);
	return OFFER_DELIVERED;
}

/* Nobody takes its next message: what is to leave by itself does, then it rests. True: an effect.
 */
static bool rest_tended(struct queue *q, struct effect *effect)
{
	q->is_woken = false;
	if (q->shelf.held.len > 0 && groups_go_on(q))
		return false;
	if (queue_needs_tending(q) && queue_tend(q, true, effect))
		return true;
	if (list_is_empty(&q->in_dirty))
		return false; /* It goes on in the next turn. */
	queue_rest(q);
	if (q->is_woken)
		queue_mark_dirty(q);
	return false;
}

bool deliver_next(struct core *core, struct effect *effect)
{
	while (!list_is_empty(&core->dirty)) {
		struct queue *q = list_entry(core->dirty.next, struct queue, in_dirty);
		queue_catch_up(q);
		if (queue_needs_tending(q) && queue_tend(q, false, effect))
			return true;
		if (list_is_empty(&q->in_dirty))
			continue;
		enum offer o = offer(q, effect);
		if (o == OFFER_LOADING || (o == OFFER_BLOCKED && rest_tended(q, effect)))
			return true;
		if (o != OFFER_DELIVERED)
			continue;
		if (++q->burst >= BURST_MAX) {
			queue_rest(q);
			queue_mark_dirty(q);
		}
		return true;
	}
	return false;
}
