/* Vhost: a world of exchanges and queues of its own. It owns them. */
#ifndef LEV_CORE_VHOST_VHOST_H
#define LEV_CORE_VHOST_VHOST_H

#include "base/bytes.h"
#include "base/map.h"

struct core;
struct exchange;
struct queue;

struct vhost {
	struct core *core;
	struct bytes name; /* Owned. */
	struct map exchanges;
	struct map queues;
	struct exchange *default_exchange;
	struct queue *delayed; /* NULL: nothing has been delayed yet. */
};

struct exchange *exchange_find(const struct vhost *vhost, struct bytes name);
struct queue *queue_find(const struct vhost *vhost, struct bytes name);

#endif
