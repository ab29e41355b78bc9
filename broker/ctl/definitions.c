#include "ctl/definitions.h"

#include "ctl/asked.h"
#include "ctl/say.h"
#include "ctl/verbs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static bool is_dash(const char *path)
{
	return strcmp(path, "-") == 0;
}

/* False, and that has been told: only JSON is spoken. */
static bool check_format(const struct options *o, const struct verb *v)
{
	if (o->format == NULL || strcasecmp(o->format, "json") == 0)
		return true;
	say_wrong(o, v, STATUS_DATA, "Bad argument: Format should be json");
	return false;
}

/* --- export --- */

static FILE *open_target(const struct options *o, const struct verb *v, const char *path)
{
	FILE *f = is_dash(path) ? stdout : fopen(path, "w");
	const char *slash = strrchr(path, '/');
	if (f == NULL && errno == ENOENT && slash != NULL)
		say_wrong(o, v, STATUS_DATA, "Bad argument: Directory %.*s does not exist",
			  (int)(slash - path), path);
	else if (f == NULL)
		say_wrong(o, v, STATUS_DATA, "Bad argument: cannot write %s: %s", path,
			  strerror(errno));
	return f;
}

static int write_to(FILE *f, const char *path, const json_t *definitions)
{
	bool is_written = json_dumpf(definitions, f, JSON_INDENT(2)) == 0 && putc('\n', f) != EOF &&
			  fflush(f) == 0;
	if (f != stdout)
		is_written &= fclose(f) == 0;
	return is_written ? 0
			  : say_error(STATUS_REFUSED, "cannot write %s: %s", path, strerror(errno));
}

int definitions_export(const struct options *o, const struct verb *v)
{
	int status = STATUS_DATA;
	const char *path = o->argv[1];
	if (!check_format(o, v))
		return status;
	FILE *f = open_target(o, v, path);
	if (f == NULL)
		return status;
	if (!is_dash(path))
		say_title(o, "Exporting definitions in JSON to a file at \"$1\" ...");
	json_t *answer = asked(o, json_pack("{s:s}", "command", "export_definitions"), &status);
	if (answer != NULL)
		status = write_to(f, path, json_object_get(answer, "definitions"));
	else if (f != stdout)
		fclose(f);
	json_decref(answer);
	return status;
}

/* --- import --- */

static void print_report(const json_t *report)
{
	static const char *const lists[] = { "created", "changed", "conflicting", "ignored" };
	size_t at;
	const json_t *text;
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		json_array_foreach(json_object_get(report, lists[i]), at, text)
			printf("%s: %s\n", lists[i], json_string_value(text));
}

static json_t *read_from(const char *path)
{
	json_error_t error;
	json_t *definitions = is_dash(path) ? json_loadf(stdin, JSON_REJECT_DUPLICATES, &error)
					    : json_load_file(path, JSON_REJECT_DUPLICATES, &error);
	if (definitions == NULL)
		say_error(0, "%s: line %d: %s", path, error.line, error.text);
	return definitions;
}

int definitions_import(const struct options *o, const struct verb *v)
{
	int status = STATUS_DATA;
	const char *path = o->argc > 1 ? o->argv[1] : "-";
	if (!check_format(o, v))
		return status;
	if (!is_dash(path) && access(path, R_OK) != 0)
		return errno == ENOENT
			       ? say_wrong(o, v, STATUS_DATA,
					   "Bad argument: File %s does not exist", path)
			       : say_wrong(o, v, STATUS_DATA, "Bad argument: %s: %s", path,
					   strerror(errno));
	say_title(o, is_dash(path) ? "Importing definitions in JSON from standard input ..."
				   : "Importing definitions in JSON from a file at \"$1\" ...");
	json_t *definitions = read_from(path);
	if (definitions == NULL)
		return status;
	json_t *question = json_pack("{s:s, s:o, s:b}", "command", "import_definitions",
				     "definitions", definitions, "dry_run", o->is_dry);
	if (o->vhost != NULL)
		json_object_set_new(question, "vhost", json_string(o->vhost));
	json_t *answer = asked(o, question, &status);
	if (answer != NULL && (o->is_dry || !o->is_quiet))
		print_report(answer);
	json_decref(answer);
	return status;
}
