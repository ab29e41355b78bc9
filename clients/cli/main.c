/* leveret: a broker from the command line. */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct cli cli = { .timeout_ms = 5000 };

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *arguments;
	const char *what;
} commands[] = {
	{ "publish", command_publish, "ROUTING-KEY [FILE...]",
	  "publish files, standard input, or each of its lines" },
	{ "consume", command_consume, "QUEUE", "take messages as they come" },
	{ "get", command_get, "QUEUE", "take what is there" },
	{ "request", command_request, "ROUTING-KEY [BODY]", "ask, and print the answer" },
	{ "tail", command_tail, "EXCHANGE [PATTERN...]",
	  "print what goes through an exchange; takes nothing from anybody" },
	{ "declare", command_declare, "queue NAME | exchange NAME TYPE",
	  "create a queue or an exchange" },
	{ "delete", command_delete, "queue NAME | exchange NAME", "delete it" },
	{ "bind", command_bind, "QUEUE EXCHANGE [KEY]", "bind a queue" },
	{ "unbind", command_unbind, "QUEUE EXCHANGE [KEY]", "undo that" },
	{ "purge", command_purge, "QUEUE", "empty a queue" },
	{ "info", command_info, "QUEUE", "how many messages and consumers it has" },
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static void print_help(FILE *out)
{
	fputs("Usage: leveret [OPTION...] COMMAND [OPTION...] ARGUMENT...\n\n", out);
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(out, "  %-8s %-32s %s\n", commands[i].name, commands[i].arguments,
			commands[i].what);
	fputs("\n  -u, --uri=URI     broker; $LEVERET_URI, or amqp://localhost\n"
	      "  -t, --timeout=MS  how long anything may take; 5000\n"
	      "  -j, --json        print lines of JSON\n"
	      "  -q, --quiet       print messages only\n"
	      "  -h, --help, -V, --version\n\n"
	      "Options of the commands, and exit statuses: leveret(1).\n",
	      out);
}

void usage_error(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fputs("leveret: ", stderr);
	vfprintf(stderr, format, args);
	fputs("; see leveret --help, or the manual leveret(1)\n", stderr);
	va_end(args);
	exit(EXIT_WRONG_USAGE);
}

int failed(int result, const char *what)
{
	char why[300];
	snprintf(why, sizeof why, "%s", lev_reason());
	lev_fail(result, "%s: %s", what,
		 why); /* Names may come from anybody: as text, in one line. */
	fprintf(stderr, "leveret: %s\n", lev_reason());
	switch (result) {
	case LEV_INVALID: return EXIT_WRONG_USAGE;
	case LEV_UNREACHABLE:
	case LEV_TLS: return EXIT_NO_BROKER;
	case LEV_EMPTY:
	case LEV_TIMEOUT: return EXIT_NOTHING;
	case LEV_UNROUTABLE:
	case LEV_NO_RESPONDER: return EXIT_NOBODY;
	default: return EXIT_FAILED;
	}
}

uint64_t number_of(const char *option, const char *text, uint64_t most)
{
	char *end;
	unsigned long long n = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || n > most)
		usage_error("%s: '%s' is no number from 0 to %llu", option, text,
			    (unsigned long long)most);
	return n;
}

uint64_t cli_deadline(void)
{
	return lev_in(cli.timeout_ms);
}

static bool is_integer(const char *text, int64_t *value)
{
	char *end;
	errno = 0;
	*value = strtoll(text, &end, 10);
	bool begins = text[0] == '-' || (text[0] >= '0' && text[0] <= '9');
	return begins && *end == '\0' && errno == 0;
}

void add_field(struct lev_table *table, const char *text)
{
	char name[256];
	const char *equals = strchr(text, '=');
	int64_t integer;
	if (equals == NULL || equals == text || (size_t)(equals - text) >= sizeof name)
		usage_error("'%s' is not name=value", text);
	bool is_string = equals[-1] == ':';
	snprintf(name, sizeof name, "%.*s", (int)(equals - text - is_string), text);
	const char *value = equals + 1;
	if (!is_string && is_integer(value, &integer))
		lev_table_set_int(table, name, integer);
	else if (!is_string && (strcmp(value, "true") == 0 || strcmp(value, "false") == 0))
		lev_table_set_bool(table, name, value[0] == 't');
	else
		lev_table_set_str(table, name, value);
}

static void on_signal(int number)
{
	(void)number;
	cli.is_interrupted = 1;
}

static int run(const struct command *command, const char *uri, int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct lev_options options = { .uri = uri, .name = "leveret" };
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	int rc = lev_open(&cli.lev, &options, cli_deadline());
	if (rc != LEV_OK) {
		failed(rc, "cannot connect");
		return rc == LEV_INVALID ? EXIT_WRONG_USAGE : EXIT_NO_BROKER;
	}
	optind = 1;
	int status = command->run(argc, argv);
	rc = lev_close(cli.lev, cli_deadline());
	if (fflush(stdout) != 0 || ferror(stdout)) {
		if (status == EXIT_DONE)
			perror("leveret: standard output");
		return status == EXIT_DONE ? EXIT_FAILED : status;
	}
	return status != EXIT_DONE ? status : rc == LEV_OK ? EXIT_DONE : failed(rc, "closing");
}

/* What is closed would become a socket, which then is read or printed to: it is opened so that this
 * fails. */
static void fill_standard_files(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) == -1)
			open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
}

int main(int argc, char **argv)
{
	fill_standard_files();
	static const struct option long_options[] = {
		{ "uri", required_argument, NULL, 'u' },
		{ "timeout", required_argument, NULL, 't' },
		{ "json", no_argument, NULL, 'j' },
		{ "quiet", no_argument, NULL, 'q' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	const char *uri = getenv("LEVERET_URI");
	for (int c; (c = getopt_long(argc, argv, "+u:t:jqhV", long_options, NULL)) != -1;)
		switch (c) {
		case 'u': uri = optarg; break;
		case 't': cli.timeout_ms = number_of("--timeout", optarg, UINT32_MAX); break;
		case 'j': cli.is_json = true; break;
		case 'q': cli.is_quiet = true; break;
		case 'h': print_help(stdout); return EXIT_DONE;
		case 'V': puts("leveret " LEVERET_VERSION); return EXIT_DONE;
		default: print_help(stderr); return EXIT_WRONG_USAGE;
		}
	if (optind == argc)
		usage_error("no command");
	for (size_t i = 0; i < COMMANDS; i++)
		if (strcmp(argv[optind], commands[i].name) == 0)
			return run(&commands[i], uri, argc - optind, argv + optind);
	usage_error("no such command: %s", argv[optind]);
}
