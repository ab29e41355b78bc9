/* Node: small questions about the one node, and checks, as rabbitmqctl and rabbitmq-diagnostics put
 * them. For struct verb: run. */
#ifndef LEV_CTL_NODE_H
#define LEV_CTL_NODE_H

#include "ctl/options.h"

struct verb;

int node_ping(const struct options *options, const struct verb *verb);
int node_await(const struct options *options, const struct verb *verb);
int node_health(const struct options *options, const struct verb *verb);
int node_environment(const struct options *options, const struct verb *verb);
int node_nothing(const struct options *options, const struct verb *verb); /* A list without rows. */
int node_restart_vhost(const struct options *options, const struct verb *verb);
int node_running(const struct options *options, const struct verb *verb);
int node_booting(const struct options *options, const struct verb *verb);
/* With the command "local" texts of check_local_alarms; "list": there being some is no mistake. */
int node_critical(const struct options *options, const struct verb *verb);
int node_check_alarms(const struct options *options, const struct verb *verb);
int node_connectivity(const struct options *options, const struct verb *verb);
int node_port(const struct options *options, const struct verb *verb);
int node_protocol(const struct options *options, const struct verb *verb);
int node_vhosts(const struct options *options, const struct verb *verb);
int node_listeners(const struct options *options, const struct verb *verb);
int node_version(const struct options *options, const struct verb *verb);
int node_memory(const struct options *options, const struct verb *verb);
int node_log_location(const struct options *options, const struct verb *verb);
int node_log_tail(const struct options *options, const struct verb *verb);

#endif
