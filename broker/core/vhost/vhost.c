/* Vhost: being found, and finding what is in it. */
#include "core/vhost/vhost.h"
#include "core/admin.h"
#include "core/inputs.h"
#include "core/state.h"

#include "base/alloc.h"

#include <stdlib.h>

struct vhost *vhost_create(struct core *core, uint32_t id, struct bytes name)
{
	struct vhost *v = alloc_zeroed(sizeof *v);
	v->core = core;
	v->id = id;
	v->name = alloc_copy(name);
	v->queues_max = v->connections_max = -1;
	map_init(&v->exchanges, core->options.hash_seed);
	map_init(&v->queues, core->options.hash_seed);
	map_put(&core->vhosts.by_name, v->name, v);
	map_put(&core->vhosts.by_id, bytes_of(&v->id, sizeof v->id), v);
	list_push_tail(&core->vhosts.all, &v->in_core);
	if (id > core->vhosts.id_last)
		core->vhosts.id_last = id;
	return v;
}

void vhost_destroy(struct vhost *v)
{
	struct vhosts *vhosts = &v->core->vhosts;
	assert(v->exchanges.len == 0 && v->queues.len == 0 && v->connections_len == 0);
	if (!v->is_going)
		map_remove(&vhosts->by_name, v->name);
	map_remove(&vhosts->by_id, bytes_of(&v->id, sizeof v->id));
	list_remove(&v->in_core);
	policies_fini(&v->policies);
	map_fini(&v->exchanges);
	map_fini(&v->queues);
	free((void *)v->name.data);
	free((void *)v->notes.data);
	free(v);
}

void vhost_set_going(struct vhost *v)
{
	struct vhosts *vhosts = &v->core->vhosts;
	if (v->is_going)
		return;
	map_remove(&vhosts->by_name, v->name);
	v->is_going = true;
	list_remove(&v->in_core);
	list_push_head(&vhosts->all, &v->in_core);
}

struct vhost *vhost_by_id(const struct core *core, uint32_t id)
{
	return map_get(&core->vhosts.by_id, bytes_of(&id, sizeof id));
}

struct vhost *core_vhost(struct core *core, struct bytes name)
{
	return map_get(&core->vhosts.by_name, name);
}

struct vhost *core_next_vhost(struct core *core, const struct vhost *after)
{
	struct list *end = &core->vhosts.all;
	struct list *node = after == NULL ? end->next : after->in_core.next;
	while (node != end && list_entry(node, struct vhost, in_core)->is_going)
		node = node->next;
	return node == end ? NULL : list_entry(node, struct vhost, in_core);
}

struct bytes vhost_name(const struct vhost *vhost)
{
	return vhost->name;
}

struct vhost_settings vhost_settings(const struct vhost *v)
{
	return (struct vhost_settings){ .queues_max = v->queues_max,
					.connections_max = v->connections_max,
					.notes = v->notes };
}

uint64_t vhost_connections(const struct vhost *v)
{
	return v->connections_len;
}

struct exchange *exchange_find(const struct vhost *vhost, struct bytes name)
{
	return name.len == 0 ? vhost->default_exchange : map_get(&vhost->exchanges, name);
}

struct queue *queue_find(const struct vhost *vhost, struct bytes name)
{
	return map_get(&vhost->queues, name);
}
