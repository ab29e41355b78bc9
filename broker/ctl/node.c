#include "ctl/node.h"

#include "ctl/asked.h"
#include "ctl/fetch.h"
#include "ctl/lists.h"
#include "ctl/say.h"
#include "ctl/status.h"
#include "ctl/verbs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { AWAIT_S = 300, LINES = 50 };

static const char *text_at(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));
	return text == NULL ? "" : text;
}

/* --- is it there? --- */

static bool is_there(const struct options *o)
{
	const struct fetch wanted = { .method = "GET", .path = "/api/whoami" };
	int http;
	json_t *answer = fetch(o, &wanted, &http);
	json_decref(answer);
	return http != 0;
}

int node_ping(const struct options *o, const struct verb *v)
{
	int status;
	json_t *answer = fetch_or_tell(o, "/api/whoami", &status);
	if (answer != NULL)
		say_done(o, v->done);
	json_decref(answer);
	return status;
}

int node_await(const struct options *o, const struct verb *v)
{
	static const struct timespec rest = { .tv_nsec = 100000000 };
	time_t until = time(NULL) + (o->timeout_s == 0 ? AWAIT_S : o->timeout_s);
	(void)v;
	while (!is_there(o)) {
		if (time(NULL) >= until)
			return say_error(STATUS_REFUSED, "no broker answers in %s: %s",
					 o->url == NULL ? o->data_dir : o->url, strerror(errno));
		nanosleep(&rest, NULL);
	}
	return 0;
}

int node_running(const struct options *o, const struct verb *v)
{
	(void)v;
	if (!is_there(o))
		return say_error(STATUS_REFUSED,
				 "RabbitMQ on node %s is not running or has not fully booted yet "
				 "(check with is_booting)",
				 say_node(o));
	printf("RabbitMQ on node %s is fully booted and running\n", say_node(o));
	return 0;
}

int node_booting(const struct options *o, const struct verb *v)
{
	(void)v;
	printf("RabbitMQ on node %s is fully booted (check with is_running), stopped or has not "
	       "started booting yet\n",
	       say_node(o));
	return 0;
}

int node_nothing(const struct options *o, const struct verb *v)
{
	json_t *none = json_array();
	lists_print(o, v, none, 1);
	json_decref(none);
	return 0;
}

int node_restart_vhost(const struct options *o, const struct verb *v)
{
	char path[1024] = "/api/vhosts/";
	int http;
	(void)v;
	fetch_escape(path, sizeof path, options_vhost(o));
	const struct fetch wanted = { .method = "GET", .path = path };
	json_t *answer = fetch(o, &wanted, &http);
	json_decref(answer);
	if (http != 200)
		return say_error(STATUS_SOFTWARE,
				 "Failed to start vhost '%s' on node '%s'Reason: there is no such "
				 "virtual host",
				 options_vhost(o), say_node(o));
	if (!o->is_quiet)
		printf("Vhost '%s' is already running on node '%s'\n", options_vhost(o), say_node(o));
	return 0;
}

int node_critical(const struct options *o, const struct verb *v)
{
	(void)v;
	if (!o->is_quiet)
		printf("Node %s seems to be the only one in a single node cluster, the check does "
		       "not apply\n",
		       say_node(o));
	return 0;
}

/* --- alarms and health --- */

int node_check_alarms(const struct options *o, const struct verb *v)
{
	struct status_told told;
	int exit = 0;
	bool is_local = v->command != NULL && v->command[1] == 'o';
	bool is_list = v->command != NULL && v->command[1] == 'i';
	if (!status_ask(o, &told, &exit))
		return exit;
	const char *node = text_at(told.overview, "node");
	bool is_alarmed = json_is_true(json_object_get(told.node, "mem_alarm")) ||
			  json_is_true(json_object_get(told.node, "disk_free_alarm"));
	if (is_alarmed && is_local)
		fputs("Error:\n", stderr);
	if (status_print_alarms(&told, node, !is_list) == 0 && !o->is_quiet)
		printf(is_local ? "Node %s reported no local alarms\n"
				: "Node %s reported no alarms, local or clusterwide\n",
		       node);
	status_free(&told);
	return is_alarmed && !is_list ? STATUS_REFUSED : 0;
}

