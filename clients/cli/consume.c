/* consume, get, tail */
#include "cli.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAUSE_MIN_MS = 100, PAUSE_MAX_MS = 5000 };

struct consume_options {
	uint64_t count;   /* UINT64_MAX: all. */
	uint64_t idle_ms; /* Ends when nothing came for so long; UINT64_MAX: never. */
	uint16_t prefetch;
	bool is_requeue;
	bool is_reject; /* What a command fails for does not come back. */
	const char *command;
};

static void parse(int argc, char **argv, struct consume_options *o)
{
	static const struct option long_options[] = {
		{ "count", required_argument, NULL, 'c' },
		{ "idle", required_argument, NULL, 'i' },
		{ "requeue", no_argument, NULL, 'r' },
		{ "prefetch", required_argument, NULL, 'p' },
		{ "exec", required_argument, NULL, 'e' },
		{ "reject", no_argument, NULL, 'R' },
		{ NULL, 0, NULL, 0 },
	};
	for (int c; (c = getopt_long(argc, argv, "c:i:rp:e:R", long_options, NULL)) != -1;)
		switch (c) {
		case 'c': o->count = number_of("--count", optarg, UINT64_MAX - 1); break;
		case 'i': o->idle_ms = number_of("--idle", optarg, UINT32_MAX); break;
		case 'r': o->is_requeue = true; break;
		case 'p':
			o->prefetch = (uint16_t)number_of("--prefetch", optarg, UINT16_MAX);
			break;
		case 'e': o->command = optarg; break;
		case 'R': o->is_reject = true; break;
		default: usage_error("unknown option");
		}
	if (optind == argc)
		usage_error("%s needs a name", argv[0]);
	if (o->is_reject && o->command == NULL)
		usage_error("--reject is about a command that fails: --exec");
}

static void say_failure(const struct consume_options *o, int status)
{
	const char *then = o->is_reject ? "rejected" : "put back";
	if (status == -1)
		fprintf(stderr, "leveret: '%s': %s; the message is %s\n", o->command,
			strerror(errno), then);
	else if (WIFSIGNALED(status))
		fprintf(stderr, "leveret: '%s' was ended by signal %d; the message is %s\n",
			o->command, WTERMSIG(status), then);
	else
		fprintf(stderr, "leveret: '%s' ended with %d; the message is %s\n", o->command,
			WEXITSTATUS(status), then);
}

/* Past stdio's buffer: what is left in that would make pclose() fail, whatever the command did. */
static void feed(int fd, const char *body, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, body, len);
		if (n == -1 && errno != EINTR)
			return; /* The command need not read it all. */
		if (n > 0) {
			body += n;
			len -= (size_t)n;
		}
	}
}

/* Runs a command with the body as its standard input. True if it ended with 0. */
static bool run_command(const struct consume_options *o, const struct lev_message *m)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, before;
	FILE *out = popen(o->command, "w");
	int status = -1;
	if (out != NULL) {
		sigaction(SIGPIPE, &ignore, &before);
		feed(fileno(out), m->body, m->body_len);
		status = pclose(out);
		sigaction(SIGPIPE, &before, NULL);
	}
	if (status != 0)
		say_failure(o, status);
	return status == 0;
}

/* Prints it, or runs the command. */
static bool process(const struct consume_options *o, const struct lev_message *m)
{
	if (o->command != NULL)
		return run_command(o, m);
	if (print_message(m))
		return true;
	fprintf(stderr, "leveret: standard output: %s; the message is put back\n",
		strerror(errno));
	return false;
}

/* A message is acked when it has been dealt with, and not before. True if it has been. */
static bool deal_with(const struct consume_options *o, struct lev_message *m)
{
	bool is_done = process(o, m);
	if (is_done && !o->is_requeue)
		lev_ack(m);
	else if (!is_done && o->is_reject && !o->is_requeue)
		lev_reject(m);
	else
		lev_requeue(m);
	return is_done;
}

/* What was put back comes again at once: a command that always fails does not keep the machine
 * busy. */
