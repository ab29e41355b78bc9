#include "ctl/lists.h"

#include "ctl/fetch.h"
#include "ctl/rows.h"
#include "ctl/say.h"
#include "ctl/verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS_MAX = 64, ROOM = 4096 };

/* Where a column comes from: a path into the object that management has; without one it has the
 * column's own name. A text that begins with '=' is the value itself: what has no meaning here. */
struct source {
	const char *list; /* Of the path. */
	const char *column;
	const char *path;
};

static const struct source sources[] = {
	{ "queues", "owner_pid", "owner_pid_details.name" },
	{ "queues", "exclusive_consumer_pid", "=" },
	{ "queues", "single_active_consumer_pid", "single_active_consumer_details.name" },
	{ "queues", "pid", "=" },
	{ "queues", "leader", "=" },
	{ "queues", "members", "=" },
	{ "queues", "online", "=" },
	{ "queues", "slave_pids", "=" },
	{ "queues", "synchronised_slave_pids", "=" },
	{ "queues", "disk_reads", "=0" },
	{ "queues", "disk_writes", "=0" },
	{ "bindings", "source_name", "source" },
	{ "bindings", "source_kind", "=exchange" },
	{ "bindings", "destination_name", "destination" },
	{ "bindings", "destination_kind", "destination_type" },
	{ "consumers", "queue_name", "queue.name" },
	{ "consumers", "channel_pid", "channel_details.name" },
	{ "connections", "pid", "name" },
	{ "channels", "pid", "name" },
	{ "channels", "connection", "connection_details.name" },
	{ NULL, NULL, NULL },
};

static const char *path_of(const char *list, const char *column)
{
	for (const struct source *s = sources; s->list != NULL; s++)
		if (strcmp(s->list, list) == 0 && strcmp(s->column, column) == 0)
			return s->path;
	return column;
}

/* --- columns --- */

/* Those that are asked for, separated by blanks or commas, or else the verb's. */
static size_t split_columns(const struct options *o, const struct verb *v, int from,
			    char room[ROOM], const char *columns[COLUMNS_MAX])
{
	size_t at = 0, len = 0;
	char *next;
	room[0] = '\0';
	for (int i = from; i < o->argc; i++)
		at += (size_t)snprintf(room + at, at < ROOM ? ROOM - at : 0, "%s ", o->argv[i]);
	if (o->argc <= from)
		snprintf(room, ROOM, "%s", v->columns);
	for (char *name = strtok_r(room, " ,", &next); name != NULL && len < COLUMNS_MAX;
	     name = strtok_r(NULL, " ,", &next))
		columns[len++] = name;
	return len;
}

static bool has_word(const char *words, const char *word)
{
	size_t len = strlen(word);
	for (const char *at = words; (at = strstr(at, word)) != NULL; at += len)
		if ((at == words || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
			return true;
	return false;
}

bool lists_check_columns(const struct options *o, const struct verb *v, int from)
{
	char room[ROOM], bad[ROOM] = "";
	const char *columns[COLUMNS_MAX];
	size_t at = 0, len = split_columns(o, v, from, room, columns);
	const char *known = v->all_columns != NULL ? v->all_columns : v->columns;
	for (size_t i = 0; i < len; i++)
		if (!has_word(known, columns[i]))
			at += (size_t)snprintf(bad + at, at < ROOM ? ROOM - at : 0, "%s%s",
					       at > 0 ? "," : "", columns[i]);
	if (bad[0] != '\0')
		say_wrong(o, v, STATUS_USAGE, "Info key(s) %s are not supported", bad);
	return bad[0] == '\0';
}

void lists_print(const struct options *o, const struct verb *v, const json_t *rows, int from)
{
	char room[ROOM];
	const char *columns[COLUMNS_MAX];
	const struct rows_options options = {
		.format = o->rows,
		.has_header = !o->is_silent && !o->has_no_headers,
		.is_rabbitmqctl = o->is_rabbitmqctl,
		.columns = columns,
		.columns_len = split_columns(o, v, from, room, columns),
	};
	rows_print(rows, &options);
}

/* --- rows --- */

static json_t *value_at(const json_t *object, const char *path)
{
	const char *dot = strchr(path, '.');
	if (path[0] == '=')
		return path[1] == '0' ? json_integer(0) : json_string(path + 1);
	if (dot == NULL)
		return json_incref(json_object_get(object, path));
	json_t *inner = json_object_getn(object, path, (size_t)(dot - path));
	return json_incref(json_object_get(inner, dot + 1));
}

static json_t *make_row(const char *list, const json_t *object, const char *const *columns,
			size_t len)
{
	json_t *row = json_object();
	for (size_t i = 0; i < len; i++) {
		json_t *v = value_at(object, path_of(list, columns[i]));
		if (v != NULL)
			json_object_set_new(row, columns[i], v);
	}
	return row;
}

/* Only what is shown is asked for. */
static void add_columns(char *path, size_t size, const char *list, const char *const *columns,
			size_t len)
{
	size_t at = strlen(path);
	at += (size_t)snprintf(path + at, size - at, "?columns=");
	for (size_t i = 0; i < len; i++) {
		const char *from = path_of(list, columns[i]);
		if (from[0] != '=' && at < size)
			at += (size_t)snprintf(path + at, size - at, "%.*s,",
					       (int)strcspn(from, "."), from);
	}
	if (path[at - 1] == '=' && at < size)
		snprintf(path + at, size - at, "name");
}

static json_t *get_rows(const struct options *o, const struct verb *v, int *status)
{
	char path[ROOM + 1024], room[ROOM];
	const char *columns[COLUMNS_MAX];
	size_t i, len = split_columns(o, v, 1, room, columns);
	json_t *object, *rows = json_array();
	snprintf(path, sizeof path, "/api/%s", v->command);
	if (v->has_vhost) {
		strcat(path, "/");
		fetch_escape(path, sizeof path, options_vhost(o));
	}
	add_columns(path, sizeof path, v->command, columns, len);
	json_t *all = fetch_or_tell(o, path, status);
	json_array_foreach(all, i, object)
		json_array_append_new(rows, make_row(v->command, object, columns, len));
	json_decref(all);
	return rows;
}

/* A list of a virtual host that is not there: that is told, unlike in RabbitMQ. */
static int check_vhost(const struct options *o)
{
	char path[1024] = "/api/vhosts/";
	int http;
	fetch_escape(path, sizeof path, options_vhost(o));
	strncat(path, "?columns=name", sizeof path - strlen(path) - 1);
	const struct fetch wanted = { .method = "GET", .path = path };
	json_t *answer = fetch(o, &wanted, &http);
	json_decref(answer);
	if (http != 404)
		return 0;
	fprintf(stderr, "Virtual host '%s' does not exist\n", options_vhost(o));
	return STATUS_DATA;
}

int lists_run(const struct options *o, const struct verb *v)
{
	int status = v->has_vhost ? check_vhost(o) : 0;
	if (status != 0)
		return status;
	json_t *rows = o->is_offline ? json_array() : get_rows(o, v, &status);
	if (status == 0)
		lists_print(o, v, rows, 1);
	json_decref(rows);
	return status;
}