int node_health(const struct options *o, const struct verb *v)
{
	struct status_told told;
	int exit = 0;
	if (!status_ask(o, &told, &exit))
		return exit;
	if (status_print_alarms(&told, text_at(told.overview, "node"), true) > 0)
		exit = STATUS_REFUSED;
	else
		say_done(o, v->done);
	status_free(&told);
	return exit;
}

int node_vhosts(const struct options *o, const struct verb *v)
{
	(void)v;
	if (!is_there(o))
		return say_error(STATUS_REFUSED, "no broker answers in %s", o->data_dir);
	if (!o->is_quiet)
		printf("Node %s reported all vhosts as running\n", say_node(o));
	return 0;
}

/* --- listeners --- */

int node_listeners(const struct options *o, const struct verb *v)
{
	struct status_told told;
	int exit = 0;
	(void)v;
	if (!status_ask(o, &told, &exit))
		return exit;
	status_print_listeners(&told, NULL);
	status_free(&told);
	return 0;
}

/* "5672, 15672", or their protocols. */
static void name_listeners(const json_t *listeners, const char *field, char *text, size_t size)
{
	size_t i, at = 0;
	const json_t *l;
	text[0] = '\0';
	json_array_foreach(listeners, i, l)
	{
		const json_t *v = json_object_get(l, field);
		const char *comma = i > 0 ? ", " : "";
		if (at >= size)
			break;
		at += (size_t)(json_is_string(v)
				       ? snprintf(text + at, size - at, "%s%s", comma,
						  json_string_value(v))
				       : snprintf(text + at, size - at,
						  "%s%" JSON_INTEGER_FORMAT, comma,
						  json_integer_value(v)));
	}
}

/* Whether one of them has this in the field. */
static bool has_listener(const json_t *listeners, const char *field, const char *value)
{
	size_t i;
	const json_t *l;
	json_array_foreach(listeners, i, l)
	{
		const json_t *v = json_object_get(l, field);
		if (json_is_string(v) ? strcmp(json_string_value(v), value) == 0
				      : json_integer_value(v) == strtoll(value, NULL, 10))
			return true;
	}
	return false;
}

static int check_listener(const struct options *o, const char *what, const char *field,
			  const char *found)
{
	struct status_told told;
	char names[1000];
	int exit = 0;
	if (!status_ask(o, &told, &exit))
		return exit;
	const json_t *listeners = json_object_get(told.overview, "listeners");
	bool is_port = what[0] == 'p' && what[1] == 'o';
	name_listeners(listeners, field, names, sizeof names);
	if (has_listener(listeners, field, o->argv[1])) {
		if (!o->is_quiet)
			printf("A listener for %s %s is running on node %s.\n", what, o->argv[1],
			       say_node(o));
	} else {
		fprintf(stderr, "%sNo listener for %s %s is active on node %s. Found %s: %s\n",
			is_port ? "" : "Error:\n", what, o->argv[1], say_node(o), found, names);
		exit = STATUS_REFUSED;
	}
	status_free(&told);
	return exit;
}

int node_port(const struct options *o, const struct verb *v)
{
	(void)v;
	return check_listener(o, "port", "port", "listeners that use the following ports");
}

int node_protocol(const struct options *o, const struct verb *v)
{
	(void)v;
	return check_listener(o, "protocol", "protocol",
			      "listeners for the following protocols");
}

static bool takes_connections(const char *host, int port)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
	bool is_v6 = inet_pton(AF_INET6, host, &v6.sin6_addr) == 1;
	if (!is_v6 && inet_pton(AF_INET, host, &v4.sin_addr) != 1)
		return false;
	int fd = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool is_good = fd != -1 && (is_v6 ? connect(fd, (struct sockaddr *)&v6, sizeof v6)
					  : connect(fd, (struct sockaddr *)&v4, sizeof v4)) == 0;
	if (fd != -1)
		close(fd);
	return is_good;
}

