/* Sessions: two clients say whatever the input has them say, to one core. Nothing may crash, leak,
 * or be promised twice.
 *
 * The input is a list of commands, so that the fuzzer need not learn about lengths and end octets:
 *   0-2     a frame of that client: type, channel, length 2, payload
 *   3       raw bytes for client 0: length, bytes
 *   4       the disk syncs
 *   5       time passes
 *   6       client 0 stops or goes on reading
 *   7       client 1 is gone, and comes again */
#include "base/alloc.h"
#include "frame.h"
#include "method.h"
#include "turn/diskless.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CLIENTS = 2 };

struct world {
	struct diskless diskless;
	struct session *sessions[CLIENTS];
	uint8_t *in[CLIENTS];
	size_t in_len[CLIENTS];
	bool is_reading;
};

static void check_log(void *arg, const struct session *session, const char *kind, const char *text)
{
	(void)kind;
	(void)arg;
	(void)session;
	if (!bytes_is_utf8(bytes_str(text)) && text[0] == '\0')
		abort();
}

static void discard(struct session *s)
{
	outbuf_consume(session_out(s), session_out(s)->len);
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
			discard(w->sessions[i]);
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
	uint8_t payload[512];
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
	w->in_len[i] = 0;
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

static void command(struct world *w, struct reader *r)
{
	uint8_t what = read_u8(r) & 15;
	if (what <= 2) {
		uint8_t type = read_u8(r);
		uint16_t channel = read_u8(r);
		struct bytes payload = read_bytes(r, read_u16(r) & 0x3ff);
		say_frame(w, what & 1, type & 3, channel & 3, payload);
	} else if (what == 3) {
		say(w, 0, read_shortstr(r));
	} else if (what == 4) {
		diskless_sync(&w->diskless);
		turn(w);
	} else if (what == 5) {
		w->diskless.host.now_ms += 1000;
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
	} else {
		arrive(w, 1);
		shake_hands(w, 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world w = { .is_reading = true };
	struct reader r = reader_of(data, size);
	const struct core_options core = {
		.hash_seed = 1,
		.memory_budget_bytes = 1 << 20,
		.queues_max = 8,
		.exchanges_max = 16,
		.bindings_max = 16,
		.consumers_max = 8,
	};
	diskless_init(&w.diskless, &core, "Leveret");
	w.diskless.options.frame_max = 8192;
	w.diskless.options.channel_max = 4;
	w.diskless.options.heartbeat_s = 10;
	w.diskless.options.message_bytes_max = 4096;
	w.diskless.host.log = check_log;
	for (int i = 0; i < CLIENTS; i++)
		arrive(&w, i);
	bool is_raw = read_u8(&r) == 0; /* Then client 0 has to find the handshake by itself. */
	if (!is_raw)
		shake_hands(&w, 0);
	shake_hands(&w, 1);
	while (reader_left(&r) > 0 && !r.failed)
		command(&w, &r);
	diskless_begin(&w.diskless);
	for (int i = 0; i < CLIENTS; i++) {
		session_destroy(w.sessions[i]);
		free(w.in[i]);
	}
	diskless_end(&w.diskless);
	diskless_fini(&w.diskless);
	return 0;
}
