/* Limits: what is too old for a queue, or too much. */
#include "core/queue/limits.h"
#include "core/line/shelf.h"
#include "core/queue/queue.h"
#include "core/state.h"

bool queue_has_limits(const struct queue *q)
{
	return q->settings.length_max != NEVER || q->settings.bytes_max != NEVER;
}

bool queue_is_over(const struct queue *q, uint64_t len, uint64_t bytes)
{
	return (q->settings.length_max != NEVER && len > q->settings.length_max) ||
	       (q->settings.bytes_max != NEVER && bytes > q->settings.bytes_max);
}

static bool is_due(const struct queue *q, const struct message *m)
{
	uint64_t now_ms = q->vhost->core->now_ms, ttl_ms = q->settings.ttl_ms;
	return (m->expires_ms != 0 && m->expires_ms <= now_ms) ||
	       (ttl_ms != NEVER && m->time_ms + ttl_ms <= now_ms);
}

/* What a turn brings, the turn may take away. */
void queue_brought(struct queue *q, const struct message *m)
{
	struct core *core = q->vhost->core;
	if (!is_due(q, m) && !queue_is_over(q, queue_counted(q), queue_counted_bytes(q)))
		return;
	core->is_overdue = true;
	core->tendable++;
}

bool queue_needs_tending(const struct queue *q)
{
	return q->shelf.due.len > 0 || q->settings.ttl_ms != NEVER || queue_has_limits(q);
}
