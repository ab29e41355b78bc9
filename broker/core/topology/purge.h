/* Purge: a queue is emptied of all that is not unacked. */
#ifndef LEV_CORE_TOPOLOGY_PURGE_H
#define LEV_CORE_TOPOLOGY_PURGE_H

#include <stdint.h>

struct queue;

/* Returns how many messages were ready; what waits goes as well. */
uint64_t queue_purge(struct queue *queue);

#endif
