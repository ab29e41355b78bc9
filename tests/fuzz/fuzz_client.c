/* Client: a broker that says whatever the input has it say, to a program that does a bit of
 * everything. Nothing may crash, leak or hang, and each publish that was taken has one outcome.
 *
 * The input is a list of commands, a byte and what it needs:
 *   0,1   a frame: type, channel, length 2, payload       2   raw bytes: length, bytes
 *   3     an ack or nack: channel, tag, flags              4   a message: channel, method, tag, code
 *   5     the program does something: which                6   time passes, or the library has a turn
 *   7     the connection is cut, or the broker keeps silent, holds confirms, goes down ... */
#include "fake.h"
#include "frame.h"
#include "properties.h"

#include <leveret/patterns.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HELD_MAX = 8, CONSUMERS_MAX = 3 };

struct world {
	struct lev *lev;
	struct lev_message *held[HELD_MAX];
	size_t held_len;
	struct lev_consumer *consumers[CONSUMERS_MAX];
	size_t consumers_len;
	unsigned taken;
	unsigned outcomes;
	unsigned requests;
	unsigned replies;
};

static void on_outcome(void *arg, const struct lev_outcome *o)
{
	struct world *w = arg;
	w->outcomes++;
	if (o->text == NULL)
		abort();
}

static void on_reply(void *arg, int result, struct lev_message *reply)
{
	struct world *w = arg;
	w->replies++;
	if ((result == LEV_OK) != (reply != NULL))
		abort();
	lev_message_free(reply);
}

static void on_message(void *arg, struct lev_message *m)
{
	(void)arg;
	lev_reply(m, "re", 2, NULL);
	lev_ack(m);
}

static void turn(struct world *w)
{
	for (int i = 0; i < 3; i++)
		lev_process(w->lev);
}

static void publish(struct world *w, uint8_t how)
{
	struct lev_publish p = {
		.exchange = how & 1 ? "x" : "",
		.routing_key = "q",
		.body = "0123456789abcdef",
		.body_len = how & 15,
		.key = how & 16 ? "key" : NULL,
		.is_optional = how & 32,
		.deadline = how & 64 ? lev_in(50) : 0,
	};
	if (lev_publish(w->lev, &p, on_outcome, w, LEV_NOW) == LEV_OK)
		w->taken++;
}

static void request(struct world *w)
{
	struct lev_publish p = { .routing_key = "q", .body = "?", .body_len = 1 };
	if (lev_request_async(w->lev, &p, on_reply, w, lev_in(20)) == LEV_OK)
		w->requests++;
}

static void consume(struct world *w, uint8_t how)
{
	struct lev_consume o = {
		.queue = "q",
		.prefetch = 3,
		.is_no_ack = (how & 3) == 1,
		.is_tx = (how & 3) == 2,
		.on_message = (how & 3) == 3 ? on_message : NULL,
		.lease_ms = how & 4 ? 30 : 0,
		.lease_max_ms = how & 8 ? 100 : 0,
	};
	if (w->consumers_len < CONSUMERS_MAX &&
	    lev_consume(w->lev, &o, &w->consumers[w->consumers_len], lev_in(5)) == LEV_OK)
		w->consumers_len++;
}

static void hold(struct world *w, struct lev_message *m)
{
	char text[32];
	lev_message_uid(m);
	lev_table_str(m->properties.headers, "x-header", text, sizeof text);
	if (w->held_len < HELD_MAX)
		w->held[w->held_len++] = m;
	else
		lev_message_free(m);
}

static void settle(struct world *w, uint8_t how)
{
	if (w->held_len == 0)
		return;
	struct lev_message *m = w->held[--w->held_len];
	switch (how & 3) {
	case 0: lev_ack(m); break;
	case 1: lev_requeue(m); break;
	case 2: lev_reject(m); break;
	default: {
		int rc = lev_retry_after(m, 10);
		if (rc == LEV_UNSUPPORTED || rc == LEV_INVALID)
			lev_message_free(m);
	}
	}
}

static void act(struct world *w, uint8_t what, uint8_t how)
{
	struct lev_message *m;
	struct lev_queue_info info;
	const struct lev_queue own = { .is_exclusive = true };
	struct lev_publish p = { .routing_key = "q", .body = "t", .body_len = 1 };
	struct lev_consumer *c = w->consumers_len > 0 ? w->consumers[how % w->consumers_len] : NULL;
	switch (what % 12) {
	case 0:
	case 1: publish(w, how); break;
	case 2: consume(w, how); break;
	case 3:
		if (lev_get(w->lev, "q", &m, lev_in(5)) == LEV_OK)
			hold(w, m);
		break;
	case 4: request(w); break;
	case 5: settle(w, how); break;
	case 6:
		if (c != NULL && lev_next(c, &m, lev_in(5)) == LEV_OK)
			hold(w, m);
		break;
	case 7:
		lev_declare_queue(w->lev, how & 1 ? "own" : "q", how & 1 ? &own : NULL, lev_in(5));
		break;
	case 8: lev_queue_info(w->lev, "q", &info, lev_in(5)); break;
	case 9:
		if (c != NULL)
			lev_tx_publish(c, &p);
		break;
	case 10:
		if (c != NULL && how & 64)
			lev_rollback(c);
		else if (c != NULL)
			lev_commit(c, lev_in(5));
		break;
	default:
		if (w->consumers_len > 0)
			lev_cancel(w->consumers[--w->consumers_len], lev_in(5));
	}
}

