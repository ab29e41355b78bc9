#include "run.h"

#include "base/alloc.h"
#include "churn.h"
#include "consumer.h"
#include "fail.h"
#include "now.h"
#include "publisher.h"
#include "rpc.h"
#include "topology.h"
#include "worker.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
	POLL_US = 2000,
	START_DELAY_MS = 20, /* So that all producers begin together. */
};

/* Everything that is at work. */
struct run {
	const struct options *options;
	struct report *report;
	struct control control;
	struct peer admin; /* Declares, and deletes. */
	struct verify *verify;
	struct worker **workers;
	unsigned workers_len;
	unsigned workers_started;
	struct stats **stats; /* Of workers and churners. */
	unsigned stats_len;
	struct publisher **publishers;
	struct consumer **consumers;
	struct caller **callers;
	struct responder **responders;
	struct churner **churners;
	struct stats_view *last; /* At the end of the last interval, */
	struct stats_view *now;  /* and at this one's. */
	uint64_t next_sample_ns;
	uint64_t progress_ns; /* When something was received, or confirmed, last. */
	uint64_t progress;
};

/* What a phase began with. */
struct beginning {
	struct stats_view *stats;
	struct process_use use;
	bool is_taken;
};

static volatile sig_atomic_t is_interrupted;

static void on_interrupt(int number)
{
	(void)number;
	is_interrupted = 1;
}

/* --- looking --- */

static uint64_t count_of(const struct run *r, enum counter c)
{
	uint64_t sum = 0;
	for (unsigned i = 0; i < r->stats_len; i++)
		sum += atomic_load_explicit(&r->stats[i]->counters[c], memory_order_relaxed);
	return sum;
}

static void take_sample(struct run *r, uint64_t now)
{
	static struct stats_view difference;
	struct report *report = r->report;
	stats_look(r->stats, r->stats_len, now, r->now);
	stats_since(r->now, r->last, &difference);
	report->samples = alloc_grow(report->samples, &report->samples_cap, report->samples_len + 1,
				     sizeof *report->samples);
	struct sample *s = &report->samples[report->samples_len++];
	s->at_s = (double)(now - r->control.start_ns) * 1e-9;
	s->length_s = (double)difference.at_ns * 1e-9;
	memcpy(s->counts, difference.counters, sizeof s->counts);
	latencies_of(&difference.consumer, &s->consumer);
	latencies_of(&difference.confirm, &s->confirm);
	struct stats_view *swap = r->last;
	r->last = r->now;
	r->now = swap;
	if (!r->options->is_quiet)
		report_progress(report, s);
}

static void watch(struct run *r)
{
	usleep(POLL_US);
	uint64_t now = now_ns(), progress = count_of(r, COUNT_RECEIVED) +
					    count_of(r, COUNT_CONFIRMED) + count_of(r, COUNT_SENT);
	if (progress != r->progress || now < r->control.start_ns) {
		r->progress = progress;
		r->progress_ns = now;
	}
	if (now < r->next_sample_ns)
		return;
	take_sample(r, now);
	r->next_sample_ns += (uint64_t)(r->options->interval_seconds * 1e9);
}

static void phase_begin(struct run *r, struct beginning *b, uint64_t now)
{
	if (b->is_taken)
		return;
	b->is_taken = true;
	if (b->stats == NULL)
		b->stats = alloc_zeroed(sizeof *b->stats);
	stats_look(r->stats, r->stats_len, now, b->stats);
	if (r->options->pid != 0)
		process_use(r->options->pid, &b->use);
}

/* ended_ns: when the last thing happened that counts. */
static void phase_end(struct run *r, struct beginning *b, const char *name, uint64_t ended_ns)
{
	struct phase *p = alloc_zeroed(sizeof *p);
	struct process_use use;
	p->name = name;
	if (r->options->pid != 0) {
		process_use(r->options->pid, &use);
		process_since(&b->use, &use, &p->use);
		process_memory(r->options->pid, &p->memory);
	}
	stats_look(r->stats, r->stats_len, ended_ns, r->now);
	stats_since(r->now, b->stats, &p->stats);
	p->seconds = (double)(ended_ns - b->stats->at_ns) * 1e-9;
	free(b->stats);
	b->stats = NULL;
	r->report->phases[r->report->phases_len++] = p;
}

