/* The report as JSON: {"title", "runs": [run...]}; what the page draws and what compare reads.
 * Times are microseconds. */
#include "report.h"

#include "now.h"

#include <jansson.h>
#include <stdlib.h>

enum { CURVE_POINTS_MAX = 400 };

static json_t *whole(uint64_t n)
{
	return json_integer((json_int_t)n);
}

static void set(json_t *object, const char *name, json_t *value)
{
	json_object_set_new(object, name, value);
}

static json_t *us(uint64_t ns)
{
	return json_real((double)ns / NS_PER_US);
}

static json_t *latencies_json(const struct latencies *l)
{
	if (l->count == 0)
		return json_null();
	json_t *j = json_object();
	set(j, "count", whole(l->count));
	set(j, "min", us(l->min));
	set(j, "mean", json_real(l->mean / NS_PER_US));
	set(j, "p50", us(l->p50));
	set(j, "p75", us(l->p75));
	set(j, "p95", us(l->p95));
	set(j, "p99", us(l->p99));
	set(j, "p99.9", us(l->p999));
	set(j, "p99.99", us(l->p9999));
	set(j, "max", us(l->max));
	return j;
}

/* Pairs of 1/(1-share) and value, for a curve with a logarithmic axis. */
static json_t *curve_json(const struct histogram_view *v)
{
	json_t *points = json_array();
	if (v->total == 0)
		return points;
	for (double left = 1;
	     left * (double)v->total >= 1 && json_array_size(points) < CURVE_POINTS_MAX;
	     left *= 0.8) {
		json_t *point = json_array();
		json_array_append_new(point, json_real(1 / left));
		json_array_append_new(point, us(histogram_percentile(v, 100 * (1 - left))));
		json_array_append_new(points, point);
	}
	return points;
}

static json_t *memory_json(const struct process_memory *m)
{
	json_t *j = json_object();
	set(j, "resident_bytes", whole(m->resident_bytes));
	set(j, "private_bytes", whole(m->private_bytes));
	set(j, "peak_bytes", whole(m->peak_bytes));
	return j;
}

static json_t *threads_json(const struct phase *p, double messages)
{
	json_t *threads = json_array();
	for (unsigned i = 0; i < p->use.threads_len; i++) {
		json_t *t = json_object();
		set(t, "name", json_string(p->use.threads[i].name));
		set(t, "cpu_us", json_real(p->use.threads[i].cpu_s * 1e6 / messages));
		set(t, "core_percent", json_real(100 * p->use.threads[i].cpu_s / p->seconds));
		json_array_append_new(threads, t);
	}
	return threads;
}

static json_t *phase_json(const struct report *r, const struct phase *p)
{
	json_t *j = json_object();
	const uint64_t *c = p->stats.counters;
	struct latencies consumer, confirm;
	set(j, "name", json_string(p->name));
	set(j, "seconds", json_real(p->seconds));
	set(j, "sent", whole(c[COUNT_SENT]));
	set(j, "repeated", whole(c[COUNT_REPEATED]));
	set(j, "confirmed", whole(c[COUNT_CONFIRMED]));
	set(j, "nacked", whole(c[COUNT_NACKED]));
	set(j, "returned", whole(c[COUNT_RETURNED]));
	set(j, "received", whole(c[COUNT_RECEIVED]));
	set(j, "redelivered", whole(c[COUNT_REDELIVERED]));
	if (p->stats.first_ns > 0)
		set(j, "first_delivery_ms", json_real((double)p->stats.first_ns / NS_PER_MS));
	set(j, "sent_rate", json_real((double)c[COUNT_SENT] / p->seconds));
	set(j, "confirmed_rate", json_real((double)c[COUNT_CONFIRMED] / p->seconds));
	set(j, "received_rate", json_real((double)c[COUNT_RECEIVED] / p->seconds));
	if (report_has_latency(r->options)) {
		latencies_of(&p->stats.consumer, &consumer);
		latencies_of(&p->stats.confirm, &confirm);
		set(j, "consumer_us", latencies_json(&consumer));
		set(j, "confirm_us", latencies_json(&confirm));
		set(j, "consumer_curve", curve_json(&p->stats.consumer));
		set(j, "confirm_curve", curve_json(&p->stats.confirm));
	}
	if (r->options->pid == 0)
		return j;
	uint64_t messages = c[COUNT_RECEIVED] > 0 ? c[COUNT_RECEIVED] : c[COUNT_SENT];
	set(j, "broker_cpu_s", json_real(p->use.cpu_s));
	set(j, "broker_memory", memory_json(&p->memory));
	if (messages == 0)
		return j;
	set(j, "broker_cpu_us", json_real(p->use.cpu_s * 1e6 / (double)messages));
	set(j, "broker_threads", threads_json(p, (double)messages));
	return j;
}

