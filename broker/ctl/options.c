#include "ctl/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What takes a text has it in the struct at this place. */
#define TEXT(name, field)                                                                          \
	{                                                                                          \
		name, required_argument, NULL, 1024 + (int)offsetof(struct options, field)         \
	}

enum { TEXTS = 1024, FORMATTER = 256, NO_HEADERS, GLOBAL, DRY, OFFLINE, HELP, VERSION, COUNT, FROM,
       LINES, INTERVAL, TAKEN, TAKEN_TOO };

static const struct option longs[] = {
	TEXT("data-dir", data_dir),
	TEXT("url", url),
	TEXT("login", login),
	{ "vhost", required_argument, NULL, 'p' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "silent", no_argument, NULL, 's' },
	{ "node", required_argument, NULL, 'n' },
	{ "timeout", required_argument, NULL, 't' },
	{ "longnames", no_argument, NULL, 'l' },
	{ "formatter", required_argument, NULL, FORMATTER },
	{ "no-table-headers", no_argument, NULL, NO_HEADERS },
	TEXT("priority", priority),
	TEXT("apply-to", apply_to),
	TEXT("description", description),
	TEXT("tags", tags),
	TEXT("default-queue-type", default_queue_type),
	TEXT("user", user),
	TEXT("format", format),
	TEXT("to", to),
	TEXT("routing-key", routing_key),
	TEXT("to-queue", to_queue),
	TEXT("reason", reason),
	TEXT("died-in", died_in),
	TEXT("state", state),
	TEXT("headers", headers),
	TEXT("pid", pid),
	{ "count", required_argument, NULL, COUNT },
	{ "from", required_argument, NULL, FROM },
	{ "number", required_argument, NULL, LINES },
	{ "interval", required_argument, NULL, INTERVAL },
	{ "global", no_argument, NULL, GLOBAL },
	{ "dry-run", no_argument, NULL, DRY },
	{ "offline", no_argument, NULL, OFFLINE },
	{ "online", no_argument, NULL, TAKEN },
	{ "local", no_argument, NULL, TAKEN },
	{ "skip-if-unchanged", no_argument, NULL, TAKEN },
	{ "unit", required_argument, NULL, TAKEN_TOO },
	{ "within", required_argument, NULL, TAKEN_TOO },
	{ "per-connection-delay", required_argument, NULL, TAKEN_TOO },
	{ "limit", required_argument, NULL, TAKEN_TOO },
	{ "if-empty", no_argument, NULL, 'e' },
	{ "if-unused", no_argument, NULL, 'u' },
	{ "help", no_argument, NULL, HELP },
	{ "version", no_argument, NULL, VERSION },
	{ NULL, 0, NULL, 0 },
};

static bool set_format(struct options *o, const char *name)
{
	static const char *const names[] = { "table", "pretty_table", "json", "csv" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(name, names[i]) == 0) {
			o->rows = (enum rows_format)i;
			return true;
		}
	fprintf(stderr, "Error: formatter '%s' is none of table, pretty_table, json, csv\n", name);
	return false;
}

static void blame(struct options *o, const char *name, const char *value)
{
	size_t at = strlen(o->wrong);
	snprintf(o->wrong + at, sizeof o->wrong - at, "%s : %s\n", name, value);
}

static void set_number(struct options *o, long *number, const char *name, const char *value)
{
	char *end;
	long n = strtol(value, &end, 10);
	if (*end != '\0' || end == value || n < 0)
		blame(o, name, value);
	else
		*number = n;
}

static void set_timeout(struct options *o, const char *value)
{
	if (strcmp(value, "infinity") != 0)
		set_number(o, &o->timeout_s, "-t", value);
}

static bool set(struct options *o, int c)
{
	if (c >= TEXTS) {
		*(const char **)((char *)o + (c - TEXTS)) = optarg;
		return true;
	}
	switch (c) {
	case 'p': o->vhost = optarg; break;
	case 'q': o->is_quiet = true; break;
	case 's': o->is_quiet = o->is_silent = true; break;
	case 'n': o->node = optarg; break;
	case 't': set_timeout(o, optarg); break;
	case 'e': o->is_if_empty = true; break;
	case 'u': o->is_if_unused = true; break;
	case 'N':
	case LINES: set_number(o, &o->lines, "--number", optarg); break;
	case COUNT: set_number(o, &o->count, "--count", optarg); break;
	case FROM: set_number(o, &o->from, "--from", optarg); break;
	case INTERVAL: set_number(o, &o->interval, "--interval", optarg); break;
	case NO_HEADERS: o->has_no_headers = true; break;
	case GLOBAL: o->is_global = true; break;
	case DRY: o->is_dry = true; break;
	case OFFLINE: o->is_offline = true; break;
	case HELP: o->is_help = true; break;
	case VERSION: o->is_version = true; break;
	case FORMATTER: return set_format(o, optarg);
	default: break;
	}
	return true;
}

/* What getopt has found wrong: the text of a long one, the letter of a short one. */
static void blame_unknown(struct options *o, char *const *argv)
{
	char letter[3] = { '-', (char)optopt, '\0' };
	const char *text = argv[optind - 1];
	bool is_short = optopt != 0 && optopt < 128;
	char name[100];
	snprintf(name, sizeof name, "%.*s", (int)strcspn(text, "="), text);
	blame(o, is_short ? letter : name, "");
}

bool options_read(struct options *o, int argc, char **argv)
{
	o->given_len = argc - 1;
	o->given = malloc((size_t)argc * sizeof *o->given);
	if (o->given == NULL)
		abort();
	memcpy(o->given, argv + 1, (size_t)argc * sizeof *o->given - sizeof *o->given);
	o->count = o->from = o->lines = -1;
	opterr = 0;
	for (int c; (c = getopt_long(argc, argv, ":p:qsn:t:leuN:", longs, NULL)) != -1;) {
		if (c == '?' || c == ':')
			blame_unknown(o, argv);
		else if (!set(o, c))
			return false;
	}
	o->argc = argc - optind;
	o->argv = argv + optind;
	if (o->priority != NULL) {
		char *end;
		strtol(o->priority, &end, 10);
		if (*end != '\0' || end == o->priority)
			blame(o, "--priority", o->priority);
	}
	return true;
}
