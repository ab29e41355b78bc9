#include "publisher.h"

#include "base/alloc.h"
#include "fail.h"
#include "now.h"
#include "table.h"
#include "template.h"
#include "topology.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	BURST_BYTES = 64 * 1024, /* Written at once. */
	ANSWERED = 0,            /* In place of a time: this tag has been answered. */
};

/* A producing channel. */
struct stream {
	uint16_t channel;
	uint32_t id;
	struct template template;
	uint32_t sequence; /* Of the next message. */
	uint64_t tag;      /* Of the last publish. */
	uint64_t *times;   /* Ring, by tag: when those that are not confirmed were to be sent. */
	uint64_t times_cap;
	uint64_t oldest; /* Tag of the oldest unanswered one. */
	uint64_t unanswered;
	uint64_t confirmed;
	uint64_t repeats; /* Confirms that are of no message of its own. */
};

struct publisher {
	struct link link;
	const struct options *options;
	uint32_t index;
	struct stream *streams;
	uint32_t next_stream;
	uint64_t sent;     /* Without repeats. */
	uint64_t most;     /* To send; UINT64_MAX: no limit. */
	uint64_t phase_ns; /* Producers do not all send at the same moment. */
	uint64_t random;
	size_t size;
	bool is_done;
};

static struct stats *stats_of(const struct publisher *p)
{
	return worker_stats(p->link.worker);
}

/* --- confirms --- */

static uint64_t *time_at(struct stream *s, uint64_t tag)
{
	return &s->times[tag & (s->times_cap - 1)];
}

static void answer(struct publisher *p, struct stream *s, uint64_t tag, uint64_t now)
{
	uint64_t *time = time_at(s, tag);
	if (*time == ANSWERED)
		return;
	histogram_add(&stats_of(p)->confirm, now - *time, 1);
	*time = ANSWERED;
	s->unanswered--;
}

static void on_answer(struct publisher *p, struct stream *s, uint64_t tag, bool is_multiple,
		      bool is_nack, uint64_t now)
{
	uint64_t before = s->unanswered;
	if (tag > s->tag)
		fail(EXIT_BROKER, "the broker confirmed what was not published");
	if (tag < s->oldest)
		return;
	for (uint64_t t = is_multiple ? s->oldest : tag; t <= tag; t++)
		answer(p, s, t, now);
	while (s->oldest <= s->tag && *time_at(s, s->oldest) == ANSWERED)
		s->oldest++;
	uint64_t n = before - s->unanswered;
	stats_count(stats_of(p), is_nack ? COUNT_NACKED : COUNT_CONFIRMED, n);
	if (!is_nack)
		s->confirmed += n;
}

static void tell(const struct publisher *p)
{
	uint64_t confirmed = 0;
	for (uint32_t i = 0; i < p->options->producer_channels; i++)
		confirmed += p->streams[i].confirmed;
	printf("confirmed %llu\n", (unsigned long long)confirmed);
	fflush(stdout);
}

static void on_frame(struct link *l, const struct frame *f, uint64_t now)
{
	struct publisher *p = (struct publisher *)l;
	struct method m;
	if (f->type != FRAME_METHOD || method_decode(&m, f->payload) != METHOD_OK)
		return;
	peer_check(&l->peer, &m);
	if (f->channel == 0 || f->channel > p->options->producer_channels)
		return;
	struct stream *s = &p->streams[f->channel - 1];
	if (m.id == METHOD_basic_ack)
		on_answer(p, s, m.basic_ack.delivery_tag, m.basic_ack.multiple, false, now);
	else if (m.id == METHOD_basic_nack)
		on_answer(p, s, m.basic_nack.delivery_tag, m.basic_nack.multiple, true, now);
	else if (m.id == METHOD_basic_return)
		stats_count(stats_of(p), COUNT_RETURNED, 1);
	if (p->options->is_telling && m.id == METHOD_basic_ack)
		tell(p);
}

/* --- sending --- */

