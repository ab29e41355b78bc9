/* Channels: delivery tags, acknowledgements, publisher confirms, transactions. */
#include "core/channel/channel.h"
#include "core/channel/confirm.h"
#include "core/channel/connection.h"
#include "core/channel/tx.h"
#include "core/check/check.h"
#include "core/core.h"
#include "core/dispatch/consumer.h"
#include "core/dispatch/group.h"
#include "core/dispatch/lease.h"
#include "core/dispatch/replies.h"
#include "core/dispatch/unacked.h"
#include "core/effect.h"
#include "core/exchange/route.h"
#include "core/flow/deadletter.h"
#include "core/flow/publish.h"
#include "core/flow/tend.h"
#include "core/inputs.h"
#include "core/message/message.h"
#include "core/queue/queue.h"
#include "core/state.h"
#include "core/topology/declare_queue.h"

#include "base/alloc.h"
#include "table.h"

#include <inttypes.h>
#include <stdlib.h>

struct channel *channel_open(struct connection *connection, void *owner)
{
	struct channel *ch = alloc_zeroed(sizeof *ch);
	ch->core = connection->core;
	ch->connection = connection;
	ch->owner = owner;
	map_init(&ch->consumers, ch->core->options.hash_seed);
	list_init(&ch->turns);
	list_init(&ch->in_confirming);
	list_push_tail(&connection->channels, &ch->in_connection);
	return ch;
}

/* --- the ring of unacked deliveries --- */

static struct tag_slot *slot_at(const struct deliveries *ds, size_t i)
{
	return &ds->slots[(ds->first + i) & (ds->cap - 1)];
}

static void deliveries_resize(struct deliveries *ds, size_t cap)
{
	struct tag_slot *slots = alloc_resize(NULL, cap * sizeof *slots);
	size_t len = 0;
	for (size_t i = 0; i < ds->len; i++)
		if (slot_at(ds, i)->delivery != NULL)
			slots[len++] = *slot_at(ds, i);
	free(ds->slots);
	ds->slots = slots;
	ds->cap = cap;
	ds->first = 0;
	ds->len = len;
}

/* Full of tombstones it is compacted, full of deliveries it grows. */
static void deliveries_push(struct deliveries *ds, struct delivery *d)
{
	if (ds->len == ds->cap)
		deliveries_resize(ds, ds->cap == 0              ? 16
				      : ds->alive * 2 > ds->cap ? ds->cap * 2
								: ds->cap);
	*slot_at(ds, ds->len++) = (struct tag_slot){ d->tag, d };
	ds->alive++;
}

/* Tags mostly have no gaps, so the first guess is mostly right. */
static struct tag_slot *deliveries_find(const struct deliveries *ds, uint64_t tag)
{
	if (ds->len == 0 || tag < slot_at(ds, 0)->tag)
		return NULL;
	size_t guess = (size_t)(tag - slot_at(ds, 0)->tag);
	size_t low = 0, high = guess < ds->len ? guess + 1 : ds->len;
	if (guess < ds->len && slot_at(ds, guess)->tag == tag)
		low = guess;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (slot_at(ds, middle)->tag <= tag)
			low = middle;
		else
			high = middle;
	}
	struct tag_slot *slot = slot_at(ds, low);
	return slot->tag == tag && slot->delivery != NULL ? slot : NULL;
}

static void deliveries_remove(struct deliveries *ds, struct tag_slot *slot)
{
	assert(slot->delivery != NULL && ds->alive > 0);
	slot->delivery = NULL;
	ds->alive--;
	while (ds->len > 0 && slot_at(ds, 0)->delivery == NULL) {
		ds->first = (ds->first + 1) & (ds->cap - 1);
		ds->len--;
	}
	if (ds->alive == 0 && ds->cap > 4096) {
		free(ds->slots);
		*ds = (struct deliveries){ 0 };
	}
}

/* --- deliveries --- */

