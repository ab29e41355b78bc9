/* Lifetime: a queue comes to be with all its parts, and goes with all that it has. */
#ifndef LEV_CORE_TOPOLOGY_LIFETIME_H
#define LEV_CORE_TOPOLOGY_LIFETIME_H

#include "base/bytes.h"

struct queue;
struct vhost;

struct queue *queue_create(struct vhost *vhost, struct bytes name);
/* Drops its messages; bindings, consumers and definition must have been dealt with. */
void queue_destroy(struct queue *queue);

#endif
