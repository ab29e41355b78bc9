/* The inputs that held others up, each as small as it can be told. */
#include "turns.h"

#include "core/admin.h"

#include "properties.h"
#include "table.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { STEP = 1000 }; /* Inputs of a turn while something is set up. */

static const struct bytes nothing = { NULL, 0 };

/* --- what inputs are made of --- */

static void step(struct world *w, unsigned long i)
{
	if (i % STEP == STEP - 1) {
		world_end(w, TURN_NO_CHECKPOINT);
		world_begin(w);
	}
}

/* What follows is the turn to be measured. */
static void measure(struct world *w)
{
	world_end(w, TURN_NO_CHECKPOINT);
	w->longest_ns = 0;
	world_begin(w);
}

static void done(struct world *w)
{
	world_end(w, TURN_NO_CHECKPOINT);
}

static void declare(struct world *w, const char *name, bool is_exclusive, struct bytes arguments)
{
	struct refusal refusal = { 0 };
	struct queue_counts counts;
	struct queue_declare q = { .name = bytes_str(name),
				   .is_exclusive = is_exclusive,
				   .arguments = arguments };
	bool is_made = core_queue_declare(w->channel, &q, &counts, &refusal);
	assert(is_made);
}

static void bind_to(struct world *w, const char *exchange, const char *queue, const char *key,
		    struct bytes arguments)
{
	struct refusal refusal = { 0 };
	struct bind b = { .source = bytes_str(exchange),
			  .destination = bytes_str(queue),
			  .routing_key = bytes_str(key),
			  .arguments = arguments };
	bool is_bound = core_bind(w->connection, &b, &refusal);
	assert(is_bound);
}

static void consume(struct world *w, struct channel *channel, unsigned long i)
{
	char tag[32];
	struct refusal refusal = { 0 };
	snprintf(tag, sizeof tag, "c%lu", i);
	struct consume c = { .queue = bytes_str("q"), .tag = bytes_str(tag) };
	(void)w;
	bool is_begun = core_consume(channel, &c, &refusal);
	assert(is_begun);
}

static void publish(struct world *w, const char *exchange, const char *key, struct bytes headers)
{
	static uint8_t wire[140000];
	struct refusal refusal = { 0 };
	struct properties p = { .flags = HAS_delivery_mode,
				.delivery_mode = w->is_persistent ? 2 : 1 };
	if (headers.len > 0) {
		p.flags |= HAS_headers;
		p.headers = headers;
	}
	struct writer out = writer_of(wire, sizeof wire);
	properties_encode(&out, &p);
	struct message *m =
		message_create(core_messages(w->core), bytes_str(exchange), bytes_str(key),
			       bytes_of(wire, (size_t)(out.at - wire)), 16);
	message_append(core_messages(w->core), &m, bytes_of("0123456789abcdef", 16));
	properties_decode(&p, message_properties(m));
	bool is_taken = core_publish(w->channel, m, &p, false, &refusal);
	assert(is_taken);
}

static void publish_many(struct world *w, const char *key, unsigned long n, struct bytes headers)
{
	for (unsigned long i = 0; i < n; i++) {
		publish(w, "", key, headers);
		step(w, i);
	}
}

static struct bytes long_argument(uint8_t *buffer, size_t size, const char *name, int64_t value)
{
	struct writer out = writer_of(buffer, size);
	table_write_long(&out, name, value);
	return bytes_of(buffer, (size_t)(out.at - buffer));
}

/* count fields, named prefix and a number; last one tells tables apart. */
static struct bytes fields(uint8_t *buffer, size_t size, char prefix, int count, int64_t last)
{
	char name[32];
	struct writer out = writer_of(buffer, size);
	table_write_str(&out, "x-match", bytes_str("any"));
	for (int i = 0; i < count; i++) {
		snprintf(name, sizeof name, "%c%05d", prefix, i);
		table_write_int(&out, name, 1);
	}
	table_write_long(&out, "last", last);
	return bytes_of(buffer, (size_t)(out.at - buffer));
}

