/* Tend: what leaves a queue without a consumer: what has expired, and what is too much. */
#ifndef LEV_CORE_FLOW_TEND_H
#define LEV_CORE_FLOW_TEND_H

#include "core/flow/deadletter.h"

#include <stdbool.h>
#include <stdint.h>

struct core;
struct effect;
struct message;
struct queue;
struct taken;

/* What is due, or is_blocked: nobody takes messages and there are too many of them, leaves. True:
 * an effect is to be answered first. */
bool queue_tend(struct queue *queue, bool is_blocked, struct effect *effect);
/* A message that has been taken off leaves the queue for a reason. Takes the reference. */
void queue_bury(struct queue *queue, const struct taken *taken, bool is_delivered,
		enum death_reason reason);
/* Where it was to go refuses it: it is tried again later, and nobody gets it meanwhile. Takes the
 * reference. */
void queue_keep_dying(struct queue *queue, const struct taken *taken, bool is_delivered,
		      enum death_reason reason);
/* The turn begins: what has become due is to be looked at. */
void tend_begin(struct core *core);

#endif
