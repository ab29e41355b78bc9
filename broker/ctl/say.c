#include "ctl/say.h"

#include "ctl/verbs.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *say_node(const struct options *o)
{
	return o->node == NULL || strchr(o->node, '@') == NULL ? "rabbit@localhost" : o->node;
}

static void put_tags(const struct options *o)
{
	putchar('[');
	for (int i = 2; i < o->argc; i++)
		printf("%s%s", i > 2 ? ", " : "", o->argv[i]);
	putchar(']');
}

static void put_part(const struct options *o, char what)
{
	if (what == 'v')
		fputs(options_vhost(o), stdout);
	else if (what == 't')
		put_tags(o);
	else if (what == 'n')
		fputs(say_node(o), stdout);
	else if (what == 'p')
		fputs(o->priority == NULL ? "0" : o->priority, stdout);
	else if (what == 'u')
		fputs(o->user == NULL ? "guest" : o->user, stdout);
	else if (what == 'T')
		printf("%ld", o->timeout_s == 0 ? 60 : o->timeout_s);
	else if (what >= '1' && what <= '9' && what - '0' < o->argc)
		fputs(o->argv[what - '0'], stdout);
}

void say_title(const struct options *o, const char *title)
{
	if (title == NULL || o->is_quiet || o->rows == ROWS_JSON || o->rows == ROWS_CSV)
		return;
	for (const char *at = title; *at != '\0'; at++) {
		if (*at == '$')
			put_part(o, *++at);
		else
			putchar(*at);
	}
	putchar('\n');
	fflush(stdout);
}

void say_done(const struct options *o, const char *text)
{
	if (text != NULL && !o->is_quiet)
		puts(text);
}

int say_error(int status, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fputs("Error:\n", stderr);
	vfprintf(stderr, format, args);
	putc('\n', stderr);
	va_end(args);
	return status;
}

void say_usage(const struct options *o, const struct verb *v, bool is_error)
{
	fprintf(is_error ? stderr : stdout,
		"\nUsage\n\n%s [--node <node>] [--longnames] [--quiet] %s%s%s\n", o->program,
		v->name, v->usage == NULL || v->usage[0] == '\0' ? "" : " ",
		v->usage == NULL ? "" : v->usage);
}

int say_wrong(const struct options *o, const struct verb *v, int status, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fputs("Error (argument validation): ", stderr);
	vfprintf(stderr, format, args);
	va_end(args);
	fputs("\nArguments given:\n\t", stderr);
	for (int i = 0; i < o->given_len; i++)
		fprintf(stderr, "%s%s", i > 0 ? " " : "", o->given[i]);
	putc('\n', stderr);
	say_usage(o, v, true);
	return status;
}
