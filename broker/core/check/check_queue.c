/* Queues, and what they are made of. */
#include "core/check/check.h"
#include "core/dispatch/consumer.h"
#include "core/dispatch/group.h"
#include "core/dispatch/unacked.h"
#include "core/line/fifo.h"
#include "core/line/shelf.h"
#include "core/queue/queue.h"
#include "core/state.h"

#include "base/alloc.h"
#include "segment.h"

#include <stdlib.h>

uint64_t heap_check(const struct heap *heap)
{
	enum { ARITY = 4 };
	assert(heap->len <= heap->cap);
	for (size_t i = 1; i < heap->len; i++) {
		const struct heap_entry *above = &heap->entries[(i - 1) / ARITY],
					*e = &heap->entries[i];
		assert(above->key < e->key || (above->key == e->key && above->rank <= e->rank));
	}
	return heap->len;
}

/* --- fifo --- */

struct chunks_seen {
	uint64_t messages;
	uint64_t steps;
	uint64_t end; /* No later chunk may begin before it. */
	bool is_past_evicted;
};

static void chunk_check(const struct fifo_chunk *c, bool is_back, struct chunks_seen *seen)
{
	assert(c->base >= seen->end);
	assert(c->first <= c->len && c->len <= FIFO_CHUNK_SLOTS);
	assert(c->spill == NULL || c->spill->len <= c->len);
	assert(c->save != CHUNK_SAVING || c->is_stored);
	for (uint32_t i = 0; i < c->len; i++) {
		uint64_t slot = c->slots[i];
		assert(i >= c->first || slot == 0);
		if (slot == 0)
			continue;
		seen->messages++;
		if (slot_is_on_disk(slot))
			continue;
		const struct message *m = slot_message(slot);
		assert(m->refs > 0 && m->body_filled == m->body_len);
		assert(!is_back || !c->is_evicted);
	}
	seen->end = c->base + c->len;
	seen->steps += c->len + 1;
}

static void chunks_check(const struct fifo *fifo, const struct fifo_chunks *chunks, bool is_back,
			 struct chunks_seen *seen)
{
	const struct fifo_chunk *last = NULL;
	assert((chunks->head == NULL) == (chunks->tail == NULL));
	for (const struct fifo_chunk *c = chunks->head; c != NULL; last = c, c = c->next) {
		chunk_check(c, is_back, seen);
		assert(!is_back || fifo->evicted == NULL || seen->is_past_evicted || c->is_evicted);
		seen->is_past_evicted |= c == fifo->evicted;
	}
	assert(last == chunks->tail);
}

uint64_t fifo_check(const struct fifo *fifo)
{
	struct chunks_seen seen = { 0 };
	chunks_check(fifo, &fifo->front, false, &seen);
	assert(!seen.is_past_evicted);
	if (fifo->middle.len > 0) {
		assert(fifo->middle.from >= seen.end);
		assert(fifo->middle.until - fifo->middle.from >= fifo->middle.len);
		seen.end = fifo->middle.until;
	}
	chunks_check(fifo, &fifo->back, true, &seen);
	assert(fifo->evicted == NULL || seen.is_past_evicted);
	assert(seen.messages + fifo->middle.len == fifo->len);
	return seen.steps;
}

/* --- shelf --- */

/* Entries that still mean an item: as many as there are items that should have one. */
static uint64_t shelf_heap_check(const struct shelf *shelf, const struct heap *heap,
				 const struct shelf_level *level, enum shelf_state state)
{
	uint64_t living = 0;
	heap_check(heap);
	for (size_t i = 0; i < heap->len; i++) {
		const struct heap_entry *e = &heap->entries[i];
		const struct shelf_item *item = shelf_get(shelf, e->id, e->stamp);
		assert(e->id < shelf->used);
		if (item == NULL)
			continue;
		living++;
		if (level == NULL)
			assert(e->key == shelf_leaves_ms(shelf, item));
		else
			assert(item->state == state && e->key == item->position &&
			       item->priority == level->priority);
	}
	return living;
}

