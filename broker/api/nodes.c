/* The broker as a whole: overview, its one node, health. */
#include "api/rates.h"
#include "api/stats.h"
#include "api/totals.h"

#include "core/admin.h"
#include "core/inputs.h"

#include "auth/users.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <unistd.h>

/* --- overview --- */

static json_t *exchange_types(void)
{
	static const char *const types[][2] = {
		{ "direct", "AMQP direct exchange, as per the AMQP specification" },
		{ "fanout", "AMQP fanout exchange, as per the AMQP specification" },
		{ "headers", "AMQP headers exchange, as per the AMQP specification" },
		{ "topic", "AMQP topic exchange, as per the AMQP specification" },
		{ "x-consistent-hash", "Consistent hashing of routing keys" },
		{ "x-modulus-hash", "Hashing of routing keys by modulus" },
		{ "x-delayed-message", "Delays messages by their header x-delay" },
		{ "x-message-deduplication", "Takes x-deduplication-header as a key" },
	};
	json_t *all = json_array();
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		json_array_append_new(all, json_pack("{s:s, s:s, s:b}", "name", types[i][0],
						     "description", types[i][1], "enabled", 1));
	return all;
}

static json_t *listeners(const struct query *c)
{
	json_t *all = json_array();
	for (size_t i = 0; i < c->api->options.listeners_len; i++) {
		const struct api_listener *l = &c->api->options.listeners[i];
		json_array_append_new(all, json_pack("{s:s, s:s, s:s, s:i, s:{}}", "node",
						     c->api->options.node, "protocol", l->protocol,
						     "ip_address", l->host, "port", (int)l->port,
						     "socket_opts"));
	}
	return all;
}

static json_t *contexts(const struct query *c, bool has_node)
{
	json_t *all = json_array();
	char port[8];
	for (size_t i = 0; i < c->api->options.listeners_len; i++) {
		const struct api_listener *l = &c->api->options.listeners[i];
		if (strncmp(l->protocol, "http", 4) != 0)
			continue;
		snprintf(port, sizeof port, "%u", l->port);
		json_t *one = json_pack("{s:s, s:s, s:s, s:s, s:s, s:[]}", "description",
					"Leveret Management", "path", "/", "ip", l->host, "port",
					port, "protocol", l->protocol, "ssl_opts");
		if (has_node)
			json_object_set_new(one, "node", json_string(c->api->options.node));
		json_array_append_new(all, one);
	}
	return all;
}

static void put_churn(struct query *c, struct fields *f, const struct core_figures *x, char kind)
{
	const struct stat stats[] = {
		{ "connection_created", x->connections_opened, true },
		{ "connection_closed", x->connections_closed, true },
		{ "channel_created", x->channels_opened, true },
		{ "channel_closed", x->channels_closed, true },
		{ "queue_declared", x->queues_declared, true },
		{ "queue_created", x->queues_created, true },
		{ "queue_deleted", x->queues_deleted, true },
	};
	const struct stat_key key = { kind, bytes_of("", 0), bytes_str("churn") };
	stats_put(c, f, &key, stats, sizeof stats / sizeof *stats);
}

static json_t *churn_rates(struct query *c, const struct core_figures *x)
{
	struct fields f = { json_object(), NULL };
	put_churn(c, &f, x, 'R');
	return f.object;
}

static json_t *queue_totals(struct query *c, const struct totals *t)
{
	struct fields f = { json_object(), NULL };
	const struct stat stats[] = { { "messages", t->ready + t->unacked, true },
				      { "messages_ready", t->ready, true },
				      { "messages_unacknowledged", t->unacked, true } };
	const struct stat_key key = { c->sees_all ? 'O' : 'o', bytes_of("", 0),
				      bytes_str("queues") };
	stats_put(c, &f, &key, stats, 3);
	return f.object;
}

