/* Apply: queues and exchanges are set to what their arguments and the policies say. */
#include "core/topology/apply.h"
#include "core/admin.h"
#include "core/check/check.h"
#include "core/dedup/dedup.h"
#include "core/dispatch/group.h"
#include "core/exchange/exchange.h"
#include "core/line/shelf.h"
#include "core/queue/queue.h"
#include "core/state.h"
#include "core/turnwork.h"
#include "core/vhost/policy.h"
#include "core/vhost/settings.h"

#include "base/alloc.h"

#include "table.h"

void queue_set_arguments(struct queue *q, struct bytes arguments)
{
	q->arguments = alloc_copy(arguments);
	queue_apply_settings(q);
}

/* An argument goes before a policy, an operator's policy before another. */
void exchange_apply_settings(struct exchange *x)
{
	struct table_value v;
	struct sources s = { .arguments = x->arguments };
	policy_find(x->vhost, POLICY_EXCHANGES, x->arguments, x->name, &s.policy,
		    &s.operator_policy);
	bool is_set = settings_find(&s, ARGUMENT_ALTERNATE_EXCHANGE, &v);
	if (!is_set || x->is_predeclared || !table_value_string(&v, &x->alternate))
		x->alternate = bytes_of(NULL, 0);
	dedup_set(x->vhost->core, &x->dedup,
		  settings_dedup(&s, false, x->guise == GUISE_DEDUPLICATING));
}

void queue_apply_settings(struct queue *q)
{
	struct core *core = q->vhost->core;
	struct sources s = { .arguments = q->arguments };
	if (!q->is_delaying) /* The broker's own: no policy may drop what is in it. */
		policy_find(q->vhost, POLICY_QUEUES, q->arguments, q->name, &s.policy,
			    &s.operator_policy);
	struct settings new = settings_of(&s);
	if (q->groups.len > 0 && !bytes_equal(new.group_header, q->settings.group_header))
		groups_dissolve(q);
	new.dedup = q->settings.dedup;
	q->settings = new;
	dedup_set(core, &q->settings.dedup,
		  q->is_delaying ? (struct dedup){ .mode = DEDUP_UNSET }
				 : settings_dedup(&s, true, false));
	shelf_set_ttl(&q->shelf, q->settings.ttl_ms);
	queue_used(q);
	queue_arm(q, core->now_ms); /* What was not due may be now. */
}

static void apply_to_all(struct vhost *vhost)
{
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&vhost->queues, &at)) != NULL;)
		queue_apply_settings(e->value);
	at = 0;
	for (const struct map_entry *e; (e = map_next(&vhost->exchanges, &at)) != NULL;)
		exchange_apply_settings(e->value);
	vhost->topology++;
}

bool core_set_policies(struct vhost *vhost, const struct policy *policies, size_t len,
		       size_t *which, char *why, size_t why_size)
{
	CHECKED_INPUT(vhost->core);
	struct policies new, old = vhost->policies;
	bool is_good = policies_copy(&new, policies, len, why, why_size);
	*which = new.len;
	if (!is_good) {
		policies_fini(&new);
		return false;
	}
	vhost->policies = new;
	apply_to_all(vhost); /* Before the old ones go, to which settings refer. */
	policies_fini(&old);
	return true;
}
