/* publish, request */
#include "cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FILE_BYTES_MAX = 128 * 1024 * 1024 };

struct publish_options {
	struct lev_publish publish;
	struct lev_properties properties;
	struct lev_table *headers;
	bool is_lines;
	double rate; /* A second; 0: as fast as may be. */
};

static void set_property(struct lev_properties *p, const char *text)
{
	const struct {
		const char *name;
		const char **field;
	} fields[] = {
		{ "content_type", &p->content_type },
		{ "content_encoding", &p->content_encoding },
		{ "correlation_id", &p->correlation_id },
		{ "reply_to", &p->reply_to },
		{ "message_id", &p->message_id },
		{ "type", &p->type },
		{ "user_id", &p->user_id },
		{ "app_id", &p->app_id },
	};
	const char *equals = strchr(text, '=');
	size_t len = equals == NULL ? 0 : (size_t)(equals - text);
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		if (strlen(fields[i].name) == len && strncmp(fields[i].name, text, len) == 0) {
			*fields[i].field = equals + 1;
			return;
		}
	if (len == 8 && strncmp(text, "priority", len) == 0)
		p->priority = (uint8_t)number_of("priority", equals + 1, 255);
	else if (len == 13 && strncmp(text, "expiration_ms", len) == 0)
		p->expiration_ms = number_of("expiration_ms", equals + 1, UINT64_C(315360000000));
	else if (len == 9 && strncmp(text, "timestamp", len) == 0)
		p->timestamp = number_of("timestamp", equals + 1, INT64_MAX);
	else
		usage_error("no such property: '%s'", text);
}

static void parse(int argc, char **argv, struct publish_options *o)
{
	static const struct option long_options[] = {
		{ "exchange", required_argument, NULL, 'x' },
		{ "key", required_argument, NULL, 'k' },
		{ "header", required_argument, NULL, 'H' },
		{ "property", required_argument, NULL, 'p' },
		{ "rate", required_argument, NULL, 'r' },
		{ "delay", required_argument, NULL, 'd' },
		{ "lines", no_argument, NULL, 'l' },
		{ "transient", no_argument, NULL, 'T' },
		{ "optional", no_argument, NULL, 'o' },
		{ NULL, 0, NULL, 0 },
	};
	*o = (struct publish_options){ .headers = lev_table_create() };
	char *end;
	for (int c; (c = getopt_long(argc, argv, "x:k:H:p:r:d:lTo", long_options, NULL)) != -1;)
		switch (c) {
		case 'x': o->publish.exchange = optarg; break;
		case 'k': o->publish.key = optarg; break;
		case 'H': add_field(o->headers, optarg); break;
		case 'p': set_property(&o->properties, optarg); break;
		case 'r':
			o->rate = strtod(optarg, &end);
			if (*end != '\0' || !(o->rate > 0))
				usage_error("--rate: '%s' is no number above 0", optarg);
			break;
		case 'd': o->publish.delay_ms = number_of("--delay", optarg, INT64_MAX); break;
		case 'l': o->is_lines = true; break;
		case 'T': o->properties.is_transient = true; break;
		case 'o': o->publish.is_optional = true; break;
		default: usage_error("unknown option");
		}
	if (optind == argc)
		usage_error("%s needs a routing key", argv[0]);
	o->publish.routing_key = argv[optind++];
	o->properties.headers = o->headers;
	o->publish.properties = &o->properties;
}

/* --- publishing --- */

struct counts {
	atomic_ulong stored, duplicates, failures;
	atomic_int worst; /* Exit status. */
};

static void on_outcome(void *arg, const struct lev_outcome *outcome)
{
	struct counts *c = arg;
	if (outcome->result == LEV_DUPLICATE) {
		atomic_fetch_add(&c->duplicates, 1);
	} else if (outcome->result >= 0) {
		atomic_fetch_add(&c->stored, 1);
	} else {
		if (atomic_fetch_add(&c->failures, 1) < 10)
			fprintf(stderr, "leveret: publish: %s: %s\n",
				lev_result_name(outcome->result), outcome->text);
		atomic_store(&c->worst,
			     outcome->result == LEV_UNROUTABLE ? EXIT_NOBODY : EXIT_FAILED);
	}
}

static void keep_pace(double rate, unsigned long sent, uint64_t began)
{
	if (rate <= 0)
		return;
	uint64_t due = began + (uint64_t)((double)sent * 1000 / rate), now = lev_now();
	if (due <= now)
		return;
	const struct timespec pause = { (time_t)((due - now) / 1000),
					(long)((due - now) % 1000) * 1000000 };
	nanosleep(&pause, NULL);
}

