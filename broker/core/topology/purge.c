/* Purge: a queue is emptied of all that is not unacked. */
#include "core/topology/purge.h"
#include "core/dispatch/group.h"
#include "core/dispatch/unacked.h"
#include "core/line/fifo.h"
#include "core/line/ranges.h"
#include "core/line/shelf.h"
#include "core/queue/queue.h"
#include "core/residence/index.h"
#include "core/residence/paging.h"
#include "core/state.h"
#include "core/turnwork.h"

#include "base/alloc.h"

#include <stdlib.h>

/* What only the store knows is given up little by little. */
static void drop_fifo(struct queue *q)
{
	uint64_t from, until, position;
	if (fifo_drop_middle(&q->fifo, &from, &until))
		index_doom(q->vhost->core, q->index_id, from, until, false);
	for (uint64_t *slot; (slot = fifo_first(&q->fifo, &position)) != NULL; fifo_pop(&q->fifo))
		queue_forget_slot(q, *slot);
	paging_drop_spills(q);
	q->volatile_len = 0;
}

static int by_position(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

/* All positions from the cursor on are removed, in as few ranges as those of unacked messages among
 * them allow. */
static void remove_from_cursor(struct queue *q)
{
	uint64_t *kept = alloc_resize(NULL, (size_t)(q->unacked_len + 1) * sizeof *kept),
		 from = q->cursor;
	size_t len = 0;
	list_each (node, &q->unacked) {
		const struct delivery *d = list_entry(node, struct delivery, in_queue);
		if (d->position >= q->cursor)
			kept[len++] = d->position;
	}
	qsort(kept, len, sizeof *kept, by_position);
	kept[len++] = q->tail;
	for (size_t i = 0; i < len; i++) {
		if (kept[i] > from)
			ranges_add(&q->removed_ranges, from, kept[i] - from);
		from = kept[i] + 1;
	}
	free(kept);
}

static void drop_shelf(struct queue *q)
{
	for (struct shelf_item *item = NULL; (item = shelf_next(&q->shelf, item)) != NULL;) {
		if (q->id != 0 && slot_location(item->slot) != 0 && item->position < q->cursor)
			ranges_add(&q->removed_ranges, item->position, 1);
		queue_forget_slot(q, item->slot);
	}
	shelf_fini(&q->shelf);
	q->dying_len = 0;
	groups_forget_held(q);
}

/* What waits goes, too; what is unacked stays. */
uint64_t queue_purge(struct queue *q)
{
	uint64_t messages = queue_counted(q);
	bool is_changed = q->id != 0 && q->fifo.len + q->shelf.len > 0;
	if (is_changed)
		remove_from_cursor(q); /* Whatever of it the journal has. */
	drop_shelf(q);
	drop_fifo(q);
	q->cursor = q->reached = q->tail;
	queue_set_fifo_bytes(q, 0);
	q->kept_bytes = 0;
	list_each (node, &q->unacked) {
		const struct message *m = list_entry(node, struct delivery, in_queue)->message;
		q->kept_bytes += queue_keeps(q, m) ? m->body_len : 0;
	}
	if (is_changed) {
		queue_mark_changed(q);
		q->purged = q->vhost->core->batch->sequence;
	}
	return messages;
}
