/* Deliver: gives the messages of queues to the consumers whose turn it is. */
#ifndef LEV_CORE_DISPATCH_DELIVER_H
#define LEV_CORE_DISPATCH_DELIVER_H

#include <stdbool.h>

struct channel;
struct consumer;
struct core;
struct effect;
struct head;
struct queue;

/* Takes the next message, which must be in memory, off the queue and hands it out through the
 * channel. consumer: NULL for basic.get. */
void deliver(struct queue *queue, const struct head *head, struct channel *channel,
	     struct consumer *consumer, bool is_no_ack, struct effect *effect);

#endif
