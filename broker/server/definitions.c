#include "server/definitions.h"

#include "base/alloc.h"
#include "manage/manage.h"
#include "server/log.h"
#include "server/worker.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void tell(const char *path, const json_t *report, const char *list, enum log_level level)
{
	size_t i;
	const json_t *text;
	json_array_foreach(json_object_get(report, list), i, text) log_line(
		level, "load_definitions = %s: %s: %s", path, list, json_string_value(text));
}

/* NULL, and why. */
static json_t *read_file(const char *path, char *why, size_t why_size)
{
	json_error_t error;
	json_t *root = path[0] == '\0' ? json_object()
				       : json_load_file(path, JSON_REJECT_DUPLICATES, &error);
	if (root == NULL)
		snprintf(why, why_size, "load_definitions = %s: line %d, column %d: %s", path,
			 error.line, error.column, error.text);
	return root;
}

static bool tell_report(const char *path, const json_t *report, char *why, size_t why_size)
{
	const char *refused = json_string_value(json_object_get(report, "error"));
	json_int_t status = json_integer_value(json_object_get(report, "status"));
	tell(path, report, "ignored", LOG_WARNING);
	tell(path, report, "conflicting", LOG_ERROR);
	if (refused != NULL)
		snprintf(why, why_size, "load_definitions = %s: %s", path, refused);
	return refused == NULL || status == MANAGE_EXISTS;
}

bool definitions_load(struct manage *manage, const char *path, char *why, size_t why_size)
{
	json_t *root = read_file(path, why, why_size);
	if (root == NULL)
		return false;
	json_t *report = manage_load(manage, root);
	bool is_good = tell_report(path, report, why, why_size);
	json_decref(report);
	json_decref(root);
	return is_good;
}

/* --- while the broker works --- */

struct definitions_reload {
	struct definitions_options options;
	struct job job;
	char *path;
	char why[700];
	json_t *root;   /* Between the file and the import, and after it. */
	json_t *report; /* After it. */
};

void definitions_reload_destroy(struct definitions_reload *r)
{
	if (r == NULL)
		return;
	json_decref(r->root);
	json_decref(r->report);
	free(r->path);
	free(r);
}

static void run_read(struct job *job)
{
	struct definitions_reload *r = list_entry(job, struct definitions_reload, job);
	r->root = read_file(r->path, r->why, sizeof r->why);
}

/* Large ones take a while to give up. */
static void run_free(struct job *job)
{
	struct definitions_reload *r = list_entry(job, struct definitions_reload, job);
	json_decref(r->root);
	json_decref(r->report);
	r->root = r->report = NULL;
}

static void end(struct definitions_reload *r)
{
	const struct definitions_options o = r->options;
	char why[sizeof r->why];
	memcpy(why, r->why, sizeof why);
	definitions_reload_destroy(r);
	o.told(o.arg, why[0] == '\0' ? NULL : why);
}

static void on_freed(struct job *job)
{
	end(list_entry(job, struct definitions_reload, job));
}

static void on_imported(void *arg, json_t *report, json_t *definitions, uint64_t awaited)
{
	struct definitions_reload *r = arg;
	(void)awaited;
	if (tell_report(r->path, report, r->why, sizeof r->why))
		r->why[0] = '\0';
	r->root = definitions;
	r->report = report;
	r->job = (struct job){ .run = run_free, .done = on_freed };
	worker_do(r->options.worker, &r->job);
}

static void on_read(struct job *job)
{
	struct definitions_reload *r = list_entry(job, struct definitions_reload, job);
	struct manage_import_options import = {
		.definitions = r->root, .vhost = "/", .is_load = true, .told = on_imported, .arg = r
	};
	if (r->root == NULL) {
		end(r);
		return;
	}
	r->root = NULL;
	manage_start_import(r->options.manage, &import);
}

struct definitions_reload *definitions_reload(const struct definitions_options *options)
{
	struct definitions_reload *r = alloc_zeroed(sizeof *r);
	r->options = *options;
	r->path = strdup(options->path);
	r->job = (struct job){ .run = run_read, .done = on_read };
	worker_do(options->worker, &r->job);
	return r;
}
