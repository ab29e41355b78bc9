#include "consumer.h"

#include "base/alloc.h"
#include "now.h"
#include "stamp.h"

#include <stdlib.h>

enum {
	ACK_BYTES = FRAME_OVERHEAD + 13,
	OUT_HIGH_BYTES = 1 << 20, /* With so many acks unsent, nothing more is taken. */
};

struct lane { /* A consuming channel. */
	uint16_t channel;
	uint32_t queue;
	uint64_t tag; /* Of the delivery whose content is coming. */
	bool is_redelivered;
	uint64_t body_left;
	uint64_t body_bytes;
	struct stamp stamp;
	uint64_t unacked; /* Received and not acknowledged yet. */
	struct verify_order order;
};

struct consumer {
	struct link link;
	const struct options *options;
	struct verify *verify;
	struct lane *lanes;
	uint64_t received;
	uint64_t service_ns; /* That a message takes. */
	uint64_t free_ns;    /* When the next one may be taken. */
	bool is_done;
};

static struct stats *stats_of(const struct consumer *c)
{
	return worker_stats(c->link.worker);
}

/* --- acks --- */

static void put_ack(struct consumer *c, struct lane *lane, bool is_multiple)
{
	uint8_t *at = link_room(&c->link, ACK_BYTES);
	frame_head(at, FRAME_METHOD, lane->channel, ACK_BYTES - FRAME_OVERHEAD);
	store_u32(at + FRAME_HEAD_BYTES, METHOD_basic_ack);
	store_u64(at + FRAME_HEAD_BYTES + 4, lane->tag);
	at[FRAME_HEAD_BYTES + 12] = is_multiple;
	at[ACK_BYTES - 1] = FRAME_END;
	link_commit(&c->link, ACK_BYTES);
	stats_count(stats_of(c), COUNT_ACKED, lane->unacked);
	lane->unacked = 0;
}

/* Whatever has been received is acknowledged at the end. */
static void ack_rest(struct consumer *c)
{
	for (uint32_t i = 0; i < c->options->consumer_channels; i++)
		if (c->lanes[i].unacked > 0 && c->lanes[i].body_left == 0)
			put_ack(c, &c->lanes[i], true);
}

/* --- deliveries --- */

static void stop(struct consumer *c)
{
	c->is_done = c->link.is_paused = true;
	ack_rest(c);
	atomic_fetch_sub(&worker_control(c->link.worker)->consumers_left, 1);
}

static void on_message(struct consumer *c, struct lane *lane, uint64_t now)
{
	const struct options *o = c->options;
	struct stats *stats = stats_of(c);
	bool is_stamped = lane->body_bytes >= STAMP_BYTES;
	if (c->received == 0 && atomic_load_explicit(&stats->first_ns, memory_order_relaxed) == 0)
		atomic_store_explicit(&stats->first_ns, now, memory_order_relaxed);
	stats_count(stats, COUNT_RECEIVED, 1);
	stats_count(stats, COUNT_BYTES_RECEIVED, lane->body_bytes);
	if (lane->is_redelivered)
		stats_count(stats, COUNT_REDELIVERED, 1);
	if (is_stamped && !options_is_closed_loop(o) && now > lane->stamp.due_ns)
		histogram_add(&stats->consumer, now - lane->stamp.due_ns, 1);
	if (c->verify != NULL && is_stamped)
		verify_received(c->verify, &lane->order, lane->queue, lane->stamp.stream,
				lane->stamp.sequence, lane->is_redelivered);
	if (!o->is_auto_ack && ++lane->unacked == o->multi_ack)
		put_ack(c, lane, o->multi_ack > 1);
	if (++c->received == o->consumer_messages)
		stop(c);
	if (c->service_ns == 0)
		return;
	c->free_ns = (c->free_ns > now ? c->free_ns : now) + c->service_ns;
	c->link.is_paused |= c->free_ns > now;
}

static void on_method(struct consumer *c, struct lane *lane, struct bytes payload)
{
	struct method m;
	if (load_u32(payload.data) == METHOD_basic_deliver) {
		const uint8_t *tag = payload.data + 5 + payload.data[4];
		lane->tag = load_u64(tag);
		lane->is_redelivered = tag[8];
	} else if (method_decode(&m, payload) == METHOD_OK) {
		peer_check(&c->link.peer, &m);
	}
}