struct delivery *delivery_create(struct channel *ch, struct queue *q, struct consumer *consumer,
				 const struct taken *t)
{
	struct delivery *d = slab_alloc(&ch->core->messages.slab, sizeof *d);
	if (d == NULL)
		abort(); /* The allocator has nothing left for a hundred bytes. */
	*d = (struct delivery){
		.queue = q,
		.consumer = consumer,
		.message = t->message,
		.channel = ch,
		.position = t->position,
		.tag = ch->last_tag,
		.count = t->count,
		.is_limited = consumer != NULL,
	};
	list_push_tail(&q->unacked, &d->in_queue);
	q->unacked_len++;
	deliveries_push(&ch->deliveries, d);
	lease_begin(d);
	if (q->settings.group_header.len > 0)
		group_delivered(d);
	if (consumer != NULL) {
		consumer->unacked_len++;
		if (++ch->limited_len == ch->limit)
			channel_update_consumers(ch);
	}
	return d;
}

struct delivery *delivery_find(const struct channel *ch, uint64_t tag)
{
	const struct tag_slot *slot = deliveries_find(&ch->deliveries, tag);
	return slot == NULL ? NULL : slot->delivery;
}

/* It no longer counts against any prefetch. */
static void delivery_release(struct channel *ch, struct delivery *d)
{
	lease_end(d);
	assert(d->channel == ch && (!d->is_limited || ch->limited_len > 0));
	if (d->consumer != NULL) {
		assert(d->consumer->unacked_len > 0);
		d->consumer->unacked_len--;
		consumer_update(d->consumer);
	}
	if (d->is_limited && ch->limited_len-- == ch->limit)
		channel_update_consumers(ch);
	d->consumer = NULL;
	d->is_limited = false;
}

static void leave_queue(struct delivery *d)
{
	assert(d->queue->unacked_len > 0);
	list_remove(&d->in_queue);
	d->queue->unacked_len--;
}

static void delivery_free(struct channel *ch, struct delivery *d)
{
	slab_free(&ch->core->messages.slab, d, sizeof *d);
}

enum { REST_MS_MAX = INT32_MAX };

/* rest_ms, of a requeue: how long it is to rest; 0: as its queue has it. */
static void settle(struct channel *ch, struct delivery *d, enum settlement how, uint64_t rest_ms)
{
	delivery_release(ch, d);
	struct queue *q = d->queue;
	if (q != NULL) {
		leave_queue(d);
		struct taken t = { d->message, d->position, d->count, true };
		bool is_poison = how == SETTLE_REQUEUE && d->count >= q->settings.delivery_limit;
		if (how == SETTLE_ACK)
			queue_settle(q, d->position, d->message);
		else if (how == SETTLE_REQUEUE && !is_poison)
			queue_failed(q, d->position, d->message, d->count, rest_ms);
		else
			queue_bury(q, &t, true, is_poison ? DEATH_DELIVERY_LIMIT : DEATH_REJECTED);
		if (d->group != NULL)
			group_settled(d);
	}
	delivery_free(ch, d);
}

void deliveries_forget_consumer(struct channel *ch, struct consumer *consumer)
{
	if (consumer->unacked_len == 0)
		return;
	for (size_t i = 0; i < ch->deliveries.len; i++) {
		struct delivery *d = slot_at(&ch->deliveries, i)->delivery;
		if (d != NULL && d->consumer == consumer)
			d->consumer = NULL;
	}
	for (size_t i = 0; i < ch->tx_settles_len; i++)
		if (ch->tx_settles[i].delivery->consumer == consumer)
			ch->tx_settles[i].delivery->consumer = NULL;
}

/* Settles one now, or keeps that for the commit. */
static void settle_or_keep(struct channel *ch, struct tag_slot *slot, enum settlement how)
{
	struct delivery *d = slot->delivery;
	deliveries_remove(&ch->deliveries, slot);
	if (ch->mode != CHANNEL_TX) {
		settle(ch, d, how, 0);
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
		tag = slot_at(ds, ds->len - 1)->tag;
	} else if (deliveries_find(ds, tag) == NULL) {
		return refuse(refusal, REPLY_PRECONDITION_FAILED, "unknown delivery tag %" PRIu64,
			      tag);
	}
	if (!is_multiple) {
		settle_or_keep(ch, deliveries_find(ds, tag), how);
		return true;
	}
	while (ds->len > 0 && slot_at(ds, 0)->tag <= tag)
		settle_or_keep(ch, slot_at(ds, 0), how);
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
	settle(ch, d, SETTLE_REQUEUE, rest_ms);
	return true;
}

