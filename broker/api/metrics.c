#include "api/metrics.h"

#include "api/query.h"
#include "api/totals.h"
#include "api/walk.h"
#include "base/alloc.h"
#include "net/net.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static const char text_type[] = "text/plain; version=0.0.4; charset=utf-8";

/* --- what is scraped, and how it is called --- */

enum scope { SCOPE_ALL, SCOPE_PER_OBJECT, SCOPE_DETAILED };

/* Of the channels that there are. */
struct channel_sums {
	uint64_t unconfirmed;
	uint64_t uncommitted;
	uint64_t uncommitted_acks;
	uint64_t prefetch;
	uint64_t global_prefetch;
};

/* All that one scrape tells of. */
struct scrape {
	enum scope scope;
	struct core_figures figures;
	struct message_stats stats;
	struct api_node node;
	struct sheet *sheets[3]; /* Owned: queues, channels, connections. */
	size_t sheets_len;
	uint64_t ready;
	uint64_t unacked;
	uint64_t queues;
	uint64_t exchanges;
	uint64_t channels;
	uint64_t consumers;
	uint64_t connections;
	uint64_t publishers;
	uint64_t open_files;
	uint64_t resident_bytes;
	struct channel_sums channel;
};

static const enum sheet_kind kinds[] = { SHEET_QUEUES, SHEET_CHANNELS, SHEET_CONNECTIONS };

static uint64_t files_max(void)
{
	struct rlimit limit = { 0 };
	getrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_cur;
}

#define CLASSIC "protocol=\"amqp091\",queue_type=\"rabbit_classic_queue\""
#define MOVED   "queue_type=\"rabbit_classic_queue\",dead_letter_strategy=\"at_least_once\""

/* The values, a function each. */
#define NODE(name, type, family, help, value)                \
	static uint64_t value_##name(const struct scrape *t) \
	{                                                    \
		(void)t;                                     \
		return (uint64_t)(value);                    \
	}
#define GLOBAL(name, type, labels, help, value) NODE(name, type, , help, value)
#define QUEUE(name, type, family, help, value)        \
	static uint64_t value_##name(const void *row) \
	{                                             \
		const struct queue_info *q = row;     \
		return (uint64_t)(value);             \
	}
#define CHANNEL(name, type, family, help, value, total)      \
	static uint64_t value_##name(const void *row)        \
	{                                                    \
		const struct channel_info *c = row;          \
		return (uint64_t)(value);                    \
	}                                                    \
	static uint64_t total_##name(const struct scrape *t) \
	{                                                    \
		return (uint64_t)(total);                    \
	}
#define CONNECTION(name, type, family, help, value)   \
	static uint64_t value_##name(const void *row) \
	{                                             \
		const struct session_info *s = row;   \
		return (uint64_t)(value);             \
	}
#include "api/metrics.def"
#undef NODE
#undef GLOBAL
#undef QUEUE
#undef CHANNEL
#undef CONNECTION

/* One of the whole broker: labels "" has none. */
struct node_metric {
	const char *name, *type, *family, *labels, *help;
	uint64_t (*value)(const struct scrape *t);
};

static const struct node_metric node_metrics[] = {
#define NODE(name, type, family, help, value)   { #name, #type, #family, "", help, value_##name },
#define GLOBAL(name, type, labels, help, value) { #name, #type, "", labels, help, value_##name },
#define QUEUE(name, type, family, help, value)
#define CHANNEL(name, type, family, help, value, total)
#define CONNECTION(name, type, family, help, value)
#include "api/metrics.def"
#undef NODE
#undef GLOBAL
#undef QUEUE
#undef CHANNEL
#undef CONNECTION
};

/* One of objects; which: of kinds. total NULL: the sum over those that there are. */
struct object_metric {
	const char *name, *type, *family, *help;
	uint64_t (*value)(const void *row);
	uint64_t (*total)(const struct scrape *t);
	size_t which;
};

