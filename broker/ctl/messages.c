#include "ctl/messages.h"

#include "ctl/fetch.h"
#include "ctl/say.h"
#include "ctl/verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PATH_BYTES = 4096, COUNT = 10 };

static void print_json(const json_t *v)
{
	json_dumpf(v, stdout, JSON_COMPACT | JSON_ENCODE_ANY);
	putchar('\n');
}

static void add_parameter(char *path, const char *name, const char *value)
{
	size_t at = strlen(path);
	if (value == NULL)
		return;
	snprintf(path + at, PATH_BYTES - at, "%s%s=", strchr(path, '?') == NULL ? "?" : "&", name);
	fetch_escape(path, PATH_BYTES, value);
}

static void add_number(char *path, const char *name, long value)
{
	char text[24];
	snprintf(text, sizeof text, "%ld", value);
	add_parameter(path, name, value < 0 ? NULL : text);
}

static void set_path(char path[PATH_BYTES], const char *what, const char *vhost, const char *name)
{
	snprintf(path, PATH_BYTES, "/api/leveret/%s/", what);
	fetch_escape(path, PATH_BYTES, vhost);
	strcat(path, "/");
	fetch_escape(path, PATH_BYTES, name);
}

/* --- peek --- */

/* What a terminal would take for more than a letter is shown as what it is. */
static void put_safely(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		if (c == '\n')
			fputs("\n    ", stdout);
		else if ((c < ' ' && c != '\t') || c == 0x7f)
			printf("\\x%02x", c);
		else
			putchar(c);
	}
}

static void print_field(const char *name, const json_t *v)
{
	if (v == NULL || json_is_null(v))
		return;
	char *text = json_is_string(v) ? NULL : json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
	const char *shown = text == NULL ? json_string_value(v) : text;
	printf("  %s: ", name);
	put_safely(shown, strlen(shown));
	putchar('\n');
	free(text);
}

static void print_time(const char *name, const json_t *ms)
{
	char text[40];
	struct tm parts;
	time_t seconds = (time_t)(json_integer_value(ms) / 1000);
	if (json_integer_value(ms) == 0)
		return;
	gmtime_r(&seconds, &parts);
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
	printf("  %s: %s\n", name, text);
}

static void print_message(const json_t *m)
{
	const json_t *payload = json_object_get(m, "payload");
	const char *encoding = json_string_value(json_object_get(m, "payload_encoding"));
	bool is_base64 = encoding != NULL && strcmp(encoding, "base64") == 0;
	printf("#%" JSON_INTEGER_FORMAT " %s, %" JSON_INTEGER_FORMAT " bytes\n",
	       json_integer_value(json_object_get(m, "position")),
	       json_string_value(json_object_get(m, "state")),
	       json_integer_value(json_object_get(m, "payload_bytes")));
	print_field("exchange", json_object_get(m, "exchange"));
	print_field("routing key", json_object_get(m, "routing_key"));
	print_time("published", json_object_get(m, "published_ms"));
	print_time("ready at", json_object_get(m, "ready_ms"));
	print_field("died", json_object_get(m, "died"));
	print_field("channel", json_object_get(m, "channel"));
	print_field("consumer", json_object_get(m, "consumer_tag"));
	print_field("properties", json_object_get(m, "properties"));
	print_field(is_base64 ? "body, base64" : "body", payload);
}

int messages_peek(const struct options *o, const struct verb *v)
{
	char path[PATH_BYTES];
	int status;
	size_t i;
	const json_t *m;
	(void)v;
	set_path(path, "queues", options_vhost(o), o->argv[1]);
	strcat(path, "/messages");
	add_number(path, "count", o->count < 0 ? COUNT : o->count);
	add_number(path, "from", o->from);
	add_parameter(path, "state", o->state);
	json_t *answer = fetch_or_tell(o, path, &status);
	if (answer == NULL)
		return status;
	if (o->rows == ROWS_JSON) {
		print_json(answer);
	} else {
		json_array_foreach(json_object_get(answer, "messages"), i, m) print_message(m);
		if (json_is_integer(json_object_get(answer, "next")) && !o->is_quiet)
			printf("more: --from %" JSON_INTEGER_FORMAT "\n",
			       json_integer_value(json_object_get(answer, "next")));
	}
	json_decref(answer);
	return 0;
}

/* --- moving --- */

static void set_text(json_t *object, const char *name, const char *text)
{
	if (text != NULL)
		json_object_set_new(object, name, json_string(text));
}