int node_connectivity(const struct options *o, const struct verb *v)
{
	struct status_told told;
	char names[1000];
	int exit = 0;
	size_t i;
	const json_t *l;
	(void)v;
	if (!status_ask(o, &told, &exit))
		return exit;
	const json_t *listeners = json_object_get(told.overview, "listeners");
	name_listeners(listeners, "port", names, sizeof names);
	json_array_foreach(listeners, i, l)
	{
		int port = (int)json_integer_value(json_object_get(l, "port"));
		if (takes_connections(text_at(l, "ip_address"), port))
			continue;
		exit = say_error(STATUS_REFUSED, "cannot connect to %s port %d: %s",
				 text_at(l, "ip_address"), port, strerror(errno));
	}
	if (exit == 0 && !o->is_quiet)
		printf("Successfully connected to ports %s on node %s.\n", names, say_node(o));
	status_free(&told);
	return exit;
}

/* --- versions, memory, configuration, log --- */

int node_version(const struct options *o, const struct verb *v)
{
	struct status_told told;
	int exit = 0;
	(void)v;
	if (!status_ask(o, &told, &exit))
		return exit;
	puts(text_at(told.overview, "rabbitmq_version"));
	status_free(&told);
	return 0;
}

int node_memory(const struct options *o, const struct verb *v)
{
	struct status_told told;
	const char *name;
	json_t *n;
	int exit = 0;
	(void)v;
	if (!status_ask(o, &told, &exit))
		return exit;
	const json_t *memory = json_object_get(told.node, "memory");
	double total = json_number_value(json_object_get(json_object_get(memory, "total"), "rss"));
	json_object_foreach((json_t *)memory, name, n) if (json_is_integer(n))
		printf("%s: %.4f gb (%.2f%%)\n", name, json_number_value(n) / 1e9,
		       total > 0 ? 100.0 * json_number_value(n) / total : 0.0);
	status_free(&told);
	return 0;
}

int node_environment(const struct options *o, const struct verb *v)
{
	int status;
	const char *name;
	json_t *value;
	json_t *answer = asked(o, json_pack("{s:s}", "command", v->command), &status);
	if (answer == NULL)
		return status;
	if (o->rows == ROWS_JSON) {
		json_dumpf(answer, stdout, JSON_COMPACT);
		putchar('\n');
	} else {
		json_object_foreach(answer, name, value)
			printf("%s = %s\n", name, json_string_value(value));
	}
	json_decref(answer);
	return 0;
}

static const char *log_file(const struct status_told *told)
{
	const json_t *files = json_object_get(told->node, "log_files");
	const char *name = json_string_value(json_array_get(files, 0));
	return name == NULL || name[0] != '/' ? NULL : name;
}

int node_log_location(const struct options *o, const struct verb *v)
{
	struct status_told told;
	int exit = 0;
	(void)v;
	if (!status_ask(o, &told, &exit))
		return exit;
	puts(log_file(&told) == NULL ? "<stderr>" : log_file(&told));
	status_free(&told);
	return 0;
}

/* The last lines of a file: a ring of them. */
static int print_tail(const char *path, long len)
{
	FILE *f = fopen(path, "r");
	char **ring = calloc((size_t)len + 1, sizeof *ring);
	size_t *sizes = calloc((size_t)len + 1, sizeof *sizes);
	long at = 0;
	if (f == NULL || ring == NULL || sizes == NULL) {
		free(ring);
		free(sizes);
		return say_error(STATUS_REFUSED, "cannot read %s: %s", path, strerror(errno));
	}
	while (len > 0 && getline(&ring[at % len], &sizes[at % len], f) > 0)
		at++;
	for (long i = at > len ? at - len : 0; i < at; i++)
		fputs(ring[i % len], stdout);
	for (long i = 0; i < len; i++)
		free(ring[i]);
	fclose(f);
	free(ring);
	free(sizes);
	return 0;
}

int node_log_tail(const struct options *o, const struct verb *v)
{
	struct status_told told;
	int exit = 0;
	long len = o->lines < 0 ? LINES : o->lines;
	(void)v;
	if (!status_ask(o, &told, &exit))
		return exit;
	if (!o->is_quiet)
		printf("Last %ld log lines on node %s ...\n", len, say_node(o));
	fflush(stdout);
	if (log_file(&told) == NULL)
		exit = say_error(STATUS_REFUSED, "the broker logs to standard error");
	else
		exit = print_tail(log_file(&told), len);
	status_free(&told);
	return exit;
}