static void put_message_stats(struct query *c, struct fields *f, const struct totals *t)
{
	struct stat stats[MESSAGE_STATS + 5];
	size_t len = stats_of_messages(&t->stats, stats);
	stats[len++] = (struct stat){ "confirm", t->figures.confirmed, false };
	stats[len++] = (struct stat){ "return_unroutable", t->figures.returned, false };
	stats[len++] = (struct stat){ "drop_unroutable", t->figures.dropped, false };
	stats[len++] = (struct stat){ "disk_reads", 0, false };
	stats[len++] = (struct stat){ "disk_writes", 0, false };
	const struct stat_key key = { 'O', bytes_of("", 0), bytes_str("messages") };
	stats_put(c, f, &key, stats, len);
	if (json_object_get(f->object, "message_stats") == NULL)
		FIELD(f, "message_stats", json_object());
}

static void tell_overview(struct query *c)
{
	const struct api_options *o = &c->api->options;
	const struct totals *t = c->prepared;
	struct fields f = { json_object(), NULL };
	FIELD_STR(&f, "management_version", o->version);
	FIELD_STR(&f, "rates_mode", "basic");
	FIELD(&f, "sample_retention_policies",
	      json_pack("{s:[i], s:[i], s:[i]}", "global", RATES_KEPT_S, "basic", RATES_KEPT_S,
			"detailed", RATES_KEPT_S));
	FIELD(&f, "exchange_types", exchange_types());
	FIELD_STR(&f, "product_version", o->product_version);
	FIELD_STR(&f, "product_name", o->product);
	FIELD_STR(&f, "rabbitmq_version", o->version);
	FIELD_STR(&f, "cluster_name", o->cluster_name);
	FIELD_STR(&f, "erlang_version", "0");
	FIELD_STR(&f, "erlang_full_version", "none: Leveret is written in C");
	FIELD_STR(&f, "release_series_support_status", "supported");
	FIELD_BOOL(&f, "disable_stats", false);
	FIELD_BOOL(&f, "enable_queue_totals", false);
	FIELD_INT(&f, "statistics_db_event_queue", 0);
	FIELD_STR(&f, "node", o->node);
	FIELD(&f, "listeners", listeners(c));
	FIELD(&f, "contexts", contexts(c, true));
	FIELD(&f, "churn_rates", churn_rates(c, &t->figures));
	FIELD(&f, "queue_totals", queue_totals(c, t));
	FIELD(&f, "object_totals",
	      json_pack("{s:I, s:I, s:I, s:I, s:I}", "channels", (json_int_t)t->channels,
			"connections", (json_int_t)t->connections, "consumers",
			(json_int_t)t->consumers, "exchanges", (json_int_t)t->exchanges, "queues",
			(json_int_t)t->queues));
	put_message_stats(c, &f, t);
	list_reply_object(c, f.object);
}

/* --- the node --- */

static bool is_this_node(struct query *c)
{
	return bytes_equal_str(c->names[0], c->api->options.node) || query_not_found(c);
}

static json_t *mechanisms(void)
{
	return json_pack("[{s:s, s:s, s:b}, {s:s, s:s, s:b}]", "name", "PLAIN", "description",
			 "SASL PLAIN authentication mechanism", "enabled", 1, "name", "AMQPLAIN",
			 "description", "QPid AMQPLAIN mechanism", "enabled", 1);
}

static void put_node_stats(struct query *c, struct fields *f, const struct totals *t)
{
	const struct stat stats[] = {
		{ "mem_used", t->node.memory_used_bytes, true },
		{ "fd_used", t->open_files, true },
		{ "sockets_used", t->connections, true },
		{ "proc_used", t->connections + t->channels + t->queues, true },
		{ "disk_free", t->node.disk_free_bytes, true },
		{ "gc_num", 0, true },
		{ "gc_bytes_reclaimed", 0, true },
		{ "context_switches", 0, true },
		{ "io_read_count", 0, true },
		{ "io_read_bytes", 0, true },
		{ "io_write_count", 0, true },
		{ "io_write_bytes", 0, true },
		{ "io_sync_count", 0, true },
		{ "io_seek_count", 0, true },
		{ "io_reopen_count", 0, true },
		{ "msg_store_read_count", 0, true },
		{ "msg_store_write_count", 0, true },
		{ "queue_index_write_count", 0, true },
		{ "queue_index_read_count", 0, true },
	};
	const struct stat_key key = { 'n', bytes_of("", 0), bytes_str("node") };
	stats_put(c, f, &key, stats, sizeof stats / sizeof *stats);
	put_churn(c, f, &t->figures, 'N');
}

