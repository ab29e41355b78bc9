#include "ctl/status.h"

#include "ctl/asked.h"
#include "ctl/fetch.h"
#include "ctl/say.h"
#include "ctl/verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *text_at(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));
	return text == NULL ? "" : text;
}

static json_int_t int_at(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

static double gb(json_int_t bytes)
{
	return (double)bytes / 1e9;
}

/* --- asking --- */

bool status_ask(const struct options *o, struct status_told *told, int *exit)
{
	char path[600] = "/api/nodes/";
	*told = (struct status_told){ .overview = fetch_or_tell(o, "/api/overview", exit) };
	if (told->overview == NULL)
		return false;
	fetch_escape(path, sizeof path, text_at(told->overview, "node"));
	strncat(path, "?memory=true", sizeof path - strlen(path) - 1);
	told->node = fetch_or_tell(o, path, exit);
	if (told->node != NULL)
		return true;
	status_free(told);
	return false;
}

void status_free(struct status_told *told)
{
	json_decref(told->overview);
	json_decref(told->node);
}

/* --- alarms and listeners --- */

size_t status_print_alarms(const struct status_told *told, const char *name, bool is_error)
{
	static const char *const alarms[][2] = { { "disk_free_alarm", "Free disk space alarm" },
						 { "mem_alarm", "Memory alarm" } };
	size_t len = 0;
	for (size_t i = 0; i < 2; i++)
		if (json_is_true(json_object_get(told->node, alarms[i][0]))) {
			fprintf(is_error ? stderr : stdout, "%s on node %s\n", alarms[i][1], name);
			len++;
		}
	return len;
}

static const char *purpose_of(const char *protocol)
{
	return strcmp(protocol, "amqp") == 0              ? "AMQP 0-9-1"
	       : strcmp(protocol, "amqp/ssl") == 0        ? "AMQP 0-9-1 over TLS"
	       : strcmp(protocol, "http/prometheus") == 0 ? "Prometheus exporter API over HTTP"
	       : strcmp(protocol, "https") == 0           ? "HTTP API over TLS (HTTPS)"
							  : "HTTP API";
}

void status_print_listeners(const struct status_told *told, const char *node)
{
	size_t i;
	const json_t *l;
	json_array_foreach(json_object_get(told->overview, "listeners"), i, l)
	{
		const char *host = text_at(l, "ip_address");
		bool is_v6 = strchr(host, ':') != NULL;
		if (node != NULL)
			printf("Node: %s, interface: ", node);
		else
			fputs("Interface: ", stdout);
		printf("%s%s%s, port: %" JSON_INTEGER_FORMAT ", protocol: %s, purpose: %s\n",
		       is_v6 ? "[" : "", host, is_v6 ? "]" : "", int_at(l, "port"),
		       text_at(l, "protocol"), purpose_of(text_at(l, "protocol")));
	}
}

static json_t *listeners_json(const struct status_told *told)
{
	size_t i;
	const json_t *l;
	json_t *all = json_array();
	json_array_foreach(json_object_get(told->overview, "listeners"), i, l)
		json_array_append_new(
			all, json_pack("{s:O, s:O, s:O, s:O, s:s}", "interface",
				       json_object_get(l, "ip_address"), "node",
				       json_object_get(l, "node"), "port",
				       json_object_get(l, "port"), "protocol",
				       json_object_get(l, "protocol"), "purpose",
				       purpose_of(text_at(l, "protocol"))));
	return all;
}

static json_t *alarms_json(const struct status_told *told)
{
	json_t *all = json_array();
	if (json_is_true(json_object_get(told->node, "mem_alarm")))
		json_array_append_new(all, json_string("memory"));
	if (json_is_true(json_object_get(told->node, "disk_free_alarm")))
		json_array_append_new(all, json_string("disk_free"));
	return all;
}

/* --- status --- */

/* What takes one question more: NULL if it cannot be had. */
static json_t *figures(const struct options *o)
{
	int status;
	return o->url == NULL ? asked(o, json_pack("{s:s}", "command", "figures"), &status) : NULL;
}

static size_t count_vhosts(const struct options *o)
{
	int status;
	json_t *all = fetch_or_tell(o, "/api/vhosts?columns=name", &status);
	size_t len = json_array_size(all);
	json_decref(all);
	return len;
}

static void print_list(const json_t *texts, const char *otherwise)
{
	size_t i;
	const json_t *text;
	json_array_foreach(texts, i, text) printf(" * %s\n", json_string_value(text));
	if (json_array_size(texts) == 0)
		puts(otherwise);
}

static void print_runtime(const json_t *overview, const json_t *node)
{
	printf("Runtime\n\nOS PID: %s\nOS: Linux\nUptime (seconds): %" JSON_INTEGER_FORMAT
	       "\nIs under maintenance?: false\nRabbitMQ version: %s\n%s version: %s\nNode name: %s\n",
	       text_at(node, "os_pid"), int_at(node, "uptime") / 1000,
	       text_at(overview, "rabbitmq_version"), text_at(overview, "product_name"),
	       text_at(overview, "product_version"), text_at(overview, "node"));
}

static void print_memory(const json_t *node)
{
	const char *name;
	json_t *v;
	const json_t *memory = json_object_get(node, "memory");
	json_int_t total = int_at(json_object_get(memory, "total"), "rss");
	printf("\nMemory\n\nTotal memory used: %.4f gb\nCalculation strategy: %s\nMemory high "
	       "watermark setting: computed to: %.4f gb\n\n",
	       gb(total), text_at(memory, "strategy"), gb(int_at(node, "mem_limit")));
	json_object_foreach((json_t *)memory, name, v) if (json_is_integer(v))
		printf("%s: %.4f gb (%.2f %%)\n", name, gb(json_integer_value(v)),
		       total == 0 ? 0 : 100.0 * (double)json_integer_value(v) / (double)total);
}

static void print_status(const struct options *o, const struct status_told *told)
{
	const json_t *node = told->node;
	const json_t *totals = json_object_get(told->overview, "object_totals");
	const char *name;
	json_t *v, *more = figures(o);
	print_runtime(told->overview, node);
	printf("\nData directory\n\nNode data directory: %s\n", text_at(node, "db_dir"));
	puts("\nConfig files\n");
	print_list(json_object_get(node, "config_files"), "(none)");
	puts("\nLog file(s)\n");
	print_list(json_object_get(node, "log_files"), " * <stderr>");
	puts("\nAlarms\n");
	if (status_print_alarms(told, text_at(told->overview, "node"), false) == 0)
		puts("(none)");
	print_memory(node);
	printf("\nFile Descriptors\n\nTotal: %" JSON_INTEGER_FORMAT ", limit: %" JSON_INTEGER_FORMAT
	       "\nSockets: %" JSON_INTEGER_FORMAT ", limit: %" JSON_INTEGER_FORMAT "\n",
	       int_at(node, "fd_used"), int_at(node, "fd_total"), int_at(node, "sockets_used"),
	       int_at(node, "sockets_total"));
	printf("\nFree Disk Space\n\nLow free disk space watermark: %.4f gb\nFree disk space: %.4f "
	       "gb\n",
	       gb(int_at(node, "disk_free_limit")), gb(int_at(node, "disk_free")));
	printf("\nTotals\n\nConnection count: %" JSON_INTEGER_FORMAT
	       "\nQueue count: %" JSON_INTEGER_FORMAT "\nVirtual host count: %zu\n",
	       int_at(totals, "connections"), int_at(totals, "queues"), count_vhosts(o));
	json_object_foreach(more, name, v)
		printf("%s: %" JSON_INTEGER_FORMAT "\n", name, json_integer_value(v));
	json_decref(more);
	puts("\nListeners\n");
	status_print_listeners(told, NULL);
}

static json_t *status_json(const struct options *o, const struct status_told *told)
{
	const json_t *node = told->node, *overview = told->overview;
	const json_t *totals = json_object_get(overview, "object_totals");
	json_t *more = figures(o), *all = json_object();
	json_object_set_new(all, "alarms", alarms_json(told));
	json_object_set_new(all, "listeners", listeners_json(told));
	json_object_set(all, "config_files", json_object_get(node, "config_files"));
	json_object_set(all, "log_files", json_object_get(node, "log_files"));
	json_object_set(all, "data_directory", json_object_get(node, "db_dir"));
	json_object_set(all, "disk_free", json_object_get(node, "disk_free"));
	json_object_set(all, "disk_free_limit", json_object_get(node, "disk_free_limit"));
	json_object_set_new(all, "file_descriptors",
			    json_pack("{s:O, s:O, s:O, s:O}", "sockets_limit",
				      json_object_get(node, "sockets_total"), "sockets_used",
				      json_object_get(node, "sockets_used"), "total_limit",
				      json_object_get(node, "fd_total"), "total_used",
				      json_object_get(node, "fd_used")));
	json_object_set_new(all, "is_under_maintenance", json_false());
	json_object_set(all, "memory", json_object_get(node, "memory"));
	json_object_set_new(all, "os", json_string("Linux"));
	json_object_set_new(all, "pid", json_integer(strtoll(text_at(node, "os_pid"), NULL, 10)));
	json_object_set(all, "product_name", json_object_get(overview, "product_name"));
	json_object_set(all, "product_version", json_object_get(overview, "product_version"));
	json_object_set(all, "rabbitmq_version", json_object_get(overview, "rabbitmq_version"));
	json_object_set_new(all, "release_series_support_status", json_string("supported"));
	json_object_set_new(all, "totals",
			    json_pack("{s:I, s:O, s:O}", "virtual_host_count",
				      (json_int_t)count_vhosts(o), "connection_count",
				      json_object_get(totals, "connections"), "queue_count",
				      json_object_get(totals, "queues")));
	json_object_set_new(all, "uptime", json_integer(int_at(node, "uptime") / 1000));
	json_object_set_new(all, "vm_memory_calculation_strategy", json_string("rss"));
	json_object_set(all, "vm_memory_high_watermark_limit", json_object_get(node, "mem_limit"));
	if (more != NULL)
		json_object_set_new(all, "figures", more);
	return all;
}

static void dump(json_t *v)
{
	json_dumpf(v, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(v);
}

int status_run(const struct options *o, const struct verb *v)
{
	struct status_told told;
	int exit = 0;
	(void)v;
	if (!status_ask(o, &told, &exit))
		return exit;
	if (o->rows == ROWS_JSON)
		dump(status_json(o, &told));
	else
		print_status(o, &told);
	status_free(&told);
	return 0;
}

/* --- the cluster, which is one node --- */

static void print_cluster(const struct status_told *told)
{
	const char *node = text_at(told->overview, "node");
	printf("Basics\n\nCluster name: %s\n\nDisk Nodes\n\n%s\n\nRunning Nodes\n\n%s\n",
	       text_at(told->overview, "cluster_name"), node, node);
	printf("\nVersions\n\n%s: RabbitMQ %s, %s %s\n", node,
	       text_at(told->overview, "rabbitmq_version"), text_at(told->overview, "product_name"),
	       text_at(told->overview, "product_version"));
	printf("\nMaintenance status\n\nNode: %s, status: not under maintenance\n\nAlarms\n\n", node);
	if (status_print_alarms(told, node, false) == 0)
		puts("(none)");
	puts("\nNetwork Partitions\n\n(none)\n\nListeners\n");
	status_print_listeners(told, node);
	puts("\nFeature flags\n\n(none)");
}

int status_cluster(const struct options *o, const struct verb *v)
{
	struct status_told told;
	int exit = 0;
	(void)v;
	if (!status_ask(o, &told, &exit))
		return exit;
	const json_t *node = json_object_get(told.overview, "node");
	if (o->rows == ROWS_JSON)
		dump(json_pack("{s:o, s:O, s:[O], s:[], s:o, s:{}, s:[], s:[O]}", "alarms",
			       alarms_json(&told), "cluster_name",
			       json_object_get(told.overview, "cluster_name"), "disk_nodes", node,
			       "feature_flags", "listeners", listeners_json(&told), "partitions",
			       "ram_nodes", "running_nodes", node));
	else
		print_cluster(&told);
	status_free(&told);
	return 0;
}
