/* Get: one message, for who asks. */
#include "core/channel/channel.h"
#include "core/channel/connection.h"
#include "core/check/check.h"
#include "core/core.h"
#include "core/dedup/producer.h"
#include "core/dispatch/deliver.h"
#include "core/dispatch/group.h"
#include "core/effect.h"
#include "core/flow/tend.h"
#include "core/inputs.h"
#include "core/line/fifo.h"
#include "core/queue/grant.h"
#include "core/queue/limits.h"
#include "core/queue/queue.h"
#include "core/state.h"
#include "core/topology/answer.h"
#include "core/turnwork.h"

static const char producer_prefix[] = "amq.producer.";

/* What reads like a queue says where a producer stands: any client can ask. */
static enum get_result get_producer(struct channel *ch, struct bytes name, bool is_no_ack,
				    struct effect *effect, uint64_t *messages,
				    struct refusal *refusal)
{
	size_t prefix = sizeof producer_prefix - 1;
	if (!is_no_ack) {
		refuse(refusal, REPLY_PRECONDITION_FAILED,
		       "'%.*s' is no queue and takes no ack: get it with no_ack", BYTES_ARG(name));
		return GET_REFUSED;
	}
	struct message *m = producer_report(ch->connection->vhost,
					    bytes_of(name.data + prefix, name.len - prefix));
	if (m == NULL)
		return GET_EMPTY;
	hand_out(ch->core, m);
	*messages = 0;
	*effect = (struct effect){ .kind = EFFECT_DELIVER, .owner = ch->owner };
	effect->deliver.message = m;
	effect->deliver.delivery_tag = ++ch->last_tag;
	effect->deliver.delivery_count = -1;
	return GET_OK;
}

/* The next message that the channel may have, in memory: of a group that is somebody's there is
 * none for others, and those behind it go on. GET_OK: *head. */
static enum get_result find_next(struct queue *q, struct head *head)
{
	for (;;) {
		if (queue_ready(q) == 0)
			return GET_EMPTY;
		if (!queue_first(q, head)) {
			queue_want_index(q);
			return GET_LATER;
		}
		if (slot_is_on_disk(*head->slot)) {
			queue_want_load(q);
			return GET_LATER;
		}
		if (head->is_new && !grant_covers(q, head->position, slot_message(*head->slot)))
			return GET_LATER;
		if (q->settings.group_header.len == 0 || group_is_free(q, head))
			return GET_OK;
		if (!group_set_aside(q, head))
			return GET_EMPTY;
	}
}

enum get_result core_get(struct channel *ch, struct bytes name, bool is_no_ack,
			 struct effect *effect, uint64_t *messages, struct refusal *refusal)
{
	CHECKED_INPUT(ch->core);
	if (bytes_has_prefix(name, producer_prefix))
		return get_producer(ch, name, is_no_ack, effect, messages, refusal);
	struct queue *q = queue_find_allowed(ch->connection, name, refusal);
	if (q == NULL)
		return GET_REFUSED;
	struct head head;
	queue_used(q);
	if (queue_needs_tending(q) &&
	    (queue_tend(q, false, effect) || !list_is_empty(&q->in_late))) {
		queue_mark_dirty(q); /* The effect will come again. */
		return GET_LATER;
	}
	enum get_result found = find_next(q, &head);
	if (found == GET_EMPTY) {
		q->stats.get_empty++;
		ch->stats.get_empty++;
		ch->core->stats.get_empty++;
	}
	if (found != GET_OK)
		return found;
	deliver(q, &head, ch, NULL, is_no_ack, effect);
	*messages = queue_counted(q);
	return GET_OK;
}
