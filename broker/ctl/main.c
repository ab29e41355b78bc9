/* leveretctl: rabbitmqctl's commands for a broker on this machine, asked through the socket in its
 * data directory: whoever may open that is the operator. */
#include "auth/password.h"
#include "ctl/ask.h"
#include "ctl/rows.h"
#include "ctl/verbs.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
	USAGE = 64,
	DATA = 65,
	REFUSED = 69,
	COLUMNS_MAX = 32,
	PASSWORD_MAX = 1024,
};

struct options {
	const char *data_dir;
	const char *vhost; /* NULL: not said. */
	const char *priority;
	const char *apply_to;
	const char *description;
	const char *tags;
	const char *default_queue_type;
	bool is_quiet;
	bool is_silent;
	bool has_no_headers;
	bool is_global;
	bool is_dry;
	enum rows_format format;
	int argc; /* What is left: the command and its arguments. */
	char **argv;
};

static const char usage[] =
	"leveretctl " LEV_VERSION ", rabbitmqctl's commands for a broker on this machine\n"
	"\n"
	"usage: leveretctl [options] <command> [arguments]\n"
	"  --data-dir DIR    of the broker (default LEVERET_DATA_DIR, else /var/lib/leveret)\n"
	"  -p, --vhost V     virtual host (default /)\n"
	"  -q, --quiet       no title; -s, --silent: no header either\n"
	"  --formatter F     table, json or csv; --no-table-headers\n"
	"  -n, --node, -t, --timeout, -l, --longnames are taken without effect\n"
	"\n"
	"commands:\n";

static void print_help(FILE *out)
{
	fputs(usage, out);
	for (const struct verb *v = verbs; v->name != NULL; v++)
		fprintf(out, "  %s %s\n", v->name, v->usage);
	fputs("  export_definitions <file> (- for standard output)\n"
	      "  import_definitions <file> [--dry-run]\n"
	      "  status\n  version\n  help\n",
	      out);
}

/* --- the command line --- */

static bool set_format(struct options *o, const char *name)
{
	o->format = strcmp(name, "json") == 0  ? ROWS_JSON
		    : strcmp(name, "csv") == 0 ? ROWS_CSV
					       : ROWS_TABLE;
	return o->format != ROWS_TABLE || strcmp(name, "table") == 0;
}

/* Options may stand before and after the command. */
static bool parse(int argc, char **argv, struct options *o)
{
	enum {
		DATA_DIR = 256,
		FORMATTER,
		NO_HEADERS,
		PRIORITY,
		APPLY_TO,
		DESCRIPTION,
		TAGS,
		QUEUE_TYPE,
		GLOBAL,
		DRY
	};
	static const struct option longs[] = {
		{ "data-dir", required_argument, NULL, DATA_DIR },
		{ "vhost", required_argument, NULL, 'p' },
		{ "quiet", no_argument, NULL, 'q' },
		{ "silent", no_argument, NULL, 's' },
		{ "node", required_argument, NULL, 'n' },
		{ "timeout", required_argument, NULL, 't' },
		{ "longnames", no_argument, NULL, 'l' },
		{ "formatter", required_argument, NULL, FORMATTER },
		{ "no-table-headers", no_argument, NULL, NO_HEADERS },
		{ "priority", required_argument, NULL, PRIORITY },
		{ "apply-to", required_argument, NULL, APPLY_TO },
		{ "description", required_argument, NULL, DESCRIPTION },
		{ "tags", required_argument, NULL, TAGS },
		{ "default-queue-type", required_argument, NULL, QUEUE_TYPE },
		{ "global", no_argument, NULL, GLOBAL },
		{ "dry-run", no_argument, NULL, DRY },
		{ NULL, 0, NULL, 0 },
	};
	for (int c; (c = getopt_long(argc, argv, "p:qsn:t:l", longs, NULL)) != -1;) {
		switch (c) {
		case DATA_DIR: o->data_dir = optarg; break;
		case 'p': o->vhost = optarg; break;
		case 'q': o->is_quiet = true; break;
		case 's': o->is_quiet = o->is_silent = true; break;
		case 'n':
		case 't':
		case 'l': break;
		case FORMATTER:
			if (!set_format(o, optarg)) {
				fprintf(stderr,
					"Error: formatter '%s' is none of table, json, "
					"csv\n",
					optarg);
				return false;
			}
			break;
		case NO_HEADERS: o->has_no_headers = true; break;
		case PRIORITY: o->priority = optarg; break;
		case APPLY_TO: o->apply_to = optarg; break;
		case DESCRIPTION: o->description = optarg; break;
		case TAGS: o->tags = optarg; break;
		case QUEUE_TYPE: o->default_queue_type = optarg; break;
		case GLOBAL: o->is_global = true; break;
		case DRY: o->is_dry = true; break;
		default: return false;
		}
	}
	o->argc = argc - optind;
	o->argv = argv + optind;
	return true;
}

