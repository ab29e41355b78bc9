/* declare, delete, bind, unbind, purge, info */
#include "cli.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

struct declare_options {
	struct lev_queue queue;
	struct lev_table *arguments;
	bool has_dlq;
};

static void parse(int argc, char **argv, struct declare_options *o)
{
	static const struct option long_options[] = {
		{ "argument", required_argument, NULL, 'a' },
		{ "transient", no_argument, NULL, 'T' },
		{ "auto-delete", no_argument, NULL, 'A' },
		{ "dlq", no_argument, NULL, 'd' },
		{ NULL, 0, NULL, 0 },
	};
	*o = (struct declare_options){ .arguments = lev_table_create() };
	for (int c; (c = getopt_long(argc, argv, "a:TAd", long_options, NULL)) != -1;)
		switch (c) {
		case 'a': add_field(o->arguments, optarg); break;
		case 'T': o->queue.is_transient = true; break;
		case 'A': o->queue.is_auto_delete = true; break;
		case 'd': o->has_dlq = true; break;
		default: usage_error("unknown option");
		}
	o->queue.arguments = o->arguments;
}

static int done(int rc, const char *what, const char *said)
{
	if (rc < 0)
		return failed(rc, what);
	print_outcome("done", said);
	return EXIT_DONE;
}

int command_declare(int argc, char **argv)
{
	struct declare_options o;
	parse(argc, argv, &o);
	int left = argc - optind, rc;
	char **args = argv + optind;
	if (left == 2 && strcmp(args[0], "queue") == 0 && o.has_dlq)
		rc = lev_declare_with_dlq(cli.lev, args[1], &o.queue, cli_deadline());
	else if (left == 2 && strcmp(args[0], "queue") == 0)
		rc = lev_declare_queue(cli.lev, args[1], &o.queue, cli_deadline());
	else if (left == 3 && strcmp(args[0], "exchange") == 0)
		rc = lev_declare_exchange(cli.lev, args[1], args[2], o.arguments, cli_deadline());
	else
		usage_error("declare queue NAME, or declare exchange NAME TYPE");
	lev_table_destroy(o.arguments);
	return done(rc, args[1], "declared");
}

int command_delete(int argc, char **argv)
{
	uint32_t messages = 0;
	char text[64];
	int rc;
	if (argc != 3)
		usage_error("delete queue NAME, or delete exchange NAME");
	if (strcmp(argv[1], "queue") == 0)
		rc = lev_delete_queue(cli.lev, argv[2], &messages, cli_deadline());
	else if (strcmp(argv[1], "exchange") == 0)
		rc = lev_delete_exchange(cli.lev, argv[2], cli_deadline());
	else
		usage_error("delete queue NAME, or delete exchange NAME");
	snprintf(text, sizeof text, "deleted, with %u messages", messages);
	return done(rc, argv[2], argv[1][0] == 'q' ? text : "deleted");
}

static int bind_or_unbind(int argc, char **argv, bool is_bind)
{
	struct declare_options o;
	parse(argc, argv, &o);
	int left = argc - optind;
	char **args = argv + optind;
	if (left != 2 && left != 3)
		usage_error("%s QUEUE EXCHANGE [KEY]", argv[0]);
	const char *key = left == 3 ? args[2] : "";
	if (is_bind && lev_topic_check(key) != LEV_OK)
		fprintf(stderr, "leveret: note: %s\n", lev_reason());
	int rc = is_bind ? lev_bind(cli.lev, args[0], args[1], key, o.arguments, cli_deadline())
			 : lev_unbind(cli.lev, args[0], args[1], key, o.arguments, cli_deadline());
	lev_table_destroy(o.arguments);
	return done(rc, args[0], is_bind ? "bound" : "unbound");
}

int command_bind(int argc, char **argv)
{
	return bind_or_unbind(argc, argv, true);
}

int command_unbind(int argc, char **argv)
{
	return bind_or_unbind(argc, argv, false);
}

int command_purge(int argc, char **argv)
{
	uint32_t messages = 0;
	char text[64];
	if (argc != 2)
		usage_error("purge QUEUE");
	int rc = lev_purge(cli.lev, argv[1], &messages, cli_deadline());
	snprintf(text, sizeof text, "%u messages purged", messages);
	return done(rc, argv[1], text);
}

int command_info(int argc, char **argv)
{
	struct lev_queue_info info;
	if (argc != 2)
		usage_error("info QUEUE");
	int rc = lev_queue_info(cli.lev, argv[1], &info, cli_deadline());
	if (rc != LEV_OK)
		return failed(rc, argv[1]);
	print_info(argv[1], &info);
	return EXIT_DONE;
}
