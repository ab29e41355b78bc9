#include "options.h"

#include "fail.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What getopt_long_only() returns for an option. Single letters stand for themselves. */
enum option_code {
	OPT_QUEUE_PATTERN = 256,
	OPT_QUEUE_FROM,
	OPT_QUEUE_TO,
	OPT_QUEUE_ARGUMENTS,
	OPT_VARIABLE_RATE,
	OPT_VARIABLE_SIZE,
	OPT_URI,
	OPT_KEYS,
	OPT_BINDINGS,
	OPT_KEEP,
	OPT_IDEMPOTENCY_KEYS,
	OPT_REPEAT,
	OPT_WARMUP,
	OPT_DRAIN,
	OPT_THREADS,
	OPT_FRAME_MAX,
	OPT_VERIFY,
	OPT_QUIET,
	OPT_TELL,
	OPT_PID,
	OPT_JSON,
	OPT_CSV,
	OPT_HGRM,
	OPT_HTML,
	OPT_BACKLOG,
	OPT_RPC,
	OPT_CHURN,
	OPT_IDLE,
	OPT_HELP,
};

struct option_row {
	int code;
	const char *name;
	const char *argument; /* NULL: none. */
	const char *text;
};

static const struct option_row rows[] = {
	{ OPT_URI, "uri", "URI",
	  "broker: amqp://user:password@host:port/vhost, amqps:// for TLS (also -h)" },
	{ 'x', "producers", "N", "producers, a connection each (1)" },
	{ 'y', "consumers", "N", "consumers, a connection each (1)" },
	{ 'X', "producer-channels", "N", "channels of each producer (1)" },
	{ 'Y', "consumer-channels", "N", "channels of each consumer, with a consumer each (1)" },
	{ 's', "size", "BYTES", "body size (16); stamps for latency and --verify need 16" },
	{ OPT_VARIABLE_SIZE, "vs", "B:S,...",
	  "body sizes, each for so many seconds, over and over" },
	{ 'r', "rate", "N",
	  "messages a second of each producer; without it they send as fast as they can: a closed "
	  "loop" },
	{ OPT_VARIABLE_RATE, "vr", "N:S,...", "rates, each for so many seconds, over and over" },
	{ 'R', "consumer-rate", "N", "messages a second that each consumer takes at most" },
	{ 'L', "consumer-latency", "US", "microseconds that handling a message takes" },
	{ 'c', "confirm", "N", "publisher confirms, at most N messages unconfirmed" },
	{ 'a', "autoack", NULL, "automatic acknowledgement" },
	{ 'A', "multi-ack-every", "N",
	  "acknowledge every N messages, with multiple (1: each by itself)" },
	{ 'q', "qos", "N", "prefetch of each consumer (0: no limit)" },
	{ 'f', "flag", "FLAG", "persistent, mandatory; may be given twice" },
	{ 'C', "pmessages", "N", "messages of each producer, then it ends" },
	{ 'D', "cmessages", "N", "messages of each consumer, then it ends" },
	{ 'z', "time", "S", "seconds to run (10, unless -C or -D are given)" },
	{ 'u', "queue", "NAME", "queue (one of its own by default)" },
	{ OPT_QUEUE_PATTERN, "qp", "PATTERN",
	  "many queues, with %d in the name; -qpf and -qpt say from and to" },
	{ OPT_QUEUE_FROM, "qpf", "N", "first number of the pattern (1)" },
	{ OPT_QUEUE_TO, "qpt", "N", "last number of the pattern" },
	{ OPT_QUEUE_ARGUMENTS, "qa", "K=V,...", "queue arguments" },
	{ 'e', "exchange", "NAME", "exchange (the default exchange)" },
	{ 't', "type", "TYPE", "its type: direct, fanout, topic, headers (direct)" },
	{ 'k', "routing-key", "KEY",
	  "routing key; without it, each producer uses the name of its queue" },
	{ OPT_KEYS, "keys", "N", "go through N routing keys, KEY.0000001 and on" },
	{ OPT_BINDINGS, "bindings", "N", "bindings on top that match none of the messages" },
	{ 'p', "predeclared", NULL, "declare nothing: queues and exchange are there" },
	{ OPT_KEEP, "keep", NULL, "delete nothing at the end" },
	{ OPT_IDEMPOTENCY_KEYS, "idempotency-keys", NULL,
	  "a fresh x-idempotency-key on each message" },
	{ OPT_REPEAT, "repeat", "PERCENT", "messages sent twice, with the same key" },
	{ OPT_BACKLOG, "backlog", NULL, "fill the queues first (-C), then drain them" },
	{ OPT_RPC, "rpc", NULL,
	  "request and reply: -x callers with -c calls in flight each (1), -y servers" },
	{ OPT_CHURN, "churn", "WHAT",
	  "connections, channels, queues or bindings that come and go, -x of them at a time" },
	{ OPT_IDLE, "idle", "N",
	  "open N connections and hold them; with --pid, says what memory they take" },
	{ OPT_WARMUP, "warmup", "S", "seconds at the beginning that do not count (0)" },
	{ OPT_DRAIN, "drain", "S",
	  "wait for deliveries after the end until none has come for so long (5)" },
	{ 'i', "interval", "S", "seconds between lines of progress (1)" },
	{ OPT_THREADS, "threads", "N", "threads of the tool (2: producers and consumers)" },
	{ 'M', "framemax", "BYTES", "frame size to ask for (131072)" },
	{ OPT_VERIFY, "verify", NULL,
	  "check every message: none lost, none twice, in order; exit status 1 if not" },
	{ OPT_PID, "pid", "PID",
	  "the broker's process: reports its CPU time a message and its memory" },
	{ 'd', "id", "TEXT", "name of this run in the output" },
	{ OPT_QUIET, "quiet", NULL, "no progress" },
	{ OPT_TELL, "tell", NULL, "a line `confirmed N` with every confirm, for crash tests" },
	{ OPT_JSON, "json", "FILE", "write the results as JSON (-: standard output)" },
	{ OPT_CSV, "csv", "FILE", "write a line an interval, with PerfTest's header" },
	{ OPT_HGRM, "hgrm", "PREFIX",
	  "write PREFIX-consumer.hgrm and PREFIX-confirm.hgrm, in microseconds" },
	{ OPT_HTML, "html", "FILE", "write one page with charts" },
	{ OPT_HELP, "help", NULL, "this text" },
};
enum { ROWS = sizeof rows / sizeof *rows };

