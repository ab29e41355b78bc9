/* Serve: queues that may have something to do, one after the other. */
#ifndef LEV_CORE_FLOW_SERVE_H
#define LEV_CORE_FLOW_SERVE_H

#include <stdbool.h>

struct core;
struct effect;

bool deliver_next(struct core *core, struct effect *effect);

#endif