static json_t *memory_json(struct totals *t)
{
	totals_look_at_process(t);
	uint64_t rss = t->resident_bytes, messages = t->figures.message_bytes;
	uint64_t other = rss > messages ? rss - messages : 0;
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:s, s:{s:I, s:I, s:I}}", "connections",
			 (json_int_t)(t->connections * 2048), "queues",
			 (json_int_t)(t->queues * 1024), "messages", (json_int_t)messages,
			 "journal", (json_int_t)0, "other", (json_int_t)other, "strategy", "rss",
			 "total", "rss", (json_int_t)rss, "allocated", (json_int_t)rss, "erlang",
			 (json_int_t)rss);
}

static json_t *node_json(struct query *c)
{
	const struct api_options *o = &c->api->options;
	struct totals *t = c->prepared;
	struct fields f = { json_object(), NULL };
	struct rlimit files = { 0 };
	char pid[20];
	totals_look_at_process(t);
	getrlimit(RLIMIT_NOFILE, &files);
	snprintf(pid, sizeof pid, "%d", (int)getpid());
	FIELD_STR(&f, "name", o->node);
	FIELD_STR(&f, "type", "disc");
	FIELD_BOOL(&f, "running", true);
	FIELD(&f, "partitions", json_array());
	FIELD_STR(&f, "os_pid", pid);
	FIELD_INT(&f, "fd_total", files.rlim_cur);
	FIELD_INT(&f, "sockets_total", t->node.sockets_max);
	FIELD_INT(&f, "mem_limit", t->node.memory_limit_bytes);
	FIELD_BOOL(&f, "mem_alarm", t->node.is_memory_alarm);
	FIELD_INT(&f, "disk_free_limit", t->node.disk_limit_bytes);
	FIELD_BOOL(&f, "disk_free_alarm", t->node.is_disk_alarm);
	FIELD_INT(&f, "proc_total", 1048576);
	FIELD_STR(&f, "rates_mode", "basic");
	FIELD_INT(&f, "uptime", t->node.uptime_ms);
	FIELD_INT(&f, "run_queue", 0);
	FIELD_INT(&f, "processors", sysconf(_SC_NPROCESSORS_ONLN));
	FIELD(&f, "exchange_types", exchange_types());
	FIELD(&f, "auth_mechanisms", mechanisms());
	FIELD(&f, "applications",
	      json_pack("[{s:s, s:s, s:s}]", "name", "leveret", "description", "message broker",
			"version", o->product_version));
	FIELD(&f, "contexts", contexts(c, false));
	FIELD(&f, "log_files", json_pack("[s]", o->log_file[0] == '\0' ? "stderr" : o->log_file));
	FIELD_STR(&f, "db_dir", o->data_dir);
	FIELD(&f, "config_files",
	      o->config_file == NULL ? json_array() : json_pack("[s]", o->config_file));
	FIELD_INT(&f, "net_ticktime", 60);
	FIELD(&f, "enabled_plugins",
	      json_pack("[s, s]", "rabbitmq_management", "rabbitmq_prometheus"));
	FIELD_STR(&f, "mem_calculation_strategy", "rss");
	FIELD(&f, "cluster_links", json_array());
	FIELD(&f, "metrics_gc_queue_length", json_object());
	put_node_stats(c, &f, t);
	if (query_parameter_is_true(c, "memory"))
		FIELD(&f, "memory", memory_json(t));
	return f.object;
}

static enum desk_step get_node(struct query *c)
{
	return is_this_node(c) ? totals_step(c) : DESK_DONE;
}

static void tell_nodes(struct query *c)
{
	list_reply_json(c, json_pack("[o]", node_json(c)), "name", false);
}

static void tell_node(struct query *c)
{
	list_reply_object(c, node_json(c));
}

static void tell_memory(struct query *c)
{
	list_reply_object(c, json_pack("{s:o}", "memory", memory_json(c->prepared)));
}