_Noreturn static void help(void)
{
	printf("leveret-bench: load for any AMQP 0-9-1 broker\n\n  leveret-bench [OPTION...]\n\n");
	for (size_t i = 0; i < ROWS; i++) {
		char left[64], letter[8] = "    ";
		if (rows[i].code < 256)
			snprintf(letter, sizeof letter, "-%c, ", rows[i].code);
		snprintf(left, sizeof left, "%s--%s %s", letter, rows[i].name,
			 rows[i].argument == NULL ? "" : rows[i].argument);
		printf("  %-30s %s\n", left, rows[i].text);
	}
	printf("\nExit status: 0, 1 messages lost, doubled or out of order (--verify), 2 usage, 3 "
	       "the broker failed.\n");
	exit(0);
}

/* --- values --- */

static double number(const char *name, const char *text, double least, double most)
{
	char *end;
	errno = 0;
	double value = strtod(text, &end);
	if (end == text || *end != '\0' || errno != 0 || !(value >= least) || value > most)
		fail(EXIT_USAGE, "%s: '%s' is not a number from %.0f to %.0f", name, text, least,
		     most);
	return value;
}

static uint64_t whole(const char *name, const char *text, double least, double most)
{
	double value = number(name, text, least, most);
	if (value != (double)(uint64_t)value)
		fail(EXIT_USAGE, "%s: '%s' is not a whole number", name, text);
	return (uint64_t)value;
}

static void copy(const char *name, char *field, size_t size, const char *text)
{
	if (strlen(text) >= size)
		fail(EXIT_USAGE, "%s: longer than %zu bytes", name, size - 1);
	strcpy(field, text);
}

#define COPY(field, text) copy(name, field, sizeof field, text)

static void set_schedule(const char *name, struct schedule *s, const char *text)
{
	if (!schedule_parse(s, text))
		fail(EXIT_USAGE, "%s: '%s' is no list of VALUE:SECONDS,... with at most %d steps",
		     name, text, SCHEDULE_STEPS_MAX);
}

static void set_constant(struct schedule *s, double value)
{
	*s = (struct schedule){ .steps = { { value, 1 } }, .len = 1 };
}

static void set_flag(struct options *o, const char *text)
{
	if (strcmp(text, "persistent") == 0)
		o->is_persistent = true;
	else if (strcmp(text, "mandatory") == 0)
		o->is_mandatory = true;
	else
		fail(EXIT_USAGE, "--flag: '%s' is neither persistent nor mandatory", text);
}

static void set_churn(struct options *o, const char *text)
{
	static const char *const names[] = { "connections", "channels", "queues", "bindings" };
	o->scenario = SCENARIO_CHURN;
	for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(text, names[i]) == 0) {
			o->churn = (enum churn)i;
			return;
		}
	fail(EXIT_USAGE, "--churn: '%s' is none of connections, channels, queues, bindings", text);
}

static void set_uri(struct options *o, const char *text)
{
	char why[400];
	if (!target_parse(&o->target, text, why, sizeof why))
		fail(EXIT_USAGE, "--uri: %s", why);
}

