/* Consumers: who may take a message now, and whose turn it is. */
#include "core/dispatch/consumer.h"
#include "core/channel/channel.h"
#include "core/channel/connection.h"
#include "core/core.h"
#include "core/dispatch/group.h"
#include "core/dispatch/lease.h"
#include "core/dispatch/unacked.h"
#include "core/effect.h"
#include "core/inputs.h"
#include "core/line/shelf.h"
#include "core/queue/queue.h"
#include "core/state.h"
#include "core/turnwork.h"

#include "base/alloc.h"
#include "table.h"

#include <stdlib.h>

static struct level *level_find_or_create(struct queue *q, int64_t priority)
{
	size_t i = 0;
	while (i < q->levels_len && q->levels[i]->priority > priority)
		i++;
	if (i < q->levels_len && q->levels[i]->priority == priority)
		return q->levels[i];
	q->levels = alloc_resize(q->levels, (q->levels_len + 1) * sizeof *q->levels);
	memmove(q->levels + i + 1, q->levels + i, (q->levels_len - i) * sizeof *q->levels);
	q->levels_len++;
	q->levels[i] = alloc_zeroed(sizeof *q->levels[i]);
	q->levels[i]->priority = priority;
	list_init(&q->levels[i]->ready);
	return q->levels[i];
}

static void level_remove(struct queue *q, struct level *level)
{
	size_t i = 0;
	while (i < q->levels_len && q->levels[i] != level)
		i++;
	assert(i < q->levels_len);
	memmove(q->levels + i, q->levels + i + 1, (q->levels_len - i - 1) * sizeof *q->levels);
	q->levels_len--;
	free(level);
}

static uint64_t consumer_lease_ms(const struct consume *c)
{
	int64_t ms;
	bool is_set = table_find_integer(c->arguments, "x-consumer-timeout", &ms) && ms > 0;
	return is_set ? (uint64_t)ms : NEVER;
}

struct consumer *consumer_create(struct channel *channel, struct queue *q, const struct consume *c,
				 int64_t priority)
{
	struct consumer *consumer = alloc_zeroed(sizeof *consumer);
	consumer->tag = alloc_copy(c->tag);
	consumer->arguments = alloc_copy(c->arguments);
	consumer->channel = channel;
	consumer->queue = q;
	consumer->is_no_ack = c->is_no_ack;
	consumer->prefetch = channel->prefetch;
	consumer->level = level_find_or_create(q, priority);
	consumer->level->consumers_len++;
	list_init(&consumer->in_level);
	list_init(&consumer->groups);
	list_init(&consumer->unacked);
	lease_init(&consumer->lease, consumer_lease_ms(c));
	list_push_tail(&q->consumers, &consumer->in_queue);
	list_push_tail(&channel->turns, &consumer->in_channel);
	map_put(&channel->consumers, consumer->tag, consumer);
	q->consumers_len++;
	channel->connection->consumers_len++;
	channel->core->figures.consumers++;
	q->is_exclusive_consumer = c->is_exclusive;
	if (q->active == NULL)
		q->active = consumer;
	queue_used(q);
	consumer_update(consumer);
	return consumer;
}

/* The single active consumer has gone: the one with the highest priority that has been there
 * longest takes over. */
static void choose_active(struct queue *q)
{
	q->active = NULL;
	list_each (node, &q->consumers) {
		struct consumer *c = list_entry(node, struct consumer, in_queue);
		if (c->level != q->levels[0])
			continue;
		q->active = c;
		break;
	}
	queue_mark_dirty(q);
}

void consumer_destroy(struct consumer *consumer)
{
	struct queue *q = consumer->queue;
	assert(q->consumers_len > 0 && consumer->level->consumers_len > 0);
	deliveries_forget_consumer(consumer);
	map_remove(&consumer->channel->consumers, consumer->tag);
	list_remove(&consumer->in_level);
	walks_leave(&consumer->channel->core->walks, &consumer->in_queue);
	list_remove(&consumer->in_queue);
	list_remove(&consumer->in_channel);
	group_consumer_gone(consumer);
	lease_fini(consumer->channel->core, &consumer->lease);
	if (--consumer->level->consumers_len == 0)
		level_remove(q, consumer->level);
	q->consumers_len--;
	consumer->channel->connection->consumers_len--;
	consumer->channel->core->figures.consumers--;
	q->is_exclusive_consumer = false;
	if (q->active == consumer)
		choose_active(q);
	queue_used(q);
	free((void *)consumer->tag.data);
	free((void *)consumer->arguments.data);
	free(consumer);
}

