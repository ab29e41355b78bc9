/* Vhost: finding what is in it. */
#include "core/vhost/vhost.h"
#include "core/inputs.h"

struct bytes vhost_name(const struct vhost *vhost)
{
	return vhost->name;
}

struct exchange *exchange_find(const struct vhost *vhost, struct bytes name)
{
	return name.len == 0 ? vhost->default_exchange : map_get(&vhost->exchanges, name);
}

struct queue *queue_find(const struct vhost *vhost, struct bytes name)
{
	return map_get(&vhost->queues, name);
}