static void on_body(struct consumer *c, struct lane *lane, struct bytes payload, uint64_t now)
{
	if (lane->body_left == lane->body_bytes && payload.len >= STAMP_BYTES)
		memcpy(&lane->stamp, payload.data, STAMP_BYTES);
	lane->body_left -= payload.len;
	if (lane->body_left == 0)
		on_message(c, lane, now);
}

static void on_frame(struct link *l, const struct frame *f, uint64_t now)
{
	struct consumer *c = (struct consumer *)l;
	bool is_lane = f->channel > 0 && f->channel <= c->options->consumer_channels;
	struct lane *lane = &c->lanes[is_lane ? f->channel - 1 : 0];
	if (f->type == FRAME_METHOD && f->payload.len >= 5) {
		on_method(c, lane, f->payload);
	} else if (f->type == FRAME_HEADER && f->payload.len >= 12) {
		lane->body_left = lane->body_bytes = load_u64(f->payload.data + 4);
		if (lane->body_left == 0)
			on_message(c, lane, now);
	} else if (f->type == FRAME_BODY) {
		on_body(c, lane, f->payload, now);
	}
}

/* --- running --- */

static bool consumer_run(struct link *l, uint64_t now)
{
	struct consumer *c = (struct consumer *)l;
	bool is_more = false;
	if (atomic_load_explicit(&worker_control(l->worker)->is_over, memory_order_relaxed))
		ack_rest(c);
	if (!link_flush(l) && l->out_len > OUT_HIGH_BYTES)
		return false;
	if (c->free_ns > now)
		link_set_due(l, c->free_ns);
	else
		l->is_paused = c->is_done;
	if (!l->is_paused) {
		is_more = link_read(l);
		if (l->is_paused && !c->is_done)
			link_set_due(l, c->free_ns);
	}
	link_flush(l);
	return is_more;
}

static void consume(struct consumer *c, struct lane *lane)
{
	const struct options *o = c->options;
	struct peer *peer = &c->link.peer;
	char queue[NAME_MAX_BYTES];
	options_queue_name(o, lane->queue, queue);
	peer_open_channel(peer, lane->channel);
	if (o->prefetch > 0) {
		struct method m = { .id = METHOD_basic_qos };
		m.basic_qos.prefetch_count = (uint16_t)o->prefetch;
		peer_call(peer, lane->channel, &m, METHOD_basic_qos_ok, NULL);
	}
	struct method m = { .id = METHOD_basic_consume };
	m.basic_consume.queue = bytes_str(queue);
	m.basic_consume.no_ack = o->is_auto_ack;
	peer_call(peer, lane->channel, &m, METHOD_basic_consume_ok, NULL);
}

struct consumer *consumer_create(const struct options *o, uint32_t index, struct verify *verify)
{
	struct consumer *c = alloc_zeroed(sizeof *c);
	c->options = o;
	c->verify = verify;
	c->service_ns = (uint64_t)o->consumer_latency_us * NS_PER_US;
	if (o->consumer_rate > 0 && 1e9 / o->consumer_rate > (double)c->service_ns)
		c->service_ns = (uint64_t)(1e9 / o->consumer_rate);
	c->link.run = consumer_run;
	c->link.on_frame = on_frame;
	c->lanes = alloc_zeroed(o->consumer_channels * sizeof *c->lanes);
	peer_open(&c->link.peer, &o->target, o->frame_max, NULL);
	for (uint32_t i = 0; i < o->consumer_channels; i++) {
		struct lane *lane = &c->lanes[i];
		lane->channel = (uint16_t)(i + 1);
		lane->queue = (index * o->consumer_channels + i) % options_queues(o);
		verify_order_init(&lane->order, verify);
		consume(c, lane);
	}
	peer_set_nonblocking(&c->link.peer);
	return c;
}

void consumer_destroy(struct consumer *c)
{
	for (uint32_t i = 0; i < c->options->consumer_channels; i++)
		verify_order_fini(&c->lanes[i].order);
	free(c->lanes);
	free(c);
}

struct link *consumer_link(struct consumer *c)
{
	return &c->link;
}
