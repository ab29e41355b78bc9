/* The core as a whole, its connections and channels, and when they are checked. */
#include "core/check/check.h"
#include "core/channel/channel.h"
#include "core/channel/confirm.h"
#include "core/channel/connection.h"
#include "core/channel/tx.h"
#include "core/dispatch/consumer.h"
#include "core/dispatch/unacked.h"
#include "core/exchange/exchange.h"
#include "core/queue/queue.h"
#include "core/state.h"
#include "core/time/timer.h"

#include <string.h>

enum {
	EARNED_PER_INPUT = 16,
	TOUCHED_MAX = 128, /* A longer queue has its turn with everything else. */
};

/* --- connections and channels --- */

uint64_t consumer_check(const struct consumer *c)
{
	const struct channel *ch = c->channel;
	assert(map_get(&ch->consumers, c->tag) == c);
	assert(c->level->consumers_len > 0);
	assert(c->is_ready == consumer_can_take(c));
	assert(c->is_ready == !list_is_empty(&c->in_level));
	assert(!c->is_no_ack || c->unacked_len == 0);
	uint64_t unacked = 0;
	list_each (node, &c->unacked) {
		assert(list_entry(node, struct delivery, in_consumer)->consumer == c);
		unacked++;
	}
	assert(unacked == c->unacked_len);
	assert(c->lease.timer.kind == TIMER_LEASE);
	return 1;
}

/* A tag is known once, from the delivery on until it is settled. */
static uint64_t deliveries_check(const struct channel *ch)
{
	const struct deliveries *ds = &ch->deliveries;
	size_t alive = 0, limited = 0;
	uint64_t before = 0;
	assert(ds->len <= ds->cap && (ds->cap & (ds->cap - 1)) == 0);
	for (size_t i = 0; i < ds->len; i++) {
		const struct tag_slot *slot = &ds->slots[(ds->first + i) & (ds->cap - 1)];
		const struct delivery *d = slot->delivery;
		assert(slot->tag > before && slot->tag <= ch->last_tag);
		assert(i > 0 || d != NULL);
		before = slot->tag;
		if (d == NULL)
			continue;
		assert(d->tag == slot->tag && d->channel == ch);
		assert((d->queue == NULL) == (d->message == NULL));
		assert(d->consumer == NULL || d->is_limited);
		alive++;
		limited += d->is_limited;
	}
	for (size_t i = 0; i < ch->tx_settles_len; i++)
		limited += ch->tx_settles[i].delivery->is_limited;
	assert(alive == ds->alive && limited == ch->limited_len);
	return ds->len + ch->tx_settles_len;
}

/* Answers come in order of tag, and none is missing. */
static uint64_t confirms_check(const struct channel *ch)
{
	uint64_t tag = ch->confirmed, sequence = 0;
	assert(ch->confirms_len <= ch->confirms_cap);
	assert((ch->confirms_len > 0) == !list_is_empty(&ch->in_confirming));
	for (size_t i = 0; i < ch->confirms_len; i++) {
		const struct pending_confirm *p =
			&ch->confirms[(ch->confirms_first + i) & (ch->confirms_cap - 1)];
		assert(p->tag > tag && p->sequence >= sequence);
		tag = p->tag;
		sequence = p->sequence;
	}
	assert(tag == ch->published);
	return ch->confirms_len;
}

uint64_t channel_check(const struct channel *ch)
{
	uint64_t steps = 1 + deliveries_check(ch) + confirms_check(ch);
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&ch->consumers, &at)) != NULL;) {
		const struct consumer *c = e->value;
		assert(c->channel == ch);
		steps += consumer_check(c);
	}
	assert(ch->mode == CHANNEL_TX || (ch->tx_publishes_len == 0 && ch->tx_settles_len == 0));
	assert(ch->reply_token.len == 0 || map_get(&ch->core->replies, ch->reply_token) == ch);
	return steps;
}

uint64_t connection_check(const struct connection *connection)
{
	uint64_t steps = 1;
	size_t consumers = 0;
	list_each (node, &connection->channels) {
		const struct channel *ch = list_entry(node, struct channel, in_connection);
		assert(ch->connection == connection && ch->core == connection->core);
		consumers += ch->consumers.len;
		steps += channel_check(ch);
	}
	assert(consumers == connection->consumers_len);
	list_each (node, &connection->exclusive) {
		assert(list_entry(node, struct queue, in_owner)->owner == connection);
		steps++;
	}
	assert((connection->flooded != NULL) == !list_is_empty(&connection->in_throttled));
	return steps;
}

/* --- all of it --- */

