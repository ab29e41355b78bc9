/* Groups: messages with the same value of a header (queue argument x-group-header) are handled one
 * consumer at a time, in order, while different groups are handled in parallel.
 *
 * A group is bound to a consumer while that has a message of it unacked. Meanwhile the group's next
 * messages go to that consumer; while it has no credit for them they are put aside (on the shelf,
 * held), so that other groups can go on, up to a number: then the queue waits. */
#include "core/dispatch/group.h"
#include "core/dispatch/consumer.h"
#include "core/dispatch/unacked.h"
#include "core/line/fifo.h"
#include "core/line/shelf.h"
#include "core/message/message.h"
#include "core/queue/queue.h"
#include "core/time/heap.h"
#include "core/turnwork.h"

#include "base/alloc.h"
#include "table.h"

#include <stdlib.h>

enum { HELD_MAX = 10000, STALE_MIN = 64 };

/* The header's value in encoded form, with its type: 1 is not "1". Empty: the message has none. */
static struct bytes value_of(const struct queue *q, const struct message *m)
{
	struct properties p;
	struct bytes rest, name;
	struct table_value v;
	if (!properties_decode(&p, message_properties(m)) || (p.flags & HAS_headers) == 0)
		return (struct bytes){ NULL, 0 };
	for (rest = p.headers; table_next(&rest, &name, &v);)
		if (bytes_equal(name, q->settings.group_header))
			return bytes_of(v.raw.data - 1, v.raw.len + 1);
	return (struct bytes){ NULL, 0 };
}

static struct group *find(const struct queue *q, const struct message *m)
{
	struct bytes value = value_of(q, m);
	return value.len == 0 ? NULL : map_get(&q->groups, value);
}

struct shelf_item *group_held(const struct queue *q, const struct heap_entry *e)
{
	struct shelf_item *item = e->id < q->shelf.used ? &q->shelf.items[e->id] : NULL;
	return item != NULL && item->state == SHELF_HELD && item->position == e->key ? item : NULL;
}

static struct shelf_item *first_held(struct queue *q, struct group *g)
{
	while (g->held.len > 0 && group_held(q, &g->held.entries[0]) == NULL)
		heap_pop(&g->held);
	return g->held.len == 0 ? NULL : group_held(q, &g->held.entries[0]);
}

/* Behind a first one that stays, others come and expire. */
static void trim(struct queue *q, struct group *g)
{
	struct heap *h = &g->held;
	size_t kept = 0;
	if (h->len < STALE_MIN || h->len / 2 < q->shelf.held.len)
		return;
	for (size_t i = 0; i < h->len; i++)
		if (group_held(q, &h->entries[i]) != NULL)
			h->entries[kept++] = h->entries[i];
	h->len = kept;
	heap_rebuild(h);
}

static void group_free(struct queue *q, struct group *g)
{
	const struct group *removed = map_remove(&q->groups, g->value);
	assert(removed == g);
	list_remove(&g->in_consumer);
	heap_fini(&g->held);
	free((void *)g->value.data);
	free(g);
}

/* The group's first held message may go on. */
static void release(struct queue *q, struct group *g)
{
	struct shelf_item *item = first_held(q, g);
	list_remove(&g->in_consumer);
	if (item == NULL)
		return;
	g->is_released = true;
	heap_pop(&g->held);
	shelf_update(&q->shelf, item, SHELF_READY);
	queue_mark_dirty(q);
}

/* --- delivery --- */

/* An older one of the group is aside. */
static bool is_behind(struct queue *q, struct group *g, uint64_t position)
{
	const struct shelf_item *item = first_held(q, g);
	return item != NULL && item->position < position;
}

struct consumer *group_consumer(struct queue *q, const struct head *head, struct consumer *next)
{
	struct group *g = find(q, slot_message(*head->slot));
	if (g == NULL)
		return next;
	if (is_behind(q, g, head->position))
		return NULL;
	if (g->unacked_len == 0)
		return next;
	return g->consumer != NULL && g->consumer->is_ready ? g->consumer : NULL;
}

/* Whoever gets has nothing yet. */
bool group_is_free(struct queue *q, const struct head *head)
{
	struct group *g = find(q, slot_message(*head->slot));
	return g == NULL || (g->unacked_len == 0 && !is_behind(q, g, head->position));
}

bool group_would_wait(struct queue *q, const struct message *message)
{
	struct group *g = find(q, message);
	return g != NULL &&
	       (first_held(q, g) != NULL ||
		(g->unacked_len > 0 && (g->consumer == NULL || !g->consumer->is_ready)));
}