/* --- setting up --- */

static struct worker *add_worker(struct run *r)
{
	struct worker *w = worker_create(&r->control);
	r->workers = alloc_resize(r->workers, (r->workers_len + 1) * sizeof(struct worker *));
	r->stats = alloc_resize(r->stats, (r->stats_len + 1) * sizeof(struct stats *));
	r->workers[r->workers_len++] = w;
	r->stats[r->stats_len++] = worker_stats(w);
	return w;
}

static void add_churner(struct run *r, uint32_t index)
{
	r->churners[index] = churner_create(&r->control, index);
	r->stats = alloc_resize(r->stats, (r->stats_len + 1) * sizeof(struct stats *));
	r->stats[r->stats_len++] = churner_stats(r->churners[index]);
}

/* The share of threads that producers or consumers get; at least one, which they share if there is
 * only one. */
struct crew {
	unsigned first;
	unsigned len;
};

static struct crew add_crew(struct run *r, bool is_second)
{
	unsigned threads = r->options->threads, half = threads / 2;
	if (is_second && threads == 1)
		return (struct crew){ 0, 1 };
	struct crew crew = { r->workers_len, is_second || threads == 1 ? threads - half : half };
	for (unsigned i = 0; i < crew.len; i++)
		add_worker(r);
	return crew;
}

static struct worker *member(const struct run *r, struct crew crew, uint32_t index)
{
	return r->workers[crew.first + index % crew.len];
}

static void start_workers(struct run *r)
{
	for (uint32_t i = 0; r->churners != NULL && i < r->options->producers; i++)
		churner_start(r->churners[i]);
	for (; r->workers_started < r->workers_len; r->workers_started++)
		worker_start(r->workers[r->workers_started]);
}

static void add_publishers(struct run *r, struct crew crew)
{
	r->publishers = alloc_zeroed((r->options->producers + 1) * sizeof(struct publisher *));
	for (uint32_t i = 0; i < r->options->producers; i++) {
		r->publishers[i] = publisher_create(r->options, i);
		worker_add(member(r, crew, i), publisher_link(r->publishers[i]));
	}
}

static void add_consumers(struct run *r, struct crew crew)
{
	r->consumers = alloc_zeroed((r->options->consumers + 1) * sizeof(struct consumer *));
	for (uint32_t i = 0; i < r->options->consumers; i++) {
		r->consumers[i] = consumer_create(r->options, i, r->verify);
		worker_add(member(r, crew, i), consumer_link(r->consumers[i]));
	}
}

static void set_start(struct run *r)
{
	r->control.start_ns =
		now_ns() + (r->options->producers > 0 ? (uint64_t)START_DELAY_MS * NS_PER_MS : 0);
	r->next_sample_ns = r->control.start_ns + (uint64_t)(r->options->interval_seconds * 1e9);
	r->progress_ns = r->last->at_ns = r->control.start_ns;
}

