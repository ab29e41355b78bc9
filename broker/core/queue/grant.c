/* Grant: how far a queue may deliver, so that after a crash no message comes again without being
 * marked as redelivered.
 *
 * The journal holds, for each queue, a limit: every position below it may have been delivered. A
 * message goes out only if the limit above it is sure to survive whenever the message does: the
 * limit is on disk, or it was recorded no later than the message itself. Limits run ahead of the
 * consumers (GRANT_AHEAD), so a flow of messages never waits; only the first delivery from a
 * backlog waits for one commit. When a queue has been quiet for a while the limit is drawn back to
 * what really was delivered: a crash then marks exactly that, and during a flow a few messages
 * more. */
#include "core/queue/grant.h"
#include "core/check/check.h"
#include "core/core.h"
#include "core/queue/queue.h"
#include "core/state.h"
#include "core/turnwork.h"

#ifndef GRANT_AHEAD /* The simulation has a small one. */
#define GRANT_AHEAD 4096
#endif

enum { QUIET_MS = 50 };

static void ask(struct queue *q, uint64_t limit)
{
	struct core *core = q->vhost->core;
	assert(q->id != 0 && core->batch != NULL);
	q->asked = limit;
	q->asked_sequence = core->batch->sequence;
	q->is_limit_changed = true;
	queue_mark_changed(q);
	if (list_is_empty(&q->in_granting))
		list_push_tail(&core->granting, &q->in_granting);
	if (list_is_empty(&q->in_loose))
		list_push_tail(&core->loose, &q->in_loose);
}

bool grant_covers(struct queue *q, uint64_t position, const struct message *message)
{
	if (q->id == 0 || message->location == 0 || position < q->granted)
		return true; /* It is not in the journal, or the limit is on disk. */
	if (message->sequence == q->vhost->core->batch->sequence)
		return true; /* What grant_used() will ask for goes with it. */
	if (position < q->asked && q->asked_sequence <= message->sequence)
		return true;
	if (position >= q->asked)
		ask(q, position + 1 + GRANT_AHEAD);
	q->vhost->core->batch->is_awaited = true;
	return false; /* queue_granted() will bring it back. */
}

void grant_used(struct queue *q, uint64_t position, const struct message *message)
{
	if (q->id == 0 || message->location == 0)
		return;
	q->delivered_ms = q->vhost->core->now_ms;
	if (position + GRANT_AHEAD / 2 >= q->asked)
		ask(q, position + 1 + GRANT_AHEAD);
}

void grant_durable(struct core *core)
{
	list_each (node, &core->granting) {
		struct queue *q = list_entry(node, struct queue, in_granting);
		if (q->asked_sequence > core->durable)
			continue;
		list_remove(&q->in_granting);
		q->granted = q->asked;
		queue_mark_dirty(q);
	}
}

bool core_is_loose(const struct core *core)
{
	return !list_is_empty(&core->loose);
}

void core_tighten(struct core *core, bool is_last)
{
	CHECKED_INPUT(core);
	list_each (node, &core->loose) {
		struct queue *q = list_entry(node, struct queue, in_loose);
		if (!is_last && core->now_ms - q->delivered_ms < QUIET_MS)
			continue;
		list_remove(&q->in_loose);
		if (q->asked <= q->reached)
			continue;
		ask(q, q->reached);
		list_remove(&q->in_loose);
		if (q->granted > q->reached)
			q->granted = q->reached; /* What the disk has until then may be less. */
	}
}
