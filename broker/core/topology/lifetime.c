/* Lifetime: a queue comes to be with all its parts, and goes with all that it has. */
#include "core/topology/lifetime.h"
#include "core/dispatch/group.h"
#include "core/dispatch/lease.h"
#include "core/dispatch/unacked.h"
#include "core/line/fifo.h"
#include "core/line/shelf.h"
#include "core/queue/queue.h"
#include "core/queue/throttle.h"
#include "core/residence/index.h"
#include "core/state.h"
#include "core/time/timer.h"
#include "core/topology/purge.h"
#include "core/vhost/settings.h"

#include "base/alloc.h"

#include <stdlib.h>

struct queue *queue_create(struct vhost *vhost, struct bytes name)
{
	struct queue *q = alloc_zeroed(sizeof *q);
	q->vhost = vhost;
	q->name = alloc_copy(name);
	fifo_init(&q->fifo);
	q->shelf.ttl_ms = NEVER;
	q->fifo.total = &vhost->core->lines.in_fifos;
	q->shelf.totals = &vhost->core->lines.shelves;
	q->serial = ++vhost->core->serial_last;
	q->loading_item = NEVER;
	q->tend.kind = TIMER_TEND;
	lease_init(&q->lease, NEVER);
	map_init(&q->groups, vhost->core->options.hash_seed);
	q->unused.kind = TIMER_UNUSED;
	list_init(&q->in_owner);
	list_init(&q->inbound);
	list_init(&q->unacked);
	list_init(&q->consumers);
	list_init(&q->in_dirty);
	list_init(&q->in_loading);
	list_init(&q->in_granting);
	list_init(&q->in_loose);
	list_init(&q->in_changed);
	list_init(&q->in_stale);
	list_init(&q->in_saving);
	list_init(&q->in_parked);
	list_init(&q->in_late);
	list_push_tail(&vhost->core->queues, &q->in_core);
	map_put(&vhost->queues, q->name, q);
	vhost->core->queues_len++;
	vhost->core->figures.queues_created++;
	vhost->topology++;
	return q;
}

/* Unacked deliveries stay with their channels, which may still ack them; the messages go now. */
static void orphan_deliveries(struct queue *q)
{
	list_each (node, &q->unacked) {
		struct delivery *d = list_entry(node, struct delivery, in_queue);
		list_remove(&d->in_queue);
		queue_forget_slot(q, slot_of_message(d->message));
		if (d->lease == &q->lease)
			lease_end(d);
		d->queue = NULL;
		d->message = NULL;
	}
	q->vhost->core->lines.unacked -= q->unacked_len;
	q->unacked_len = 0;
}

void queue_destroy(struct queue *q)
{
	struct core *core = q->vhost->core;
	assert(list_is_empty(&q->inbound) && q->consumers_len == 0);
	dedup_forget(core, &q->settings.dedup);
	throttle_forget_queue(q);
	orphan_deliveries(q);
	queue_purge(q);
	list_remove(&q->in_owner);
	list_remove(&q->in_dirty);
	list_remove(&q->in_loading);
	list_remove(&q->in_granting);
	list_remove(&q->in_loose);
	list_remove(&q->in_changed);
	list_remove(&q->in_stale);
	list_remove(&q->in_saving);
	list_remove(&q->in_parked);
	list_remove(&q->in_late);
	timer_clear(&core->timers, &q->tend);
	timer_clear(&core->timers, &q->unused);
	groups_fini(q);
	lease_fini(core, &q->lease);
	if (q->vhost->delayed == q)
		q->vhost->delayed = NULL;
	if (core->evict_queue == &q->in_core)
		core->evict_queue = q->in_core.next;
	if (core->applying.queue == &q->in_core)
		core->applying.queue = q->in_core.next;
	walks_leave(&core->walks, &q->in_core);
	list_remove(&q->in_core);
	map_remove(&q->vhost->queues, q->name);
	if (q->id != 0)
		map_remove(&core->queues_by_id, bytes_of(&q->id, sizeof q->id));
	if (q->key_number != 0)
		map_remove(&core->key_queues, bytes_of(&q->key_number, sizeof q->key_number));
	index_delete(q);
	core->queues_len--;
	core->figures.queues_deleted++;
	q->vhost->topology++;
	fifo_fini(&q->fifo);
	for (size_t i = 0; i < q->levels_len; i++)
		free(q->levels[i]);
	free(q->levels);
	shelf_fini(&q->shelf);
	free(q->removed_ranges.items);
	free(q->returned_ranges.items);
	free((void *)q->arguments.data);
	free((void *)q->name.data);
	free(q);
}
