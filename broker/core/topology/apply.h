/* Apply: queues and exchanges are set to what their arguments and the policies say. */
#ifndef LEV_CORE_TOPOLOGY_APPLY_H
#define LEV_CORE_TOPOLOGY_APPLY_H

#include "base/bytes.h"

struct exchange;
struct queue;

/* Keeps the arguments and takes from them what the queue goes by. Once, after queue_create(). */
void queue_set_arguments(struct queue *queue, struct bytes arguments);
/* After a change of its arguments or of policies. */
void queue_apply_settings(struct queue *queue);
void exchange_apply_settings(struct exchange *exchange);

#endif