/* --- one option --- */

enum { COUNT_MAX = 1000000000 };
static const double messages_max = 1e15, body_max = 512 << 20;

static void set(struct options *o, int code, const char *name, const char *text)
{
	switch (code) {
	case 'h':
	case OPT_URI: set_uri(o, text); break;
	case 'x': o->producers = (uint32_t)whole(name, text, 0, CONNECTIONS_MAX); break;
	case 'y': o->consumers = (uint32_t)whole(name, text, 0, CONNECTIONS_MAX); break;
	case 'X': o->producer_channels = (uint32_t)whole(name, text, 1, 2000); break;
	case 'Y': o->consumer_channels = (uint32_t)whole(name, text, 1, 2000); break;
	case 's': set_constant(&o->size, (double)whole(name, text, 0, body_max)); break;
	case OPT_VARIABLE_SIZE: set_schedule(name, &o->size, text); break;
	case 'r': set_constant(&o->rate, number(name, text, 1e-3, 1e9)); break;
	case OPT_VARIABLE_RATE: set_schedule(name, &o->rate, text); break;
	case 'R': o->consumer_rate = number(name, text, 1e-3, 1e9); break;
	case 'L': o->consumer_latency_us = (uint32_t)whole(name, text, 0, COUNT_MAX); break;
	case 'c': o->confirm_window = (uint32_t)whole(name, text, 1, COUNT_MAX); break;
	case 'a': o->is_auto_ack = true; break;
	case 'A': o->multi_ack = (uint32_t)whole(name, text, 1, COUNT_MAX); break;
	case 'q': o->prefetch = (uint32_t)whole(name, text, 0, 65535); break;
	case 'f': set_flag(o, text); break;
	case 'C': o->producer_messages = whole(name, text, 1, messages_max); break;
	case 'D': o->consumer_messages = whole(name, text, 1, messages_max); break;
	case 'z': o->seconds = number(name, text, 1e-3, 1e7); break;
	case 'u': COPY(o->queue, text); break;
	case OPT_QUEUE_PATTERN:
		COPY(o->queue, text);
		o->is_pattern = true;
		break;
	case OPT_QUEUE_FROM: o->queue_from = (uint32_t)whole(name, text, 0, COUNT_MAX); break;
	case OPT_QUEUE_TO: o->queue_to = (uint32_t)whole(name, text, 0, COUNT_MAX); break;
	case OPT_QUEUE_ARGUMENTS: COPY(o->queue_arguments, text); break;
	case 'e': COPY(o->exchange, text); break;
	case 't': COPY(o->exchange_type, text); break;
	case 'k':
		COPY(o->routing_key, text);
		o->has_routing_key = true;
		break;
	case OPT_KEYS: o->keys = (uint32_t)whole(name, text, 1, 9999999); break;
	case OPT_BINDINGS: o->bindings = (uint32_t)whole(name, text, 0, COUNT_MAX); break;
	case 'p': o->is_predeclared = true; break;
	case OPT_KEEP: o->is_keeping = true; break;
	case OPT_IDEMPOTENCY_KEYS: o->has_idempotency_keys = true; break;
	case OPT_REPEAT: o->repeat_percent = number(name, text, 0, 100); break;
	case OPT_BACKLOG: o->scenario = SCENARIO_BACKLOG; break;
	case OPT_RPC: o->scenario = SCENARIO_RPC; break;
	case OPT_CHURN: set_churn(o, text); break;
	case OPT_IDLE:
		o->scenario = SCENARIO_IDLE;
		o->idle_connections = (uint32_t)whole(name, text, 1, CONNECTIONS_MAX);
		break;
	case OPT_WARMUP: o->warmup_seconds = number(name, text, 0, 1e6); break;
	case OPT_DRAIN: o->drain_seconds = number(name, text, 0, 1e6); break;
	case 'i': o->interval_seconds = number(name, text, 0.01, 1e6); break;
	case OPT_THREADS: o->threads = (uint32_t)whole(name, text, 1, 64); break;
	case 'M': o->frame_max = (uint32_t)whole(name, text, 4096, COUNT_MAX); break;
	case OPT_VERIFY: o->is_verifying = true; break;
	case OPT_QUIET: o->is_quiet = true; break;
	case OPT_TELL: o->is_telling = true; break;
	case OPT_PID: o->pid = (long)whole(name, text, 1, COUNT_MAX); break;
	case 'd': COPY(o->id, text); break;
	case OPT_JSON: COPY(o->json_file, text); break;
	case OPT_CSV: COPY(o->csv_file, text); break;
	case OPT_HGRM: COPY(o->hgrm_prefix, text); break;
	case OPT_HTML: COPY(o->html_file, text); break;
	case OPT_HELP: help();
	default: fail(EXIT_USAGE, "see leveret-bench --help");
	}
}