static void say_answer(struct reader *r)
{
	uint16_t channel = read_u8(r) & 7;
	uint8_t tag = read_u8(r), how = read_u8(r);
	struct method m = { .id = how & 1 ? METHOD_basic_nack : METHOD_basic_ack };
	if (how & 1)
		m.basic_nack = (struct amqp_basic_nack){ tag, how & 2, false, 0 };
	else
		m.basic_ack = (struct amqp_basic_ack){ tag, how & 2, 0 };
	fake_say_method(channel, &m);
}

static void say_message(struct reader *r)
{
	static const uint32_t ids[] = { METHOD_basic_deliver, METHOD_basic_return,
					METHOD_basic_get_ok, METHOD_basic_publish };
	uint16_t channel = read_u8(r) & 7;
	struct method m = { .id = ids[read_u8(r) & 3] };
	uint8_t tag = read_u8(r), flags = read_u8(r), raw[64];
	struct writer w = writer_of(raw, sizeof raw);
	if (m.id == METHOD_basic_deliver)
		m.basic_deliver.delivery_tag = tag;
	if (m.id == METHOD_basic_return)
		m.basic_return = (struct amqp_basic_return){
			flags & 1 ? 312 : 208, { 0 }, { 0 }, bytes_str("q"), 0
		};
	struct bytes header = read_shortstr(r), body = bytes_of("body", flags & 4 ? 4 : 0);
	write_u32(&w, (uint32_t)CLASS_BASIC << 16);
	write_u64(&w, body.len);
	write_u16(&w, 0);
	fake_say_message(channel, &m, flags & 2 ? header : bytes_of(raw, (size_t)(w.at - raw)),
			 body);
}

static void change_world(uint8_t what)
{
	switch (what & 7) {
	case 0: fake_cut(); break;
	case 1: fake.is_silent = !fake.is_silent; break;
	case 2: fake.holds_confirms = !fake.holds_confirms; break;
	case 3: fake.is_down = !fake.is_down; break;
	case 4: fake.is_plain = !fake.is_plain; break;
	default: fake.deliveries = what >> 4; break;
	}
}

static void command(struct world *w, struct reader *r)
{
	uint8_t what = read_u8(r) & 7, a, b;
	switch (what) {
	case 0:
	case 1:
		a = read_u8(r) & 3;
		b = read_u8(r) & 7;
		fake_say_frame(a, b, read_bytes(r, read_u16(r) & 0x3ff));
		break;
	case 2: fake_say(read_shortstr(r)); break;
	case 3: say_answer(r); break;
	case 4: say_message(r); break;
	case 5:
		a = read_u8(r);
		b = read_u8(r);
		act(w, a, b);
		break;
	case 6: fake.now_ms += read_u8(r); break;
	default: change_world(read_u8(r)); break;
	}
	turn(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world w = { 0 };
	struct reader r = reader_of(data, size);
	fake_reset();
	uint8_t how = read_u8(&r);
	struct lev_options o = {
		.uri = "amqp://fake",
		.is_loop = true,
		.is_lazy = true,
		.window = 8,
		.backoff_min_ms = 1,
		.backoff_max_ms = 4,
		.is_anonymous = how & 1,
		.is_at_least_once = how & 2,
		.message_bytes_max = 4096,
	};
	fake.is_silent = how & 4;
	fake.deliveries = how >> 6;
	if (lev_open(&w.lev, &o, LEV_NOW) != LEV_OK)
		abort();
	for (int i = 0; i < 6; i++)
		turn(&w);
	for (int i = 0; reader_left(&r) > 0 && !r.failed && i < 200; i++)
		command(&w, &r);
	while (w.held_len > 0)
		lev_message_free(w.held[--w.held_len]);
	while (w.consumers_len > 0)
		lev_cancel(w.consumers[--w.consumers_len], lev_in(5));
	lev_close(w.lev, lev_in(10));
	if (w.outcomes != w.taken || w.replies != w.requests || fake.outstanding != 0)
		abort();
	return 0;
}