/* --- inputs --- */

static void headers(struct world *w, unsigned long n)
{
	static uint8_t buffer[64000];
	world_begin(w);
	declare(w, "q", false, nothing);
	for (unsigned long i = 0; i < n; i++) {
		bind_to(w, "amq.headers", "q", "",
			fields(buffer, sizeof buffer, 'z', 1000, (int64_t)i));
		step(w, i);
	}
	struct bytes other = fields(buffer, sizeof buffer, 'a', 1000, -1);
	measure(w);
	publish(w, "amq.headers", "", other);
	done(w);
}

static void exclusive(struct world *w, unsigned long n, const char *exchange, const char *key)
{
	char name[32];
	world_begin(w);
	for (unsigned long i = 0; i < n; i++) {
		snprintf(name, sizeof name, "q%lu", i);
		declare(w, name, true, nothing);
		bind_to(w, exchange, name, key, nothing);
		step(w, i);
	}
	measure(w);
	connection_close(w->connection);
	done(w);
	while (core_has_work(w->core)) {
		world_begin(w);
		done(w);
	}
}

static void exclusive_direct(struct world *w, unsigned long n)
{
	exclusive(w, n, "amq.direct", "k");
}

static void exclusive_topic(struct world *w, unsigned long n)
{
	exclusive(w, n, "amq.topic", "k.#");
}

static void consumers(struct world *w, unsigned long n, bool is_deleted)
{
	struct refusal refusal = { 0 };
	uint64_t left;
	world_begin(w);
	declare(w, "q", false, nothing);
	struct channel *channel = channel_open(w->connection, w);
	core_qos(channel, 1, false);
	for (unsigned long i = 0; i < n; i++) {
		consume(w, channel, i);
		step(w, i);
	}
	publish_many(w, "q", n, nothing);
	measure(w);
	if (is_deleted)
		core_queue_delete(w->connection, bytes_str("q"), false, false, &left, &refusal);
	else
		channel_close(channel);
	done(w);
}

static void deleted(struct world *w, unsigned long n)
{
	consumers(w, n, true);
}

static void channel(struct world *w, unsigned long n)
{
	consumers(w, n, false);
}

static void topic(struct world *w, unsigned long n)
{
	static const char words[] = "#*a";
	char pattern[256], key[256];
	uint32_t random = 1;
	world_begin(w);
	declare(w, "q", false, nothing);
	for (unsigned long i = 0; i < n; i++) {
		for (size_t k = 0; k < 100; k++) {
			random = random * 1664525 + 1013904223;
			pattern[2 * k] = words[(random >> 16) % 3];
			pattern[2 * k + 1] = k < 99 ? '.' : '\0';
		}
		bind_to(w, "amq.topic", "q", pattern, nothing);
		step(w, i);
	}
	for (size_t k = 0; k < 121; k++) {
		key[2 * k] = k < 120 ? 'a' : '0';
		key[2 * k + 1] = k < 120 ? '.' : '\0';
	}
	measure(w);
	publish(w, "amq.topic", key, nothing);
	done(w);
}

static void fanout(struct world *w, unsigned long n)
{
	char name[32];
	world_begin(w);
	for (unsigned long i = 0; i < n; i++) {
		snprintf(name, sizeof name, "q%lu", i);
		declare(w, name, false, nothing);
		bind_to(w, "amq.fanout", name, "", nothing);
		step(w, i);
	}
	measure(w);
	publish(w, "amq.fanout", "", nothing);
	done(w);
}

static void policies(struct world *w, unsigned long n)
{
	char name[256], why[200];
	uint8_t buffer[64];
	size_t which = 0;
	world_begin(w);
	for (unsigned long i = 0; i < n; i++) {
		memset(name, 'a', 200);
		snprintf(name + 200, sizeof name - 200, "%lu", i);
		declare(w, name, false, nothing);
		step(w, i);
	}
	struct policy slow = {
		.name = bytes_str("slow"),
		.pattern = bytes_str("^(a+)+(a+)+$"),
		.definition = long_argument(buffer, sizeof buffer, "max-length", 10),
	};
	measure(w);
	core_set_policies(core_vhost(w->core, bytes_str("/")), &slow, 1, &which, why, sizeof why);
	done(w);
	while (core_has_work(w->core)) {
		world_begin(w);
		done(w);
	}
}

