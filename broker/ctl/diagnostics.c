#include "ctl/diagnostics.h"

#include "ctl/archive.h"
#include "ctl/asked.h"
#include "ctl/fetch.h"
#include "ctl/say.h"
#include "ctl/secrets.h"
#include "ctl/verbs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOG_BYTES = 2 << 20 };

/* --- members --- */

/* Takes the value; NULL: it could not be had, and that is in the archive. */
static void add_json(struct archive *a, const char *name, json_t *v)
{
	if (v == NULL)
		v = json_string("the broker did not say");
	secrets_take_out(v);
	char *text = json_dumps(v, JSON_INDENT(1) | JSON_ENCODE_ANY);
	archive_add(a, name, text, strlen(text));
	free(text);
	json_decref(v);
}

static void add_page(struct archive *a, const struct options *o, const char *name)
{
	char path[100], file[100];
	int http;
	const struct fetch wanted = { .method = "GET", .path = path };
	snprintf(path, sizeof path, "/api/%s", name);
	snprintf(file, sizeof file, "%s.json", name);
	for (char *c = file; *c != '\0'; c++)
		if (*c == '/' || *c == '?')
			*c = '-';
	add_json(a, file, fetch(o, &wanted, &http));
}

static void add_answer(struct archive *a, const struct options *o, const char *command)
{
	char file[100];
	int status;
	if (o->url != NULL)
		return;
	snprintf(file, sizeof file, "%s.json", command);
	add_json(a, file, asked(o, json_pack("{s:s}", "command", command), &status));
}

/* The last of it, from the begin of a line. */
static void add_log(struct archive *a, const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = f == NULL ? NULL : malloc(LOG_BYTES + 1);
	if (text != NULL) {
		bool is_cut = fseek(f, -LOG_BYTES, SEEK_END) == 0;
		if (!is_cut)
			rewind(f);
		size_t len = fread(text, 1, LOG_BYTES, f);
		text[len] = '\0';
		char *from = is_cut ? strchr(text, '\n') : NULL;
		from = from == NULL ? text : from + 1;
		secrets_blank(from);
		archive_add(a, "log", from, strlen(from));
	}
	free(text);
	if (f != NULL)
		fclose(f);
}

static void add_node(struct archive *a, const struct options *o)
{
	int http;
	const struct fetch wanted = { .method = "GET", .path = "/api/nodes" };
	json_t *nodes = fetch(o, &wanted, &http);
	const json_t *files = json_object_get(json_array_get(nodes, 0), "log_files");
	const char *log = json_string_value(json_array_get(files, 0));
	if (log != NULL && log[0] == '/' && o->url == NULL)
		add_log(a, log);
	add_json(a, "nodes.json", nodes);
}

/* --- all --- */

int diagnostics_run(const struct options *o, const struct verb *v)
{
	static const char *const pages[] = { "overview",    "queues",      "exchanges",
					     "bindings",    "connections", "channels",
					     "consumers",   "vhosts",      "permissions",
					     "definitions", "parameters",  "health/checks/alarms" };
	char version[200];
	int status = 0;
	(void)v;
	json_t *first = fetch_or_tell(o, "/api/whoami", &status);
	json_decref(first);
	if (status != 0)
		return status;
	struct archive *a = archive_create(o->argv[1]);
	if (a == NULL)
		return say_error(STATUS_REFUSED, "cannot write %s: %s", o->argv[1], strerror(errno));
	snprintf(version, sizeof version, "leveretctl " LEV_VERSION "\n");
	archive_add(a, "version", version, strlen(version));
	for (size_t i = 0; i < sizeof pages / sizeof *pages; i++)
		add_page(a, o, pages[i]);
	add_answer(a, o, "figures");
	add_answer(a, o, "environment");
	add_node(a, o);
	if (!archive_close(a))
		return say_error(STATUS_REFUSED, "cannot write %s: %s", o->argv[1], strerror(errno));
	if (!o->is_quiet)
		printf("%s: configuration, figures, lists and log, passwords taken out; names of "
		       "queues, users and hosts are in it\n",
		       o->argv[1]);
	return 0;
}