/* In percent of what the process has. */
static void tell_relative_memory(struct query *c)
{
	json_t *memory = memory_json(c->prepared), *relative = json_object(), *v;
	const char *key;
	json_int_t total =
		json_integer_value(json_object_get(json_object_get(memory, "total"), "rss"));
	json_object_foreach(memory, key, v) if (json_is_integer(v) && total > 0)
		json_object_set_new(relative, key,
				    json_integer(json_integer_value(v) * 100 / total));
	json_object_set_new(relative, "total", json_integer(100));
	json_decref(memory);
	list_reply_object(c, json_pack("{s:o}", "memory", relative));
}

/* --- health --- */

static void unhealthy(struct query *c, json_t *answer)
{
	json_decref(c->answer);
	c->status = 503;
	c->answer = answer;
}

static enum desk_step check_alarms(struct query *c)
{
	struct api_node node;
	c->api->options.node_state(c->api->options.arg, &node);
	c->answer = json_pack("{s:s}", "status", "ok");
	if (node.is_memory_alarm || node.is_disk_alarm)
		unhealthy(c, json_pack("{s:s, s:s, s:[{s:s, s:s}]}", "status", "failed", "reason",
				       "resource alarm(s) in effect", "alarms", "node",
				       c->api->options.node, "resource",
				       node.is_memory_alarm ? "memory" : "disk"));
	return DESK_DONE;
}

static enum desk_step check_nothing(struct query *c)
{
	c->answer = json_pack("{s:s}", "status", "ok");
	return DESK_DONE;
}

static enum desk_step check_single(struct query *c)
{
	c->answer = json_pack("{s:s, s:s}", "status", "ok", "reason", "single node cluster");
	return DESK_DONE;
}

static long number_of(struct bytes text)
{
	char digits[20] = "", *end;
	if (text.len == 0 || text.len >= sizeof digits)
		return -1;
	memcpy(digits, text.data, text.len);
	long n = strtol(digits, &end, 10);
	return *end == '\0' && isdigit((unsigned char)digits[0]) ? n : -1;
}

static enum desk_step check_port(struct query *c)
{
	const struct api_options *o = &c->api->options;
	long port = number_of(c->names[0]);
	json_t *ports = json_array();
	bool is_found = false;
	for (size_t i = 0; i < o->listeners_len; i++) {
		json_array_append_new(ports, json_integer(o->listeners[i].port));
		is_found |= o->listeners[i].port == port;
	}
	if (port < 0)
		query_bad(c, "Invalid port");
	else if (is_found)
		c->answer = json_pack("{s:s, s:I}", "status", "ok", "port", (json_int_t)port);
	else
		unhealthy(c, json_pack("{s:s, s:s, s:I, s:O}", "status", "failed", "reason",
				       "No active listener", "missing", (json_int_t)port, "ports",
				       ports));
	json_decref(ports);
	return DESK_DONE;
}

static enum desk_step check_protocol(struct query *c)
{
	static const char *const aliases[][2] = { { "amqp091", "amqp" },
						  { "amqp", "amqp" },
						  { "amqps", "amqp/ssl" },
						  { "amqp/ssl", "amqp/ssl" } };
	const struct api_options *o = &c->api->options;
	char name[40] = "";
	const char *wanted = name;
	memcpy(name, c->names[0].data, c->names[0].len < 39 ? c->names[0].len : 39);
	for (char *at = name; *at != '\0'; at++)
		*at = (char)tolower((unsigned char)*at);
	for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
		if (strcmp(aliases[i][0], name) == 0)
			wanted = aliases[i][1];
	json_t *protocols = json_array();
	bool is_found = false;
	for (size_t i = 0; i < o->listeners_len; i++) {
		json_array_append_new(protocols, json_string(o->listeners[i].protocol));
		is_found |= strcmp(o->listeners[i].protocol, wanted) == 0;
	}
	if (is_found)
		c->answer = json_pack("{s:s, s:s}", "status", "ok", "protocol", wanted);
	else
		unhealthy(c, json_pack("{s:s, s:s, s:o, s:O}", "status", "failed", "reason",
				       "No active listener", "missing", json_of_text(c->names[0]),
				       "protocols", protocols));
	json_decref(protocols);
	return DESK_DONE;
}

