/* leveret-outbox: relays an outbox table to a broker, until SIGTERM or SIGINT. */
#include <getopt.h>
#include <leveret/outbox.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
	"Usage: leveret-outbox [OPTION...] DATABASE\n"
	"Publishes the rows of an outbox table, each once and in the order of its aggregate.\n"
	"DATABASE is sqlite:FILE or a PostgreSQL connection string (postgresql:///shop).\n\n"
	"  -u, --uri=URI        broker; $LEVERET_URI, or amqp://localhost\n"
	"  -x, --exchange=NAME  where to; \"events\". The routing key is aggregate type.event "
	"type\n"
	"  -m, --migrate        create or renew the tables, and end\n"
	"  -d, --delete         delete published rows instead of marking them\n"
	"  -o, --optional       it is fine if no queue wants an event\n"
	"  -l, --lease=MS       how long a dead relay keeps others from taking over; 10000\n"
	"  -p, --poll=MS        how often to look for rows that nothing told of\n"
	"  -h, --help, -V, --version\n\n"
	"Exit status: 0 stopped; 1 it cannot be done; 2 wrong usage.\n";

static struct lev_outbox *outbox;

static void on_signal(int number)
{
	(void)number;
	lev_outbox_stop(outbox);
}

static uint32_t number(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || n == 0 || n > 86400000) {
		fprintf(stderr, "leveret-outbox: '%s' is not a number of milliseconds\n", text);
		exit(2);
	}
	return (uint32_t)n;
}

static int failed(void)
{
	fprintf(stderr, "leveret-outbox: %s\n", lev_reason());
	return 1;
}

int main(int argc, char **argv)
{
	static const struct option long_options[] = {
		{ "uri", required_argument, NULL, 'u' },
		{ "exchange", required_argument, NULL, 'x' },
		{ "migrate", no_argument, NULL, 'm' },
		{ "delete", no_argument, NULL, 'd' },
		{ "optional", no_argument, NULL, 'o' },
		{ "lease", required_argument, NULL, 'l' },
		{ "poll", required_argument, NULL, 'p' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	struct lev_outbox_options o = { .uri = getenv("LEVERET_URI") };
	bool is_migrating = false;
	for (int c; (c = getopt_long(argc, argv, "u:x:mdol:p:hV", long_options, NULL)) != -1;)
		switch (c) {
		case 'u': o.uri = optarg; break;
		case 'x': o.exchange = optarg; break;
		case 'm': is_migrating = true; break;
		case 'd': o.is_deleting = true; break;
		case 'o': o.is_optional = true; break;
		case 'l': o.lease_ms = number(optarg); break;
		case 'p': o.poll_ms = number(optarg); break;
		case 'h': fputs(usage, stdout); return 0;
		case 'V': puts("leveret-outbox " LEVERET_VERSION); return 0;
		default: fputs(usage, stderr); return 2;
		}
	if (optind + 1 != argc) {
		fputs(usage, stderr);
		return 2;
	}
	o.database = argv[optind];
	sigset_t stops;
	sigemptyset(&stops);
	sigaddset(&stops, SIGTERM);
	sigaddset(&stops, SIGINT);
	sigprocmask(SIG_BLOCK, &stops, NULL); /* Until there is something to be stopped. */
	if (is_migrating)
		return lev_outbox_migrate(o.database) == LEV_OK ? 0 : failed();
	if (lev_outbox_open(&outbox, &o) != LEV_OK)
		return failed();
	struct sigaction action = { .sa_handler = on_signal };
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigprocmask(SIG_UNBLOCK, &stops, NULL);
	int rc = lev_outbox_run(outbox);
	if (rc != LEV_OK)
		failed();
	lev_outbox_close(outbox);
	return rc == LEV_OK ? 0 : 1;
}
