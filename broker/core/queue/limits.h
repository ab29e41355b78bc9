/* Limits: how long a queue keeps messages and how many it takes. */
#ifndef LEV_CORE_QUEUE_LIMITS_H
#define LEV_CORE_QUEUE_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

struct message;
struct queue;

bool queue_has_limits(const struct queue *queue);
/* So many messages with so many bytes are too many. */
bool queue_is_over(const struct queue *queue, uint64_t len, uint64_t bytes);
bool queue_needs_tending(const struct queue *queue);
/* The message is ready in a queue that has rules, or has one of its own: perhaps it is too much, or
 * due at once. */
void queue_brought(struct queue *queue, const struct message *message);

#endif
