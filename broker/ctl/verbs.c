#include "ctl/verbs.h"

#include "ctl/asked.h"
#include "ctl/definitions.h"
#include "ctl/diagnostics.h"
#include "ctl/lists.h"
#include "ctl/messages.h"
#include "ctl/node.h"
#include "ctl/status.h"
#include "ctl/top.h"

#include <string.h>

const struct verb verbs[] = {
	{ .name = "add_vhost", .group = "Virtual hosts",
	  .usage = "<vhost> [--description <description> --tags \"<tag1>,<tag2>,<...>\" "
	    "--default-queue-type <quorum|classic|stream>]",
	  .command = "add_vhost", .run = asked_run, .least = 1, .most = 1, .fields = { "name" },
	  .title = "Adding vhost \"$1\" ..." },
	{ .name = "delete_vhost", .usage = "<vhost>", .command = "delete_vhost", .run = asked_run,
	  .least = 1, .most = 1, .fields = { "name" }, .title = "Deleting vhost \"$1\" ..." },
	{ .name = "set_vhost_tags", .usage = "<vhost> <tag> [...]", .command = "set_vhost_tags",
	  .run = asked_run, .kind = VERB_TAGS, .least = 1, .most = VERB_ANY, .fields = { "vhost" },
	  .title = "Setting tags for virtual host \"$1\" to $t ..." },
	{ .name = "list_vhosts",
	  .usage = "[--no-table-headers] [<column> ...] [--timeout <timeout>]",
	  .command = "list_vhosts", .run = asked_run, .kind = VERB_LIST, .most = VERB_ANY,
	  .has_columns = true, .title = "Listing vhosts ...", .columns = "name",
	  .all_columns = "name tracing description tags default_queue_type" },
	{ .name = "restart_vhost", .usage = "[--vhost <vhost>]", .run = node_restart_vhost,
	  .has_vhost = true, .title = "Trying to restart vhost '$v' on node '$n' ..." },
	{ .name = "set_vhost_limits", .usage = "[--vhost <vhost>] <definition>",
	  .command = "set_vhost_limits", .run = asked_run, .kind = VERB_JSON, .least = 1,
	  .most = 1, .has_vhost = true, .fields = { "limits" },
	  .title = "Setting vhost limits to \"$1\" for vhost \"$v\" ..." },
	{ .name = "clear_vhost_limits", .usage = "[--vhost <vhost>]",
	  .command = "clear_vhost_limits", .run = asked_run, .has_vhost = true,
	  .title = "Clearing vhost \"$v\" limits ..." },
	{ .name = "list_vhost_limits", .usage = "[--vhost <vhost>] [--global]",
	  .command = "list_vhost_limits", .run = asked_limits, .kind = VERB_LIST,
	  .has_vhost = true, .columns = "vhost value" },
	{ .name = "add_user", .group = "Users", .usage = "<username> <password>",
	  .command = "add_user", .run = asked_with_password, .kind = VERB_PASSWORD, .least = 1,
	  .most = 2, .fields = { "name" }, .title = "Adding user \"$1\" ..." },
	{ .name = "change_password", .usage = "<username> <password>",
	  .command = "change_password", .run = asked_with_password, .kind = VERB_PASSWORD,
	  .least = 1, .most = 2, .fields = { "name" },
	  .title = "Changing password for user \"$1\" ..." },
	{ .name = "authenticate_user", .usage = "<username> <password>", .run = asked_authenticate,
	  .kind = VERB_PASSWORD, .least = 1, .most = 2, .fields = { "name" },
	  .title = "Authenticating user \"$1\" ...", .done = "Success" },
	{ .name = "clear_password", .usage = "<username>", .command = "clear_password",
	  .run = asked_run, .least = 1, .most = 1, .fields = { "name" },
	  .title = "Clearing password for user \"$1\" ..." },
	{ .name = "delete_user", .usage = "<username>", .command = "delete_user", .run = asked_run,
	  .least = 1, .most = 1, .fields = { "name" }, .title = "Deleting user \"$1\" ..." },
	{ .name = "set_user_tags", .usage = "<username> <tag> [...]", .command = "set_user_tags",
	  .run = asked_run, .kind = VERB_TAGS, .least = 1, .most = VERB_ANY, .fields = { "name" },
	  .title = "Setting tags for user \"$1\" to $t ..." },
	{ .name = "set_user_limits", .usage = "<username> <definition>",
	  .command = "set_user_limits", .run = asked_run, .kind = VERB_JSON, .least = 2, .most = 2,
	  .fields = { "name", "limits" },
	  .title = "Setting user limits to \"$2\" for user \"$1\" ..." },
	{ .name = "clear_user_limits", .usage = "<username> <limit_type> | all",
	  .command = "set_user_limits", .run = asked_clear_limits, .least = 2, .most = 2 },
	{ .name = "list_user_limits", .usage = "[--user <username>] [--global]",
	  .command = "list_users", .run = asked_user_limits, .columns = "user limits",
	  .kind = VERB_LIST },
	{ .name = "list_users", .usage = "", .command = "list_users", .run = asked_run,
	  .kind = VERB_LIST, .title = "Listing users ...", .columns = "user tags" },
	{ .name = "set_permissions", .group = "Permissions",
	  .usage = "[--vhost <vhost>] <username> <conf> <write> <read>",
	  .command = "set_permissions", .run = asked_run, .least = 4, .most = 4, .has_vhost = true,
	  .fields = { "user", "configure", "write", "read" },
	  .title = "Setting permissions for user \"$1\" in vhost \"$v\" ..." },
	{ .name = "clear_permissions", .usage = "[--vhost <vhost>] <username>",
	  .command = "clear_permissions", .run = asked_run, .least = 1, .most = 1,
	  .has_vhost = true, .fields = { "user" },
	  .title = "Clearing permissions for user \"$1\" in vhost \"$v\" ..." },
	{ .name = "list_permissions", .usage = "[--vhost <vhost>]", .command = "list_permissions",
	  .run = asked_run, .kind = VERB_LIST, .has_vhost = true,
	  .title = "Listing permissions for vhost \"$v\" ...",
	  .columns = "user configure write read" },
	{ .name = "list_user_permissions", .usage = "<username>", .command = "list_permissions",
	  .run = asked_run, .kind = VERB_LIST_OF, .least = 1, .most = 1, .fields = { "user" },
	  .title = "Listing permissions for user \"$1\" ...",
	  .columns = "vhost configure write read" },
	{ .name = "set_topic_permissions",
	  .usage = "[--vhost <vhost>] <username> <exchange> <write> <read>",
	  .command = "set_topic_permissions", .run = asked_run, .least = 4, .most = 4,
	  .has_vhost = true, .fields = { "user", "exchange", "write", "read" },
	  .title = "Setting topic permissions on \"$2\" for user \"$1\" in vhost \"$v\" ..." },
	{ .name = "clear_topic_permissions", .usage = "[--vhost <vhost>] <username> [<exchange>]",
	  .command = "clear_topic_permissions", .run = asked_clear_topic, .least = 1, .most = 2,
	  .has_vhost = true, .fields = { "user", "exchange" } },
	{ .name = "list_topic_permissions", .usage = "[--vhost <vhost>]",
	  .command = "list_topic_permissions", .run = asked_run, .kind = VERB_LIST,
	  .has_vhost = true, .title = "Listing topic permissions for vhost \"$v\" ...",
	  .columns = "user exchange write read" },
	{ .name = "list_user_topic_permissions", .usage = "<username>",
	  .command = "list_topic_permissions", .run = asked_run, .kind = VERB_LIST_OF, .least = 1,
	  .most = 1, .fields = { "user" },
	  .title = "Listing topic permissions for user \"$1\" ...",
	  .columns = "vhost exchange write read" },
	{ .name = "set_policy", .group = "Policies and parameters",
	  .usage = "[--vhost <vhost>] [--priority <priority>] [--apply-to <apply-to>] "
	    "<name> <pattern> <definition>",
	  .command = "set_policy", .run = asked_run, .kind = VERB_JSON, .least = 3, .most = 3,
	  .has_vhost = true, .fields = { "name", "pattern", "definition" },
	  .title = "Setting policy \"$1\" for pattern \"$2\" to \"$3\" with priority "
	    "\"$p\" for vhost \"$v\" ..." },
	{ .name = "clear_policy", .usage = "[--vhost <vhost>] <name>", .command = "clear_policy",
	  .run = asked_run, .least = 1, .most = 1, .has_vhost = true, .fields = { "name" },
	  .title = "Clearing policy \"$1\" on vhost \"$v\" ..." },
	{ .name = "list_policies", .usage = "[--vhost <vhost>]", .command = "list_policies",
	  .run = asked_run, .kind = VERB_LIST, .has_vhost = true,
	  .title = "Listing policies for vhost \"$v\" ...",
	  .columns = "vhost name pattern apply-to definition priority" },
	{ .name = "set_operator_policy",
	  .usage = "[--vhost <vhost>] [--priority <priority>] [--apply-to <apply-to>] "
	    "<name> <pattern> <definition>",
	  .command = "set_operator_policy", .run = asked_run, .kind = VERB_JSON, .least = 3,
	  .most = 3, .has_vhost = true, .fields = { "name", "pattern", "definition" },
	  .title = "Setting operator policy override \"$1\" for pattern \"$2\" to \"$3\" "
	    "with priority \"$p\" for vhost \"$v\" ..." },
	{ .name = "clear_operator_policy", .usage = "[--vhost <vhost>] <name>",
	  .command = "clear_operator_policy", .run = asked_run, .least = 1, .most = 1,
	  .has_vhost = true, .fields = { "name" },
	  .title = "Clearing operator policy \"$1\" on vhost \"$v\" ..." },
	{ .name = "list_operator_policies", .usage = "[--vhost <vhost>]",
	  .command = "list_operator_policies", .run = asked_run, .kind = VERB_LIST,
	  .has_vhost = true, .title = "Listing operator policy overrides for vhost \"$v\" ...",
	  .columns = "vhost name pattern apply-to definition priority" },
	{ .name = "set_parameter", .usage = "[--vhost <vhost>] <component> <name> <value>",
	  .command = "set_parameter", .run = asked_run, .kind = VERB_JSON, .least = 3, .most = 3,
	  .has_vhost = true, .fields = { "component", "name", "value" },
	  .title = "Setting runtime parameter \"$2\" for component \"$1\" to \"$3\" in "
	    "vhost \"$v\" ..." },
	{ .name = "clear_parameter", .usage = "[--vhost <vhost>] <component> <name>",
	  .command = "clear_parameter", .run = asked_run, .least = 2, .most = 2, .has_vhost = true,
	  .fields = { "component", "name" },
	  .title = "Clearing runtime parameter \"$2\" for component \"$1\" on vhost \"$v\" ..." },
	{ .name = "list_parameters", .usage = "[--vhost <vhost>]", .command = "list_parameters",
	  .run = asked_run, .kind = VERB_LIST, .has_vhost = true,
	  .title = "Listing runtime parameters for vhost \"$v\" ...",
	  .columns = "component name value" },
	{ .name = "set_global_parameter", .usage = "<name> <value>",
	  .command = "set_global_parameter", .run = asked_run, .kind = VERB_JSON, .least = 2,
	  .most = 2, .fields = { "name", "value" },
	  .title = "Setting global runtime parameter \"$1\" to \"$2\" ..." },
	{ .name = "clear_global_parameter", .usage = "<name>", .command = "clear_global_parameter",
	  .run = asked_run, .least = 1, .most = 1, .fields = { "name" },
	  .title = "Clearing global runtime parameter \"$1\" ..." },
	{ .name = "list_global_parameters", .usage = "", .command = "list_global_parameters",
	  .run = asked_run, .kind = VERB_LIST, .title = "Listing global runtime parameters ...",
	  .columns = "name value" },
	{ .name = "list_queues", .group = "What there is",
	  .usage = "[--vhost <vhost>] [--online] [--offline] [--local] "
	    "[--no-table-headers] [<column>, ...] [--timeout <timeout>]",
	  .command = "queues", .run = lists_run, .kind = VERB_LIST, .most = VERB_ANY,
	  .has_vhost = true, .has_columns = true,
	  .title = "Timeout: $T.0 seconds ...\nListing queues for vhost $v ...",
	  .columns = "name messages",
	  .all_columns = "arguments auto_delete consumer_capacity consumer_utilisation "
	    "consumers disk_reads disk_writes durable exclusive exclusive_consumer_pid "
	    "exclusive_consumer_tag head_message_timestamp leader members memory "
	    "message_bytes message_bytes_persistent message_bytes_ram message_bytes_ready "
	    "message_bytes_unacknowledged messages messages_persistent messages_ram "
	    "messages_ready messages_ready_ram messages_unacknowledged "
	    "messages_unacknowledged_ram name online owner_pid pid policy slave_pids "
	    "state synchronised_slave_pids type single_active_consumer_tag "
	    "operator_policy effective_policy_definition messages_delayed messages_held "
	    "idle_since vhost" },
	{ .name = "list_exchanges",
	  .usage = "[--vhost <vhost>] [--no-table-headers] [<column> ...] [--timeout <timeout>]",
	  .command = "exchanges", .run = lists_run, .kind = VERB_LIST, .most = VERB_ANY,
	  .has_vhost = true, .has_columns = true, .title = "Listing exchanges for vhost $v ...",
	  .columns = "name type",
	  .all_columns = "name type durable auto_delete internal arguments policy vhost" },
	{ .name = "list_bindings",
	  .usage = "[--vhost <vhost>] [--no-table-headers] [<column> ...] [--timeout <timeout>]",
	  .command = "bindings", .run = lists_run, .kind = VERB_LIST, .most = VERB_ANY,
	  .has_vhost = true, .has_columns = true, .title = "Listing bindings for vhost $v...",
	  .columns = "source_name source_kind destination_name destination_kind "
	    "routing_key arguments",
	  .all_columns = "source_name source_kind destination_name destination_kind "
	    "routing_key arguments vhost" },
	{ .name = "list_connections",
	  .usage = "[--no-table-headers] [<column> ...] [--timeout <timeout>]",
	  .command = "connections", .run = lists_run, .kind = VERB_LIST, .most = VERB_ANY,
	  .has_columns = true, .title = "Listing connections ...",
	  .columns = "user peer_host peer_port state",
	  .all_columns = "pid name port host peer_port peer_host ssl ssl_protocol "
	    "ssl_key_exchange ssl_cipher ssl_hash peer_cert_subject peer_cert_issuer "
	    "peer_cert_validity state channels protocol auth_mechanism user vhost timeout "
	    "frame_max channel_max client_properties connected_at recv_oct recv_cnt "
	    "send_oct send_cnt send_pend user_provided_name" },
	{ .name = "list_channels", .usage = "[--no-table-headers] [<column> ...]",
	  .command = "channels", .run = lists_run, .kind = VERB_LIST, .most = VERB_ANY,
	  .has_columns = true, .title = "Listing channels ...",
	  .columns = "pid user consumer_count messages_unacknowledged",
	  .all_columns = "pid connection name number user vhost transactional confirm "
	    "consumer_count messages_unacknowledged messages_uncommitted acks_uncommitted "
	    "messages_unconfirmed prefetch_count global_prefetch_count" },
	{ .name = "list_consumers",
	  .usage = "[--vhost <vhost>] [--no-table-headers] [<column> ...] [--timeout <timeout>]",
	  .command = "consumers", .run = lists_run, .kind = VERB_LIST, .most = VERB_ANY,
	  .has_vhost = true, .has_columns = true, .title = "Listing consumers in vhost $v ...",
	  .columns = "queue_name channel_pid consumer_tag ack_required prefetch_count "
	    "active arguments",
	  .all_columns = "queue_name channel_pid consumer_tag ack_required prefetch_count "
	    "active activity_status arguments exclusive priority messages_unacknowledged" },
	{ .name = "list_unresponsive_queues",
	  .usage = "[--local] [--queue-timeout <queue-timeout>] [<column> ...] "
	    "[--no-table-headers] [--timeout <timeout>]",
	  .run = node_nothing, .kind = VERB_LIST, .most = VERB_ANY, .has_columns = true,
	  .title = "Listing unresponsive queues for vhost $v ...", .columns = "name",
	  .all_columns = "arguments auto_delete consumer_capacity consumer_utilisation "
	    "consumers disk_reads disk_writes durable exclusive exclusive_consumer_pid "
	    "exclusive_consumer_tag head_message_timestamp leader members memory "
	    "message_bytes message_bytes_persistent message_bytes_ram message_bytes_ready "
	    "message_bytes_unacknowledged messages messages_persistent messages_ram "
	    "messages_ready messages_ready_ram messages_unacknowledged "
	    "messages_unacknowledged_ram name online owner_pid pid policy slave_pids "
	    "state synchronised_slave_pids type single_active_consumer_tag "
	    "operator_policy effective_policy_definition messages_delayed messages_held "
	    "idle_since vhost" },
	{ .name = "close_connection", .group = "Operations",
	  .usage = "<connection pid> <explanation>", .command = "close_connection",
	  .run = asked_run, .least = 2, .most = 2, .fields = { "name", "reason" },
	  .title = "Closing connection $1, reason: $2..." },
	{ .name = "close_all_connections",
	  .usage = "[--vhost <vhost> --limit <limit>] [--global] [--per-connection-delay "
	    "<delay>] <explanation>",
	  .command = "close_all_connections", .run = asked_close_all, .least = 1, .most = 1,
	  .has_vhost = true, .fields = { "reason" } },
	{ .name = "close_all_user_connections",
	  .usage = "[--limit <limit>] [--per-connection-delay <delay>] <username> <explanation>",
	  .command = "close_all_connections", .run = asked_run, .least = 2, .most = 2,
	  .fields = { "user", "reason" }, .title = "Closing connections of user $1, "
	    "reason: $2..." },
	{ .name = "purge_queue", .usage = "<queue> [--timeout <timeout>]",
	  .command = "purge_queue", .run = asked_run, .least = 1, .most = 1, .has_vhost = true,
	  .fields = { "name" }, .title = "Purging queue '$1' in vhost '$v' ..." },
	{ .name = "delete_queue",
	  .usage = "<queue> [--if-empty|-e] [--if-unused|-u] [--timeout <timeout>]",
	  .command = "delete_queue", .run = asked_delete_queue, .least = 1, .most = 1,
	  .has_vhost = true, .fields = { "name" } },
	{ .name = "status", .group = "The broker",
	  .usage = "[--unit <unit>] [--timeout <timeout>]", .run = status_run,
	  .title = "Status of node $n ..." },
	{ .name = "cluster_status", .usage = "[--timeout <timeout>]", .run = status_cluster,
	  .title = "Cluster status of node $n ..." },
	{ .name = "environment", .usage = "[--timeout <timeout>]", .command = "environment",
	  .run = node_environment, .title = "Application environment of node $n ..." },
	{ .name = "ping", .usage = "[--timeout <timeout>]", .run = node_ping,
	  .title = "Will ping $n. This only checks if the OS process is running. Timeout: "
	    "$T000 ms.",
	  .done = "Ping succeeded" },
	{ .name = "await_startup", .usage = "[--timeout <timeout>]", .run = node_await },
	{ .name = "node_health_check", .run = node_health,
	  .title = "Timeout: $T seconds ...\nChecking health of node $n ...",
	  .done = "Health check passed" },
	{ .name = "list_feature_flags", .usage = "[<column> ...] [--timeout <timeout>]",
	  .run = node_nothing, .kind = VERB_LIST, .most = VERB_ANY, .has_columns = true,
	  .title = "Listing feature flags ...", .columns = "name state",
	  .all_columns = "name state stability provided_by desc doc_url" },
	{ .name = "set_cluster_name", .usage = "<name>", .command = "set_global_parameter",
	  .run = asked_cluster_name, .least = 1, .most = 1,
	  .title = "Setting cluster name to $1 ..." },
	{ .name = "check_running", .group = "Checks", .run = node_running,
	  .title = "Checking if RabbitMQ is running on node $n ..." },
	{ .name = "is_running", .run = node_running, .title = "Asking node $n for its status ..." },
	{ .name = "is_booting", .run = node_booting,
	  .title = "Asking node $n for its boot status ..." },
	{ .name = "check_alarms", .run = node_check_alarms,
	  .title = "Asking node $n to report any local resource alarms ..." },
	{ .name = "check_local_alarms", .command = "local", .run = node_check_alarms,
	  .title = "Asking node $n to report any local resource alarms ..." },
	{ .name = "alarms", .command = "list", .run = node_check_alarms,
	  .title = "Asking node $n to report any known resource alarms ..." },
	{ .name = "check_port_connectivity", .run = node_connectivity,
	  .title = "Testing TCP connections to all active listeners on node $n ..." },
	{ .name = "check_port_listener", .usage = "<port>", .run = node_port, .least = 1,
	  .most = 1, .title = "Asking node $n if there's an active listener on port $1 ..." },
	{ .name = "check_protocol_listener", .usage = "<protocol>", .run = node_protocol,
	  .least = 1, .most = 1,
	  .title = "Asking node $n if there's an active listener for protocol $1 ..." },
	{ .name = "check_virtual_hosts", .run = node_vhosts,
	  .title = "Checking if all vhosts are running on node $n ..." },
	{ .name = "check_if_node_is_quorum_critical", .run = node_critical,
	  .title = "Checking if node $n is critical for quorum of any quorum queues ..." },
	{ .name = "check_if_node_is_mirror_sync_critical", .run = node_critical,
	  .title = "Checking if node $n is critical for data safety of any classic mirrored queues "
		   "..." },
	{ .name = "listeners", .run = node_listeners,
	  .title = "Asking node $n to report its protocol listeners ..." },
	{ .name = "server_version", .run = node_version,
	  .title = "Asking node $n for its RabbitMQ version..." },
	{ .name = "memory_breakdown", .usage = "[--unit <unit>]", .run = node_memory,
	  .title = "Reporting memory breakdown on node $n..." },
	{ .name = "log_location", .run = node_log_location,
	  .title = "Log file location(s) on node $n ..." },
	{ .name = "log_tail", .usage = "[--number|-N <number>]", .run = node_log_tail },
	{ .name = "export_definitions", .group = "Definitions",
	  .usage = "<file_path | \"-\"> [--format <json | erlang>] [--timeout <timeout>]",
	  .run = definitions_export, .least = 1, .most = 1 },
	{ .name = "import_definitions",
	  .usage = "<file_path | \"-\"> [--format <json | erlang>] [--skip-if-unchanged] "
	    "[--timeout <timeout>]",
	  .run = definitions_import, .most = 1 },
	{ .name = "peek", .group = "Messages",
	  .usage = "[--vhost <vhost>] <queue> [--from <position>] [--count <n>] [--state "
	    "ready|unacked|waiting|held|dying]",
	  .run = messages_peek, .least = 1, .most = 1, .has_vhost = true },
	{ .name = "replay",
	  .usage = "[--vhost <vhost>] <queue> [--count <n>] [--reason <reason>] "
	    "[--died-in <queue>] [--dry-run]",
	  .run = messages_move, .least = 1, .most = 1, .has_vhost = true },
	{ .name = "move",
	  .usage = "[--vhost <vhost>] <queue> --to-queue <queue> | --to <exchange> "
	    "[--routing-key <key>] [--count <n>] [--reason <reason>] [--died-in <queue>] "
	    "[--dry-run]",
	  .command = "to", .run = messages_move, .least = 1, .most = 1, .has_vhost = true },
	{ .name = "explain",
	  .usage = "route [--vhost <vhost>] <exchange> <routing key> [--headers <json>] | "
	    "may [--vhost <vhost>] <user> configure|write|read <name>",
	  .run = messages_explain, .least = 1, .most = 4, .has_vhost = true },
	{ .name = "top", .group = "Looking", .usage = "[--vhost <vhost>] [--interval <seconds>]",
	  .run = top_run },
	{ .name = "diagnostics", .usage = "<file.tar.gz>", .run = diagnostics_run, .least = 1,
	  .most = 1 },
	{ .name = NULL },
};