static void requeue_all(struct channel *ch)
{
	while (ch->deliveries.len > 0) {
		struct tag_slot *slot = slot_at(&ch->deliveries, 0);
		struct delivery *d = slot->delivery;
		deliveries_remove(&ch->deliveries, slot);
		settle(ch, d, SETTLE_REQUEUE, 0);
	}
}

void core_recover(struct channel *ch)
{
	CHECKED_INPUT(ch->core);
	requeue_all(ch);
}

void core_qos(struct channel *ch, uint16_t prefetch_count, bool is_global)
{
	CHECKED_INPUT(ch->core);
	if (is_global)
		ch->limit = prefetch_count;
	else
		ch->prefetch = prefetch_count;
	if (!is_global)
		list_each (node, &ch->turns)
			list_entry(node, struct consumer, in_channel)->prefetch = prefetch_count;
	channel_update_consumers(ch);
}

/* --- confirms --- */

void core_confirm_select(struct channel *ch)
{
	CHECKED_INPUT(ch->core);
	assert(ch->mode != CHANNEL_TX);
	ch->mode = CHANNEL_CONFIRM;
}

bool channel_is_confirm(const struct channel *ch)
{
	return ch->mode == CHANNEL_CONFIRM;
}

static struct pending_confirm *confirm_at(struct channel *ch, size_t i)
{
	return &ch->confirms[(ch->confirms_first + i) & (ch->confirms_cap - 1)];
}

static void confirms_grow(struct channel *ch)
{
	size_t cap = ch->confirms_cap == 0 ? 8 : ch->confirms_cap * 2;
	struct pending_confirm *confirms = alloc_resize(NULL, cap * sizeof *confirms);
	for (size_t i = 0; i < ch->confirms_len; i++)
		confirms[i] = *confirm_at(ch, i);
	free(ch->confirms);
	ch->confirms = confirms;
	ch->confirms_cap = cap;
	ch->confirms_first = 0;
}

/* Confirms go out in order of tag, so a publish that needs no journal joins the one before it. That
 * makes the ring as long as there are batches on their way, however many publishes are in them. */
void channel_confirm(struct channel *ch, uint64_t sequence, bool is_nack)
{
	assert(ch->mode == CHANNEL_CONFIRM);
	uint64_t tag = ++ch->published;
	ch->core->batch->is_awaited |= sequence == ch->core->batch->sequence;
	struct pending_confirm *last =
		ch->confirms_len == 0 ? NULL : confirm_at(ch, ch->confirms_len - 1);
	if (last != NULL && last->sequence >= sequence) {
		if (last->is_nack == is_nack) {
			last->tag = tag;
			return;
		}
		sequence = last->sequence;
	}
	if (ch->confirms_len == ch->confirms_cap)
		confirms_grow(ch);
	*confirm_at(ch, ch->confirms_len++) = (struct pending_confirm){ tag, sequence, is_nack };
	if (list_is_empty(&ch->in_confirming))
		list_push_tail(&ch->core->confirmable, &ch->in_confirming);
}

/* The next confirm of the channel that may go out: of all publishes that fare alike. */
static bool next_confirm(struct channel *ch, struct effect *effect)
{
	uint64_t tag = 0;
	bool is_nack = false;
	while (ch->confirms_len > 0 && confirm_at(ch, 0)->sequence <= ch->core->durable) {
		if (tag != 0 && confirm_at(ch, 0)->is_nack != is_nack)
			break;
		tag = confirm_at(ch, 0)->tag;
		is_nack = confirm_at(ch, 0)->is_nack;
		ch->confirms_first = (ch->confirms_first + 1) & (ch->confirms_cap - 1);
		ch->confirms_len--;
	}
	if (tag == 0)
		return false;
	*effect = (struct effect){ .kind = EFFECT_CONFIRM, .owner = ch->owner };
	effect->confirm.delivery_tag = tag;
	effect->confirm.is_nack = is_nack;
	effect->confirm.is_multiple = tag - ch->confirmed > 1;
	ch->confirmed = tag;
	return true;
}

/* Takes channels off `confirmable`; those that still wait go to `confirming`, where core_durable()
 * finds them. */
