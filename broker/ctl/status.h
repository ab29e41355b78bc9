/* Status of the broker, in RabbitMQ's sections. For struct verb: run. */
#ifndef LEV_CTL_STATUS_H
#define LEV_CTL_STATUS_H

#include "ctl/options.h"

#include <jansson.h>

struct verb;

int status_run(const struct options *options, const struct verb *verb);
int status_cluster(const struct options *options, const struct verb *verb);

/* What the broker says of itself; the caller's, with status_free(). False: nobody answers, as has been
 * told; *exit: of this program. */
struct status_told {
	json_t *overview; /* Of management: /api/overview, */
	json_t *node;     /* and /api/nodes/NAME. */
};
bool status_ask(const struct options *options, struct status_told *told, int *exit);
void status_free(struct status_told *told);

/* "Memory alarm on node ..." for each alarm, a line each; returns how many. */
size_t status_print_alarms(const struct status_told *told, const char *name, bool is_error);
/* Those of the broker, as RabbitMQ says it. */
void status_print_listeners(const struct status_told *told, const char *node);

#endif
