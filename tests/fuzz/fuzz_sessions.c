/* Sessions: two clients say whatever the input has them say, to one core. Nothing may crash, leak,
 * or be promised twice.
 *
 * The input is a list of commands, so that the fuzzer need not learn about lengths and end octets:
 *   0-2     a frame of that client: type, channel, length 2, payload
 *   3       raw bytes for client 0: length, bytes
 *   4       the disk syncs
 *   5       time passes
 *   6       client 0 stops or goes on reading
 *   7       client 1 is gone, and comes again
 *   8       an alarm, or its end
 *   9       the broker crashes, and starts with what was durable; the clients come again
 *   10      a checkpoint
 *   16-20   client 0 publishes, declares a queue or an exchange, binds, consumes, with tables of
 *           fields that the broker looks at, of any type (fields.h)
 *   21      client 0 gets a message and gives it back
 *   22      client 0 wants confirms
 *   23      a little time passes
 *
 * The answer is one that the protocol allows: whole frames, methods and tables. */
#include "base/alloc.h"
#include "fields.h"
#include "frame.h"
#include "ground.h"
#include "method.h"
#include "properties.h"
#include "turn/diskless.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CLIENTS = 2 };

struct world {
	struct diskless diskless;
	struct ground ground;
	struct session *sessions[CLIENTS];
	uint8_t *in[CLIENTS];
	size_t in_len[CLIENTS];
	uint8_t *out[CLIENTS]; /* Of a frame that has not come whole. */
	size_t out_len[CLIENTS];
	uint64_t tag; /* The last one that client 0 was given. */
	bool is_reading;
};

static void check_log(void *arg, const struct session *session, bool is_warning, const char *kind,
		      const char *text)
{
	(void)is_warning;
	(void)kind;
	(void)arg;
	(void)session;
	if (!bytes_is_utf8(bytes_str(text)) && text[0] == '\0')
		abort();
}

static void check_frame(struct world *w, const struct frame *f)
{
	struct method m;
	struct properties p;
	if (f->type == FRAME_METHOD && method_decode(&m, f->payload) != METHOD_OK)
		abort();
	if (f->type == FRAME_METHOD && m.id == METHOD_basic_get_ok)
		w->tag = m.basic_get_ok.delivery_tag;
	if (f->type == FRAME_HEADER &&
	    !properties_decode(&p, bytes_of(f->payload.data + CONTENT_FLAGS_AT,
					    f->payload.len - CONTENT_FLAGS_AT)))
		abort();
}

/* What is no frame is the answer to what is no AMQP. */
static void read_frames(struct world *w, int i)
{
	struct frame f;
	size_t at = 0, used = 0;
	int result;
	while ((result = frame_parse(bytes_of(w->out[i] + at, w->out_len[i] - at), UINT32_MAX, &f,
				     &used)) == FRAME_OK) {
		check_frame(w, &f);
		at += used;
	}
	if (result == FRAME_BAD_END)
		abort();
	w->out_len[i] -= at;
	memmove(w->out[i], w->out[i] + at, w->out_len[i]);
}

static void take_output(struct world *w, int i)
{
	struct session *s = w->sessions[i];
	while (session_out(s)->len > 0) {
		struct iovec iov;
		outbuf_iovec(session_out(s), &iov, 1);
		w->out[i] = alloc_resize(w->out[i], w->out_len[i] + iov.iov_len);
		memcpy(w->out[i] + w->out_len[i], iov.iov_base, iov.iov_len);
		w->out_len[i] += iov.iov_len;
		outbuf_consume(session_out(s), iov.iov_len);
	}
	if (w->out_len[i] > 0)
		read_frames(w, i);
	session_check_output(s);
}

static void feed(struct world *w, int i)
{
	struct session *s = w->sessions[i];
	if (session_is_waiting(s) || session_is_full(s) || session_phase(s) == SESSION_ENDED)
		return;
	size_t used = session_input(s, bytes_of(w->in[i], w->in_len[i]));
	if (used > w->in_len[i] || w->diskless.host.kept_bytes > SESSIONS_KEPT_MAX)
		abort();
	if (used == 0)
		return;
	memmove(w->in[i], w->in[i] + used, w->in_len[i] - used);
	w->in_len[i] -= used;
}

static void turn(struct world *w)
{
	diskless_begin(&w->diskless);
	for (int i = 0; i < CLIENTS; i++)
		feed(w, i);
	diskless_end(&w->diskless);
	for (int i = 0; i < CLIENTS; i++) {
		session_resume(w->sessions[i], w->diskless.submitted, w->diskless.durable);
		if (i == 1 || w->is_reading)
			take_output(w, i);
	}
}

static void say(struct world *w, int i, struct bytes bytes)
{
	w->in[i] = alloc_resize(w->in[i], w->in_len[i] + bytes.len + 1);
	if (bytes.len > 0)
		memcpy(w->in[i] + w->in_len[i], bytes.data, bytes.len);
	w->in_len[i] += bytes.len;
	turn(w);
}