static void expire(struct world *w, unsigned long n)
{
	char name[32];
	uint8_t buffer[64];
	struct bytes arguments = long_argument(buffer, sizeof buffer, "x-expires", 1000);
	world_begin(w);
	for (unsigned long i = 0; i < n; i++) {
		snprintf(name, sizeof name, "q%lu", i);
		declare(w, name, false, arguments);
		step(w, i);
	}
	world_end(w, TURN_NO_CHECKPOINT);
	w->longest_ns = 0;
	for (int i = 0; i < 1000; i++) {
		w->now_ms += 10;
		world_begin(w);
		world_end(w, TURN_NO_CHECKPOINT);
	}
}

/* Messages die towards a queue that refuses them, for it is full. */
static void dying(struct world *w, unsigned long n)
{
	uint8_t buffer[256];
	world_begin(w);
	struct writer out = writer_of(buffer, sizeof buffer);
	table_write_long(&out, "x-max-length", 1);
	table_write_str(&out, "x-overflow", bytes_str("reject-publish"));
	declare(w, "full", false, bytes_of(buffer, (size_t)(out.at - buffer)));
	publish(w, "", "full", nothing);
	out = writer_of(buffer, sizeof buffer);
	table_write_long(&out, "x-message-ttl", 100000);
	table_write_str(&out, "x-dead-letter-exchange", nothing);
	table_write_str(&out, "x-dead-letter-routing-key", bytes_str("full"));
	declare(w, "q", false, bytes_of(buffer, (size_t)(out.at - buffer)));
	publish_many(w, "q", n, nothing);
	world_end(w, TURN_NO_CHECKPOINT);
	w->longest_ns = 0;
	for (int i = 0; i < 1000; i++) {
		w->now_ms += 1000;
		world_begin(w);
		world_end(w, TURN_NO_CHECKPOINT);
	}
}

static void shelf(struct world *w, unsigned long n)
{
	uint8_t buffer[64];
	struct refusal refusal = { 0 };
	struct queue_counts counts;
	struct queue_declare q = { .name = bytes_str("q"), .is_durable = true };
	w->is_persistent = true;
	world_begin(w);
	core_queue_declare(w->channel, &q, &counts, &refusal);
	for (unsigned long i = 0; i < n; i++) {
		publish(w, "", "q",
			long_argument(buffer, sizeof buffer, "x-delay", 3600000 + (int64_t)i));
		step(w, i);
	}
	measure(w);
	publish(w, "", "q", long_argument(buffer, sizeof buffer, "x-delay", 7200000));
	world_end(w, TURN_CHECKPOINT);
}

const struct input inputs[] = {
	{ "headers", "bindings of 1,000 fields, a message of 1,000 others", 5000, headers },
	{ "exclusive", "exclusive queues under one key of a direct exchange close", 60000,
	  exclusive_direct },
	{ "patterns", "exclusive queues under one pattern of a topic exchange close", 60000,
	  exclusive_topic },
	{ "deleted", "consumers of one unacked message each, their queue is deleted", 60000,
	  deleted },
	{ "channel", "consumers of one unacked message each, their channel closes", 65000,
	  channel },
	{ "topic", "patterns of 100 random words # * a, a key of 121 words", 5000, topic },
	{ "fanout", "queues get one message", 200000, fanout },
	{ "policies", "queues of long names and a slow pattern", 5000, policies },
	{ "expire", "unused queues expire together", 100000, expire },
	{ "dying", "messages expire towards a full queue", 300000, dying },
	{ "shelf", "delayed messages, one more, and a checkpoint", 3000000, shelf },
};
const size_t inputs_len = sizeof inputs / sizeof inputs[0];
