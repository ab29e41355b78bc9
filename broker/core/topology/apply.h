/* Apply: queues and exchanges are set to what their arguments and the policies say. */
#ifndef LEV_CORE_TOPOLOGY_APPLY_H
#define LEV_CORE_TOPOLOGY_APPLY_H

#include "base/bytes.h"

#include "base/list.h"

#include <stdbool.h>
#include <stddef.h>

struct core;
struct policies;
struct queue;

/* Newer policies on their way to everything that goes by the old ones. */
struct applying {
	bool is_going;
	struct list *exchange; /* In the core's lists: those before have been set to them. */
	struct list *queue;
	struct policies *replaced; /* Owned: what settings may still refer to. */
	size_t replaced_len;
	size_t replaced_cap;
};

/* Keeps the arguments and takes from them what the queue goes by. Once, after queue_create(). */
void queue_set_arguments(struct queue *queue, struct bytes arguments);
/* After a change of its arguments. */
void queue_apply_settings(struct queue *queue);
/* If there are newer policies than it knows, it is set to them: before it is used. True: there
 * were. */
bool queue_catch_up(struct queue *queue);
void queues_catch_up(struct core *core, struct queue **queues, size_t len);
/* The turn begins: a few more are set to the newest policies. */
void apply_begin(struct core *core);
void apply_fini(struct core *core); /* Exchanges and queues are gone. */

#endif
