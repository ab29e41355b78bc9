/* Load: bodies that only the journal has are read back when they are wanted. */
#ifndef LEV_CORE_QUEUE_LOAD_H
#define LEV_CORE_QUEUE_LOAD_H

#include <stdbool.h>

struct core;
struct effect;

bool load_next(struct core *core, struct effect *effect);

#endif
