/* leveretd: command line and configuration, then the server. */
#include "ctl/ask.h"
#include "server/arguments.h"
#include "server/checkup.h"
#include "server/inspect.h"
#include "server/server.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char default_config[] = "/etc/leveret/leveret.conf";

static const char usage[] =
	"leveretd " LEV_VERSION ", a message broker: AMQP 0-9-1 over a durable journal\n"
	"\n"
	"usage: leveretd [options]\n"
	"  --data-dir DIR    where the journal is kept (default /var/lib/leveret)\n"
	"  --port N          listen on 127.0.0.1 port N (default 5672)\n"
	"  --config FILE     configuration, key = value (default /etc/leveret/leveret.conf, if it "
	"is there)\n"
	"  --inspect DIR     say what a data directory holds, verify every message, and exit\n"
	"  --export DIR      print every message of a data directory as a line of JSON, and exit\n"
	"  --ask QUESTION    ask the broker that runs in the data directory, and exit: figures; "
	"key or forget-key, with\n"
	"                    exchange=X routing_key=R or queue=Q, and key=K; producer, with id=P;\n"
	"                    duplicates, with exchange=X or queue=Q\n"
	"  --check-config    say all that is wrong with the configuration and the files, "
	"directories "
	"and addresses that\n"
	"                    it names, and exit; as the user that the broker runs as\n"
	"  --print-config    print all keys with their defaults and meanings, and exit\n"
	"  --print-arguments print what queues and exchanges may be declared with, and exit\n"
	"  --version         print the version, and exit\n"
	"  --help            print this, and exit\n"
	"\n"
	"Every key can also be set by an environment variable: LEVERET_DATA_DIR, LEVERET_PORT, "
	"LEVERET_CONFIG, and for a\n"
	"key like log.level LEVERET_LOG_LEVEL. The command line wins over the environment, that "
	"over the file.\n"
	"Signals: SIGTERM and SIGINT stop in order, SIGHUP reads the configuration again and "
	"reopens the log.\n";

struct options {
	struct config_source source;
	bool check_config;
	bool is_question; /* What is left of the arguments is one. */
};

/* -1: go on; otherwise the exit status. */
static int parse(int argc, char **argv, struct options *o)
{
	enum {
		DATA_DIR = 256,
		PORT,
		CONFIG,
		INSPECT,
		EXPORT,
		ASK,
		CHECK_CONFIG,
		PRINT_CONFIG,
		PRINT_ARGUMENTS,
		VERSION,
		HELP
	};
	static const struct option long_options[] = {
		{ "data-dir", required_argument, NULL, DATA_DIR },
		{ "port", required_argument, NULL, PORT },
		{ "config", required_argument, NULL, CONFIG },
		{ "inspect", required_argument, NULL, INSPECT },
		{ "export", required_argument, NULL, EXPORT },
		{ "ask", no_argument, NULL, ASK },
		{ "check-config", no_argument, NULL, CHECK_CONFIG },
		{ "print-config", no_argument, NULL, PRINT_CONFIG },
		{ "print-arguments", no_argument, NULL, PRINT_ARGUMENTS },
		{ "version", no_argument, NULL, VERSION },
		{ "help", no_argument, NULL, HELP },
		{ NULL, 0, NULL, 0 },
	};
	for (int c; (c = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
		switch (c) {
		case DATA_DIR: o->source.data_dir = optarg; break;
		case PORT: o->source.port = optarg; break;
		case CONFIG: o->source.file = optarg; break;
		case INSPECT: return inspect_run(optarg, false, stdout);
		case EXPORT: return inspect_run(optarg, true, stdout);
		case ASK: o->is_question = true; break;
		case CHECK_CONFIG: o->check_config = true; break;
		case PRINT_CONFIG: config_document(stdout); return EXIT_SUCCESS;
		case PRINT_ARGUMENTS: arguments_document(stdout); return EXIT_SUCCESS;
		case VERSION: puts("leveretd " LEV_VERSION); return EXIT_SUCCESS;
		case HELP: fputs(usage, stdout); return EXIT_SUCCESS;
		default: fputs("try leveretd --help\n", stderr); return 2;
		}
	}
	if (optind == argc || o->is_question)
		return -1;
	fprintf(stderr, "leveretd: unexpected argument '%s'; try leveretd --help\n", argv[optind]);
	return 2;
}

/* A file that is opened while one of the first three descriptors is free gets its number, and with
 * it what is meant for standard error. */
static void open_standard_descriptors(void)
{
	int fd;
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

/* All of them: who mends one wants to know of the next. True: there are none. */
static bool tell_mistakes(const struct mistakes *m)
{
	for (size_t i = 0; i < m->kept; i++)
		fprintf(stderr, "leveretd: %s\n", m->lines[i]);
	if (m->len > m->kept)
		fprintf(stderr, "leveretd: and %zu more mistakes\n", m->len - m->kept);
	return m->len == 0;
}

int main(int argc, char **argv)
{
	open_standard_descriptors();
	static struct config config;
	struct options o = { 0 };
	struct mistakes mistakes = { 0 };
	int status = parse(argc, argv, &o);
	if (status != -1)
		return status;
	if (o.source.file == NULL)
		o.source.file = getenv("LEVERET_CONFIG");
	if (o.source.file == NULL && access(default_config, R_OK) == 0)
		o.source.file = default_config;
	config_load(&config, &o.source, &mistakes);
	if (o.check_config)
		checkup_run(&config, &mistakes);
	bool is_good = tell_mistakes(&mistakes);
	mistakes_fini(&mistakes);
	if (!is_good)
		return 2;
	if (o.check_config) {
		puts("the configuration is good");
		return EXIT_SUCCESS;
	}
	if (o.is_question)
		return ask_main(config.data_dir, argc - optind, argv + optind);
	return server_run(&config, &o.source);
}
