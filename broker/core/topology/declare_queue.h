/* Declare queue: queues come and go. */
#ifndef LEV_CORE_TOPOLOGY_DECLARE_QUEUE_H
#define LEV_CORE_TOPOLOGY_DECLARE_QUEUE_H

struct queue;

void queue_delete(struct queue *queue);
/* A consumer has gone: an auto-delete queue goes with the last one. */
void queue_lost_consumer(struct queue *queue);

#endif