static void raise_descriptors(void)
{
	struct rlimit limit;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static void init(struct run *r, const struct options *o, struct report *report)
{
	*r = (struct run){ .options = o, .report = report };
	*report = (struct report){ .options = o };
	r->control.options = o;
	r->control.is_producing = true;
	r->control.producers_left = o->producers;
	r->control.consumers_left = o->consumers;
	r->last = alloc_zeroed(sizeof *r->last);
	r->now = alloc_zeroed(sizeof *r->now);
	raise_descriptors();
	signal(SIGINT, on_interrupt);
	signal(SIGTERM, on_interrupt);
	signal(SIGPIPE, SIG_IGN);
	peer_open(&r->admin, &o->target, o->frame_max, &report->broker);
	peer_open_channel(&r->admin, 1);
	if (o->is_verifying)
		r->verify = verify_create(options_queues(o), o->producers * o->producer_channels);
	if (o->pid != 0)
		process_memory(o->pid, &report->memory_before);
}

/* --- ends --- */

/* Deliveries that what has been sent must lead to. */
static uint64_t deliveries_expected(const struct run *r)
{
	uint64_t unique = count_of(r, COUNT_SENT) - count_of(r, COUNT_REPEATED);
	return options_routes_by_queue(r->options) ? unique : unique * options_queues(r->options);
}

static bool is_delivered(const struct run *r)
{
	return r->options->consumers == 0 || count_of(r, COUNT_RECEIVED) >= deliveries_expected(r);
}

/* Nothing has come for so long that nothing will. */
static bool is_stuck(const struct run *r)
{
	return now_ns() > r->progress_ns + (uint64_t)(r->options->drain_seconds * 1e9);
}

static bool is_time_up(const struct run *r, uint64_t since_ns)
{
	return is_interrupted || (r->options->seconds > 0 &&
				  now_ns() >= since_ns + (uint64_t)(r->options->seconds * 1e9));
}

static void wait_for_delivery(struct run *r)
{
	while (!is_interrupted &&
	       !(atomic_load(&r->control.producers_left) == 0 && is_delivered(r)) && !is_stuck(r))
		watch(r);
}

static void judge(struct run *r)
{
	const struct options *o = r->options;
	if (r->verify == NULL)
		return;
	verify_noticed(r->verify, &r->report->verified);
	for (uint32_t i = 0; i < o->producers * o->producer_channels; i++) {
		uint64_t owed = publisher_owed(r->publishers[i / o->producer_channels],
					       i % o->producer_channels);
		for (uint32_t q = 0; q < options_queues(o); q++)
			if (!options_routes_by_queue(o) || publisher_queue(o, i) == q)
				verify_expect(r->verify, q, i, owed, &r->report->verified);
	}
}

static void fini(struct run *r)
{
	const struct options *o = r->options;
	for (unsigned i = 0; i < r->workers_len; i++)
		worker_destroy(r->workers[i]);
	for (uint32_t i = 0; i < o->producers; i++) {
		if (r->publishers != NULL)
			publisher_destroy(r->publishers[i]);
		if (r->callers != NULL)
			caller_destroy(r->callers[i]);
		if (r->churners != NULL)
			churner_destroy(r->churners[i]);
	}
	for (uint32_t i = 0; i < o->consumers; i++) {
		if (r->consumers != NULL)
			consumer_destroy(r->consumers[i]);
		if (r->responders != NULL)
			responder_destroy(r->responders[i]);
	}
	verify_destroy(r->verify);
	peer_close(&r->admin);
	free(r->workers);
	free(r->stats);
	free(r->publishers);
	free(r->consumers);
	free(r->callers);
	free(r->responders);
	free(r->churners);
	free(r->last);
	free(r->now);
}

static void end(struct run *r)
{
	atomic_store(&r->control.is_producing, false);
	atomic_store(&r->control.is_over, true);
	for (unsigned i = 0; i < r->workers_started; i++)
		worker_join(r->workers[i]);
	judge(r);
}

/* --- scenarios --- */

static bool is_flow_over(const struct run *r, uint64_t since_ns)
{
	if (is_time_up(r, since_ns))
		return true;
	if (r->options->consumer_messages > 0 && atomic_load(&r->control.consumers_left) == 0)
		return true;
	bool is_waiting_for_consumers =
		(r->options->consumer_messages > 0 || r->options->producers == 0) && !is_stuck(r);
	return atomic_load(&r->control.producers_left) == 0 && !is_waiting_for_consumers &&
	       (is_delivered(r) || is_stuck(r));
}

/* From the start, or the end of the warm-up, until time or messages are used up. */
static void measure(struct run *r, const char *name)
{
	struct beginning b = { 0 };
	uint64_t warm_ns = r->control.start_ns + (uint64_t)(r->options->warmup_seconds * 1e9);
	if (r->options->warmup_seconds == 0) /* Nothing has been sent yet: all of it counts. */
		phase_begin(r, &b, r->control.start_ns);
	start_workers(r);
	while (!is_flow_over(r, r->control.start_ns)) {
		if (now_ns() >= warm_ns)
			phase_begin(r, &b, now_ns());
		watch(r);
	}
	uint64_t now = now_ns();
	phase_begin(r, &b, now);
	phase_end(r, &b, name, is_stuck(r) ? r->progress_ns : now);
}

static void run_flow(struct run *r)
{
	topology_declare(&r->admin, r->options);
	struct crew senders = add_crew(r, false), receivers = add_crew(r, true);
	add_consumers(r, receivers);
	add_publishers(r, senders);
	set_start(r);
	measure(r, "run");
	atomic_store(&r->control.is_producing, false);
	if (r->options->is_verifying || r->options->producer_messages > 0)
		wait_for_delivery(r);
	end(r);
	r->report->left_ready = topology_ready(&r->admin, r->options);
	topology_delete(&r->admin, r->options);
}

/* Filling ends with the last confirm, or without confirms, when the queues hold all that was sent.
 */
static void run_backlog(struct run *r)
{
	const struct options *o = r->options;
	struct beginning b = { 0 };
	topology_declare(&r->admin, o);
	uint64_t before = topology_ready(&r->admin, o);
	struct crew senders = add_crew(r, false);
	add_publishers(r, senders);
	set_start(r);
	phase_begin(r, &b, r->control.start_ns);
	start_workers(r);
	while (!is_interrupted && atomic_load(&r->control.producers_left) > 0)
		watch(r);
	while (!is_interrupted && !is_stuck(r) &&
	       topology_ready(&r->admin, o) - before < deliveries_expected(r))
		watch(r);
	phase_end(r, &b, "fill", now_ns());
	r->report->left_ready = topology_ready(&r->admin, o);
	if (o->consumers > 0) {
		b.is_taken = false;
		struct crew receivers = add_crew(r, true);
		phase_begin(r, &b, now_ns());
		add_consumers(r, receivers);
		start_workers(r);
		r->progress_ns = now_ns();
		wait_for_delivery(r);
		phase_end(r, &b, "drain", r->progress_ns);
	}
	end(r);
	if (o->consumers > 0)
		r->report->left_ready = topology_ready(&r->admin, o);
	topology_delete(&r->admin, o);
}

static void run_rpc(struct run *r)
{
	const struct options *o = r->options;
	topology_declare(&r->admin, o);
	struct crew senders = add_crew(r, false), receivers = add_crew(r, true);
	r->responders = alloc_zeroed((o->consumers + 1) * sizeof(struct responder *));
	r->callers = alloc_zeroed((o->producers + 1) * sizeof(struct caller *));
	for (uint32_t i = 0; i < o->consumers; i++) {
		r->responders[i] = responder_create(o, i);
		worker_add(member(r, receivers, i), responder_link(r->responders[i]));
	}
	for (uint32_t i = 0; i < o->producers; i++) {
		r->callers[i] = caller_create(o, i);
		worker_add(member(r, senders, i), caller_link(r->callers[i]));
	}
	set_start(r);
	measure(r, "calls");
	end(r);
	topology_delete(&r->admin, o);
}

static void run_churn(struct run *r)
{
	r->churners = alloc_zeroed((r->options->producers + 1) * sizeof(struct churner *));
	for (uint32_t i = 0; i < r->options->producers; i++)
		add_churner(r, i);
	set_start(r);
	measure(r, "churn");
	atomic_store(&r->control.is_producing, false);
	for (uint32_t i = 0; i < r->options->producers; i++)
		churner_join(r->churners[i]);
	end(r);
}

static void run_idle(struct run *r)
{
	struct beginning b = { 0 };
	uint32_t len = r->options->idle_connections;
	struct peer *peers = alloc_zeroed(len * sizeof *peers);
	set_start(r);
	for (uint32_t i = 0; i < len && !is_interrupted; i++) {
		peer_open(&peers[i], &r->options->target, r->options->frame_max, NULL);
		peer_open_channel(&peers[i], 1);
		peer_set_nonblocking(&peers[i]);
	}
	phase_begin(r, &b, now_ns());
	while (!is_time_up(r, b.stats->at_ns))
		usleep(POLL_US);
	phase_end(r, &b, "idle", now_ns());
	for (uint32_t i = 0; i < len; i++)
		if (peers[i].target != NULL)
			peer_close(&peers[i]);
	free(peers);
}

void run(const struct options *o, struct report *report)
{
	static void (*const scenarios[])(struct run *) = {
		[SCENARIO_FLOW] = run_flow, [SCENARIO_BACKLOG] = run_backlog,
		[SCENARIO_RPC] = run_rpc,   [SCENARIO_CHURN] = run_churn,
		[SCENARIO_IDLE] = run_idle,
	};
	struct run r;
	init(&r, o, report);
	scenarios[o->scenario](&r);
	fini(&r);
}