/* Items of one state: all of them, in the order in which they leave. */
static uint64_t order_check(const struct shelf *shelf, const struct shelf_order *order,
			    enum shelf_state state)
{
	uint64_t len = 0, bytes = 0, steps = 0;
	for (const struct shelf_item *item = NULL; (item = shelf_next(shelf, item)) != NULL;) {
		len += item->state == state;
		bytes += item->state == state ? item->size : 0;
	}
	assert(len == order->len && bytes == order->bytes);
	for (size_t i = 0; i < order->levels_len; i++) {
		const struct shelf_level *level = &order->levels[i];
		assert(i == 0 || order->levels[i - 1].priority > level->priority);
		len -= shelf_heap_check(shelf, &level->heap, level, state);
		steps += level->heap.len;
	}
	assert(len == 0);
	return steps;
}

uint64_t shelf_check(const struct shelf *shelf)
{
	uint64_t items = 0, due = 0, steps = shelf->used + shelf->due.len;
	assert(shelf->used <= shelf->cap && shelf->len + shelf->free_len == shelf->used);
	assert(shelf->evictable <= shelf->used);
	for (uint32_t id = 0; id < shelf->used; id++) {
		const struct shelf_item *item = &shelf->items[id];
		if (item->state == SHELF_FREE)
			continue;
		assert(item->slot != 0);
		items++;
		due += shelf_leaves_ms(shelf, item) != NEVER;
	}
	assert(items == shelf->len);
	for (size_t i = 0; i < shelf->free_len; i++)
		assert(shelf->items[shelf->free[i]].state == SHELF_FREE);
	assert(shelf_heap_check(shelf, &shelf->due, NULL, SHELF_FREE) == due);
	steps += order_check(shelf, &shelf->ready, SHELF_READY);
	return steps + order_check(shelf, &shelf->held, SHELF_HELD);
}

/* --- what a queue counts --- */

static bool is_volatile_slot(const struct queue *q, uint64_t slot)
{
	return q->id == 0 || slot_location(slot) == 0 || location_is_volatile(slot_location(slot));
}

static void fifo_counts_check(const struct queue *q)
{
	uint64_t not_kept = 0, bytes = 0;
	bool is_all_here = q->fifo.middle.len == 0;
	for (const struct fifo_chunk *c = NULL; (c = fifo_next_chunk(&q->fifo, c)) != NULL;) {
		assert(c->save != CHUNK_SAVING || !list_is_empty(&q->in_saving));
		for (uint32_t i = c->first; i < c->len; i++) {
			uint64_t slot = c->slots[i];
			if (slot == 0)
				continue;
			assert(c->base + i >= q->cursor);
			not_kept += is_volatile_slot(q, slot);
			is_all_here &= !slot_is_on_disk(slot);
			bytes += slot_is_on_disk(slot) ? 0 : slot_message(slot)->body_len;
		}
		assert(c->base + c->len <= q->tail);
	}
	assert(q->volatile_len <= q->fifo.len);
	if (q->fifo.middle.len == 0 && q->vhost->core->figures.damaged == 0)
		assert(not_kept == q->volatile_len);
	if (is_all_here && q->id == 0)
		assert(bytes == q->fifo_bytes);
}