static enum desk_step check_certificates(struct query *c)
{
	static const char *const units[] = { "days", "weeks", "months", "years", NULL };
	bool is_known = false;
	for (size_t i = 0; units[i] != NULL; i++)
		is_known |= bytes_equal_str(c->names[1], units[i]);
	struct bytes n = c->names[0];
	if (n.len > 1 && n.data[0] == '-')
		n = bytes_of(n.data + 1, n.len - 1);
	if (!is_known)
		query_bad(c, "Time unit not recognised. Supported units: days, weeks, months, "
			     "years.");
	else if (number_of(n) < 0)
		query_bad(c, "Invalid expiration value.");
	else
		c->answer = json_pack("{s:s}", "status", "ok");
	return DESK_DONE;
}

static enum desk_step check_node(struct query *c)
{
	return is_this_node(c) ? check_nothing(c) : DESK_DONE;
}

/* A message goes through a queue, which stays, as with RabbitMQ. */
static enum desk_step check_aliveness(struct query *c)
{
	static const struct bytes name = { (const uint8_t *)"aliveness-test", 14 };
	json_t *q = query_question(c, "declare_queue");
	json_object_set_new(q, "name", json_of_text(name));
	if (query_do(c, q))
		c->answer = json_pack("{s:s}", "status", "ok");
	return DESK_DONE;
}

/* --- what has no meaning here, or little --- */

static enum desk_step get_extensions(struct query *c)
{
	c->answer = json_pack("[{s:s}]", "javascript", "dispatcher.js");
	return DESK_DONE;
}

static enum desk_step get_empty_list(struct query *c)
{
	c->answer = json_array();
	return DESK_DONE;
}

static enum desk_step get_flags(struct query *c)
{
	static const char *const names[] = { "classic_mirrored_queue_version",
					     "implicit_default_bindings",
					     "maintenance_mode_status",
					     "quorum_queue",
					     "user_limits",
					     "virtual_host_metadata" };
	c->answer = json_array();
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		json_array_append_new(c->answer,
				      json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "name", names[i],
						"state", "enabled", "desc",
						"part of the promised behaviour", "doc_url", "",
						"stability", "stable", "provided_by", "leveret"));
	return DESK_DONE;
}

static enum desk_step enable_flag(struct query *c)
{
	size_t i;
	json_t *flag;
	get_flags(c);
	json_array_foreach(c->answer, i, flag)
	{
		const char *name = json_string_value(json_object_get(flag, "name"));
		if (bytes_equal_str(c->names[0], name))
			c->status = 204;
	}
	if (c->status != 204)
		query_bad(c, "unsupported");
	return DESK_DONE;
}

static enum desk_step get_auth(struct query *c)
{
	c->answer = json_pack("{s:b, s:s, s:s}", "enable_uaa", 0, "uaa_client_id", "",
			      "uaa_location", "");
	return DESK_DONE;
}

static enum desk_step get_attempts(struct query *c)
{
	if (is_this_node(c))
		c->answer = json_array();
	return DESK_DONE;
}

static enum desk_step nothing(struct query *c)
{
	c->status = 204;
	return DESK_DONE;
}

static enum desk_step nothing_on_node(struct query *c)
{
	return is_this_node(c) ? nothing(c) : DESK_DONE;
}

static bool prepare_action(struct query *c)
{
	static const char *const names[] = { "action", NULL };
	const char *action = query_str(c, "action");
	if (!query_needs(c, names))
		return false;
	if (action != NULL && (strcmp(action, "sync") == 0 || strcmp(action, "cancel_sync") == 0))
		return true;
	c->details = json_pack("[s, O]", "unknown", json_object_get(c->body, "action"));
	return query_bad(c, "unknown");
}

/* There are no mirrors, so that all of them are in step. */
static enum desk_step act_on_queue(struct query *c)
{
	const struct vhost *vhost = query_vhost(c);
	if (vhost != NULL && !vhost_has_queue(vhost, c->names[1]))
		query_not_found(c);
	else if (vhost != NULL)
		c->status = 204;
	return DESK_DONE;
}

