/* Turnwork: queues and timers that later steps of a turn walk. */
#include "core/turnwork.h"
#include "core/line/shelf.h"
#include "core/queue/queue.h"
#include "core/state.h"
#include "core/time/timer.h"

void queue_mark_dirty(struct queue *q)
{
	q->is_woken = true;
	if (list_is_empty(&q->in_dirty))
		list_push_tail(&q->vhost->core->dirty, &q->in_dirty);
}

void queue_mark_changed(struct queue *q)
{
	struct core *core = q->vhost->core;
	assert(q->id != 0);
	if (list_is_empty(&q->in_changed))
		list_push_tail(&core->changed, &q->in_changed);
	queue_mark_stale(q);
}

void queue_mark_stale(struct queue *q)
{
	if (list_is_empty(&q->in_stale))
		list_push_tail(&q->vhost->core->stale, &q->in_stale);
}

void queue_want_load(struct queue *q)
{
	if (list_is_empty(&q->in_loading))
		list_push_tail(&q->vhost->core->loading, &q->in_loading);
}

void queue_want_index(struct queue *q)
{
	if (list_is_empty(&q->in_parked))
		list_push_tail(&q->vhost->core->parked, &q->in_parked);
}

void queue_arm(struct queue *q, uint64_t due_ms)
{
	if (q->tend.at == 0 || due_ms < q->tend.due_ms)
		timer_set(&q->vhost->core->timers, &q->tend, due_ms);
}

void queue_used(struct queue *q)
{
	struct core *core = q->vhost->core;
	if (q->settings.expires_ms == NEVER || q->consumers_len > 0)
		timer_clear(&core->timers, &q->unused);
	else
		timer_set(&core->timers, &q->unused, core->now_ms + q->settings.expires_ms);
}