static json_t *sample_json(const struct report *r, const struct sample *s)
{
	json_t *j = json_object();
	set(j, "time_s", json_real(s->at_s));
	set(j, "sent", json_real((double)s->counts[COUNT_SENT] / s->length_s));
	set(j, "confirmed", json_real((double)s->counts[COUNT_CONFIRMED] / s->length_s));
	set(j, "received", json_real((double)s->counts[COUNT_RECEIVED] / s->length_s));
	if (report_has_latency(r->options)) {
		set(j, "consumer_us", latencies_json(&s->consumer));
		set(j, "confirm_us", latencies_json(&s->confirm));
	}
	return j;
}

static json_t *verified_json(const struct report *r)
{
	json_t *j = json_object();
	set(j, "lost", whole(r->verified.lost));
	set(j, "doubled", whole(r->verified.doubled));
	set(j, "out_of_order", whole(r->verified.disorder));
	set(j, "foreign", whole(r->verified.foreign));
	return j;
}

static json_t *settings_json(const struct options *o)
{
	json_t *j = json_object();
	set(j, "producers", whole(o->producers));
	set(j, "consumers", whole(o->consumers));
	set(j, "size", json_real(o->size.steps[0].value));
	set(j, "rate", o->rate.len > 0 ? json_real(o->rate.steps[0].value) : json_null());
	set(j, "confirm_window", whole(o->confirm_window));
	set(j, "prefetch", whole(o->prefetch));
	set(j, "autoack", json_boolean(o->is_auto_ack));
	set(j, "multi_ack_every", whole(o->multi_ack));
	set(j, "persistent", json_boolean(o->is_persistent));
	set(j, "queues", whole(options_queues(o)));
	set(j, "exchange_type",
	    o->exchange[0] == '\0' ? json_string("default") : json_string(o->exchange_type));
	set(j, "bindings", whole(o->bindings));
	set(j, "idempotency_keys", json_boolean(o->has_idempotency_keys));
	return j;
}

char *report_to_json(const struct report *r)
{
	json_t *page = json_object(), *runs = json_array(), *run = json_object();
	json_t *phases = json_array(), *samples = json_array();
	set(run, "id", json_string(r->options->id));
	set(run, "broker",
	    json_pack("{s:s, s:s}", "product", r->broker.product, "version", r->broker.version));
	set(run, "loop",
	    json_string(options_is_closed_loop(r->options) ? "closed: throughput only" : "open"));
	set(run, "settings", settings_json(r->options));
	for (unsigned i = 0; i < r->phases_len; i++)
		json_array_append_new(phases, phase_json(r, r->phases[i]));
	for (size_t i = 0; i < r->samples_len; i++)
		json_array_append_new(samples, sample_json(r, &r->samples[i]));
	set(run, "phases", phases);
	set(run, "samples", samples);
	set(run, "left_ready", whole(r->left_ready));
	if (r->options->is_verifying)
		set(run, "verified", verified_json(r));
	if (r->options->pid != 0)
		set(run, "broker_memory_before", memory_json(&r->memory_before));
	json_array_append_new(runs, run);
	set(page, "title", json_string(r->options->id));
	set(page, "runs", runs);
	char *text = json_dumps(page, JSON_INDENT(1) | JSON_ESCAPE_SLASH | JSON_REAL_PRECISION(10));
	json_decref(page);
	return text;
}
