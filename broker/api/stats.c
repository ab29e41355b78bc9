#include "api/stats.h"

#include "api/rates.h"
#include "net/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	KEY_MAX = 1100,
	SAMPLES_MAX = 600, /* Of one counter, */
	REPLY_SAMPLES_MAX = 100000, /* and of all in one answer: each takes 300 bytes. */
};

/* Which samples the request wants; seconds, 0: none. */
struct wanted {
	long age;
	long incr;
};

static long number(const struct query *c, const char *prefix, const char *what)
{
	char name[40], digits[12];
	struct bytes text;
	snprintf(name, sizeof name, "%s_%s", prefix, what);
	if (!http_parameter(c->request, name, &text) || text.len == 0 || text.len >= sizeof digits)
		return 0;
	memcpy(digits, text.data, text.len);
	digits[text.len] = '\0';
	return strtol(digits, NULL, 10);
}

bool stats_check(struct query *c)
{
	static const char *const prefixes[] = { "lengths", "msg_rates", "data_rates",
						"node_stats" };
	char name[40];
	struct bytes text;
	for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
		snprintf(name, sizeof name, "%s_incr", prefixes[i]);
		bool is_both = http_parameter(c->request, name, &text);
		snprintf(name, sizeof name, "%s_age", prefixes[i]);
		is_both = is_both && http_parameter(c->request, name, &text);
		if (is_both &&
		    (number(c, prefixes[i], "incr") <= 0 || number(c, prefixes[i], "age") < 0))
			return query_bad(c, "%s_age and %s_incr are positive numbers of seconds",
					 prefixes[i], prefixes[i]);
	}
	return true;
}

static struct wanted wanted_of(const struct query *c, const char *prefix)
{
	struct wanted w = { number(c, prefix, "age"), number(c, prefix, "incr") };
	return w.age > 0 && w.incr > 0 ? w : (struct wanted){ 0, 0 };
}

static struct bytes key_of(const struct stat_key *k, uint8_t room[KEY_MAX])
{
	struct writer w = writer_of(room, KEY_MAX);
	write_u8(&w, (uint8_t)k->kind);
	write_u32(&w, (uint32_t)k->vhost.len);
	write_bytes(&w, k->vhost);
	write_bytes(&w, k->name);
	return bytes_of(room, (size_t)(w.at - room));
}

/* The value at or before a time; of what is older than all samples the oldest. */
static uint64_t value_at(const struct rates_history *h, uint64_t ms, size_t which)
{
	uint64_t value = h->values[h->first][which];
	for (size_t i = 0; i < h->len; i++) {
		size_t at = (h->first + i) % RATES_SAMPLES;
		if (h->ms[at] > ms)
			break;
		value = h->values[at][which];
	}
	return value;
}

static size_t samples_len(const struct wanted *w)
{
	uint64_t len = (uint64_t)(w->age / w->incr) + 1;
	return len < SAMPLES_MAX ? (size_t)len : SAMPLES_MAX;
}

/* Newest first, at multiples of incr. */
static void put_samples(json_t *details, const struct rates_history *h, const struct wanted *w,
			size_t which, uint64_t now_ms)
{
	uint64_t unix_ms = clock_unix_ms(), incr_ms = (uint64_t)w->incr * 1000;
	uint64_t last_ms = unix_ms - unix_ms % incr_ms, len = samples_len(w);
	json_t *samples = json_array();
	double sum = 0, first = 0, last = 0;
	for (uint64_t i = 0; i < len; i++) {
		uint64_t ms = last_ms - i * incr_ms, back = unix_ms - ms;
		uint64_t v = value_at(h, back > now_ms ? 0 : now_ms - back, which);
		last = i == 0 ? (double)v : last;
		first = (double)v;
		sum += (double)v;
		json_array_append_new(samples, json_pack("{s:I, s:I}", "sample", (json_int_t)v,
							 "timestamp", (json_int_t)ms));
	}
	double seconds = (double)(len - 1) * (double)w->incr;
	json_object_set_new(details, "samples", samples);
	json_object_set_new(details, "avg_rate",
			    json_real(seconds > 0 ? (last - first) / seconds : 0));
	json_object_set_new(details, "avg", json_real(sum / (double)len));
}

struct put {
	struct query *query;
	const struct rates_history *history;
	const struct wanted *lengths;
	const struct wanted *rates;
	uint64_t now_ms;
};

enum { PART_VALUE = 1, PART_DETAILS = 2 };

