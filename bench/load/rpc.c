#include "rpc.h"

#include "base/alloc.h"
#include "now.h"
#include "properties.h"
#include "template.h"

#include <stdlib.h>

static const char reply_to[] = "amq.rabbitmq.reply-to";

/* A message that is coming in, in one body frame. */
struct incoming {
	uint64_t tag;
	uint8_t reply_to[UINT8_MAX];
	uint8_t reply_to_len;
};

static void take_method(struct link *l, struct incoming *in, struct bytes payload)
{
	struct method m;
	if (method_decode(&m, payload) != METHOD_OK)
		return;
	peer_check(&l->peer, &m);
	if (m.id == METHOD_basic_deliver)
		in->tag = m.basic_deliver.delivery_tag;
}

static void take_header(struct incoming *in, struct bytes payload)
{
	struct properties p;
	struct reader r = reader_of(payload.data, payload.len);
	read_u32(&r);
	read_u64(&r);
	in->reply_to_len = 0;
	if (r.failed || !properties_decode(&p, bytes_of(r.at, reader_left(&r))) ||
	    p.reply_to.len == 0)
		return;
	memcpy(in->reply_to, p.reply_to.data, p.reply_to.len);
	in->reply_to_len = (uint8_t)p.reply_to.len;
}

static void consume(struct peer *p, const char *queue, bool is_no_ack)
{
	struct method m = { .id = METHOD_basic_consume };
	m.basic_consume.queue = bytes_str(queue);
	m.basic_consume.no_ack = is_no_ack;
	peer_call(p, 1, &m, METHOD_basic_consume_ok, NULL);
}

/* --- callers --- */

struct caller {
	struct link link;
	const struct options *options;
	struct template template;
	uint32_t index;
	uint64_t sent;
	uint64_t answered;
	bool is_done;
};

static void on_reply(struct link *l, const struct frame *f, uint64_t now)
{
	struct caller *c = (struct caller *)l;
	struct incoming ignored;
	if (f->type == FRAME_METHOD)
		take_method(l, &ignored, f->payload);
	if (f->type != FRAME_BODY || f->payload.len < STAMP_BYTES)
		return;
	struct stamp stamp;
	memcpy(&stamp, f->payload.data, STAMP_BYTES);
	c->answered++;
	stats_count(worker_stats(l->worker), COUNT_RECEIVED, 1);
	histogram_add(&worker_stats(l->worker)->consumer, now - stamp.due_ns, 1);
}

static uint64_t due_of(const struct caller *c, uint64_t n)
{
	uint64_t ns = schedule_due_ns(&c->options->rate, n);
	return ns == UINT64_MAX ? ns : worker_control(c->link.worker)->start_ns + ns;
}

/* Calls that may be made now: while there is room among those in flight, and when they are due. */
static bool call_some(struct caller *c, uint64_t now)
{
	const struct options *o = c->options;
	bool is_any = false, is_timed = !options_is_closed_loop(o);
	uint64_t most = o->producer_messages > 0 ? o->producer_messages : UINT64_MAX;
	while (c->sent < most && c->sent - c->answered < o->confirm_window) {
		uint64_t due = is_timed ? due_of(c, c->sent) : now;
		if (due > now) {
			link_set_due(&c->link, due);
			break;
		}
		struct stamp stamp = { due, c->index, (uint32_t)c->sent++ };
		template_put(&c->template, link_room(&c->link, c->template.len), &stamp, 0, 0);
		link_commit(&c->link, c->template.len);
		stats_count(worker_stats(c->link.worker), COUNT_SENT, 1);
		is_any = true;
	}
	return is_any;
}

static bool caller_run(struct link *l, uint64_t now)
{
	struct caller *c = (struct caller *)l;
	struct control *control = worker_control(l->worker);
	bool is_more = link_read(l),
	     is_producing = atomic_load_explicit(&control->is_producing, memory_order_relaxed);
	if (now < control->start_ns)
		link_set_due(l, control->start_ns);
	else if (is_producing && link_flush(l))
		call_some(c, now);
	link_flush(l);
	bool is_over = !is_producing || (c->options->producer_messages > 0 &&
					 c->sent == c->options->producer_messages);
	if (!c->is_done && is_over && c->sent == c->answered) {
		c->is_done = true;
		atomic_fetch_sub(&control->producers_left, 1);
	}
	return is_more;
}