static const char *vhost_of(const struct options *o)
{
	return o->vhost == NULL ? "/" : o->vhost;
}

/* --- what is printed --- */

static int complain(int status, const char *text)
{
	fprintf(stderr, "Error:\n%s\n", text);
	return status;
}

static void print_tags(const struct options *o)
{
	putchar('[');
	for (int i = 2; i < o->argc; i++)
		printf("%s%s", i > 2 ? ", " : "", o->argv[i]);
	putchar(']');
}

static void print_title(const struct options *o, const char *title)
{
	if (o->is_quiet || (o->format != ROWS_TABLE))
		return;
	for (const char *at = title; *at != '\0'; at++) {
		if (*at != '$') {
			putchar(*at);
			continue;
		}
		at++;
		if (*at == 'v')
			fputs(vhost_of(o), stdout);
		else if (*at == 't')
			print_tags(o);
		else if (*at == 'p')
			fputs(o->priority == NULL ? "0" : o->priority, stdout);
		else if (*at - '0' < o->argc)
			fputs(o->argv[*at - '0'], stdout);
	}
	putchar('\n');
	fflush(stdout);
}

/* --- asking --- */

/* NULL, and *status: it was refused, or nobody answers; that has been said. */
static json_t *ask(const struct options *o, const json_t *question, int *status)
{
	json_t *answer = ask_broker(o->data_dir, question);
	if (answer == NULL) {
		fprintf(stderr, "Error:\nno broker answers in %s: %s\n", o->data_dir,
			strerror(errno));
		*status = REFUSED;
		return NULL;
	}
	const char *error = json_string_value(json_object_get(answer, "error"));
	if (error == NULL)
		return answer;
	json_int_t code = json_integer_value(json_object_get(answer, "status"));
	*status = complain(code == 0 ? USAGE : (int)code, error);
	json_decref(answer);
	return NULL;
}

/* --- passwords: hashed here, so that the broker need not --- */

static bool read_password(const struct options *o, char *text, size_t size)
{
	if (o->argc > 2) {
		snprintf(text, size, "%s", o->argv[2]);
		return true;
	}
	if (!o->is_quiet)
		puts("Password: ");
	if (fgets(text, (int)size, stdin) == NULL)
		return false;
	text[strcspn(text, "\n")] = '\0';
	return true;
}

static int add_hash(json_t *question, const char *text)
{
	struct password password;
	uint8_t salt[PASSWORD_SALT_BYTES];
	char hash[PASSWORD_TEXT_MAX];
	if (getrandom(salt, sizeof salt, 0) != (ssize_t)sizeof salt ||
	    !password_make(&password, bytes_str(text), salt))
		return complain(REFUSED, "no memory for the password's hash");
	password_export(&password, hash);
	json_object_set_new(question, "password_hash", json_string(hash));
	json_object_set_new(question, "hashing_algorithm", json_string("leveret_scrypt"));
	return 0;
}

static bool is_right(const json_t *user, const char *text)
{
	static const char *const names[] = { "", "leveret_scrypt", "rabbit_password_hashing_sha256",
					     "rabbit_password_hashing_sha512" };
	struct password password = { .kind = PASSWORD_NONE };
	const char *hash = json_string_value(json_object_get(user, "password_hash"));
	const char *algorithm = json_string_value(json_object_get(user, "hashing_algorithm"));
	for (enum password_kind k = PASSWORD_SCRYPT; k <= PASSWORD_SHA512; k++)
		if (hash != NULL && algorithm != NULL && strcmp(algorithm, names[k]) == 0 &&
		    !password_import(&password, k, bytes_str(hash)))
			return false;
	return password_is_right(&password, bytes_str(text));
}

static int authenticate(const struct options *o, const char *text)
{
	int status = 0;
	size_t i;
	const json_t *user;
	bool is_good = false;
	json_t *question = json_pack("{s:s}", "command", "export_definitions");
	json_t *answer = ask(o, question, &status);
	json_decref(question);
	if (answer == NULL)
		return status;
	json_array_foreach(json_object_get(json_object_get(answer, "definitions"), "users"), i,
			   user) if (strcmp(json_string_value(json_object_get(user, "name")),
					    o->argv[1]) == 0) is_good = is_right(user, text);
	json_decref(answer);
	if (is_good)
		return 0;
	fprintf(stderr,
		"Error:\nError: failed to authenticate user \"%s\"\nuser '%s' - invalid "
		"credentials\n",
		o->argv[1], o->argv[1]);
	return DATA;
}