static void shelf_counts_check(const struct queue *q)
{
	uint64_t dying = 0;
	assert(q->shelf.ttl_ms == q->settings.ttl_ms);
	assert(q->policies == q->vhost->policies_version || q->vhost->core->applying.is_going);
	for (const struct shelf_item *item = NULL; (item = shelf_next(&q->shelf, item)) != NULL;) {
		assert(item->position < q->tail);
		assert(slot_is_on_disk(item->slot) || slot_message(item->slot)->refs > 0);
		dying += item->state == SHELF_DYING;
	}
	assert(dying == q->dying_len);
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

/* No position is twice in the queue. */
static void positions_check(const struct queue *q)
{
	size_t len = 0,
	       most = (size_t)(q->fifo.len - q->fifo.middle.len + q->shelf.len + q->unacked_len);
	uint64_t *all = alloc_resize(NULL, (most + 1) * sizeof *all);
	for (const struct fifo_chunk *c = NULL; (c = fifo_next_chunk(&q->fifo, c)) != NULL;)
		for (uint32_t i = c->first; i < c->len; i++)
			if (c->slots[i] != 0)
				all[len++] = c->base + i;
	for (const struct shelf_item *item = NULL; (item = shelf_next(&q->shelf, item)) != NULL;)
		all[len++] = item->position;
	list_each (node, &q->unacked)
		all[len++] = list_entry(node, struct delivery, in_queue)->position;
	assert(len == most);
	qsort(all, len, sizeof *all, by_value);
	for (size_t i = 1; i < len; i++)
		assert(all[i - 1] < all[i]);
	free(all);
}

/* --- deliveries, consumers, groups --- */

static void delivery_check(const struct queue *q, const struct delivery *d)
{
	assert(d->queue == q && d->message != NULL && d->message->refs > 0);
	assert(d->consumer == NULL || d->consumer->queue == q);
	assert(d->position < q->tail);
	assert((d->lease != NULL) == !list_is_empty(&d->in_lease));
	assert(d->group == NULL || d->group->queue == q);
	if (q->id != 0 && d->message->location != 0)
		assert(d->position < q->asked); /* A crash would mark it as delivered. */
}

static uint64_t unacked_check(const struct queue *q)
{
	uint64_t unacked = 0, of_consumers = 0, of_groups = 0;
	list_each (node, &q->unacked) {
		const struct delivery *d = list_entry(node, struct delivery, in_queue);
		delivery_check(q, d);
		unacked++;
		of_consumers += d->consumer != NULL;
		of_groups += d->group != NULL;
	}
	assert(unacked == q->unacked_len);
	list_each (node, &q->consumers)
		of_consumers -= list_entry(node, struct consumer, in_queue)->unacked_len;
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&q->groups, &at)) != NULL;)
		of_groups -= ((const struct group *)e->value)->unacked_len;
	assert(of_consumers == 0 && of_groups == 0);
	return unacked;
}

static uint64_t lease_check(const struct lease *lease)
{
	uint64_t len = 0, first = NEVER, last = 0;
	list_each (node, &lease->deliveries) {
		const struct delivery *d = list_entry(node, struct delivery, in_lease);
		assert(d->lease == lease);
		if (len++ == 0)
			first = d->lease_due_ms;
		assert(d->lease_due_ms >= last);
		last = d->lease_due_ms;
	}
	assert(len == 0 || (lease->timer.at != 0 && lease->timer.due_ms <= first));
	return len;
}

static uint64_t levels_check(const struct queue *q)
{
	uint64_t in_levels = 0, ready = 0;
	for (size_t i = 0; i < q->levels_len; i++) {
		const struct level *level = q->levels[i];
		assert(i == 0 || q->levels[i - 1]->priority > level->priority);
		assert(level->consumers_len > 0);
		in_levels += level->consumers_len;
		list_each (node, &level->ready) {
			const struct consumer *c = list_entry(node, struct consumer, in_level);
			assert(c->level == level && c->is_ready);
			ready++;
		}
	}
	assert(in_levels == q->consumers_len);
	return ready;
}

static uint64_t consumers_check(const struct queue *q)
{
	uint64_t consumers = 0, ready = levels_check(q), steps = 0;
	bool is_active_there = q->active == NULL;
	list_each (node, &q->consumers) {
		const struct consumer *c = list_entry(node, struct consumer, in_queue);
		assert(c->queue == q);
		consumers++;
		ready -= c->is_ready;
		is_active_there |= c == q->active;
		steps += consumer_check(c) + lease_check(&c->lease);
		list_each (group, &c->groups)
			assert(list_entry(group, struct group, in_consumer)->consumer == c);
	}
	assert(consumers == q->consumers_len && ready == 0);
	assert(is_active_there && (q->active != NULL) == (consumers > 0));
	assert(!q->is_exclusive_consumer || consumers == 1);
	return steps;
}

/* A group is there while one of its messages is unacked or on its way to be, and nothing of it
 * waits without somebody who will let it go on. */