static void make_template(struct publisher *p, struct stream *s)
{
	const struct options *o = p->options;
	char queue[NAME_MAX_BYTES], idempotency[64];
	uint8_t headers[128];
	struct writer w = writer_of(headers, sizeof headers);
	options_queue_name(o, publisher_queue(o, s->id), queue);
	snprintf(idempotency, sizeof idempotency, "bench-%d-%u-", (int)getpid(), s->id);
	topology_write_headers(o, &w);
	bool is_by_queue = options_routes_by_queue(o) && !o->has_routing_key;
	struct template_of of = {
		.channel = s->channel,
		.frame_max = p->link.peer.frame_max,
		.exchange = bytes_str(o->exchange),
		.routing_key = bytes_str(is_by_queue ? queue : o->routing_key),
		.has_key_digits = o->keys > 0,
		.is_persistent = o->is_persistent,
		.is_mandatory = o->is_mandatory,
		.headers = bytes_of(headers, (size_t)(w.at - headers)),
		.idempotency_key = o->has_idempotency_keys ? idempotency : NULL,
		.size = p->size,
	};
	template_fini(&s->template);
	template_init(&s->template, &of);
}

/* With --vs, bodies of another size from now on. */
static void follow_size(struct publisher *p, uint64_t now)
{
	if (p->options->size.len < 2)
		return;
	uint64_t start = worker_control(p->link.worker)->start_ns;
	size_t size = (size_t)schedule_value(&p->options->size, now > start ? now - start : 0);
	if (size == p->size)
		return;
	p->size = size;
	for (uint32_t i = 0; i < p->options->producer_channels; i++)
		make_template(p, &p->streams[i]);
}

/* When message number n of this producer is to be sent. */
static uint64_t due_of(const struct publisher *p, uint64_t n)
{
	uint64_t ns = schedule_due_ns(&p->options->rate, n);
	return ns == UINT64_MAX ? ns : worker_control(p->link.worker)->start_ns + p->phase_ns + ns;
}

static void push_time(struct stream *s, uint64_t time)
{
	if (s->unanswered == 0)
		s->oldest = s->tag + 1;
	if (s->tag + 1 - s->oldest >= s->times_cap) {
		uint64_t cap = s->times_cap == 0 ? 1024 : s->times_cap * 2;
		uint64_t *times = alloc_zeroed(cap * sizeof *times);
		for (uint64_t t = s->oldest; t <= s->tag; t++)
			times[t & (cap - 1)] = *time_at(s, t);
		free(s->times);
		s->times = times;
		s->times_cap = cap;
	}
	*time_at(s, ++s->tag) = time;
	s->unanswered++;
}

/* xorshift64: which messages are repeated need not be unpredictable. */
static bool is_repeated(struct publisher *p)
{
	if (p->options->repeat_percent == 0)
		return false;
	p->random ^= p->random << 13;
	p->random ^= p->random >> 7;
	p->random ^= p->random << 17;
	return (double)(p->random >> 11) * 0x1p-53 * 100 < p->options->repeat_percent;
}

static void put_message(struct publisher *p, struct stream *s, uint64_t due)
{
	uint32_t key = p->options->keys == 0 ? 0 : (uint32_t)(p->sent % p->options->keys);
	struct stamp stamp = { due, s->id, s->sequence++ };
	unsigned copies = is_repeated(p) ? 2 : 1;
	for (unsigned i = 0; i < copies; i++) {
		template_put(&s->template, link_room(&p->link, s->template.len), &stamp, key,
			     stamp.sequence);
		link_commit(&p->link, s->template.len);
		if (p->options->confirm_window > 0)
			push_time(s, due);
	}
	s->repeats += copies - 1;
	p->sent++;
	stats_count(stats_of(p), COUNT_SENT, copies);
	stats_count(stats_of(p), COUNT_REPEATED, copies - 1);
}

/* Messages of one channel that may go now, up to a write's worth. False: there is none. */
static bool put_burst(struct publisher *p, struct stream *s, uint64_t now)
{
	const struct options *o = p->options;
	uint64_t due = now;
	unsigned n = 0;
	for (;; n++) {
		if (p->sent == p->most || p->link.out_len >= BURST_BYTES)
			break;
		if (o->confirm_window > 0 && s->unanswered >= o->confirm_window)
			break;
		if (!options_is_closed_loop(o) && (due = due_of(p, p->sent)) > now)
			break;
		put_message(p, s, due);
	}
	return n > 0;
}

