/* Options: what the command line asks for. PerfTest's letters where they fit; `leveret-bench
 * --help` explains each. */
#ifndef LEV_BENCH_OPTIONS_H
#define LEV_BENCH_OPTIONS_H

#include "schedule.h"
#include "target.h"

enum { NAME_MAX_BYTES = 200, QUEUES_MAX = 100000, CONNECTIONS_MAX = 20000 };

enum scenario {
	SCENARIO_FLOW,    /* Producers and consumers. */
	SCENARIO_BACKLOG, /* First the ones, then the others. */
	SCENARIO_RPC,     /* Callers and servers, by direct reply-to. */
	SCENARIO_CHURN,   /* Things that come and go. */
	SCENARIO_IDLE,    /* Connections that do nothing. */
};

enum churn { CHURN_CONNECTIONS, CHURN_CHANNELS, CHURN_QUEUES, CHURN_BINDINGS };

struct options {
	struct target target;
	enum scenario scenario;
	enum churn churn;
	uint32_t idle_connections;

	uint32_t producers;
	uint32_t consumers;
	uint32_t producer_channels; /* Of each. */
	uint32_t consumer_channels;
	uint64_t producer_messages; /* Of each; 0: no limit. */
	uint64_t consumer_messages;
	struct schedule rate; /* Messages a second of each producer; empty: as fast as it goes. */
	struct schedule size; /* Bytes of a body. */
	double consumer_rate; /* 0: no limit. */
	uint32_t consumer_latency_us; /* Of handling each message. */
	uint32_t confirm_window;      /* 0: no confirms. */
	uint32_t prefetch;            /* 0: no limit. */
	uint32_t multi_ack;           /* Acks every so many messages, with multiple. */
	bool is_auto_ack;
	bool is_persistent;
	bool is_mandatory;

	char queue[NAME_MAX_BYTES]; /* A name, or a pattern with %d in it. */
	uint32_t queue_from;        /* The numbers of a pattern. */
	uint32_t queue_to;
	bool is_pattern;
	char queue_arguments[512]; /* key=value,... */
	char exchange[NAME_MAX_BYTES];
	char exchange_type[32];
	char routing_key[NAME_MAX_BYTES];
	bool has_routing_key;
	uint32_t keys;     /* Producers go through so many routing keys. */
	uint32_t bindings; /* That match nothing. */
	bool is_predeclared;
	bool is_keeping; /* Leaves what was declared. */

	bool has_idempotency_keys;
	double repeat_percent; /* Messages that are sent twice. */

	double seconds; /* 0: until the counts are reached. */
	double warmup_seconds;
	double drain_seconds; /* Without a delivery, after which the rest is given up. */
	double interval_seconds;
	uint32_t threads;
	uint32_t frame_max;
	bool is_verifying;
	bool is_quiet;
	bool is_telling; /* How much is confirmed, as it goes. */
	long pid;        /* Of the broker; 0: unknown. */
	char id[64];
	char json_file[256];
	char csv_file[256];
	char hgrm_prefix[256];
	char html_file[256];
};

/* Ends the tool with a message if they make no sense. */
void options_parse(struct options *options, int argc, char **argv);

static inline uint32_t options_queues(const struct options *o)
{
	return o->queue_to - o->queue_from + 1;
}

/* The name of the queue with this index (from 0) of a run. */
void options_queue_name(const struct options *options, uint32_t index, char name[NAME_MAX_BYTES]);

/* The routing key is the queue's name, so that a message goes to one queue; otherwise it goes to
 * all of them. */
static inline bool options_routes_by_queue(const struct options *o)
{
	bool is_keyed = o->exchange_type[0] == 'd' || o->exchange_type[0] == 't';
	return o->exchange[0] == '\0' || (is_keyed && !o->has_routing_key);
}

/* Producers wait for the broker's answers, or for sockets that take no more: what they measure is
 * throughput only. */
static inline bool options_is_closed_loop(const struct options *o)
{
	return o->rate.len == 0;
}

#endif
