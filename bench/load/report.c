/* What people read: lines of progress and the summary; and what tools read line by line. */
#include "report.h"

#include "fail.h"
#include "now.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void latencies_of(const struct histogram_view *v, struct latencies *l)
{
	*l = (struct latencies){
		.count = v->total,
		.min = histogram_min(v),
		.p50 = histogram_percentile(v, 50),
		.p75 = histogram_percentile(v, 75),
		.p95 = histogram_percentile(v, 95),
		.p99 = histogram_percentile(v, 99),
		.p999 = histogram_percentile(v, 99.9),
		.p9999 = histogram_percentile(v, 99.99),
		.max = histogram_max(v),
		.mean = histogram_mean(v),
	};
}

/* Of a call, a churn or a lone confirm the time is meaningful also in a closed loop. */
bool report_has_latency(const struct options *o)
{
	return !options_is_closed_loop(o) || o->scenario == SCENARIO_RPC ||
	       o->scenario == SCENARIO_CHURN || o->confirm_window == 1;
}

static FILE *open_file(const char *file)
{
	FILE *f = strcmp(file, "-") == 0 ? stdout : fopen(file, "we");
	if (f == NULL)
		fail(EXIT_USAGE, "%s: %s", file, strerror(errno));
	return f;
}

static void close_file(FILE *f, const char *file)
{
	if (ferror(f) || (f == stdout ? fflush(f) : fclose(f)) != 0)
		fail(EXIT_USAGE, "%s: %s", file, strerror(errno));
}

static double rate(const struct sample *s, enum counter c)
{
	return (double)s->counts[c] / s->length_s;
}

static double us(uint64_t ns)
{
	return (double)ns / NS_PER_US;
}

/* --- text --- */

static void print_latencies(const char *what, const struct latencies *l)
{
	if (l->count > 0)
		printf(", %s min/median/75th/95th/99th: %.0f/%.0f/%.0f/%.0f/%.0f us", what,
		       us(l->min), us(l->p50), us(l->p75), us(l->p95), us(l->p99));
}

void report_progress(const struct report *r, const struct sample *s)
{
	const struct options *o = r->options;
	printf("%s: time %.3f s, sent: %.0f/s", o->id, s->at_s, rate(s, COUNT_SENT));
	if (o->confirm_window > 0 && o->scenario != SCENARIO_RPC)
		printf(", confirmed: %.0f/s", rate(s, COUNT_CONFIRMED));
	if (s->counts[COUNT_NACKED] > 0)
		printf(", nacked: %.0f/s", rate(s, COUNT_NACKED));
	if (s->counts[COUNT_RETURNED] > 0)
		printf(", returned: %.0f/s", rate(s, COUNT_RETURNED));
	printf(", received: %.0f/s", rate(s, COUNT_RECEIVED));
	if (report_has_latency(o)) {
		print_latencies("consumer latency", &s->consumer);
		print_latencies("confirm latency", &s->confirm);
	}
	printf("\n");
	fflush(stdout);
}

static const char *loop_of(const struct options *o)
{
	if (o->scenario == SCENARIO_IDLE)
		return "nothing is sent";
	return options_is_closed_loop(o) ? "closed loop: throughput only"
					 : "open loop: times from when a message was to be sent";
}

static void print_summary_latencies(const char *what, const struct histogram_view *view)
{
	struct latencies l;
	latencies_of(view, &l);
	if (l.count > 0)
		printf("  %-16s min %.1f, median %.1f, 75th %.1f, 95th %.1f, 99th %.1f, 99.9th "
		       "%.1f, max %.1f us\n",
		       what, us(l.min), us(l.p50), us(l.p75), us(l.p95), us(l.p99), us(l.p999),
		       us(l.max));
}

/* What the broker's work is counted by: deliveries, or where nothing was delivered, publishes. */
static uint64_t messages_of(const struct phase *p)
{
	return p->stats.counters[COUNT_RECEIVED] > 0 ? p->stats.counters[COUNT_RECEIVED]
						     : p->stats.counters[COUNT_SENT];
}

static void print_process(const struct report *r, const struct phase *p)
{
	uint64_t messages = messages_of(p);
	if (r->options->pid == 0)
		return;
	if (messages > 0)
		printf("  %-16s %.3f us a message\n", "broker CPU",
		       p->use.cpu_s * 1e6 / (double)messages);
	for (unsigned i = 0; i < p->use.threads_len; i++)
		if (messages > 0 && p->use.threads[i].cpu_s > 0.02 * p->use.cpu_s)
			printf("  %-16s %.3f us, %.0f %% of a core\n", p->use.threads[i].name,
			       p->use.threads[i].cpu_s * 1e6 / (double)messages,
			       100 * p->use.threads[i].cpu_s / p->seconds);
	printf("  %-16s %.1f MiB resident, %.1f MiB private (before: %.1f and %.1f)\n",
	       "broker memory", (double)p->memory.resident_bytes / (1 << 20),
	       (double)p->memory.private_bytes / (1 << 20),
	       (double)r->memory_before.resident_bytes / (1 << 20),
	       (double)r->memory_before.private_bytes / (1 << 20));
}

