/* Grant: up to where a queue may deliver before the journal has to say so. */
#ifndef LEV_CORE_QUEUE_GRANT_H
#define LEV_CORE_QUEUE_GRANT_H

#include <stdbool.h>
#include <stdint.h>

struct core;
struct message;
struct queue;

/* True if the message at this position, the queue's first, may go out now; otherwise the queue
 * becomes dirty when it may. */
bool grant_covers(struct queue *queue, uint64_t position, const struct message *message);
/* It has gone out. */
void grant_used(struct queue *queue, uint64_t position, const struct message *message);
/* core->durable has moved. */
void grant_durable(struct core *core);

#endif