/* What comes next: nothing, an answer, or the time of the next message. */
static void wait_for_next(struct publisher *p)
{
	if (!options_is_closed_loop(p->options) && p->sent < p->most)
		link_set_due(&p->link, due_of(p, p->sent));
}

static bool is_answered(const struct publisher *p)
{
	for (uint32_t i = 0; i < p->options->producer_channels; i++)
		if (p->streams[i].unanswered > 0)
			return false;
	return true;
}

static void check_done(struct publisher *p)
{
	const struct control *c = worker_control(p->link.worker);
	bool is_over =
		p->sent == p->most || !atomic_load_explicit(&c->is_producing, memory_order_relaxed);
	if (p->is_done || !is_over || p->link.out_len > 0 || !is_answered(p))
		return;
	p->is_done = true;
	atomic_fetch_sub(&worker_control(p->link.worker)->producers_left, 1);
}

static bool send_some(struct publisher *p, uint64_t now)
{
	const struct control *c = worker_control(p->link.worker);
	if (!link_flush(&p->link) || !atomic_load_explicit(&c->is_producing, memory_order_relaxed))
		return false;
	if (now < c->start_ns) {
		link_set_due(&p->link, c->start_ns);
		return false;
	}
	follow_size(p, now);
	uint32_t channels = p->options->producer_channels, idle = 0;
	while (idle < channels && p->link.out_len < BURST_BYTES) {
		idle = put_burst(p, &p->streams[p->next_stream], now) ? 0 : idle + 1;
		p->next_stream = (p->next_stream + 1) % channels;
	}
	bool has_sent = p->link.out_len > 0, is_all_out = link_flush(&p->link);
	if (is_all_out && !has_sent)
		wait_for_next(p);
	return is_all_out && has_sent;
}

static bool publisher_run(struct link *l, uint64_t now)
{
	struct publisher *p = (struct publisher *)l;
	bool is_more = link_read(l);
	is_more |= send_some(p, now);
	check_done(p);
	return is_more;
}

/* --- life --- */

uint32_t publisher_queue(const struct options *o, uint32_t stream)
{
	return stream % options_queues(o);
}

struct publisher *publisher_create(const struct options *o, uint32_t index)
{
	struct publisher *p = alloc_zeroed(sizeof *p);
	p->options = o;
	p->index = index;
	p->most = o->producer_messages > 0 ? o->producer_messages : UINT64_MAX;
	p->random = 0x9e3779b97f4a7c15u * (index + 1);
	p->size = (size_t)o->size.steps[0].value;
	if (!options_is_closed_loop(o) && o->rate.steps[0].value > 0)
		p->phase_ns =
			(uint64_t)((double)index / o->producers / o->rate.steps[0].value * 1e9);
	p->link.run = publisher_run;
	p->link.on_frame = on_frame;
	p->streams = alloc_zeroed(o->producer_channels * sizeof *p->streams);
	peer_open(&p->link.peer, &o->target, o->frame_max, NULL);
	for (uint32_t i = 0; i < o->producer_channels; i++) {
		struct stream *s = &p->streams[i];
		s->channel = (uint16_t)(i + 1);
		s->id = index * o->producer_channels + i;
		s->oldest = 1;
		peer_open_channel(&p->link.peer, s->channel);
		if (o->confirm_window > 0)
			peer_call(&p->link.peer, s->channel,
				  &(struct method){ .id = METHOD_confirm_select },
				  METHOD_confirm_select_ok, NULL);
		make_template(p, s);
	}
	peer_set_nonblocking(&p->link.peer);
	return p;
}

void publisher_destroy(struct publisher *p)
{
	for (uint32_t i = 0; i < p->options->producer_channels; i++) {
		template_fini(&p->streams[i].template);
		free(p->streams[i].times);
	}
	free(p->streams);
	free(p);
}

struct link *publisher_link(struct publisher *p)
{
	return &p->link;
}

uint64_t publisher_owed(const struct publisher *p, uint32_t channel)
{
	const struct stream *s = &p->streams[channel];
	return p->options->confirm_window > 0 && s->confirmed < s->sequence + s->repeats
		       ? s->confirmed
		       : s->sequence;
}