static json_t *move_body(const struct options *o)
{
	json_t *body = json_object();
	if (o->to_queue != NULL || o->to != NULL) {
		json_t *to = json_object();
		set_text(to, "queue", o->to_queue);
		if (o->to_queue == NULL) {
			set_text(to, "exchange", o->to);
			set_text(to, "routing_key", o->routing_key);
		}
		json_object_set_new(body, "to", to);
	}
	set_text(body, "reason", o->reason);
	set_text(body, "died_in", o->died_in);
	if (o->count >= 0)
		json_object_set_new(body, "count", json_integer(o->count));
	if (o->is_dry)
		json_object_set_new(body, "dry_run", json_true());
	return body;
}

int messages_move(const struct options *o, const struct verb *v)
{
	char path[PATH_BYTES];
	int status;
	const char *name;
	json_t *n;
	bool is_to = v->command != NULL, has_to = o->to != NULL || o->to_queue != NULL;
	if (is_to != has_to)
		return say_wrong(o, v, STATUS_USAGE,
				 is_to ? "--to-queue or --to says where to"
				       : "each goes back to where it died; `move` puts them "
					 "elsewhere");
	set_path(path, "queues", options_vhost(o), o->argv[1]);
	strcat(path, "/move");
	json_t *body = move_body(o);
	const struct fetch wanted = { .method = "POST", .path = path, .body = body };
	json_t *answer = fetch_told(o, &wanted, &status);
	json_decref(body);
	if (answer == NULL)
		return status;
	if (o->rows == ROWS_JSON)
		print_json(answer);
	else
		json_object_foreach(answer, name, n) printf("%s\t%" JSON_INTEGER_FORMAT "\n", name,
							    json_integer_value(n));
	bool is_whole = json_integer_value(json_object_get(answer, "refused")) == 0;
	json_decref(answer);
	return is_whole ? 0 : STATUS_REFUSED;
}

/* --- explain --- */

static int explain_route(const struct options *o, const struct verb *v)
{
	char path[PATH_BYTES];
	int status;
	size_t i;
	const json_t *queue;
	json_t *headers = o->headers == NULL ? NULL : json_loads(o->headers, 0, NULL);
	if (o->argc != 4 || (o->headers != NULL && headers == NULL)) {
		json_decref(headers);
		return say_wrong(o, v, STATUS_USAGE,
				 o->argc != 4 ? "an exchange and a routing key are needed"
					      : "--headers: no JSON");
	}
	set_path(path, "route", options_vhost(o), o->argv[2][0] == '\0' ? "amq.default" : o->argv[2]);
	add_parameter(path, "routing_key", o->argv[3]);
	json_t *body = headers == NULL ? NULL : json_pack("{s:o}", "headers", headers);
	const struct fetch wanted = { .method = body == NULL ? "GET" : "POST",
				      .path = path,
				      .body = body };
	json_t *answer = fetch_told(o, &wanted, &status);
	json_decref(body);
	if (answer == NULL)
		return status;
	if (o->rows == ROWS_JSON)
		print_json(answer);
	else
		json_array_foreach(json_object_get(answer, "queues"), i, queue)
			puts(json_string_value(queue));
	if (json_array_size(json_object_get(answer, "queues")) == 0 && o->rows != ROWS_JSON &&
	    !o->is_quiet)
		puts("no queue: it would be returned, or dropped");
	json_decref(answer);
	return 0;
}

static int explain_right(const struct options *o, const struct verb *v)
{
	char path[PATH_BYTES] = "/api/leveret/may";
	int status;
	if (o->argc != 5)
		return say_wrong(o, v, STATUS_USAGE,
				 "a user, configure, write or read, and a name are needed");
	add_parameter(path, "user", o->argv[2]);
	add_parameter(path, "right", o->argv[3]);
	add_parameter(path, "name", o->argv[4]);
	add_parameter(path, "vhost", options_vhost(o));
	json_t *answer = fetch_or_tell(o, path, &status);
	if (answer == NULL)
		return status;
	const char *pattern = json_string_value(json_object_get(answer, "pattern"));
	bool is_allowed = json_is_true(json_object_get(answer, "allowed"));
	if (o->rows == ROWS_JSON)
		print_json(answer);
	else if (pattern == NULL)
		printf("no: the user has no permissions in virtual host '%s'\n", options_vhost(o));
	else
		printf("%s: the pattern is '%s'\n", is_allowed ? "yes" : "no", pattern);
	json_decref(answer);
	return is_allowed ? 0 : STATUS_REFUSED;
}

int messages_explain(const struct options *o, const struct verb *v)
{
	if (strcmp(o->argv[1], "route") == 0)
		return explain_route(o, v);
	if (strcmp(o->argv[1], "may") == 0)
		return explain_right(o, v);
	return say_wrong(o, v, STATUS_USAGE, "route or may is explained");
}
