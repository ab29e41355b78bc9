/* Room: whether a queue takes another message. */
#ifndef LEV_CORE_FLOW_ROOM_H
#define LEV_CORE_FLOW_ROOM_H

#include <stdbool.h>

struct message;
struct queue;

/* It has no room for the message. */
bool queue_refuses(struct queue *queue, const struct message *message);

#endif