/* --- running a verb --- */

static bool set_json(json_t *question, const char *field, const char *text)
{
	json_t *v = json_loads(text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
	return v != NULL && json_object_set_new(question, field, v) == 0;
}

static void set_option(json_t *question, const char *field, const char *text)
{
	if (text != NULL)
		json_object_set_new(question, field, json_string(text));
}

static json_t *list_of(char *const *texts, int len)
{
	json_t *list = json_array();
	for (int i = 0; i < len; i++)
		json_array_append_new(list, json_string(texts[i]));
	return list;
}

static json_t *split(const char *text)
{
	json_t *list = json_array();
	for (size_t len; *text != '\0'; text += len + (text[len] == ',')) {
		len = strcspn(text, ",");
		json_array_append_new(list, json_stringn(text, len));
	}
	return list;
}

static int set_options(const struct options *o, const struct verb *v, json_t *question)
{
	char *end = NULL;
	if (o->is_global)
		json_object_set_new(question, "global", json_true());
	if (v->has_vhost && !o->is_global)
		json_object_set_new(question, "vhost", json_string(vhost_of(o)));
	set_option(question, "apply-to", o->apply_to);
	set_option(question, "description", o->description);
	set_option(question, "default_queue_type", o->default_queue_type);
	if (o->tags != NULL)
		json_object_set_new(question, "tags", split(o->tags));
	if (o->priority == NULL)
		return 0;
	long long priority = strtoll(o->priority, &end, 10);
	if (*end != '\0' || end == o->priority)
		return complain(USAGE, "--priority is no number");
	json_object_set_new(question, "priority", json_integer(priority));
	return 0;
}

static int fill(const struct options *o, const struct verb *v, json_t *question)
{
	int most = v->kind == VERB_PASSWORD || v->kind == VERB_TAGS || v->kind == VERB_LIST_OF
			   ? 2
			   : VERB_ARGUMENTS_MAX + 1;
	for (int i = 1; i < o->argc && i < most && v->fields[i - 1] != NULL; i++) {
		bool is_last = i == VERB_ARGUMENTS_MAX || v->fields[i] == NULL;
		if (v->kind == VERB_JSON && is_last) {
			if (!set_json(question, v->fields[i - 1], o->argv[i]))
				return complain(REFUSED, "JSON decoding error");
		} else {
			json_object_set_new(question, v->fields[i - 1], json_string(o->argv[i]));
		}
	}
	if (v->kind == VERB_TAGS)
		json_object_set_new(question, "tags", list_of(o->argv + 2, o->argc - 2));
	return set_options(o, v, question);
}

static void print_rows(const struct options *o, const struct verb *v, const json_t *answer)
{
	char room[512];
	const char *columns[COLUMNS_MAX];
	struct rows_options rows = { .format = o->format,
				     .has_header = !o->is_silent && !o->has_no_headers,
				     .columns = columns };
	int from = v->kind == VERB_LIST_OF ? 2 : 1;
	size_t at = 0;
	room[0] = '\0';
	for (int i = from; i < o->argc; i++)
		at += (size_t)snprintf(room + at, at < sizeof room ? sizeof room - at : 0, "%s ",
				       o->argv[i]);
	if (o->argc <= from)
		snprintf(room, sizeof room, "%s", v->columns);
	for (char *next, *name = strtok_r(room, " ,", &next);
	     name != NULL && rows.columns_len < COLUMNS_MAX; name = strtok_r(NULL, " ,", &next))
		columns[rows.columns_len++] = name;
	rows_print(json_object_get(answer, "rows"), &rows);
}

/* The limits of one virtual host are their JSON, and nothing if there are none. */
static void print_limits(const json_t *answer)
{
	const json_t *row = json_array_get(json_object_get(answer, "rows"), 0);
	if (row == NULL)
		return;
	json_dumpf(json_object_get(row, "value"), stdout, JSON_COMPACT | JSON_SORT_KEYS);
	putchar('\n');
}

static int finish(const struct options *o, const struct verb *v, const json_t *question)
{
	int status = 0;
	json_t *answer = ask(o, question, &status);
	if (answer == NULL)
		return status;
	if (strcmp(v->name, "list_vhost_limits") == 0 && !o->is_global)
		print_limits(answer);
	else if (v->kind == VERB_LIST || v->kind == VERB_LIST_OF)
		print_rows(o, v, answer);
	else if (v->done != NULL && !o->is_quiet)
		puts(v->done);
	json_decref(answer);
	return 0;
}

static int run(const struct options *o, const struct verb *v)
{
	char password[PASSWORD_MAX];
	if (o->argc - 1 < v->least) {
		fprintf(stderr,
			"Error (argument validation): not enough arguments.\n\nUsage\n\n"
			"leveretctl %s %s\n",
			v->name, v->usage);
		return USAGE;
	}
	print_title(o, v->title);
	if (v->kind == VERB_PASSWORD && !read_password(o, password, sizeof password))
		return complain(DATA, "Password is not provided via argument or stdin");
	if (v->command == NULL) {
		int wrong = authenticate(o, password);
		if (wrong == 0)
			puts(v->done);
		return wrong;
	}
	json_t *question = json_pack("{s:s}", "command", v->command);
	int status = fill(o, v, question);
	if (status == 0 && v->kind == VERB_PASSWORD)
		status = add_hash(question, password);
	if (status == 0)
		status = finish(o, v, question);
	json_decref(question);
	return status;
}

/* --- definitions --- */

static int export_to(const struct options *o, const char *path)
{
	int status = 0;
	json_t *question = json_pack("{s:s}", "command", "export_definitions");
	json_t *answer = ask(o, question, &status);
	json_decref(question);
	if (answer == NULL)
		return status;
	bool is_stdout = strcmp(path, "-") == 0;
	FILE *f = is_stdout ? stdout : fopen(path, "w");
	bool is_written =
		f != NULL &&
		json_dumpf(json_object_get(answer, "definitions"), f, JSON_INDENT(2)) == 0 &&
		putc('\n', f) != EOF && fflush(f) == 0;
	if (f != NULL && !is_stdout)
		is_written &= fclose(f) == 0;
	json_decref(answer);
	if (is_written)
		return 0;
	fprintf(stderr, "Error:\ncannot write %s: %s\n", path, strerror(errno));
	return REFUSED;
}

static void print_report(const json_t *report)
{
	static const char *const lists[] = { "created", "changed", "conflicting", "ignored" };
	size_t at;
	const json_t *text;
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		json_array_foreach(json_object_get(report, lists[i]), at, text)
			printf("%s: %s\n", lists[i], json_string_value(text));
}

static int import_from(const struct options *o, const char *path)
{
	json_error_t error;
	int status = 0;
	json_t *definitions = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
	if (definitions == NULL) {
		fprintf(stderr, "Error:\n%s: line %d: %s\n", path, error.line, error.text);
		return DATA;
	}
	json_t *question = json_pack("{s:s, s:o, s:b}", "command", "import_definitions",
				     "definitions", definitions, "dry_run", o->is_dry);
	set_option(question, "vhost", o->vhost);
	json_t *answer = ask(o, question, &status);
	json_decref(question);
	if (answer == NULL)
		return status;
	if (o->is_dry || !o->is_quiet)
		print_report(answer);
	json_decref(answer);
	return 0;
}

/* --- status --- */

static int print_status(const struct options *o)
{
	int status = 0;
	const char *name;
	json_t *v;
	json_t *question = json_pack("{s:s}", "command", "figures");
	json_t *answer = ask(o, question, &status);
	json_decref(question);
	if (answer == NULL)
		return status;
	if (o->format == ROWS_JSON) {
		json_dumpf(answer, stdout, JSON_COMPACT);
		putchar('\n');
	} else {
		printf("Leveret " LEV_VERSION ", data in %s\n", o->data_dir);
		json_object_foreach(answer, name, v)
			printf("%s: %" JSON_INTEGER_FORMAT "\n", name, json_integer_value(v));
	}
	json_decref(answer);
	return 0;
}

int main(int argc, char **argv)
{
	const char *from = getenv("LEVERET_DATA_DIR");
	struct options o = { .data_dir = from == NULL ? "/var/lib/leveret" : from };
	if (!parse(argc, argv, &o))
		return USAGE;
	if (o.argc == 0) {
		print_help(stderr);
		return USAGE;
	}
	const char *name = o.argv[0];
	if (strcmp(name, "help") == 0) {
		print_help(stdout);
		return 0;
	}
	if (strcmp(name, "version") == 0) {
		puts(LEV_VERSION);
		return 0;
	}
	if (strcmp(name, "status") == 0)
		return print_status(&o);
	if (strcmp(name, "export_definitions") == 0 && o.argc == 2)
		return export_to(&o, o.argv[1]);
	if (strcmp(name, "import_definitions") == 0 && o.argc == 2)
		return import_from(&o, o.argv[1]);
	const struct verb *v = verb_find(name);
	if (v != NULL)
		return run(&o, v);
	fprintf(stderr, "Error: command '%s' not found; try leveretctl help\n", name);
	return USAGE;
}