bool confirm_next(struct core *core, struct effect *effect)
{
	while (!list_is_empty(&core->confirmable)) {
		struct channel *ch =
			list_entry(core->confirmable.next, struct channel, in_confirming);
		list_remove(&ch->in_confirming);
		bool is_any = next_confirm(ch, effect);
		if (ch->confirms_len > 0)
			list_push_tail(confirm_at(ch, 0)->sequence <= core->durable
					       ? &core->confirmable
					       : &core->confirming,
				       &ch->in_confirming);
		if (is_any)
			return true;
	}
	return false;
}

void channel_confirm_now(struct channel *ch)
{
	struct effect effect;
	while (next_confirm(ch, &effect))
		*effect_push(ch->core, EFFECT_CONFIRM, ch->owner) = effect;
}

/* --- transactions --- */

void core_tx_select(struct channel *ch)
{
	CHECKED_INPUT(ch->core);
	assert(ch->mode != CHANNEL_CONFIRM);
	ch->mode = CHANNEL_TX;
}

bool channel_is_tx(const struct channel *ch)
{
	return ch->mode == CHANNEL_TX;
}

void core_tx_commit(struct channel *ch)
{
	CHECKED_INPUT(ch->core);
	uint64_t awaited = ch->tx_settles_len > 0 ? ch->core->batch->sequence : 0;
	for (size_t i = 0; i < ch->tx_publishes_len; i++) {
		uint64_t sequence = publish_now(ch, &ch->tx_publishes[i]);
		free(ch->tx_publishes[i].claim);
		awaited = sequence > awaited ? sequence : awaited;
	}
	for (size_t i = 0; i < ch->tx_settles_len; i++)
		settle(ch, ch->tx_settles[i].delivery, ch->tx_settles[i].how, 0);
	ch->tx_publishes_len = ch->tx_settles_len = 0;
	ch->core->awaited = awaited;
}

static int by_tag(const void *a, const void *b)
{
	uint64_t x = ((const struct tag_slot *)a)->tag, y = ((const struct tag_slot *)b)->tag;
	return x < y ? -1 : x > y;
}

/* The publishes are forgotten; what was acked or rejected is unacked again, under its old tag. */
void core_tx_rollback(struct channel *ch)
{
	CHECKED_INPUT(ch->core);
	struct deliveries *ds = &ch->deliveries;
	for (size_t i = 0; i < ch->tx_settles_len; i++)
		deliveries_push(ds, ch->tx_settles[i].delivery);
	if (ch->tx_settles_len > 0) {
		deliveries_resize(ds, ds->cap); /* Compact, and from index 0 on. */
		qsort(ds->slots, ds->len, sizeof *ds->slots, by_tag);
	}
	ch->tx_settles_len = 0;
	channel_drop_tx(ch);
}

void channel_drop_tx(struct channel *ch)
{
	for (size_t i = 0; i < ch->tx_publishes_len; i++) {
		message_unref(&ch->core->messages, ch->tx_publishes[i].message);
		free(ch->tx_publishes[i].claim);
	}
	ch->tx_publishes_len = 0;
}

/* --- the end --- */

static void destroy_consumers(struct channel *ch)
{
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&ch->consumers, &at)) != NULL; at = 0) {
		struct consumer *consumer = e->value;
		struct queue *q = consumer->queue;
		consumer_destroy(consumer);
		queue_lost_consumer(q);
	}
}

/* Unacked messages go back before the consumers go, so that an auto-delete queue takes them with
 * it. */
void channel_close(struct channel *ch)
{
	CHECKED_INPUT(ch->core);
	if (ch->mode == CHANNEL_TX)
		core_tx_rollback(ch);
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&ch->consumers, &at)) != NULL;) {
		struct consumer *consumer =
			e->value; /* Nothing comes back to where it just left. */
		consumer->is_closing = true;
		consumer_update(consumer);
	}
	requeue_all(ch);
	destroy_consumers(ch);
	reply_end(ch);
	effects_drop(ch->core, ch->owner, false);
	cancellations_drop(ch);
	route_forget_last(ch);
	list_remove(&ch->in_confirming);
	list_remove(&ch->in_connection);
	map_fini(&ch->consumers);
	free(ch->deliveries.slots);
	free(ch->confirms);
	free(ch->claim);
	free(ch->tx_publishes);
	free(ch->tx_settles);
	free(ch);
}
