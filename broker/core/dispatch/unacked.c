/* Unacked: deliveries of a channel in a ring, in order of tag. */
#include "core/dispatch/unacked.h"
#include "core/channel/channel.h"
#include "core/dispatch/consumer.h"
#include "core/dispatch/group.h"
#include "core/dispatch/lease.h"
#include "core/queue/queue.h"
#include "core/state.h"

#include "base/alloc.h"

#include <stdlib.h>

static void deliveries_resize(struct deliveries *ds, size_t cap)
{
	struct tag_slot *slots = alloc_resize(NULL, cap * sizeof *slots);
	size_t len = 0;
	for (size_t i = 0; i < ds->len; i++)
		if (deliveries_at(ds, i)->delivery != NULL)
			slots[len++] = *deliveries_at(ds, i);
	free(ds->slots);
	ds->slots = slots;
	ds->cap = cap;
	ds->first = 0;
	ds->len = len;
}

/* Full of tombstones it is compacted, full of deliveries it grows. */
void deliveries_push(struct deliveries *ds, struct delivery *d)
{
	if (ds->len == ds->cap)
		deliveries_resize(ds, ds->cap == 0              ? 16
				      : ds->alive * 2 > ds->cap ? ds->cap * 2
								: ds->cap);
	*deliveries_at(ds, ds->len++) = (struct tag_slot){ d->tag, d };
	ds->alive++;
}

/* Tags mostly have no gaps, so the first guess is mostly right. */
struct tag_slot *deliveries_find(const struct deliveries *ds, uint64_t tag)
{
	if (ds->len == 0 || tag < deliveries_at(ds, 0)->tag)
		return NULL;
	size_t guess = (size_t)(tag - deliveries_at(ds, 0)->tag);
	size_t low = 0, high = guess < ds->len ? guess + 1 : ds->len;
	if (guess < ds->len && deliveries_at(ds, guess)->tag == tag)
		low = guess;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (deliveries_at(ds, middle)->tag <= tag)
			low = middle;
		else
			high = middle;
	}
	struct tag_slot *slot = deliveries_at(ds, low);
	return slot->tag == tag && slot->delivery != NULL ? slot : NULL;
}

void deliveries_remove(struct deliveries *ds, struct tag_slot *slot)
{
	assert(slot->delivery != NULL && ds->alive > 0);
	slot->delivery = NULL;
	ds->alive--;
	while (ds->len > 0 && deliveries_at(ds, 0)->delivery == NULL) {
		ds->first = (ds->first + 1) & (ds->cap - 1);
		ds->len--;
	}
	if (ds->alive == 0 && ds->cap > 4096) {
		free(ds->slots);
		*ds = (struct deliveries){ 0 };
	}
}

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
	ch->core->lines.unacked++;
	deliveries_push(&ch->deliveries, d);
	lease_begin(d);
	if (q->settings.group_header.len > 0)
		group_delivered(d);
	if (consumer != NULL) {
		list_push_tail(&consumer->unacked, &d->in_consumer);
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
void delivery_release(struct channel *ch, struct delivery *d)
{
	lease_end(d);
	assert(d->channel == ch && (!d->is_limited || ch->limited_len > 0));
	if (d->consumer != NULL) {
		assert(d->consumer->unacked_len > 0);
		list_remove(&d->in_consumer);
		d->consumer->unacked_len--;
		consumer_update(d->consumer);
	}
	if (d->is_limited && ch->limited_len-- == ch->limit)
		channel_update_consumers(ch);
	d->consumer = NULL;
	d->is_limited = false;
}

void delivery_leave_queue(struct delivery *d)
{
	assert(d->queue->unacked_len > 0);
	list_remove(&d->in_queue);
	d->queue->unacked_len--;
	d->queue->vhost->core->lines.unacked--;
}

void delivery_free(struct channel *ch, struct delivery *d)
{
	slab_free(&ch->core->messages.slab, d, sizeof *d);
}

void deliveries_forget_consumer(struct consumer *consumer)
{
	while (!list_is_empty(&consumer->unacked)) {
		struct delivery *d =
			list_entry(consumer->unacked.next, struct delivery, in_consumer);
		assert(d->consumer == consumer);
		list_remove(&d->in_consumer);
		d->consumer = NULL;
	}
}

static int by_tag(const void *a, const void *b)
{
	uint64_t x = ((const struct tag_slot *)a)->tag, y = ((const struct tag_slot *)b)->tag;
	return x < y ? -1 : x > y;
}

void deliveries_put_back(struct deliveries *ds, const struct pending_settle *settles, size_t len)
{
	if (len == 0)
		return;
	for (size_t i = 0; i < len; i++)
		deliveries_push(ds, settles[i].delivery);
	deliveries_resize(ds, ds->cap); /* Compact, and from index 0 on. */
	qsort(ds->slots, ds->len, sizeof *ds->slots, by_tag);
}
