/* Vhosts: virtual hosts come and go. One that is deleted is emptied in steps: its record says that
 * it is going until nothing is left of it, so that a start after a crash goes on. */
#include "core/topology/vhosts.h"
#include "core/admin.h"
#include "core/check/check.h"
#include "core/exchange/binding.h"
#include "core/exchange/exchange.h"
#include "core/queue/queue.h"
#include "core/record/definitions.h"
#include "core/state.h"
#include "core/topology/declare_exchange.h"
#include "core/topology/declare_queue.h"
#include "core/vhost/vhost.h"

#include "base/alloc.h"

#include <stdlib.h>

enum { GONE_PER_TURN = 64 };

static void predeclare(struct vhost *vhost)
{
	static const struct {
		const char *name;
		enum exchange_type type;
		bool is_internal;
	} all[] = {
		{ "amq.direct", EXCHANGE_DIRECT, false },
		{ "amq.fanout", EXCHANGE_FANOUT, false },
		{ "amq.topic", EXCHANGE_TOPIC, false },
		{ "amq.headers", EXCHANGE_HEADERS, false },
		{ "amq.match", EXCHANGE_HEADERS, false },
		{ "amq.rabbitmq.trace", EXCHANGE_TOPIC, true },
		{ "", EXCHANGE_DIRECT, false },
	};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		struct exchange *x = exchange_create(vhost, bytes_str(all[i].name), all[i].type);
		x->is_durable = x->is_predeclared = true;
		x->is_internal = all[i].is_internal;
		x->is_default = all[i].name[0] == '\0';
		if (x->is_default)
			vhost->default_exchange = x;
	}
}

struct vhost *vhost_recover(struct core *core, uint32_t id, struct bytes name, bool is_going)
{
	struct vhost *old = is_going ? core_vhost(core, name) : NULL;
	if (old != NULL) /* A younger one has its name already. */
		map_remove(&core->vhosts.by_name, old->name);
	struct vhost *v = vhost_create(core, id, name);
	predeclare(v);
	if (is_going)
		vhost_set_going(v);
	if (old != NULL)
		map_put(&core->vhosts.by_name, old->name, old);
	return v;
}

void vhosts_init(struct core *core)
{
	list_init(&core->vhosts.all);
	map_init(&core->vhosts.by_name, core->options.hash_seed);
	map_init(&core->vhosts.by_id, core->options.hash_seed);
	predeclare(vhost_create(core, 0, bytes_str("/")));
}

static void drop_exchanges(struct vhost *vhost)
{
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&vhost->exchanges, &at)) != NULL;) {
		struct exchange *x = e->value;
		while (!list_is_empty(&x->bindings))
			binding_destroy(list_entry(x->bindings.next, struct binding, in_source));
	}
	at = 0;
	for (const struct map_entry *e; (e = map_next(&vhost->exchanges, &at)) != NULL; at--)
		exchange_destroy(e->value);
}

void vhosts_drop_exchanges(struct core *core)
{
	list_each (node, &core->vhosts.all)
		drop_exchanges(list_entry(node, struct vhost, in_core));
}

void vhosts_fini(struct core *core)
{
	while (!list_is_empty(&core->vhosts.all))
		vhost_destroy(list_entry(core->vhosts.all.next, struct vhost, in_core));
	map_fini(&core->vhosts.by_name);
	map_fini(&core->vhosts.by_id);
}

/* --- made and set --- */

void core_vhost_set(struct vhost *v, const struct vhost_settings *settings)
{
	CHECKED_INPUT(v->core);
	struct bytes notes = alloc_copy(settings->notes); /* They may be its own. */
	free((void *)v->notes.data);
	v->notes = notes;
	v->queues_max = settings->queues_max < 0 ? -1 : settings->queues_max;
	v->connections_max = settings->connections_max < 0 ? -1 : settings->connections_max;
	durable_vhost(v, false);
	v->core->awaited = v->defined;
}

void core_vhost_set_quorum_default(struct vhost *v, bool is_quorum_default)
{
	v->is_quorum_default = is_quorum_default;
}

struct vhost *core_vhost_create(struct core *core, struct bytes name,
				const struct vhost_settings *settings)
{
	assert(name.len > 0 && name.len <= UINT8_MAX && core_vhost(core, name) == NULL);
	struct vhost *v = vhost_create(core, core->vhosts.id_last + 1, name);
	predeclare(v);
	durable_counters(core);
	core_vhost_set(v, settings);
	return v;
}

/* --- deleted --- */

void core_vhost_delete(struct vhost *v)
{
	CHECKED_INPUT(v->core);
	vhost_set_going(v);
	durable_vhost(v, false);
	v->core->awaited = v->defined;
}

static bool is_empty(const struct vhost *v)
{
	return v->queues.len == 0 && v->exchanges.len == 0;
}

/* The next one after the last: what is gone is not searched through again. */
static void *any_of(const struct map *map, size_t *at)
{
	const struct map_entry *e = map_next(map, at);
	if (e == NULL) { /* Removing moves others to the front now and then. */
		*at = 0;
		e = map_next(map, at);
	}
	return e->value;
}

static void drop_one(struct vhost *v)
{
	if (v->queues.len > 0) {
		queue_delete(any_of(&v->queues, &v->going_at));
		return;
	}
	struct exchange *x = any_of(&v->exchanges, &v->going_at);
	if (x == v->default_exchange)
		v->default_exchange = NULL;
	if (x->is_predeclared)
		x->is_durable = x->is_predeclared = false; /* It has no record. */
	exchange_delete(x);
}

/* Of "/" the record stays, which says that there is none. */
static void finish(struct vhost *v)
{
	if (v->id != 0)
		durable_vhost(v, true);
	vhost_destroy(v);
}

void vhosts_begin(struct core *core)
{
	unsigned budget = GONE_PER_TURN;
	for (struct list *node = core->vhosts.all.next, *next;
	     node != &core->vhosts.all && budget > 0; node = next) {
		next = node->next;
		struct vhost *v = list_entry(node, struct vhost, in_core);
		if (!v->is_going)
			return; /* Those that are come first. */
		for (; budget > 0 && !is_empty(v); budget--)
			drop_one(v);
		if (is_empty(v) && v->connections_len == 0)
			finish(v);
	}
}

bool vhosts_are_going(const struct core *core)
{
	list_each (node, &core->vhosts.all) {
		const struct vhost *v = list_entry(node, struct vhost, in_core);
		if (!v->is_going)
			return false;
		if (!is_empty(v) || v->connections_len == 0)
			return true;
	}
	return false;
}