const struct verb *verb_find(const char *name)
{
	for (const struct verb *v = verbs; v->name != NULL; v++)
		if (strcmp(v->name, name) == 0)
			return v;
	return NULL;
}

/* --- what may have been meant --- */

enum { NAME_MAX_BYTES = 40, NEAR = 2 };

/* How many letters must be put in, left out or replaced. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[NAME_MAX_BYTES + 1];
	size_t a_len = strlen(a), b_len = strlen(b);
	if (a_len > NAME_MAX_BYTES || b_len > NAME_MAX_BYTES)
		return NAME_MAX_BYTES;
	for (unsigned k = 0; k <= b_len; k++)
		row[k] = k;
	for (unsigned i = 1; i <= a_len; i++) {
		unsigned corner = row[0];
		row[0] = i;
		for (unsigned k = 1; k <= b_len; k++) {
			unsigned above = row[k], best = corner + (a[i - 1] != b[k - 1]);
			best = above + 1 < best ? above + 1 : best;
			row[k] = row[k - 1] + 1 < best ? row[k - 1] + 1 : best;
			corner = above;
		}
	}
	return row[b_len];
}

const struct verb *verb_near(const char *name)
{
	const struct verb *nearest = NULL;
	unsigned best = NEAR + 1;
	for (const struct verb *v = verbs; v->name != NULL; v++) {
		unsigned d = distance(name, v->name);
		if (d < best) {
			best = d;
			nearest = v;
		}
	}
	return nearest;
}
