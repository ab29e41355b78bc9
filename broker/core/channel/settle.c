/* Settle: acks, rejects, requeues, and what comes back of a channel. */
#include "core/channel/settle.h"
#include "core/channel/channel.h"
#include "core/check/check.h"
#include "core/dispatch/group.h"
#include "core/dispatch/unacked.h"
#include "core/flow/deadletter.h"
#include "core/flow/tend.h"
#include "core/inputs.h"
#include "core/queue/queue.h"
#include "core/state.h"
#include "core/topology/apply.h"

#include "base/alloc.h"
#include "table.h"

#include <inttypes.h>

enum { REST_MS_MAX = INT32_MAX };

/* rest_ms, of a requeue: how long it is to rest; 0: as its queue has it. */
void delivery_settle(struct channel *ch, struct delivery *d, enum settlement how, uint64_t rest_ms)
{
	struct queue *q = d->queue;
	if (q != NULL)
		queue_catch_up(q);
	delivery_release(ch, d);
	if (how == SETTLE_ACK) {
		ch->stats.acked++;
		ch->core->stats.acked++;
	}
	if (q != NULL) {
		delivery_leave_queue(d);
		struct taken t = { d->message, d->position, d->count, true };
		bool is_poison = how == SETTLE_REQUEUE && d->count >= q->settings.delivery_limit;
		if (how == SETTLE_ACK) {
			q->stats.acked++;
			queue_settle(q, d->position, d->message);
		} else if (how == SETTLE_REQUEUE && !is_poison) {
			queue_failed(q, d->position, d->message, d->count, rest_ms);
		} else {
			queue_bury(q, &t, true, is_poison ? DEATH_DELIVERY_LIMIT : DEATH_REJECTED);
		}
		if (d->group != NULL)
			group_settled(d);
	}
	delivery_free(ch, d);
}

/* Settles one now, or keeps that for the commit. */
static void settle_or_keep(struct channel *ch, struct tag_slot *slot, enum settlement how)
{
	struct delivery *d = slot->delivery;
	deliveries_remove(&ch->deliveries, slot);
	if (ch->mode != CHANNEL_TX) {
		delivery_settle(ch, d, how, 0);
		return;
	}
	ch->tx_settles = alloc_grow(ch->tx_settles, &ch->tx_settles_cap, ch->tx_settles_len + 1,
				    sizeof *ch->tx_settles);
	ch->tx_settles[ch->tx_settles_len++] = (struct pending_settle){ d, how };
}

/* tag 0 with multiple means all, also if that is none. */
static bool settle_tags(struct channel *ch, uint64_t tag, bool is_multiple, enum settlement how,
			struct refusal *refusal)
{
	struct deliveries *ds = &ch->deliveries;
	if (is_multiple && tag == 0) {
		if (ds->alive == 0)
			return true;
		tag = deliveries_at(ds, ds->len - 1)->tag;
	} else if (deliveries_find(ds, tag) == NULL) {
		return refuse(refusal, REPLY_PRECONDITION_FAILED, "unknown delivery tag %" PRIu64,
			      tag);
	}
	if (!is_multiple) {
		settle_or_keep(ch, deliveries_find(ds, tag), how);
		return true;
	}
	while (ds->len > 0 && deliveries_at(ds, 0)->tag <= tag)
		settle_or_keep(ch, deliveries_at(ds, 0), how);
	return true;
}

bool core_ack(struct channel *ch, uint64_t tag, bool is_multiple, struct refusal *refusal)
{
	CHECKED_INPUT(ch->core);
	return settle_tags(ch, tag, is_multiple, SETTLE_ACK, refusal);
}

bool core_reject(struct channel *ch, uint64_t tag, bool is_multiple, bool is_requeue,
		 struct refusal *refusal)
{
	CHECKED_INPUT(ch->core);
	return settle_tags(ch, tag, is_multiple, is_requeue ? SETTLE_REQUEUE : SETTLE_REJECT,
			   refusal);
}

static uint64_t positive(const struct properties *p, const char *header)
{
	int64_t n;
	bool is_there = (p->flags & HAS_headers) != 0 && table_find_integer(p->headers, header, &n);
	return is_there && n > 0 ? (uint64_t)n : 0;
}

/* A requeue that says itself how long the message is to rest. */
bool channel_retry_after(struct channel *ch, const struct properties *p, struct refusal *refusal)
{
	uint64_t tag = positive(p, "x-delivery-tag"), rest_ms = positive(p, "x-delay");
	struct tag_slot *slot = tag == 0 ? NULL : deliveries_find(&ch->deliveries, tag);
	if (slot == NULL)
		return refuse(refusal, REPLY_PRECONDITION_FAILED,
			      "unknown delivery tag in a request to retry after a rest");
	if (rest_ms > REST_MS_MAX)
		return refuse(refusal, REPLY_PRECONDITION_FAILED,
			      "x-delay of a request to retry is more than %d ms", REST_MS_MAX);
	struct delivery *d = slot->delivery;
	deliveries_remove(&ch->deliveries, slot);
	delivery_settle(ch, d, SETTLE_REQUEUE, rest_ms);
	return true;
}

void deliveries_requeue(struct channel *ch)
{
	while (ch->deliveries.len > 0) {
		struct tag_slot *slot = deliveries_at(&ch->deliveries, 0);
		struct delivery *d = slot->delivery;
		deliveries_remove(&ch->deliveries, slot);
		delivery_settle(ch, d, SETTLE_REQUEUE, 0);
	}
}

void core_recover(struct channel *ch)
{
	CHECKED_INPUT(ch->core);
	deliveries_requeue(ch);
}
