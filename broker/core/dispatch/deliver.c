/* Delivery: from the head of a queue to the consumer whose turn it is. */
#include "core/dispatch/deliver.h"
#include "core/channel/channel.h"
#include "core/core.h"
#include "core/dispatch/consumer.h"
#include "core/dispatch/group.h"
#include "core/dispatch/unacked.h"
#include "core/effect.h"
#include "core/queue/grant.h"
#include "core/queue/queue.h"
#include "core/queue/throttle.h"
#include "core/state.h"

static void count(struct message_stats *stats, bool is_got, bool is_no_ack, bool is_redelivered)
{
	uint64_t *kind = is_got ? (is_no_ack ? &stats->got_no_ack : &stats->got)
				: (is_no_ack ? &stats->delivered_no_ack : &stats->delivered);
	++*kind;
	stats->redelivered += is_redelivered;
}

void deliver(struct queue *q, const struct head *head, struct channel *ch,
	     struct consumer *consumer, bool is_no_ack, struct effect *effect)
{
	struct core *core = ch->core;
	struct taken t = queue_take(q, head);
	*effect = (struct effect){ .kind = EFFECT_DELIVER, .owner = ch->owner };
	effect->deliver.message = t.message;
	effect->deliver.delivery_tag = ++ch->last_tag;
	effect->deliver.delivery_count = q->settings.is_counting ? (int64_t)t.count : -1;
	effect->deliver.is_redelivered = t.is_redelivered;
	count(&q->stats, consumer == NULL, is_no_ack, t.is_redelivered);
	count(&ch->stats, consumer == NULL, is_no_ack, t.is_redelivered);
	count(&core->stats, consumer == NULL, is_no_ack, t.is_redelivered);
	q->used_ms = core->now_ms;
	throttle_delivered(q);
	if (!t.is_redelivered)
		grant_used(q, t.position, t.message);
	if (is_no_ack) {
		if (q->groups.len > 0)
			group_lost(q, t.message);
		queue_release(q, t.position, t.message);
		hand_out(core, t.message);
	} else {
		delivery_create(ch, q, consumer, &t);
	}
	if (consumer != NULL) {
		effect->deliver.consumer_tag = consumer->tag;
		consumer_took_turn(consumer);
		if (consumer->is_ready && !list_is_empty(&consumer->groups))
			group_consumer_ready(consumer);
	}
}

/* --- messages that are on disk --- */