#define ANY(path, vhost, step, tell)                                             \
	{                                                                        \
		HTTP_GET, path, RIGHT_MANAGEMENT, vhost, false, NULL, step, tell \
	}
#define MONITOR(method, path, step, tell)                                           \
	{                                                                           \
		method, path, RIGHT_MONITORING, VHOST_NONE, false, NULL, step, tell \
	}
#define ADMIN(method, path, vhost, step)                                  \
	{                                                                 \
		method, path, RIGHT_ADMIN, vhost, false, NULL, step, NULL \
	}

const struct route node_routes[] = {
	ANY("overview", VHOST_NONE, totals_step, tell_overview),
	MONITOR(HTTP_GET, "nodes", totals_step, tell_nodes),
	MONITOR(HTTP_GET, "nodes/*", get_node, tell_node),
	MONITOR(HTTP_GET, "nodes/*/memory", get_node, tell_memory),
	MONITOR(HTTP_GET, "nodes/*/memory/relative", get_node, tell_relative_memory),
	MONITOR(HTTP_GET, "nodes/*/memory/ets", get_node, tell_memory),
	ANY("health/checks/alarms", VHOST_NONE, check_alarms, NULL),
	ANY("health/checks/local-alarms", VHOST_NONE, check_alarms, NULL),
	ANY("health/checks/virtual-hosts", VHOST_NONE, check_nothing, NULL),
	ANY("health/checks/ready-to-serve-clients", VHOST_NONE, check_nothing, NULL),
	ANY("health/checks/is-in-service", VHOST_NONE, check_nothing, NULL),
	ANY("health/checks/node-is-mirror-sync-critical", VHOST_NONE, check_single, NULL),
	ANY("health/checks/node-is-quorum-critical", VHOST_NONE, check_single, NULL),
	ANY("health/checks/port-listener/*", VHOST_NONE, check_port, NULL),
	ANY("health/checks/protocol-listener/*", VHOST_NONE, check_protocol, NULL),
	ANY("health/checks/certificate-expiration/*/*", VHOST_NONE, check_certificates, NULL),
	ANY("healthchecks/node", VHOST_NONE, check_nothing, NULL),
	ANY("healthchecks/node/*", VHOST_NONE, check_node, NULL),
	{ HTTP_GET, "aliveness-test/*", RIGHT_MANAGEMENT, VHOST_USED, false, NULL, check_aliveness,
	  NULL },
	ANY("extensions", VHOST_NONE, get_extensions, NULL),
	MONITOR(HTTP_GET, "shovels", get_empty_list, NULL),
	MONITOR(HTTP_GET, "shovels/*", get_empty_list, NULL),
	MONITOR(HTTP_GET, "federation-links", get_empty_list, NULL),
	MONITOR(HTTP_GET, "federation-links/*", get_empty_list, NULL),
	ADMIN(HTTP_GET, "feature-flags", VHOST_NONE, get_flags),
	ADMIN(HTTP_PUT, "feature-flags/*/enable", VHOST_NONE, enable_flag),
	{ HTTP_GET, "auth", RIGHT_NONE, VHOST_NONE, false, NULL, get_auth, NULL },
	MONITOR(HTTP_GET, "auth/attempts/*", get_attempts, NULL),
	MONITOR(HTTP_GET, "auth/attempts/*/source", get_attempts, NULL),
	MONITOR(HTTP_DELETE, "auth/attempts/*", nothing_on_node, NULL),
	MONITOR(HTTP_DELETE, "auth/attempts/*/source", nothing_on_node, NULL),
	ADMIN(HTTP_POST, "rebalance/queues", VHOST_NONE, nothing),
	ADMIN(HTTP_DELETE, "reset", VHOST_NONE, nothing),
	ADMIN(HTTP_DELETE, "reset/*", VHOST_NONE, nothing_on_node),
	{ HTTP_POST, "queues/*/*/actions", RIGHT_ADMIN, VHOST_NAMED, false, prepare_action,
	  act_on_queue, NULL },
	{ HTTP_GET, NULL, RIGHT_NONE, VHOST_NONE, false, NULL, NULL, NULL },
};