static void put_one(json_t *object, const struct stat *s, double rate, size_t which, unsigned parts,
		    const struct put *p)
{
	char name[80];
	const struct wanted *w = s->is_gauge ? p->lengths : p->rates;
	if (parts & PART_VALUE)
		json_object_set_new_nocheck(object, s->name, json_integer((json_int_t)s->value));
	if (!(parts & PART_DETAILS))
		return;
	snprintf(name, sizeof name, "%s_details", s->name);
	json_t *details = json_pack("{s:f}", "rate", rate);
	if (p->history != NULL && w->age > 0 &&
	    p->query->samples + samples_len(w) <= REPLY_SAMPLES_MAX) {
		p->query->samples += samples_len(w);
		put_samples(details, p->history, w, which, p->now_ms);
	}
	json_object_set_new_nocheck(object, name, details);
}

static bool is_any(const struct stat *stats, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!stats[i].is_gauge && stats[i].value > 0)
			return true;
	return false;
}

static unsigned parts_wanted(const struct fields *f, const struct stat *s)
{
	if (!s->is_gauge)
		return columns_want_inner(f->columns, "message_stats", s->name)
			       ? PART_VALUE | PART_DETAILS
			       : 0;
	return (columns_want(f->columns, s->name) ? PART_VALUE : 0) |
	       (columns_want_details(f->columns, s->name) ? PART_DETAILS : 0);
}

/* Gauges of connections are their data, those of the node its own. */
static const char *lengths_prefix(const struct stat_key *key)
{
	return key->kind == 'c' ? "data_rates" : key->kind == 'n' ? "node_stats" : "lengths";
}

/* What takes no look at the past. */
static void put_values(struct fields *f, const struct stat *stats, const unsigned *parts, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (parts[i] & PART_VALUE)
			json_object_set_new_nocheck(f->object, stats[i].name,
						    json_integer((json_int_t)stats[i].value));
}

static void put_all(struct query *c, struct fields *f, const struct stat_key *key,
		    const struct stat *stats, const unsigned *parts, size_t len)
{
	uint8_t room[KEY_MAX];
	uint64_t values[RATES_MAX];
	double rates[RATES_MAX];
	struct wanted lengths = wanted_of(c, lengths_prefix(key)),
		      msg_rates = wanted_of(c, "msg_rates");
	struct bytes name = key_of(key, room);
	bool keeps = lengths.age > 0 || msg_rates.age > 0 || key->kind == 'O';
	struct put p = {
		.query = c, .lengths = &lengths, .rates = &msg_rates, .now_ms = clock_steady_ms()
	};
	for (size_t i = 0; i < len; i++)
		values[i] = stats[i].value;
	rates_sample(c->api->rates, name, p.now_ms, values, len, keeps, rates);
	p.history = rates_history(c->api->rates, name);
	json_t *counters = is_any(stats, len) && columns_want(f->columns, "message_stats")
				   ? json_object()
				   : NULL;
	for (size_t i = 0; i < len; i++)
		if (stats[i].is_gauge || counters != NULL)
			put_one(stats[i].is_gauge ? f->object : counters, &stats[i], rates[i], i,
				parts[i], &p);
	if (counters != NULL)
		json_object_set_new_nocheck(f->object, "message_stats", counters);
}

void stats_put(struct query *c, struct fields *f, const struct stat_key *key,
	       const struct stat *stats, size_t len)
{
	unsigned parts[RATES_MAX], all = 0;
	for (size_t i = 0; i < len; i++)
		all |= parts[i] = parts_wanted(f, &stats[i]);
	if (all & PART_DETAILS)
		put_all(c, f, key, stats, parts, len);
	else
		put_values(f, stats, parts, len);
}

size_t stats_of_messages(const struct message_stats *s, struct stat *out)
{
	const struct stat all[MESSAGE_STATS] = {
		{ "publish", s->published, false },
		{ "deliver", s->delivered, false },
		{ "deliver_no_ack", s->delivered_no_ack, false },
		{ "get", s->got, false },
		{ "get_no_ack", s->got_no_ack, false },
		{ "get_empty", s->get_empty, false },
		{ "redeliver", s->redelivered, false },
		{ "ack", s->acked, false },
		{ "deliver_get", s->delivered + s->delivered_no_ack + s->got + s->got_no_ack,
		  false },
	};
	memcpy(out, all, sizeof all);
	return MESSAGE_STATS;
}
