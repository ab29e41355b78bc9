/* Declare queue: queues come and go. */
#ifndef LEV_CORE_TOPOLOGY_DECLARE_QUEUE_H
#define LEV_CORE_TOPOLOGY_DECLARE_QUEUE_H

#include "base/bytes.h"

struct queue;
struct vhost;

void queue_delete(struct queue *queue);
/* The queue, if it is there. One that is going, for its connection has closed, goes now. */
struct queue *queue_find_living(const struct vhost *vhost, struct bytes name);
/* A consumer has gone: an auto-delete queue goes with the last one. */
void queue_lost_consumer(struct queue *queue);

#endif