static void print_phase(const struct report *r, const struct phase *p)
{
	static const char *const names[COUNTERS] = { [COUNT_SENT] = "sent",
						     [COUNT_CONFIRMED] = "confirmed",
						     [COUNT_NACKED] = "nacked",
						     [COUNT_RETURNED] = "returned",
						     [COUNT_RECEIVED] = "received",
						     [COUNT_REPEATED] = "of them repeated",
						     [COUNT_REDELIVERED] = "redelivered" };
	printf("%s, %s: %.3f s, %s\n", r->options->id, p->name, p->seconds, loop_of(r->options));
	for (unsigned c = 0; c < COUNTERS; c++)
		if (names[c] != NULL && p->stats.counters[c] > 0)
			printf("  %-16s %llu, %.0f/s\n", names[c],
			       (unsigned long long)p->stats.counters[c],
			       (double)p->stats.counters[c] / p->seconds);
	if (p->stats.counters[COUNT_SENT] == 0 && p->stats.first_ns > 0)
		printf("  %-16s after %.1f ms\n", "first delivery",
		       (double)p->stats.first_ns / NS_PER_MS);
	if (report_has_latency(r->options)) {
		bool is_trip = r->options->scenario == SCENARIO_RPC ||
			       r->options->scenario == SCENARIO_CHURN;
		print_summary_latencies(is_trip ? "round trip" : "consumer latency",
					&p->stats.consumer);
		print_summary_latencies("confirm latency", &p->stats.confirm);
	}
	print_process(r, p);
}

bool report_is_verified(const struct report *r)
{
	const struct verify_result *v = &r->verified;
	return v->lost == 0 && v->doubled == 0 && v->disorder == 0 && v->foreign == 0;
}

void report_text(const struct report *r)
{
	printf("broker: %s %s\n", r->broker.product, r->broker.version);
	for (unsigned i = 0; i < r->phases_len; i++)
		print_phase(r, r->phases[i]);
	if (r->left_ready > 0)
		printf("  %-16s %llu ready\n", "left in queues", (unsigned long long)r->left_ready);
	if (r->options->is_verifying)
		printf("  %-16s %llu lost, %llu doubled, %llu out of order, %llu not of this run\n",
		       report_is_verified(r) ? "verified" : "NOT AS SENT",
		       (unsigned long long)r->verified.lost,
		       (unsigned long long)r->verified.doubled,
		       (unsigned long long)r->verified.disorder,
		       (unsigned long long)r->verified.foreign);
	fflush(stdout);
}

/* --- csv: PerfTest's header --- */

static void write_csv_latencies(FILE *f, const struct latencies *l, bool is_meant)
{
	if (l->count == 0 || !is_meant)
		fprintf(f, ",,,,,");
	else
		fprintf(f, ",%.0f,%.0f,%.0f,%.0f,%.0f", us(l->min), us(l->p50), us(l->p75),
			us(l->p95), us(l->p99));
}

void report_csv(const struct report *r, const char *file)
{
	FILE *f = open_file(file);
	fprintf(f, "id,time (s),published (msg/s),returned (msg/s),confirmed (msg/s),nacked "
		   "(msg/s),received (msg/s)");
	static const char *const kinds[] = { "consumer", "confirm" };
	for (unsigned i = 0; i < 2; i++)
		fprintf(f,
			",min %s latency (µs),median %s latency (µs),75th p. %s latency (µs),95th "
			"p. %s latency (µs),"
			"99th p. %s latency (µs)",
			kinds[i], kinds[i], kinds[i], kinds[i], kinds[i]);
	fprintf(f, "\n");
	for (size_t i = 0; i < r->samples_len; i++) {
		const struct sample *s = &r->samples[i];
		fprintf(f, "%s,%.3f,%.0f,%.0f,%.0f,%.0f,%.0f", r->options->id, s->at_s,
			rate(s, COUNT_SENT), rate(s, COUNT_RETURNED), rate(s, COUNT_CONFIRMED),
			rate(s, COUNT_NACKED), rate(s, COUNT_RECEIVED));
		write_csv_latencies(f, &s->consumer, report_has_latency(r->options));
		write_csv_latencies(f, &s->confirm, report_has_latency(r->options));
		fprintf(f, "\n");
	}
	close_file(f, file);
}

/* --- other files --- */

static void write_hgrm(const struct histogram_view *view, const char *prefix, const char *what)
{
	char file[512];
	if (view->total == 0)
		return;
	snprintf(file, sizeof file, "%s-%s.hgrm", prefix, what);
	FILE *f = open_file(file);
	histogram_write_hgrm(view, NS_PER_US, f);
	close_file(f, file);
}

void report_hgrm(const struct report *r, const char *prefix)
{
	if (!report_has_latency(r->options))
		fail(EXIT_USAGE,
		     "--hgrm: a closed loop measures throughput only; give a rate (--rate)");
	write_hgrm(&r->phases[0]->stats.consumer, prefix, "consumer");
	write_hgrm(&r->phases[0]->stats.confirm, prefix, "confirm");
}

void report_json(const struct report *r, const char *file)
{
	FILE *f = open_file(file);
	char *text = report_to_json(r);
	fprintf(f, "%s\n", text);
	free(text);
	close_file(f, file);
}

/* The page with its marks replaced: by the library that draws, and by the data. */
extern const char page_html[], page_script[], page_style[];

void report_html(const struct report *r, const char *file)
{
	FILE *f = open_file(file);
	char *json = report_to_json(r);
	const struct {
		const char *mark;
		const char *text;
	} marks[] = { { "/*STYLE*/", page_style },
		      { "/*SCRIPT*/", page_script },
		      { "/*DATA*/", json } };
	const char *at = page_html;
	for (unsigned i = 0; i < sizeof marks / sizeof *marks; i++) {
		const char *mark = strstr(at, marks[i].mark);
		fwrite(at, 1, (size_t)(mark - at), f);
		fputs(marks[i].text, f);
		at = mark + strlen(marks[i].mark);
	}
	fputs(at, f);
	free(json);
	close_file(f, file);
}

void report_fini(struct report *r)
{
	free(r->samples);
	for (unsigned i = 0; i < r->phases_len; i++)
		free(r->phases[i]);
	*r = (struct report){ 0 };
}
