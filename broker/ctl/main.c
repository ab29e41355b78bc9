/* leveretctl: rabbitmqctl's commands for a broker, and more. It asks through the sockets in the
 * broker's data directory (whoever may open those is the operator), or, for what management over
 * HTTP knows, any host as a user. Called by the name rabbitmqctl it is that command. */
#include "ctl/lists.h"
#include "ctl/options.h"
#include "ctl/say.h"
#include "ctl/verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_help(const struct options *o, FILE *out)
{
	fprintf(out,
		"\nUsage\n\n%s [--node <node>] [--timeout <timeout>] [--longnames] [--quiet] <command> "
		"[<command options>]\n\n"
		"  --data-dir DIR     of the broker (default LEVERET_DATA_DIR, else /var/lib/leveret)\n"
		"  --url http://H:P   asks there instead, with --login USER:PASSWORD; lists, checks, "
		"messages\n"
		"  -p, --vhost V      virtual host (default /)\n"
		"  -q, --quiet        no title; -s, --silent: no header either\n"
		"  --formatter F      table, pretty_table, json or csv; --no-table-headers\n"
		"  -t, --timeout N    seconds to wait for an answer\n"
		"  -n, --node, -l, --longnames are taken without effect\n"
		"\nAvailable commands:\n",
		o->program);
	for (const struct verb *v = verbs; v->name != NULL; v++) {
		if (v->group != NULL)
			fprintf(out, "\n%s:\n\n", v->group);
		fprintf(out, "   %s %s\n", v->name, v->usage == NULL ? "" : v->usage);
	}
	fputs("\nHelp:\n\n   help [<command>]\n   version\n", out);
}

static int tell_unknown(const struct options *o, const char *name)
{
	const struct verb *near = verb_near(name);
	fprintf(stderr, "\nCommand '%s' not found. \n", name);
	if (near != NULL)
		fprintf(stderr, "Did you mean '%s'? \n", near->name);
	else
		print_help(o, stderr);
	return STATUS_USAGE;
}

static int help_of(const struct options *o, const char *name)
{
	const struct verb *v = verb_find(name);
	if (v == NULL)
		return say_error(STATUS_USAGE, "\nCommand '%s' not found.", name);
	say_usage(o, v, false);
	const char *columns = v->all_columns != NULL ? v->all_columns : v->columns;
	if (v->has_columns)
		printf("\nArguments and Options\n\n<column>\n\tone or more of %s\n", columns);
	return 0;
}

static int run(const struct options *o, const struct verb *v)
{
	int columns_from = v->kind == VERB_LIST_OF ? 2 : 1;
	if (o->is_help)
		return help_of(o, v->name);
	if (o->wrong[0] != '\0')
		return say_wrong(o, v, STATUS_USAGE, "Invalid options for this command:\n%.*s",
				 (int)strlen(o->wrong) - 1, o->wrong);
	if (o->argc - 1 < v->least)
		return say_wrong(o, v, STATUS_USAGE, "not enough arguments.");
	if (o->argc - 1 > v->most)
		return say_wrong(o, v, STATUS_USAGE, "too many arguments.");
	if (v->has_columns && !lists_check_columns(o, v, columns_from))
		return STATUS_USAGE;
	say_title(o, v->title);
	return v->run(o, v);
}

/* "/usr/sbin/rabbitmqctl" -> "rabbitmqctl" */
static void name_program(struct options *o, const char *path)
{
	const char *slash = strrchr(path, '/');
	o->program = slash == NULL ? path : slash + 1;
	o->is_rabbitmqctl = strncmp(o->program, "rabbitmq", 8) == 0;
}

int main(int argc, char **argv)
{
	const char *from = getenv("LEVERET_DATA_DIR");
	struct options o = { .data_dir = from == NULL ? "/var/lib/leveret" : from };
	if (argc == 0)
		return STATUS_USAGE;
	name_program(&o, argv[0]);
	if (!options_read(&o, argc, argv)) {
		free(o.given);
		return STATUS_USAGE;
	}
	const char *name = o.argc == 0 ? "" : o.argv[0];
	const struct verb *v = verb_find(name);
	int status = 0;
	if (o.is_version || strcmp(name, "version") == 0) {
		puts(LEV_VERSION);
	} else if (strcmp(name, "help") == 0 && o.argc > 1) {
		status = help_of(&o, o.argv[1]);
	} else if (o.argc == 0 || strcmp(name, "help") == 0) {
		bool is_asked = o.argc > 0 || o.is_help;
		print_help(&o, is_asked ? stdout : stderr);
		status = is_asked ? 0 : STATUS_USAGE;
	} else {
		status = v == NULL ? tell_unknown(&o, name) : run(&o, v);
	}
	free(o.given);
	if (fflush(stdout) != 0 && status == 0)
		return STATUS_REFUSED;
	return status;
}