uint64_t consumer_credit(const struct consumer *consumer)
{
	const struct channel *channel = consumer->channel;
	uint64_t own = NEVER, shared = NEVER;
	if (channel->limit != 0 && channel->limited_len >= channel->limit)
		return 0; /* What needs no ack does not count, but waits as well. */
	if (consumer->is_no_ack)
		return NEVER;
	if (consumer->prefetch != 0)
		own = consumer->unacked_len < consumer->prefetch
			      ? consumer->prefetch - consumer->unacked_len
			      : 0;
	if (channel->limit != 0)
		shared = channel->limit - channel->limited_len;
	return own < shared ? own : shared;
}

bool consumer_can_take(const struct consumer *consumer)
{
	return consumer->channel->connection->is_writable && !consumer->is_closing &&
	       consumer_credit(consumer) > 0;
}

void consumer_update(struct consumer *consumer)
{
	bool is_ready = consumer_can_take(consumer);
	if (is_ready == consumer->is_ready)
		return;
	consumer->is_ready = is_ready;
	if (!is_ready) {
		list_remove(&consumer->in_level);
		return;
	}
	list_push_tail(&consumer->level->ready, &consumer->in_level);
	queue_mark_dirty(consumer->queue);
	if (!list_is_empty(&consumer->groups))
		group_consumer_ready(consumer);
}

/* What the channel may have is shared: the queue of the consumer that has waited longest comes
 * first, whatever made the others' dirty. */
void channel_update_consumers(struct channel *channel)
{
	list_each (node, &channel->turns) {
		struct consumer *consumer = list_entry(node, struct consumer, in_channel);
		struct list *in_dirty = &consumer->queue->in_dirty;
		consumer_update(consumer);
		if (channel->limit == 0 || !consumer->is_ready || list_is_empty(in_dirty))
			continue;
		list_remove(in_dirty);
		list_push_tail(&channel->core->dirty, in_dirty);
	}
}

struct consumer *queue_next_consumer(const struct queue *q)
{
	if (q->settings.is_single_active)
		return q->active != NULL && q->active->is_ready ? q->active : NULL;
	for (size_t i = 0; i < q->levels_len; i++)
		if (!list_is_empty(&q->levels[i]->ready))
			return list_entry(q->levels[i]->ready.next, struct consumer, in_level);
	return NULL;
}

void consumer_took_turn(struct consumer *consumer)
{
	consumer_update(consumer);
	if (consumer->channel->limit != 0) {
		list_remove(&consumer->in_channel);
		list_push_tail(&consumer->channel->turns, &consumer->in_channel);
	}
	if (consumer->is_ready && consumer->level->ready.prev != &consumer->in_level) {
		list_remove(&consumer->in_level);
		list_push_tail(&consumer->level->ready, &consumer->in_level);
	}
}

/* --- consumers that their queue has left --- */

void consumer_cancel(struct consumer *consumer, uint64_t sequence)
{
	struct channel *channel = consumer->channel;
	struct core *core = channel->core;
	struct bytes tag = alloc_copy(consumer->tag);
	consumer_destroy(consumer);
	if (sequence <= core->durable) {
		effect_push(core, EFFECT_CANCELLED, channel->owner)->cancelled.consumer_tag = tag;
		return;
	}
	struct cancellation *c = alloc_zeroed(sizeof *c);
	*c = (struct cancellation){ .channel = channel, .tag = tag, .sequence = sequence };
	list_push_tail(&core->cancelling, &c->in_core);
	core->batch->is_awaited = true;
}

struct cancellation *cancellation_find(const struct channel *channel, struct bytes tag)
{
	list_each (node, &channel->core->cancelling) {
		struct cancellation *c = list_entry(node, struct cancellation, in_core);
		if (c->channel == channel && bytes_equal(c->tag, tag))
			return c;
	}
	return NULL;
}

void cancellation_drop(struct cancellation *c)
{
	list_remove(&c->in_core);
	free((void *)c->tag.data);
	free(c);
}

void cancellations_drop(const struct channel *channel)
{
	list_each (node, &channel->core->cancelling) {
		struct cancellation *c = list_entry(node, struct cancellation, in_core);
		if (c->channel == channel)
			cancellation_drop(c);
	}
}

void cancellations_durable(struct core *core)
{
	while (!list_is_empty(&core->cancelling)) {
		struct cancellation *c =
			list_entry(core->cancelling.next, struct cancellation, in_core);
		if (c->sequence > core->durable)
			return;
		effect_push(core, EFFECT_CANCELLED, c->channel->owner)->cancelled.consumer_tag =
			c->tag;
		list_remove(&c->in_core);
		free(c);
	}
}