static uint64_t check_queues(struct core *core)
{
	struct lines lines = { 0 };
	uint64_t steps = 0, queues = 0, aliases = 0, durable = 0, keyed = 0;
	bool is_evict_queue_there = core->evict_queue == &core->queues;
	list_each (node, &core->queues) {
		const struct queue *q = list_entry(node, struct queue, in_core);
		steps += queue_check(q);
		queues++;
		lines.in_fifos += q->fifo.len;
		lines.fifo_bytes += q->fifo_bytes;
		lines.shelves.items += q->shelf.len;
		lines.shelves.standing += q->shelf.ready.len + q->shelf.held.len;
		lines.shelves.bytes += q->shelf.ready.bytes + q->shelf.held.bytes;
		lines.unacked += q->unacked_len;
		aliases += q->settings.dedup.takes_alias;
		durable += q->id != 0;
		keyed += q->key_number != 0;
		is_evict_queue_there |= core->evict_queue == node;
	}
	assert(queues == core->queues_len);
	assert(durable == core->queues_by_id.len && keyed == core->key_queues.len);
	assert(memcmp(&lines, &core->lines, sizeof lines) == 0);
	assert(is_evict_queue_there);
	list_each (node, &core->vhosts.all) {
		const struct vhost *v = list_entry(node, struct vhost, in_core);
		size_t at = 0;
		queues -= v->queues.len;
		for (const struct map_entry *e; (e = map_next(&v->exchanges, &at)) != NULL;)
			aliases += ((const struct exchange *)e->value)->dedup.takes_alias;
	}
	assert(queues == 0);
	assert(aliases + core->applying.is_going == core->alias_users);
	return steps;
}

static uint64_t check_exchanges(struct core *core)
{
	uint64_t steps = 0, bindings = 0, exchanges = 0, going = 0;
	list_each (node, &core->vhosts.all) {
		const struct vhost *v = list_entry(node, struct vhost, in_core);
		size_t at = 0;
		exchanges += v->exchanges.len;
		going += v->is_going;
		assert(vhost_by_id(core, v->id) == v && v->id <= core->vhosts.id_last);
		assert(v->is_going || core_vhost(core, v->name) == v);
		for (const struct map_entry *e; (e = map_next(&v->exchanges, &at)) != NULL;) {
			struct exchange *x = e->value;
			assert(bytes_equal(x->name, e->key) && x->vhost == v);
			steps += exchange_check(x);
			bindings += x->identities.len;
		}
	}
	assert(exchanges == core->exchanges_len);
	assert(core->vhosts.by_name.len + going == core->vhosts.by_id.len);
	assert(bindings == core->bindings_len);
	return steps;
}

static uint64_t check_connections(const struct core *core)
{
	uint64_t steps = 0, throttled = 0, waiting = 0, replies = 0;
	list_each (node, &core->connections) {
		const struct connection *c = list_entry(node, struct connection, in_core);
		assert(c->core == core);
		steps += connection_check(c);
		throttled += c->flooded != NULL;
		list_each (channel, &c->channels)
			replies += list_entry(channel, struct channel, in_connection)
					   ->reply_token.len > 0;
	}
	list_each (node, &core->throttled) {
		assert(list_entry(node, struct connection, in_throttled)->flooded != NULL);
		waiting++;
	}
	assert(throttled == waiting && replies == core->replies.len);
	return steps;
}

uint64_t core_check(struct core *core)
{
	assert(core->effects.len <= core->effects.cap);
	assert(core->messages.count > 0 || core->messages.bytes == 0);
	return 16 + check_queues(core) + check_exchanges(core) + check_connections(core) +
	       timers_check(&core->timers) + keys_check(&core->keys) + producers_check(core);
}

/* --- when --- */

static bool is_short(const struct queue *q)
{
	return q->fifo.len + q->shelf.used + q->shelf.due.len + q->unacked_len + q->consumers_len +
		       q->groups.len <=
	       TOUCHED_MAX;
}

/* What an input did to a queue has mostly put it on one of these lists. */
static void check_touched(const struct core *core)
{
	const struct list *lists[] = { &core->dirty, &core->stale };
	const struct queue *queues[] = {
		list_is_empty(lists[0]) ? NULL : list_entry(lists[0]->prev, struct queue, in_dirty),
		list_is_empty(lists[1]) ? NULL : list_entry(lists[1]->prev, struct queue, in_stale),
	};
	for (size_t i = 0; i < sizeof queues / sizeof *queues; i++)
		if (queues[i] != NULL && (i == 0 || queues[i] != queues[0]) && is_short(queues[i]))
			queue_check(queues[i]);
}

struct core *check_begin(struct core *core)
{
	core->check.depth++;
	return core;
}

void check_end(struct core **input)
{
	struct core *core = *input;
	assert(core->check.depth > 0);
	if (--core->check.depth > 0 || core->is_ending)
		return;
	check_touched(core);
	core->check.earned += EARNED_PER_INPUT;
	if (core->check.earned < core->check.cost)
		return;
	core->check.earned = 0;
	core->check.cost = core_check(core);
}
