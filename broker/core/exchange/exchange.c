/* Exchanges of all types. */
#include "core/exchange/exchange.h"
#include "core/exchange/route.h"
#include "core/exchange/type.h"
#include "core/state.h"
#include "core/vhost/policy.h"
#include "core/vhost/settings.h"

#include "base/alloc.h"
#include "table.h"

#include <stdlib.h>

struct exchange *exchange_create(struct vhost *vhost, struct bytes name, enum exchange_type type)
{
	uint64_t seed = vhost->core->options.hash_seed;
	struct exchange *x = alloc_zeroed(sizeof *x);
	x->vhost = vhost;
	x->name = name.len == 0 ? bytes_str("") : alloc_copy(name);
	x->type = type;
	x->policies = vhost->policies_version;
	list_push_tail(&vhost->core->exchanges, &x->in_core);
	list_init(&x->bindings);
	list_init(&x->inbound);
	map_init(&x->identities, seed);
	map_init(&x->keys, seed);
	map_init(&x->memo, seed);
	if (exchange_types[type]->created != NULL)
		exchange_types[type]->created(x);
	map_put(&vhost->exchanges, x->name, x);
	vhost->core->exchanges_len++;
	vhost->topology++;
	return x;
}

void exchange_destroy(struct exchange *x)
{
	assert(list_is_empty(&x->bindings) && list_is_empty(&x->inbound));
	dedup_forget(x->vhost->core, &x->dedup);
	if (x->vhost->core->applying.exchange == &x->in_core)
		x->vhost->core->applying.exchange = x->in_core.next;
	walks_leave(&x->vhost->core->walks, &x->in_core);
	list_remove(&x->in_core);
	map_remove(&x->vhost->exchanges, x->name);
	x->vhost->core->exchanges_len--;
	x->vhost->topology++;
	route_memo_clear(x);
	map_fini(&x->memo);
	map_fini(&x->keys);
	map_fini(&x->identities);
	if (exchange_types[x->type]->destroyed != NULL)
		exchange_types[x->type]->destroyed(x);
	if (x->name.len > 0)
		free((void *)x->name.data);
	free((void *)x->arguments.data);
	free(x);
}

/* An argument goes before a policy, an operator's policy before another. */
void exchange_apply_settings(struct exchange *x)
{
	struct table_value v;
	struct sources s = { .arguments = x->arguments };
	policy_find(x->vhost, POLICY_EXCHANGES, x->arguments, x->name, &s.policy,
		    &s.operator_policy);
	x->policies = x->vhost->policies_version;
	bool is_set = settings_find(&s, ARGUMENT_ALTERNATE_EXCHANGE, &v);
	if (!is_set || x->is_predeclared || !table_value_string(&v, &x->alternate))
		x->alternate = bytes_of(NULL, 0);
	dedup_set(x->vhost->core, &x->dedup,
		  settings_dedup(&s, false, x->guise == GUISE_DEDUPLICATING));
}

bool exchange_catch_up(struct exchange *x)
{
	if (x->policies == x->vhost->policies_version)
		return false;
	exchange_apply_settings(x);
	return true;
}