static void say_frame(struct world *w, int i, uint8_t type, uint16_t channel, struct bytes payload)
{
	uint8_t *frame = alloc_resize(NULL, payload.len + FRAME_OVERHEAD);
	frame_head(frame, type, channel, (uint32_t)payload.len);
	if (payload.len > 0)
		memcpy(frame + FRAME_HEAD_BYTES, payload.data, payload.len);
	frame[FRAME_HEAD_BYTES + payload.len] = FRAME_END;
	say(w, i, bytes_of(frame, payload.len + FRAME_OVERHEAD));
	free(frame);
}

static void say_method(struct world *w, int i, uint16_t channel, const struct method *m)
{
	uint8_t payload[4096];
	struct writer writer = writer_of(payload, sizeof payload);
	method_encode(&writer, m);
	say_frame(w, i, FRAME_METHOD, channel, bytes_of(payload, (size_t)(writer.at - payload)));
}

static void arrive(struct world *w, int i)
{
	struct session_peer peer = { .name = "fuzz", .is_loopback = true, .seed = { (uint8_t)i } };
	diskless_begin(&w->diskless);
	if (w->sessions[i] != NULL)
		session_destroy(w->sessions[i]);
	diskless_end(&w->diskless);
	w->sessions[i] = session_create(&w->diskless.host, &peer);
	w->in_len[i] = w->out_len[i] = 0;
}

static void shake_hands(struct world *w, int i)
{
	static const uint8_t header[] = { 'A', 'M', 'Q', 'P', 0, 0, 9, 1 };
	struct method m = { .id = METHOD_connection_start_ok };
	say(w, i, bytes_of(header, sizeof header));
	m.connection_start_ok.mechanism = bytes_str("PLAIN");
	m.connection_start_ok.response = bytes_of("\0guest\0guest", 12);
	say_method(w, i, 0, &m);
	m = (struct method){ .id = METHOD_connection_tune_ok };
	say_method(w, i, 0, &m);
	m = (struct method){ .id = METHOD_connection_open };
	m.connection_open.virtual_host = bytes_str("/");
	say_method(w, i, 0, &m);
	m = (struct method){ .id = METHOD_channel_open };
	say_method(w, i, 1, &m);
}

/* On, or off again. */
static void toggle_alarm(struct world *w)
{
	w->diskless.host.alarm = w->diskless.host.alarm == NULL ? "low on memory" : NULL;
	diskless_begin(&w->diskless);
	for (int i = 0; i < CLIENTS; i++)
		session_alarm(w->sessions[i]);
	diskless_end(&w->diskless);
	turn(w);
}

/* --- tables of any fields --- */

static const char *const queues[] = { "q1", "q2", "dead", "" };
static const char *const exchanges[] = { "x1", "x2", "amq.headers", "" };
static const char *const types[] = { "direct", "topic",          "headers",
				     "fanout", "x-modulus-hash", "x-delayed-message" };

static void publish(struct world *w, struct reader *r)
{
	uint8_t room[2048], header[2100];
	struct method m = { .id = METHOD_basic_publish };
	uint8_t what = read_u8(r);
	m.basic_publish.exchange = bytes_str(exchanges[what & 3]);
	m.basic_publish.routing_key = bytes_str(queues[what >> 2 & 3]);
	m.basic_publish.mandatory = what & 16;
	struct properties p = { .flags = HAS_headers | HAS_delivery_mode,
				.delivery_mode = what & 32 ? 2 : 1,
				.headers = fields_read(r, room, sizeof room) };
	struct writer h = writer_of(header, sizeof header);
	write_u32(&h, (uint32_t)CLASS_BASIC << 16);
	write_u64(&h, 1);
	properties_encode(&h, &p);
	say_method(w, 0, 1, &m);
	say_frame(w, 0, FRAME_HEADER, 1, bytes_of(header, (size_t)(h.at - header)));
	say_frame(w, 0, FRAME_BODY, 1, bytes_str("m"));
}

static void declare(struct world *w, struct reader *r, uint8_t what)
{
	uint8_t room[2048];
	struct method m = { .id = METHOD_queue_declare };
	uint8_t which = read_u8(r);
	struct bytes table = fields_read(r, room, sizeof room);
	if (what == 17) {
		m.queue_declare.queue = bytes_str(queues[which & 3]);
		m.queue_declare.durable = which & 4;
		m.queue_declare.arguments = table;
	} else if (what == 18) {
		m.id = METHOD_exchange_declare;
		m.exchange_declare.exchange = bytes_str(exchanges[which & 1]);
		m.exchange_declare.type = bytes_str(types[(which >> 1) % 6]);
		m.exchange_declare.arguments = table;
	} else if (what == 19) {
		m.id = METHOD_queue_bind;
		m.queue_bind.queue = bytes_str(queues[which & 3]);
		m.queue_bind.exchange = bytes_str(exchanges[which >> 2 & 3]);
		m.queue_bind.routing_key = bytes_str(queues[which >> 4 & 3]);
		m.queue_bind.arguments = table;
	} else {
		m.id = METHOD_basic_consume;
		m.basic_consume.queue = bytes_str(queues[which & 3]);
		m.basic_consume.arguments = table;
	}
	say_method(w, 0, 1, &m);
}