/* --- all of them --- */

static void check(const struct options *o)
{
	bool is_bounded = o->producer_messages > 0 || o->consumer_messages > 0 || o->seconds > 0;
	bool is_stamped = true;
	for (size_t i = 0; i < o->size.len; i++)
		is_stamped &= o->size.steps[i].value >= 16;
	if (o->queue_to < o->queue_from || options_queues(o) > QUEUES_MAX)
		fail(EXIT_USAGE, "--qpf and --qpt must give 1 to %d queues", QUEUES_MAX);
	if (o->is_pattern && strstr(o->queue, "%d") == NULL)
		fail(EXIT_USAGE, "--qp: '%s' has no %%d in it", o->queue);
	if (o->is_verifying && !is_stamped)
		fail(EXIT_USAGE, "--verify needs bodies of 16 bytes and more (--size)");
	if (o->repeat_percent > 0 && !o->has_idempotency_keys)
		fail(EXIT_USAGE, "--repeat without --idempotency-keys would double messages");
	if (o->bindings > 0 && o->exchange[0] == '\0')
		fail(EXIT_USAGE, "--bindings needs an exchange (--exchange)");
	if (o->keys > 0 && !o->has_routing_key)
		fail(EXIT_USAGE, "--keys needs a key to begin with (--routing-key)");
	if (o->keys > 0 && strcmp(o->exchange_type, "topic") != 0 &&
	    strcmp(o->exchange_type, "fanout") != 0)
		fail(EXIT_USAGE, "--keys needs an exchange of type topic or fanout (--type)");
	if (o->scenario == SCENARIO_BACKLOG && o->producer_messages == 0)
		fail(EXIT_USAGE, "--backlog needs to know how many messages (--pmessages)");
	if (o->scenario == SCENARIO_IDLE && !is_bounded)
		fail(EXIT_USAGE, "--idle needs to know for how long (--time)");
}

/* What was not said and depends on the rest. */
static void complete(struct options *o)
{
	if (o->seconds == 0 && o->producer_messages == 0 && o->consumer_messages == 0)
		o->seconds = o->scenario == SCENARIO_IDLE ? 2 : 10;
	if (o->queue[0] == '\0')
		snprintf(o->queue, sizeof o->queue, "leveret-bench.%d", (int)getpid());
	if (o->queue_to == 0)
		o->queue_to = o->queue_from;
	if (o->id[0] == '\0')
		snprintf(o->id, sizeof o->id, "leveret-bench");
	if (o->scenario == SCENARIO_RPC && o->confirm_window == 0)
		o->confirm_window = 1;
}

void options_parse(struct options *o, int argc, char **argv)
{
	static const char letters[] = "h:x:y:X:Y:s:r:R:L:c:aA:q:f:C:D:z:u:e:t:k:pi:M:d:";
	struct option all[ROWS + 1] = { 0 };
	for (size_t i = 0; i < ROWS; i++)
		all[i] = (struct option){ rows[i].name, rows[i].argument != NULL, NULL,
					  rows[i].code };
	*o = (struct options){
		.producers = 1,
		.consumers = 1,
		.producer_channels = 1,
		.consumer_channels = 1,
		.multi_ack = 1,
		.queue_from = 1,
		.exchange_type = "direct",
		.drain_seconds = 5,
		.interval_seconds = 1,
		.threads = 2,
		.frame_max = 131072,
	};
	set_constant(&o->size, 16);
	set_uri(o, "amqp://");
	bool is_size_fresh = true;
	int at = -1;
	for (int code; (code = getopt_long_only(argc, argv, letters, all, &at)) != -1; at = -1) {
		char name[40] = { '-', (char)code, '\0' };
		if (at != -1)
			snprintf(name, sizeof name, "--%s", all[at].name);
		if (code == OPT_VARIABLE_SIZE && is_size_fresh)
			o->size.len = 0;
		is_size_fresh &= code != OPT_VARIABLE_SIZE;
		set(o, code, name, optarg);
	}
	if (optind < argc)
		fail(EXIT_USAGE, "'%s' belongs to no option; see --help", argv[optind]);
	complete(o);
	check(o);
}

void options_queue_name(const struct options *o, uint32_t index, char name[NAME_MAX_BYTES])
{
	const char *at = o->is_pattern ? strstr(o->queue, "%d") : NULL;
	if (at == NULL)
		snprintf(name, NAME_MAX_BYTES, "%s", o->queue);
	else
		snprintf(name, NAME_MAX_BYTES, "%.*s%u%s", (int)(at - o->queue), o->queue,
			 o->queue_from + index, at + 2);
}
