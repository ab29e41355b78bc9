/* Dead letter: a copy of a message that a queue gives up goes to the queue's dead-letter exchange.
 */
#ifndef LEV_CORE_FLOW_DEADLETTER_H
#define LEV_CORE_FLOW_DEADLETTER_H

#include <stdbool.h>

struct message;
struct queue;

enum death_reason { DEATH_REJECTED, DEATH_EXPIRED, DEATH_MAXLEN, DEATH_DELIVERY_LIMIT };

/* The queue gives the message up: a copy goes to its dead-letter exchange, if it has one. The
 * message stays the caller's. False: a target has no room, and nothing has happened. */
bool dead_letter(struct queue *queue, const struct message *message, enum death_reason reason);

#endif