static void get_and_return(struct world *w, struct reader *r)
{
	uint8_t which = read_u8(r);
	struct method m = { .id = METHOD_basic_get };
	m.basic_get.queue = bytes_str(queues[which & 3]);
	say_method(w, 0, 1, &m);
	m = (struct method){ .id = METHOD_basic_nack };
	m.basic_nack.delivery_tag = w->tag;
	m.basic_nack.requeue = which & 4;
	say_method(w, 0, 1, &m);
}

static void with_fields(struct world *w, struct reader *r, uint8_t what)
{
	struct method channel = { .id = METHOD_channel_open };
	if (what == 16)
		publish(w, r);
	else if (what < 21)
		declare(w, r, what);
	else if (what == 21)
		get_and_return(w, r);
	else
		say_method(w, 0, 1, &(struct method){ .id = METHOD_confirm_select });
	if (read_u8(r) & 1) { /* It goes on after a refusal. */
		say_method(w, 0, 1, &(struct method){ .id = METHOD_channel_close_ok });
		say_method(w, 0, 1, &channel);
	}
}

/* --- starts and crashes --- */

static void start(struct world *w, uint64_t now_ms)
{
	const struct core_options core = {
		.hash_seed = 1,
		.memory_budget_bytes = 1 << 20,
		.queues_max = 8,
		.exchanges_max = 16,
		.bindings_max = 16,
		.consumers_max = 8,
	};
	ground_start(&w->ground, &w->diskless, &core, now_ms);
	w->diskless.options.frame_max = 8192;
	w->diskless.options.channel_max = 4;
	w->diskless.options.heartbeat_s = 10;
	w->diskless.options.message_bytes_max = 4096;
	w->diskless.host.log = check_log;
	for (int i = 0; i < CLIENTS; i++)
		arrive(w, i);
}

static void end_sessions(struct world *w)
{
	diskless_begin(&w->diskless);
	for (int i = 0; i < CLIENTS; i++) {
		session_destroy(w->sessions[i]);
		w->sessions[i] = NULL;
	}
	diskless_end(&w->diskless);
}

static void crash(struct world *w)
{
	uint64_t now_ms = w->diskless.host.now_ms;
	w->ground.is_losing = true;
	end_sessions(w);
	ground_crash(&w->ground);
	w->is_reading = true;
	start(w, now_ms);
	for (int i = 0; i < CLIENTS; i++)
		shake_hands(w, i);
}

static void command(struct world *w, struct reader *r)
{
	uint8_t what = read_u8(r) & 31;
	if (what >= 16 && what < 23) {
		with_fields(w, r, what);
		return;
	}
	if (what <= 2) {
		uint8_t type = read_u8(r);
		uint16_t channel = read_u8(r);
		struct bytes payload = read_bytes(r, read_u16(r) & 0x3ff);
		say_frame(w, what & 1, type & 3, channel & 3, payload);
	} else if (what == 3) {
		say(w, 0, read_shortstr(r));
	} else if (what == 4) {
		ground_sync(&w->ground);
		turn(w);
	} else if (what == 5 || what == 23) {
		w->diskless.host.now_ms += what == 5 ? 1000 : 20;
		diskless_begin(&w->diskless);
		for (int i = 0; i < CLIENTS; i++)
			session_tick(w->sessions[i]);
		diskless_end(&w->diskless);
		turn(w);
	} else if (what == 6) {
		w->is_reading = !w->is_reading;
		turn(w);
	} else if (what == 8) {
		toggle_alarm(w);
	} else if (what == 9) {
		crash(w);
	} else if (what == 10) {
		ground_checkpoint(&w->ground);
	} else {
		arrive(w, 1);
		shake_hands(w, 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world w = { .is_reading = true };
	struct reader r = reader_of(data, size);
	start(&w, 1000);
	bool is_raw = read_u8(&r) == 0; /* Then client 0 has to find the handshake by itself. */
	if (!is_raw)
		shake_hands(&w, 0);
	shake_hands(&w, 1);
	while (reader_left(&r) > 0 && !r.failed)
		command(&w, &r);
	end_sessions(&w);
	for (int i = 0; i < CLIENTS; i++) {
		free(w.in[i]);
		free(w.out[i]);
	}
	ground_fini(&w.ground);
	return 0;
}
