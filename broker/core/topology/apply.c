/* Apply: queues and exchanges are set to what their arguments and the policies say.
 *
 * New policies hold at once, but a pattern may be slow and queues many: each is set to them when it
 * is next used, or when one of the turns to come gets to it, whichever is first. Until all are, the
 * policies before are kept, for settings refer to them. */
#include "core/topology/apply.h"
#include "core/admin.h"
#include "core/check/check.h"
#include "core/dedup/dedup.h"
#include "core/dispatch/group.h"
#include "core/dispatch/lease.h"
#include "core/exchange/exchange.h"
#include "core/line/shelf.h"
#include "core/queue/queue.h"
#include "core/state.h"
#include "core/turnwork.h"
#include "core/vhost/policy.h"
#include "core/vhost/settings.h"

#include "base/alloc.h"

#include <stdlib.h>

enum {
	WORK_PER_TURN = 4096,
	LOOK = 1,         /* Is a queue or exchange of the newest policies? */
	MATCH = 256,      /* The slowest takes a quarter of a millisecond (policy.c). */
	REPLACED_MAX = 8, /* Who sets policies faster than they are applied waits for that. */
};

void queue_set_arguments(struct queue *q, struct bytes arguments)
{
	q->arguments = alloc_copy(arguments);
	queue_apply_settings(q);
}

void queue_apply_settings(struct queue *q)
{
	struct core *core = q->vhost->core;
	struct sources s = { .arguments = q->arguments };
	if (!q->is_delaying) /* The broker's own: no policy may drop what is in it. */
		policy_find(q->vhost, POLICY_QUEUES, q->arguments, q->name, &s.policy,
			    &s.operator_policy);
	q->policies = q->vhost->policies_version;
	struct settings new = settings_of(&s);
	if (q->groups.len > 0 && !bytes_equal(new.group_header, q->settings.group_header))
		groups_dissolve(q);
	new.dedup = q->settings.dedup;
	q->settings = new;
	dedup_set(core, &q->settings.dedup,
		  q->is_delaying ? (struct dedup){ .mode = DEDUP_UNSET }
				 : settings_dedup(&s, true, false));
	lease_set(core, &q->lease, q->settings.lease_ms);
	shelf_set_ttl(&q->shelf, q->settings.ttl_ms);
	queue_used(q);
	queue_arm(q, core->now_ms); /* What was not due may be now. */
}

bool queue_catch_up(struct queue *q)
{
	if (q->policies == q->vhost->policies_version)
		return false;
	queue_apply_settings(q);
	return true;
}

void queues_catch_up(struct core *core, struct queue **queues, size_t len)
{
	for (size_t i = 0; core->applying.is_going && i < len; i++)
		queue_catch_up(queues[i]);
}

/* --- to all, in steps --- */

static uint32_t matches_work(const struct vhost *vhost)
{
	return LOOK + MATCH * (uint32_t)vhost->policies.len;
}

/* Those who referred to the old ones have been set to the new ones. */
static void end(struct core *core)
{
	struct applying *a = &core->applying;
	for (size_t i = 0; i < a->replaced_len; i++)
		policies_fini(&a->replaced[i]);
	a->replaced_len = 0;
	a->is_going = false;
	core->alias_users--;
}

/* The next exchange or queue. Returns how much of the turn's work that was. */
static uint32_t apply_next(struct core *core)
{
	struct applying *a = &core->applying;
	if (a->exchange != &core->exchanges) {
		struct exchange *x = list_entry(a->exchange, struct exchange, in_core);
		a->exchange = a->exchange->next;
		return exchange_catch_up(x) ? matches_work(x->vhost) : LOOK;
	}
	if (a->queue != &core->queues) {
		struct queue *q = list_entry(a->queue, struct queue, in_core);
		a->queue = a->queue->next;
		return queue_catch_up(q) ? matches_work(q->vhost) : LOOK;
	}
	end(core);
	return LOOK;
}

void apply_begin(struct core *core)
{
	uint32_t work = 0;
	while (core->applying.is_going && work < WORK_PER_TURN)
		work += apply_next(core);
}

void apply_fini(struct core *core)
{
	if (core->applying.is_going)
		end(core);
	free(core->applying.replaced);
}

/* Everything may be of old policies, whose memory its settings refer to. */
static void replace(struct vhost *vhost, struct policies new)
{
	struct core *core = vhost->core;
	struct applying *a = &core->applying;
	while (a->replaced_len >= REPLACED_MAX)
		apply_next(core);
	a->replaced =
		alloc_grow(a->replaced, &a->replaced_cap, a->replaced_len + 1, sizeof *a->replaced);
	a->replaced[a->replaced_len++] = vhost->policies;
	vhost->policies = new;
	vhost->policies_version++;
	vhost->topology++;
	a->exchange = core->exchanges.next;
	a->queue = core->queues.next;
	core->alias_users += !a->is_going; /* Until it is known who is one. */
	a->is_going = true;
}

bool core_set_policies(struct vhost *vhost, const struct policy *policies, size_t len,
		       size_t *which, char *why, size_t why_size)
{
	CHECKED_INPUT(vhost->core);
	struct policies new;
	bool is_good = policies_copy(&new, policies, len, why, why_size);
	*which = new.len;
	if (!is_good) {
		policies_fini(&new);
		return false;
	}
	replace(vhost, new);
	apply_begin(vhost->core);
	return true;
}