static uint64_t groups_check(const struct queue *q)
{
	uint64_t held = 0, idle = 0, steps = 0;
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&q->groups, &at)) != NULL;) {
		const struct group *g = e->value;
		uint64_t own = 0;
		assert(g->queue == q && bytes_equal(g->value, e->key));
		assert(g->consumer == NULL || g->consumer->queue == q);
		assert(list_is_empty(&g->in_consumer) || g->consumer != NULL);
		heap_check(&g->held);
		for (size_t i = 0; i < g->held.len; i++)
			own += group_held(q, &g->held.entries[i]) != NULL;
		assert(g->unacked_len > 0 || g->is_released);
		assert(own == 0 || g->consumer == NULL || !list_is_empty(&g->in_consumer) ||
		       g->is_released);
		held += own;
		idle += g->unacked_len == 0;
		steps += 1 + g->held.len;
	}
	assert(held >= q->shelf.held.len);        /* One that was aside before is there twice. */
	if (q->vhost->core->figures.damaged == 0) /* Those wait for what is ready. */
		assert(idle <= q->shelf.ready.len);
	return steps;
}

/* --- what makes it go on --- */

static bool will_be_looked_at(const struct queue *q)
{
	return !list_is_empty(&q->in_dirty) || !list_is_empty(&q->in_loading) ||
	       !list_is_empty(&q->in_parked) || !list_is_empty(&q->in_late);
}

/* Whoever can be served is, and what the clock is to do is known to it. */
static void progress_check(const struct queue *q)
{
	bool is_wanted = queue_ready(q) > 0 && queue_next_consumer(q) != NULL;
	if (is_wanted && q->settings.group_header.len == 0)
		assert(will_be_looked_at(q) || !list_is_empty(&q->in_granting));
	uint64_t due_ms = NEVER;
	for (size_t i = 0; i < q->shelf.due.len; i++) {
		const struct heap_entry *e = &q->shelf.due.entries[i];
		if (e->key < due_ms && shelf_get(&q->shelf, e->id, e->stamp) != NULL)
			due_ms = e->key;
	}
	if (due_ms < q->vhost->core->now_ms)
		due_ms = q->vhost->core->now_ms; /* A new policy says so: the clock is late. */
	if (due_ms != NEVER)
		assert(will_be_looked_at(q) || (q->tend.at != 0 && q->tend.due_ms <= due_ms));
	if (q->settings.ttl_ms != NEVER && q->fifo.len > 0)
		assert(will_be_looked_at(q) || q->tend.at != 0);
	if (q->vhost->core->batch != NULL) /* It begins with the first turn. */
		assert((q->unused.at != 0) ==
		       (q->settings.expires_ms != NEVER && q->consumers_len == 0));
}

/* What the journal is to know at the end of the turn. */
static void journal_check(const struct queue *q)
{
	bool is_told = !list_is_empty(&q->in_changed);
	assert(q->cursor <= q->tail && q->reached <= q->tail);
	if (q->id == 0) {
		assert(!is_told && q->kept_bytes == 0);
		return;
	}
	assert(q->granted <= q->asked);
	assert(is_told ||
	       (q->removed_ranges.len == 0 && q->returned_ranges.len == 0 && !q->is_limit_changed));
	assert(!is_told || !list_is_empty(&q->in_stale));
	assert(!list_is_empty(&q->in_granting) || q->granted == q->asked);
	for (size_t i = 0; i < q->removed_ranges.len; i++)
		assert(q->removed_ranges.items[i].len > 0);
}

uint64_t queue_check(const struct queue *q)
{
	const struct core *core = q->vhost->core;
	assert(map_get(&q->vhost->queues, q->name) == q);
	assert(q->id == 0 || map_get(&core->queues_by_id, bytes_of(&q->id, sizeof q->id)) == q);
	assert(q->owner == NULL || q->id == 0);
	assert((q->owner != NULL) == !list_is_empty(&q->in_owner));
	assert(q->burst == 0 || !list_is_empty(&q->in_dirty));
	uint64_t steps = 8 + fifo_check(&q->fifo) + shelf_check(&q->shelf);
	fifo_counts_check(q);
	shelf_counts_check(q);
	positions_check(q);
	steps += unacked_check(q) + consumers_check(q) + groups_check(q) + lease_check(&q->lease);
	journal_check(q);
	progress_check(q);
	return steps;
}