bool group_set_aside(struct queue *q, const struct head *head)
{
	struct group *g = find(q, slot_message(*head->slot));
	assert(g != NULL); /* Otherwise it could have gone out. */
	if (q->shelf.held.len >= HELD_MAX)
		return false;
	bool is_delivered = head->item != NULL && head->item->is_delivered;
	uint32_t count = head->item == NULL ? 0 : head->item->count;
	uint64_t reached = q->reached;
	struct taken t = queue_take(q, head);
	if (!is_delivered)
		q->reached = reached; /* It has not gone out. */
	t.count = count;
	struct shelf_item *item = queue_put_back(q, &t, is_delivered, SHELF_HELD, 0);
	trim(q, g);
	heap_push(&g->held,
		  (struct heap_entry){ .key = item->position, .id = shelf_id(&q->shelf, item) });
	g->is_released = false;
	if (g->consumer != NULL && list_is_empty(&g->in_consumer))
		list_push_tail(&g->consumer->groups, &g->in_consumer);
	return true;
}

void group_delivered(struct delivery *d)
{
	struct queue *q = d->queue;
	struct bytes value = value_of(q, d->message);
	if (value.len == 0)
		return;
	struct group *g = map_get(&q->groups, value);
	if (g == NULL) {
		g = alloc_zeroed(sizeof *g);
		g->queue = q;
		g->value = alloc_copy(value);
		list_init(&g->in_consumer);
		map_put(&q->groups, g->value, g);
	}
	if (g->unacked_len++ == 0)
		g->consumer = d->consumer;
	g->is_released = false;
	d->group = g;
	if (first_held(q, g) != NULL && g->consumer != NULL && list_is_empty(&g->in_consumer))
		list_push_tail(&g->consumer->groups,
			       &g->in_consumer); /* The next one follows if there is credit. */
}

void group_settled(struct delivery *d)
{
	struct group *g = d->group;
	struct queue *q = g->queue;
	assert(g->unacked_len > 0);
	d->group = NULL;
	if (--g->unacked_len > 0)
		return;
	g->consumer = NULL;
	list_remove(&g->in_consumer);
	if (first_held(q, g) != NULL)
		release(q, g);
	else if (!g->is_released)
		group_free(q, g);
}

/* As many groups go on as it has credit for. */
void group_consumer_ready(struct consumer *c)
{
	uint64_t credit = consumer_credit(c);
	while (credit-- > 0 && !list_is_empty(&c->groups))
		release(c->queue, list_entry(c->groups.next, struct group, in_consumer));
}

/* Credit that was meant for one group may have been left over by it. */
bool groups_go_on(struct queue *q)
{
	for (size_t i = 0; i < q->levels_len; i++) {
		list_each (node, &q->levels[i]->ready) {
			struct consumer *c = list_entry(node, struct consumer, in_level);
			if (list_is_empty(&c->groups))
				continue;
			release(q, list_entry(c->groups.next, struct group, in_consumer));
			return true;
		}
	}
	return false;
}

/* What it has unacked stays with its channel, and the groups of it wait for that. */
void group_consumer_gone(struct consumer *c)
{
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&c->queue->groups, &at)) != NULL;) {
		struct group *g = e->value;
		if (g->consumer != c)
			continue;
		g->consumer = NULL;
		list_remove(&g->in_consumer);
	}
}

void group_lost(struct queue *q, const struct message *message)
{
	struct group *g = find(q, message);
	if (g == NULL)
		return;
	g->is_released = false;
	if (first_held(q, g) == NULL) {
		if (g->unacked_len == 0)
			group_free(q, g);
	} else if (g->unacked_len == 0 || (g->consumer != NULL && g->consumer->is_ready)) {
		release(q, g);
	} else if (g->consumer != NULL && list_is_empty(&g->in_consumer)) {
		list_push_tail(&g->consumer->groups, &g->in_consumer);
	}
}

void group_lost_held(struct queue *q, const struct message *message)
{
	struct group *g = find(q, message);
	assert(g != NULL);
	if (first_held(q, g) == NULL)
		list_remove(&g->in_consumer);
}

/* --- the end --- */

void groups_forget_held(struct queue *q)
{
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&q->groups, &at)) != NULL;) {
		struct group *g = e->value;
		heap_fini(&g->held);
		g->is_released = false;
		list_remove(&g->in_consumer);
		if (g->unacked_len > 0)
			continue; /* It goes with the last of them. */
		group_free(q, g);
		at--; /* Another one may have moved there. */
	}
}

void groups_dissolve(struct queue *q)
{
	for (struct shelf_item *item = NULL; (item = shelf_next(&q->shelf, item)) != NULL;)
		if (item->state == SHELF_HELD)
			shelf_update(&q->shelf, item, SHELF_READY);
	list_each (node, &q->unacked)
		list_entry(node, struct delivery, in_queue)->group = NULL;
	groups_forget_held(q);
	groups_fini(q);
	queue_mark_dirty(q);
}

void groups_fini(struct queue *q)
{
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&q->groups, &at)) != NULL; at--)
		group_free(q, e->value);
	map_fini(&q->groups);
}
