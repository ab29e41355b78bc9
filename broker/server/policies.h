/* Policies: read from a file of definitions in RabbitMQ's JSON form (`rabbitmqctl
 * export_definitions`), of which they take the lists "policies", and "parameters" whose component
 * is operator_policy. What else is in it is ignored. */
#ifndef LEV_SERVER_POLICIES_H
#define LEV_SERVER_POLICIES_H

#include "core/core.h"

#include <stdbool.h>
#include <stddef.h>

/* Replaces the core's policies by those of the file; an empty path: by none. False with the reason
 * in why: nothing has changed. */
bool policies_load(struct core *core, const char *path, char *why, size_t why_size);

#endif
