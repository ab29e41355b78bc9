/* Throttle: publishers that are faster than the consumers of a queue are slowed down. */
#ifndef LEV_CORE_QUEUE_THROTTLE_H
#define LEV_CORE_QUEUE_THROTTLE_H

#include <stdint.h>

struct connection;
struct queue;

/* How many messages a queue's consumers take, see throttle.c. */
struct pace {
	uint64_t since_ms; /* When counting began. */
	uint32_t taken;    /* Since then, */
	uint32_t before;   /* and in the stretch of time before. */
};

/* A message of the queue has gone out. */
void throttle_delivered(struct queue *queue);
/* The connection has published to the queue. */
void throttle_published(struct connection *connection, struct queue *queue);
/* The queue is being destroyed: nobody waits for it any more. */
void throttle_forget_queue(struct queue *queue);

#endif