static int publish_one(struct publish_options *o, struct counts *c, const char *body, size_t len)
{
	o->publish.body = body;
	o->publish.body_len = len;
	o->publish.deadline = cli_deadline();
	int rc = lev_publish(cli.lev, &o->publish, on_outcome, c, cli_deadline());
	return rc == LEV_OK ? EXIT_DONE : failed(rc, "publish");
}

/* Each line is a message; with a key, the line's number is its step. */
static int publish_lines(struct publish_options *o, struct counts *c)
{
	char *line = NULL, step[24];
	size_t cap = 0;
	unsigned long sent = 0;
	uint64_t began = lev_now();
	int status = EXIT_DONE;
	for (ssize_t len;
	     status == EXIT_DONE && !cli.is_interrupted && (len = getline(&line, &cap, stdin)) >= 0;
	     sent++) {
		snprintf(step, sizeof step, "%lu", sent + 1);
		o->publish.step = o->publish.key == NULL ? NULL : step;
		keep_pace(o->rate, sent, began);
		status = publish_one(o, c, line,
				     (size_t)(len > 0 && line[len - 1] == '\n' ? len - 1 : len));
	}
	free(line);
	if (status == EXIT_DONE && !feof(stdin) && !cli.is_interrupted) {
		perror("leveret: standard input");
		status = EXIT_FAILED;
	}
	return status;
}

static int publish_file(struct publish_options *o, struct counts *c, const char *path)
{
	FILE *in = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
	char *body = NULL;
	size_t len = 0, cap = 0;
	int status = EXIT_DONE;
	while (in != NULL && !feof(in) && !ferror(in) && len <= FILE_BYTES_MAX) {
		if (len == cap) {
			cap = cap == 0 ? 65536 : cap * 2;
			char *more = realloc(body, cap);
			if (more == NULL)
				break;
			body = more;
		}
		len += fread(body + len, 1, cap - len, in);
	}
	if (in == NULL || ferror(in) || !feof(in)) {
		fprintf(stderr, "leveret: %s: %s\n", path,
			len > FILE_BYTES_MAX ? "more than 128 MiB" : strerror(errno));
		status = EXIT_FAILED;
	} else {
		status = publish_one(o, c, body, len);
	}
	if (in != NULL && in != stdin)
		fclose(in);
	free(body);
	return status;
}

static int publish_files(struct publish_options *o, struct counts *c, int argc, char **argv)
{
	int status = EXIT_DONE;
	uint64_t began = lev_now();
	unsigned long sent = 0;
	char step[24];
	if (optind == argc)
		return publish_file(o, c, "-");
	bool is_only = optind + 1 == argc;
	for (; optind < argc && status == EXIT_DONE && !cli.is_interrupted; optind++, sent++) {
		snprintf(step, sizeof step, "%lu", sent + 1);
		o->publish.step = o->publish.key == NULL || is_only ? NULL : step;
		keep_pace(o->rate, sent, began);
		status = publish_file(o, c, argv[optind]);
	}
	return status;
}

int command_publish(int argc, char **argv)
{
	struct publish_options o;
	struct counts c = { 0 };
	char text[100];
	parse(argc, argv, &o);
	if (o.is_lines && optind < argc)
		usage_error("--lines reads standard input, and no files");
	int status = o.is_lines ? publish_lines(&o, &c) : publish_files(&o, &c, argc, argv);
	lev_flush(cli.lev, cli_deadline());
	lev_table_destroy(o.headers);
	unsigned long left = (unsigned long)lev_in_flight(cli.lev);
	snprintf(text, sizeof text, "%lu stored, %lu duplicates, %lu failed",
		 atomic_load(&c.stored), atomic_load(&c.duplicates),
		 atomic_load(&c.failures) + left);
	print_outcome("published", text);
	if (status == EXIT_DONE)
		status = left > 0 ? EXIT_FAILED : atomic_load(&c.worst);
	return status;
}

int command_request(int argc, char **argv)
{
	struct publish_options o;
	struct lev_message *reply;
	parse(argc, argv, &o);
	const char *body = optind < argc ? argv[optind] : "";
	o.publish.body = body;
	o.publish.body_len = strlen(body);
	o.properties.is_transient = true;
	int rc = lev_request(cli.lev, &o.publish, &reply, cli_deadline());
	lev_table_destroy(o.headers);
	if (rc != LEV_OK)
		return failed(rc, "request");
	print_message(reply);
	lev_message_free(reply);
	return EXIT_DONE;
}