static const struct object_metric object_metrics[] = {
#define NODE(name, type, family, help, value)
#define GLOBAL(name, type, labels, help, value)
#define QUEUE(name, type, family, help, value) \
	{ #name, #type, #family, help, value_##name, NULL, 0 },
#define CHANNEL(name, type, family, help, value, total) \
	{ #name, #type, #family, help, value_##name, total_##name, 1 },
#define CONNECTION(name, type, family, help, value) \
	{ #name, #type, #family, help, value_##name, NULL, 2 },
#include "api/metrics.def"
#undef NODE
#undef GLOBAL
#undef QUEUE
#undef CHANNEL
#undef CONNECTION
};

enum { NODE_METRICS = sizeof node_metrics / sizeof *node_metrics };
enum { OBJECT_METRICS = sizeof object_metrics / sizeof *object_metrics };

/* --- gathering, on the loop's thread --- */

static void free_scrape(void *arg)
{
	struct scrape *t = arg;
	for (size_t i = 0; i < 3; i++)
		sheet_free(t->sheets[i]);
	free(t);
}

static enum desk_step gather(struct query *c)
{
	struct scrape *t = c->prepared;
	if (t->sheets_len < 3) {
		const struct walk_wanted wanted = { .kind = kinds[t->sheets_len] };
		if (walk_step(c, &wanted) == DESK_AGAIN)
			return DESK_AGAIN;
		t->sheets[t->sheets_len++] = c->sheet;
		c->sheet = NULL;
		return DESK_AGAIN;
	}
	c->api->options.node_state(c->api->options.arg, &t->node);
	core_totals(c->api->options.core, &t->figures, &t->stats);
	t->connections = net_connections(c->api->options.net);
	return DESK_DONE;
}

/* --- summing up, on the api's --- */

static void add_up(struct scrape *t)
{
	struct totals process;
	totals_look_at_process(&process);
	t->open_files = process.open_files;
	t->resident_bytes = process.resident_bytes;
	for (size_t i = 0; i < sheet_len(t->sheets[0]); i++) {
		const struct queue_row *row = sheet_row(t->sheets[0], i);
		t->ready += row->i.ready;
		t->unacked += row->i.unacked;
	}
	for (size_t i = 0; i < sheet_len(t->sheets[1]); i++) {
		const struct channel_info *ch =
			&((const struct channel_row *)sheet_row(t->sheets[1], i))->i;
		t->channel.unconfirmed += ch->unconfirmed;
		t->channel.uncommitted += ch->uncommitted;
		t->channel.uncommitted_acks += ch->uncommitted_acks;
		t->channel.prefetch += ch->prefetch;
		t->channel.global_prefetch += ch->global_prefetch;
		t->publishers += ch->stats.published > 0;
	}
	t->queues = t->figures.queues;
	t->exchanges = t->figures.exchanges;
	t->channels = sheet_len(t->sheets[1]);
	t->consumers = t->figures.consumers;
}

/* --- writing --- */

/* Names on the wire need not be UTF-8, and still differ: two series of one name would spoil the
 * whole scrape. */
static void write_label(FILE *out, const char *name, struct bytes value)
{
	bool is_utf8 = bytes_is_utf8(value);
	fprintf(out, "%s=\"", name);
	for (size_t i = 0; i < value.len; i++) {
		uint8_t b = value.data[i];
		if (b == '\\' || b == '"')
			fputc('\\', out);
		if (b == '\n')
			fputs("\\n", out);
		else if (b >= 0x80 && !is_utf8)
			fprintf(out, "\\\\x%02x", b);
		else
			fputc(b, out);
	}
	fputc('"', out);
}

/* Of each row once, for all of its metrics. */
static char *labels_of(size_t which, const void *from)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	if (which == 0) {
		const struct queue_row *row = from;
		write_label(out, "vhost", row->i.vhost);
		fputc(',', out);
		write_label(out, "queue", row->i.name);
	} else if (which == 1) {
		const struct channel_row *row = from;
		char name[300];
		snprintf(name, sizeof name, "%.*s (%u)", BYTES_ARG(row->connection), row->number);
		write_label(out, "channel", bytes_str(name));
	} else {
		write_label(out, "connection", ((const struct connection_row *)from)->name);
	}
	fclose(out);
	return text;
}

struct labels {
	char **texts; /* Owned, as each; NULL: of a row that is not wanted. */
	size_t len;
};

static bool is_vhost_wanted(const struct query *c, struct bytes vhost)
{
	bool is_any = false;
	for (size_t i = 0; i < c->request->parameters_len; i++) {
		if (!bytes_equal_str(c->request->parameters[i].name, "vhost"))
			continue;
		is_any = true;
		if (bytes_equal(c->request->parameters[i].value, vhost))
			return true;
	}
	return !is_any;
}

static struct labels make_labels(const struct query *c, const struct scrape *t, size_t which)
{
	const struct sheet *sheet = t->sheets[which];
	struct labels l = { .len = sheet_len(sheet) };
	l.texts = alloc_zeroed((l.len + 1) * sizeof *l.texts);
	for (size_t i = 0; i < l.len; i++) {
		const void *row = sheet_row(sheet, i);
		if (t->scope != SCOPE_DETAILED ||
		    is_vhost_wanted(c, sheet_row_vhost(sheet_kind(sheet), row)))
			l.texts[i] = labels_of(which, row);
	}
	return l;
}

static bool is_family_wanted(const struct query *c, const struct scrape *t, const char *family)
{
	if (t->scope != SCOPE_DETAILED)
		return true;
	for (size_t i = 0; i < c->request->parameters_len; i++)
		if (bytes_equal_str(c->request->parameters[i].name, "family") &&
		    family[0] != '\0' && bytes_equal_str(c->request->parameters[i].value, family))
			return true;
	return false;
}

/* rabbitmq_queue_messages is rabbitmq_detailed_queue_messages in details. */
static const char *full_name(const struct scrape *t, const char *name, char room[120])
{
	static const char prefix[] = "rabbitmq_";
	if (t->scope != SCOPE_DETAILED || strncmp(name, prefix, sizeof prefix - 1) != 0)
		return name;
	snprintf(room, 120, "rabbitmq_detailed_%s", name + sizeof prefix - 1);
	return room;
}

static void write_head(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# TYPE %s %s\n# HELP %s %s\n", name, type, name, help);
}

static void write_info(FILE *out, const struct query *c, const struct scrape *t)
{
	static const char *const endpoints[] = { "aggregated", "per-object", "detailed" };
	const struct api_options *o = &c->api->options;
	write_head(out, "rabbitmq_build_info", "untyped", "Versions");
	fprintf(out,
		"rabbitmq_build_info{rabbitmq_version=\"%s\",prometheus_plugin_version=\"%s\","
		"prometheus_client_version=\"%s\",erlang_version=\"0\",product_name=\"%s\","
		"product_version=\"%s\"} 1\n",
		o->version, o->version, o->product_version, o->product, o->product_version);
	write_head(out, "rabbitmq_identity_info", "untyped", "The broker that is scraped");
	fprintf(out,
		"rabbitmq_identity_info{rabbitmq_node=\"%s\",rabbitmq_cluster=\"%s\","
		"rabbitmq_cluster_permanent_id=\"%s\",rabbitmq_endpoint=\"%s\"} 1\n",
		o->node, o->cluster_name, o->cluster_name, endpoints[t->scope]);
}

static void write_alarms(FILE *out, const struct scrape *t)
{
	const struct {
		const char *name, *help;
		bool is_on;
	} all[] = {
		{ "rabbitmq_alarms_memory_used_watermark", "1: publishers wait for memory",
		  t->node.is_memory_alarm },
		{ "rabbitmq_alarms_free_disk_space_watermark", "1: publishers wait for the disk",
		  t->node.is_disk_alarm },
		{ "rabbitmq_alarms_file_descriptor_limit", "1: no connection can be taken",
		  t->connections >= t->node.sockets_max },
	};
	for (size_t i = 0; i < 3; i++) {
		write_head(out, all[i].name, "untyped", all[i].help);
		fprintf(out, "%s %d\n", all[i].name, all[i].is_on);
	}
	write_head(out, "process_start_time_seconds", "gauge", "Start, Unix time");
	fprintf(out, "process_start_time_seconds %" PRIu64 "\n",
		(t->node.unix_ms - t->node.uptime_ms) / 1000);
}

static void write_sizes(FILE *out, const struct scrape *t)
{
	static const char *const bounds[SIZE_CLASSES] = { "100.0",    "1000.0", "10000.0",
							  "100000.0", "1e+06",  "1e+07",
							  "5e+07",    "1e+08",  "+Inf" };
	uint64_t sum = 0;
	write_head(out, "rabbitmq_message_size_bytes", "histogram", "Bodies as published");
	for (size_t i = 0; i < SIZE_CLASSES; i++) {
		sum += t->figures.sizes[i];
		fprintf(out,
			"rabbitmq_message_size_bytes_bucket{protocol=\"amqp091\",le=\"%s\"} "
			"%" PRIu64 "\n",
			bounds[i], sum);
	}
	fprintf(out,
		"rabbitmq_message_size_bytes_count{protocol=\"amqp091\"} %" PRIu64
		"\nrabbitmq_message_size_bytes_sum{protocol=\"amqp091\"} %" PRIu64 "\n",
		sum, t->figures.size_sum);
}

static void write_node(FILE *out, const struct query *c, const struct scrape *t)
{
	char room[120];
	for (size_t i = 0; i < NODE_METRICS; i++) {
		const struct node_metric *m = &node_metrics[i];
		if (!is_family_wanted(c, t, m->family))
			continue;
		const char *name = full_name(t, m->name, room);
		write_head(out, name, m->type, m->help);
		if (m->labels[0] == '\0')
			fprintf(out, "%s %" PRIu64 "\n", name, m->value(t));
		else
			fprintf(out, "%s{%s} %" PRIu64 "\n", name, m->labels, m->value(t));
	}
}

static uint64_t sum_of(const struct object_metric *m, const struct scrape *t)
{
	uint64_t sum = 0;
	if (m->total != NULL)
		return m->total(t);
	for (size_t i = 0; i < sheet_len(t->sheets[m->which]); i++)
		sum += m->value(sheet_row(t->sheets[m->which], i));
	return sum;
}

static void write_objects(FILE *out, const struct query *c, const struct scrape *t)
{
	char room[120];
	struct labels labels[3] = { 0 };
	for (size_t k = 0; t->scope != SCOPE_ALL && k < 3; k++)
		labels[k] = make_labels(c, t, k);
	for (size_t i = 0; i < OBJECT_METRICS; i++) {
		const struct object_metric *m = &object_metrics[i];
		const struct labels *l = &labels[m->which];
		if (!is_family_wanted(c, t, m->family))
			continue;
		const char *name = full_name(t, m->name, room);
		write_head(out, name, m->type, m->help);
		if (t->scope == SCOPE_ALL)
			fprintf(out, "%s %" PRIu64 "\n", name, sum_of(m, t));
		for (size_t k = 0; k < l->len; k++)
			if (l->texts[k] != NULL)
				fprintf(out, "%s{%s} %" PRIu64 "\n", name, l->texts[k],
					m->value(sheet_row(t->sheets[m->which], k)));
	}
	for (size_t k = 0; k < 3; k++) {
		for (size_t i = 0; i < labels[k].len; i++)
			free(labels[k].texts[i]);
		free(labels[k].texts);
	}
}

static void tell(struct query *c)
{
	struct scrape *t = c->prepared;
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	add_up(t);
	write_info(out, c, t);
	if (t->scope == SCOPE_ALL) {
		write_alarms(out, t);
		write_sizes(out, t);
	}
	write_node(out, c, t);
	write_objects(out, c, t);
	fclose(out);
	query_reply_text(c, 200, text_type, bytes_of(text, len));
	free(text);
}

/* --- requests --- */

static const struct route route = { HTTP_GET, "metrics", RIGHT_NONE, VHOST_NONE,
				    false,    NULL,      gather,     tell };

static bool find_scope(const struct http_request *r, enum scope *scope)
{
	if (r->segments_len == 1)
		*scope = SCOPE_ALL;
	else if (r->segments_len == 2 && bytes_equal_str(r->segments[1], "per-object"))
		*scope = SCOPE_PER_OBJECT;
	else if (r->segments_len == 2 && bytes_equal_str(r->segments[1], "detailed"))
		*scope = SCOPE_DETAILED;
	else
		return false;
	return true;
}

void metrics_handle(void *arg, struct http_request *r)
{
	enum scope scope;
	if (r->segments_len == 0 || !bytes_equal_str(r->segments[0], "metrics")) {
		http_reply_error(r, 404, "Object Not Found", "Not Found");
	} else if (!find_scope(r, &scope)) {
		http_reply(r, 404, "text/plain; charset=utf-8", bytes_str("Unknown Registry"));
	} else if (r->method != HTTP_GET && r->method != HTTP_HEAD) {
		http_reply(r, 405, NULL, bytes_of("", 0));
	} else {
		struct query *c = query_create(arg, r);
		struct scrape *t = alloc_zeroed(sizeof *t);
		t->scope = scope;
		c->route = &route;
		c->sees_all = true;
		c->prepared = t;
		c->free_prepared = free_scrape;
		desk_put(c->api->desk, &c->job);
	}
}