static void rest(const struct consume_options *o, uint64_t failures_in_row)
{
	uint64_t ms = PAUSE_MIN_MS;
	if (o->is_reject)
		return;
	for (uint64_t i = 1; i < failures_in_row && ms < PAUSE_MAX_MS; i++)
		ms *= 2;
	ms = ms < PAUSE_MAX_MS ? ms : PAUSE_MAX_MS;
	nanosleep(&(struct timespec){ (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 }, NULL);
}

/* Waits in steps, so that an interrupt is seen, and that nobody reads what it would print. */
static int next(const struct consume_options *o, struct lev_consumer *c, struct lev_message **m)
{
	uint64_t deadline = o->idle_ms == UINT64_MAX ? LEV_NEVER : lev_in(o->idle_ms);
	for (;;) {
		uint64_t step = lev_in(100);
		int rc = lev_next(c, m, step < deadline ? step : deadline);
		if (rc != LEV_TIMEOUT || cli.is_interrupted || lev_now() >= deadline)
			return rc;
		if (o->command == NULL && is_output_gone())
			return lev_fail(LEV_SYSTEM, "standard output: %s", strerror(errno));
	}
}

static int consume(const struct consume_options *o, struct lev_consumer *c)
{
	struct lev_message *m;
	int status = EXIT_DONE;
	uint64_t len = 0, failures = 0; /* In a row. */
	while (len < o->count && !cli.is_interrupted) {
		int rc = next(o, c, &m);
		if (rc == LEV_TIMEOUT && !cli.is_interrupted && len == 0)
			status = EXIT_NOTHING;
		else if (rc != LEV_OK && rc != LEV_TIMEOUT)
			status = failed(rc, "consume");
		if (rc != LEV_OK)
			break;
		len++;
		if (deal_with(o, m)) {
			failures = 0;
			continue;
		}
		status = EXIT_FAILED;
		if (o->command == NULL)
			break;
		if (len < o->count)
			rest(o, ++failures);
	}
	lev_cancel(c, cli_deadline());
	return status;
}

int command_consume(int argc, char **argv)
{
	struct consume_options o = { .count = UINT64_MAX, .idle_ms = UINT64_MAX };
	struct lev_consumer *c;
	parse(argc, argv, &o);
	if (o.prefetch == 0 && o.count < 100)
		o.prefetch = (uint16_t)(o.count == 0 ? 1 : o.count);
	int rc = lev_consume(cli.lev,
			     &(struct lev_consume){ .queue = argv[optind], .prefetch = o.prefetch },
			     &c, cli_deadline());
	return rc == LEV_OK ? consume(&o, c) : failed(rc, argv[optind]);
}

/* With --requeue they go back when all have been seen, or the first would be seen again and again.
 */
int command_get(int argc, char **argv)
{
	struct consume_options o = { .count = 1 };
	parse(argc, argv, &o);
	struct lev_message **held =
		o.is_requeue ? calloc(o.count < 100000 ? o.count + 1 : 100001, sizeof *held) : NULL;
	uint64_t len = 0, most = o.is_requeue && o.count > 100000 ? 100000 : o.count;
	int status = EXIT_DONE;
	for (; len < most && !cli.is_interrupted; len++) {
		struct lev_message *m;
		int rc = lev_get(cli.lev, argv[optind], &m, cli_deadline());
		if (rc == LEV_EMPTY && len > 0)
			break;
		if (rc != LEV_OK) {
			status = failed(rc, "get");
			break;
		}
		if (held != NULL)
			held[len] = m;
		if (held != NULL ? process(&o, m) : deal_with(&o, m))
			continue;
		status = EXIT_FAILED;
		if (o.command == NULL) {
			len += held != NULL;
			break;
		}
	}
	for (uint64_t i = len; held != NULL && i-- > 0;)
		if (held[i] != NULL)
			lev_requeue(held[i]);
	free(held);
	return status;
}

/* A queue of its own, bound to what is to be seen. */
int command_tail(int argc, char **argv)
{
	struct consume_options o = { .count = UINT64_MAX, .idle_ms = UINT64_MAX };
	const struct lev_queue own = { .is_exclusive = true, .is_transient = true };
	struct lev_consumer *c;
	char queue[64];
	parse(argc, argv, &o);
	const char *exchange = argv[optind++];
	char everything[] = "#", *all[] = { everything };
	char **patterns = optind < argc ? argv + optind : all;
	int patterns_len = optind < argc ? argc - optind : 1;
	snprintf(queue, sizeof queue, "leveret-tail-%d-%" PRIu64, (int)getpid(), lev_now());
	int rc = lev_declare_queue(cli.lev, queue, &own, cli_deadline());
	for (int i = 0; rc == LEV_OK && i < patterns_len; i++)
		rc = lev_bind(cli.lev, queue, exchange, patterns[i], NULL, cli_deadline());
	if (rc == LEV_OK)
		rc = lev_consume(cli.lev,
				 &(struct lev_consume){ .queue = queue, .prefetch = o.prefetch },
				 &c, cli_deadline());
	return rc == LEV_OK ? consume(&o, c) : failed(rc, exchange);
}