struct caller *caller_create(const struct options *o, uint32_t index)
{
	struct caller *c = alloc_zeroed(sizeof *c);
	char queue[NAME_MAX_BYTES];
	c->options = o;
	c->index = index;
	c->link.run = caller_run;
	c->link.on_frame = on_reply;
	options_queue_name(o, index % options_queues(o), queue);
	peer_open(&c->link.peer, &o->target, o->frame_max, NULL);
	peer_open_channel(&c->link.peer, 1);
	consume(&c->link.peer, reply_to, true);
	struct template_of of = {
		.channel = 1,
		.frame_max = c->link.peer.frame_max,
		.routing_key = bytes_str(queue),
		.is_persistent = o->is_persistent,
		.correlation_id = bytes_str("1"),
		.reply_to = bytes_str(reply_to),
		.size = (size_t)o->size.steps[0].value,
	};
	template_init(&c->template, &of);
	peer_set_nonblocking(&c->link.peer);
	return c;
}

void caller_destroy(struct caller *c)
{
	template_fini(&c->template);
	free(c);
}

struct link *caller_link(struct caller *c)
{
	return &c->link;
}

/* --- responders --- */

struct responder {
	struct link link;
	const struct options *options;
	struct incoming incoming;
};

static void put_method(struct link *l, const struct method *m)
{
	link_commit(l, peer_put_method(link_room(l, METHOD_ROOM), 1, m));
}

/* A reply is the request's body, sent to where it asks for. */
static void answer(struct responder *r, struct bytes body)
{
	struct link *l = &r->link;
	struct method publish = { .id = METHOD_basic_publish }, ack = { .id = METHOD_basic_ack };
	struct properties p = { .flags = HAS_correlation_id, .correlation_id = bytes_str("1") };
	size_t header = CONTENT_FLAGS_AT + properties_size(&p),
	       size = header + body.len + 2 * FRAME_OVERHEAD;
	publish.basic_publish.routing_key =
		bytes_of(r->incoming.reply_to, r->incoming.reply_to_len);
	put_method(l, &publish);
	struct writer w = writer_of(link_room(l, size), size);
	frame_head(write_room(&w, FRAME_HEAD_BYTES), FRAME_HEADER, 1, (uint32_t)header);
	write_u16(&w, CLASS_BASIC);
	write_u16(&w, 0);
	write_u64(&w, body.len);
	properties_encode(&w, &p);
	write_u8(&w, FRAME_END);
	frame_head(write_room(&w, FRAME_HEAD_BYTES), FRAME_BODY, 1, (uint32_t)body.len);
	write_bytes(&w, body);
	write_u8(&w, FRAME_END);
	link_commit(l, size);
	ack.basic_ack.delivery_tag = r->incoming.tag;
	if (!r->options->is_auto_ack)
		put_method(l, &ack);
}

static void on_request(struct link *l, const struct frame *f, uint64_t now)
{
	struct responder *r = (struct responder *)l;
	(void)now;
	if (f->type == FRAME_METHOD)
		take_method(l, &r->incoming, f->payload);
	else if (f->type == FRAME_HEADER)
		take_header(&r->incoming, f->payload);
	else if (f->type == FRAME_BODY && r->incoming.reply_to_len > 0)
		answer(r, f->payload);
}

static bool responder_run(struct link *l, uint64_t now)
{
	(void)now;
	bool is_more = link_flush(l) && link_read(l);
	link_flush(l);
	return is_more;
}

struct responder *responder_create(const struct options *o, uint32_t index)
{
	struct responder *r = alloc_zeroed(sizeof *r);
	char queue[NAME_MAX_BYTES];
	r->options = o;
	r->link.run = responder_run;
	r->link.on_frame = on_request;
	options_queue_name(o, index % options_queues(o), queue);
	peer_open(&r->link.peer, &o->target, o->frame_max, NULL);
	peer_open_channel(&r->link.peer, 1);
	if (o->prefetch > 0) {
		struct method m = { .id = METHOD_basic_qos };
		m.basic_qos.prefetch_count = (uint16_t)o->prefetch;
		peer_call(&r->link.peer, 1, &m, METHOD_basic_qos_ok, NULL);
	}
	consume(&r->link.peer, queue, o->is_auto_ack);
	peer_set_nonblocking(&r->link.peer);
	return r;
}

void responder_destroy(struct responder *r)
{
	free(r);
}

struct link *responder_link(struct responder *r)
{
	return &r->link;
}
