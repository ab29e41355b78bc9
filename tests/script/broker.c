#include "broker.h"

#include "table.h"

#include "base/alloc.h"

#include <criterion/criterion.h>
#include <stdlib.h>

struct broker *broker_create(void)
{
	return broker_create_keyed(1, 0);
}

struct broker *broker_create_keyed(uint64_t hash_seed, uint8_t secret)
{
	struct broker *b = alloc_zeroed(sizeof *b);
	const struct core_options core = {
		.hash_seed = hash_seed,
		.secret = { secret },
		.memory_budget_bytes = 1 << 30,
		.queues_max = 10000,
		.exchanges_max = 100,
		.bindings_max = 1000,
		.consumers_max = 100,
	};
	diskless_init(&b->diskless, &core, "Leveret");
	b->diskless.options.message_bytes_max = 1 << 20;
	return b;
}

void broker_destroy(struct broker *b)
{
	for (size_t i = 0; i < b->clients_len; i++) {
		client_disconnect(&b->clients[i]);
		free(b->clients[i].in);
		free(b->clients[i].got);
	}
	diskless_fini(&b->diskless);
	free(b);
}

/* --- turns --- */

static bool take_output(struct client *c)
{
	struct outbuf *out = session_out(c->session);
	uint64_t left = c->read_limit;
	bool is_moved = false;
	while (out->len > 0 && left > 0) {
		struct iovec iov;
		outbuf_iovec(out, &iov, 1);
		size_t n = iov.iov_len < left ? iov.iov_len : (size_t)left;
		c->got = alloc_resize(c->got, c->got_len + n);
		memcpy(c->got + c->got_len, iov.iov_base, n);
		c->got_len += n;
		left -= n;
		outbuf_consume(out, n);
		session_sent(c->session);
		is_moved = true;
	}
	session_check_output(c->session);
	return is_moved;
}

static bool feed(struct client *c)
{
	if (session_is_waiting(c->session) || session_out(c->session)->len > SESSION_OUT_MAX)
		return false;
	if (!c->is_resumed && (c->in_len == 0 || session_is_full(c->session)))
		return false;
	c->is_resumed = false;
	size_t used = session_input(c->session, bytes_of(c->in, c->in_len));
	memmove(c->in, c->in + used, c->in_len - used);
	c->in_len -= used;
	session_received(c->session);
	return used > 0;
}

static bool turn(struct broker *b)
{
	bool is_busy = false;
	diskless_begin(&b->diskless);
	for (size_t i = 0; i < b->clients_len; i++)
		if (b->clients[i].session != NULL)
			is_busy |= feed(&b->clients[i]);
	is_busy |= diskless_end(&b->diskless);
	for (size_t i = 0; i < b->clients_len; i++) {
		struct client *c = &b->clients[i];
		if (c->session == NULL)
			continue;
		if (session_is_waiting(c->session))
			c->is_resumed = session_resume(c->session, b->diskless.submitted,
						       b->diskless.durable);
		is_busy |= c->is_resumed;
		is_busy |= take_output(c);
		bool is_deaf = c->read_limit == 0;
		if (session_phase(c->session) == SESSION_ENDED &&
		    (is_deaf || session_out(c->session)->len == 0))
			client_disconnect(c);
	}
	return is_busy;
}

static void settle(struct broker *b)
{
	while (turn(b))
		;
}

void broker_sync(struct broker *b)
{
	diskless_sync(&b->diskless);
	settle(b);
}

void broker_alarm(struct broker *b, const char *reason)
{
	diskless_begin(&b->diskless);
	b->diskless.host.alarm = reason;
	for (size_t i = 0; i < b->clients_len; i++)
		if (b->clients[i].session != NULL)
			b->clients[i].is_resumed |= session_alarm(b->clients[i].session);
	diskless_end(&b->diskless);
	settle(b);
}

/* How far the next turn is: where nobody is connected, years pass in no time. */
static uint64_t step_ms(const struct broker *b, uint64_t left_ms)
{
	enum { TICK_MS = 500 };
	uint64_t now_ms = b->diskless.host.now_ms, due_ms = core_next_due(b->diskless.core);
	for (size_t i = 0; i < b->clients_len; i++)
		if (b->clients[i].session != NULL)
			return left_ms < TICK_MS ? left_ms : TICK_MS;
	if (due_ms >= now_ms + left_ms)
		return left_ms;
	return due_ms > now_ms ? due_ms - now_ms : 1;
}

void broker_advance(struct broker *b, uint64_t ms)
{
	for (uint64_t left = ms, step; left > 0; left -= step) {
		step = step_ms(b, left);
		b->diskless.host.now_ms += step;
		diskless_begin(&b->diskless);
		for (size_t i = 0; i < b->clients_len; i++)
			if (b->clients[i].session != NULL)
				session_tick(b->clients[i].session);
		diskless_end(&b->diskless);
		settle(b);
	}
}

/* --- clients --- */

struct client *client_connect(struct broker *b)
{
	static const uint8_t header[] = { 'A', 'M', 'Q', 'P', 0, 0, 9, 1 };
	struct client *c = &b->clients[b->clients_len];
	struct session_peer peer = {
		.name = "test", .is_loopback = true, .seed = { (uint8_t)b->clients_len }, .owner = c
	};
	cr_assert_lt(b->clients_len, SCRIPT_CLIENTS_MAX);
	b->clients_len++;
	*c = (struct client){ .broker = b, .read_limit = UINT64_MAX };
	c->session = session_create(&b->diskless.host, &peer);
	client_send(c, bytes_of(header, sizeof header));
	client_expect(c, METHOD_connection_start);
	return c;
}

static struct client *open_with(struct broker *b, const char *capability, uint16_t heartbeat_s,
				const char *vhost)
{
	uint8_t properties[128];
	struct writer w = writer_of(properties, sizeof properties);
	uint8_t *began = table_begin(&w, "capabilities");
	table_write_bool(&w, "consumer_cancel_notify", true);
	if (capability != NULL)
		table_write_bool(&w, capability, true);
	table_end(&w, began);
	struct client *c = client_connect(b);
	struct method m = { .id = METHOD_connection_start_ok };
	m.connection_start_ok.client_properties = bytes_of(properties, (size_t)(w.at - properties));
	m.connection_start_ok.mechanism = bytes_str("PLAIN");
	m.connection_start_ok.response = bytes_of("\0guest\0guest", 12);
	client_method(c, 0, &m);
	client_expect(c, METHOD_connection_tune);
	m = (struct method){ .id = METHOD_connection_tune_ok };
	m.connection_tune_ok.heartbeat = heartbeat_s;
	client_method(c, 0, &m);
	m = (struct method){ .id = METHOD_connection_open };
	m.connection_open.virtual_host = bytes_str(vhost);
	client_method(c, 0, &m);
	client_expect(c, METHOD_connection_open_ok);
	m = (struct method){ .id = METHOD_channel_open };
	client_method(c, 1, &m);
	client_expect(c, METHOD_channel_open_ok);
	return c;
}

struct client *client_open(struct broker *b)
{
	return client_open_knowing(b, NULL);
}

struct client *client_open_with_heartbeat(struct broker *b, uint16_t seconds)
{
	return open_with(b, NULL, seconds, "/");
}

struct client *client_open_in(struct broker *b, const char *vhost)
{
	return open_with(b, NULL, 0, vhost);
}

struct client *client_open_knowing(struct broker *b, const char *capability)
{
	return open_with(b, capability, 0, "/");
}

void client_disconnect(struct client *c)
{
	if (c->session == NULL)
		return;
	diskless_begin(&c->broker->diskless);
	session_destroy(c->session);
	diskless_end(&c->broker->diskless);
	c->session = NULL;
}

bool client_is_closed(const struct client *c)
{
	return c->session == NULL;
}

void client_send(struct client *c, struct bytes bytes)
{
	c->in = alloc_resize(c->in, c->in_len + bytes.len);
	memcpy(c->in + c->in_len, bytes.data, bytes.len);
	c->in_len += bytes.len;
	if (!c->is_gathering)
		settle(c->broker);
}

void client_gather(struct client *c)
{
	c->is_gathering = true;
}

void client_go(struct client *c)
{
	c->is_gathering = false;
	settle(c->broker);
}

static void send_frame(struct client *c, uint8_t type, uint16_t channel, struct bytes payload)
{
	uint8_t *frame = alloc_resize(NULL, payload.len + FRAME_OVERHEAD);
	frame_head(frame, type, channel, (uint32_t)payload.len);
	memcpy(frame + FRAME_HEAD_BYTES, payload.data, payload.len);
	frame[FRAME_HEAD_BYTES + payload.len] = FRAME_END;
	client_send(c, bytes_of(frame, payload.len + FRAME_OVERHEAD));
	free(frame);
}

void client_method(struct client *c, uint16_t channel, const struct method *m)
{
	uint8_t payload[2048];
	struct writer w = writer_of(payload, sizeof payload);
	method_encode(&w, m);
	cr_assert_not(w.failed);
	send_frame(c, FRAME_METHOD, channel, bytes_of(payload, (size_t)(w.at - payload)));
}

void client_publish(struct client *c, const char *exchange, const char *key, const char *body,
		    uint8_t delivery_mode)
{
	struct properties p = { .flags = HAS_delivery_mode, .delivery_mode = delivery_mode };
	client_publish_with(c, exchange, key, body, &p);
}

/* Leaves the frame in c->got; the next call drops it. */
static bool peek(struct client *c, struct frame *f, size_t *used)
{
	return c->got_len > 0 &&
	       frame_parse(bytes_of(c->got, c->got_len), 1 << 20, f, used) == FRAME_OK;
}

bool client_frame(struct client *c, struct frame *f)
{
	static uint8_t *copy;
	size_t used;
	while (peek(c, f, &used)) {
		copy = alloc_resize(copy, used);
		memcpy(copy, c->got, used);
		memmove(c->got, c->got + used, c->got_len - used);
		c->got_len -= used;
		frame_parse(bytes_of(copy, used), 1 << 20, f, &used);
		if (f->type != FRAME_HEARTBEAT)
			return true;
	}
	return false;
}

struct method client_expect(struct client *c, uint32_t id)
{
	struct frame f;
	struct method m;
	cr_assert(client_frame(c, &f), "expected %s, got nothing", method_name(id));
	cr_assert_eq(f.type, FRAME_METHOD, "expected %s, got a frame of type %u", method_name(id),
		     f.type);
	cr_assert_eq(method_decode(&m, f.payload), METHOD_OK);
	cr_assert_eq(m.id, id, "expected %s, got %s", method_name(id), method_name(m.id));
	return m;
}

void client_expect_nothing(struct client *c)
{
	struct frame f;
	struct method m = { 0 };
	if (client_frame(c, &f) && f.type == FRAME_METHOD)
		method_decode(&m, f.payload);
	cr_assert_eq(m.id, 0, "expected nothing, got %s", method_name(m.id));
}

unsigned client_heartbeats(struct client *c)
{
	struct frame f;
	unsigned n = 0;
	for (size_t used; peek(c, &f, &used) && f.type == FRAME_HEARTBEAT; n++) {
		memmove(c->got, c->got + used, c->got_len - used);
		c->got_len -= used;
	}
	return n;
}

static void expect_content(struct client *c, const char *body)
{
	struct frame f;
	cr_assert(client_frame(c, &f) && f.type == FRAME_HEADER);
	if (body[0] == '\0')
		return;
	cr_assert(client_frame(c, &f) && f.type == FRAME_BODY);
	cr_assert(bytes_equal_str(f.payload, body), "expected body '%s', got '%.*s'", body,
		  BYTES_ARG(f.payload));
}

uint64_t client_expect_deliver(struct client *c, const char *body, bool is_redelivered)
{
	struct method m = client_expect(c, METHOD_basic_deliver);
	uint64_t tag = m.basic_deliver.delivery_tag;
	cr_assert_eq(m.basic_deliver.redelivered, is_redelivered, "'%s' redelivered: %d", body,
		     m.basic_deliver.redelivered);
	expect_content(c, body);
	return tag;
}

void client_expect_close(struct client *c, uint32_t id, uint16_t code, const char *text)
{
	struct method m = client_expect(c, id);
	uint16_t got = id == METHOD_channel_close ? m.channel_close.reply_code
						  : m.connection_close.reply_code;
	struct bytes said = id == METHOD_channel_close ? m.channel_close.reply_text
						       : m.connection_close.reply_text;
	cr_assert_eq(got, code, "%u", got);
	cr_assert(bytes_equal_str(said, text), "expected '%s', got '%.*s'", text, BYTES_ARG(said));
}

/* --- what scripts do most --- */

void client_publish_with(struct client *c, const char *exchange, const char *key, const char *body,
			 const struct properties *p)
{
	static uint8_t header[128 * 1024]; /* A frame's. */
	struct method m = { .id = METHOD_basic_publish };
	m.basic_publish.exchange = bytes_str(exchange);
	m.basic_publish.routing_key = bytes_str(key);
	m.basic_publish.mandatory = c->is_mandatory;
	client_method(c, 1, &m);
	struct writer w = writer_of(header, sizeof header);
	write_u32(&w, (uint32_t)CLASS_BASIC << 16);
	write_u64(&w, strlen(body));
	properties_encode(&w, p);
	cr_assert_not(w.failed);
	send_frame(c, FRAME_HEADER, 1, bytes_of(header, (size_t)(w.at - header)));
	if (body[0] != '\0')
		send_frame(c, FRAME_BODY, 1, bytes_str(body));
}

void client_declare_with(struct client *c, const char *queue, bool is_durable,
			 struct bytes arguments)
{
	struct method m = { .id = METHOD_queue_declare };
	m.queue_declare.queue = bytes_str(queue);
	m.queue_declare.durable = is_durable;
	m.queue_declare.arguments = arguments;
	client_method(c, 1, &m);
	if (is_durable)
		broker_sync(c->broker);
	client_expect(c, METHOD_queue_declare_ok);
}

uint64_t client_expect_message(struct client *c, const char *body, bool is_redelivered,
			       struct properties *p)
{
	static uint8_t copy[4096];
	struct frame f;
	struct method m = client_expect(c, METHOD_basic_deliver);
	uint64_t tag = m.basic_deliver.delivery_tag;
	cr_assert_eq(m.basic_deliver.redelivered, is_redelivered, "'%s' redelivered: %d", body,
		     m.basic_deliver.redelivered);
	cr_assert(client_frame(c, &f) && f.type == FRAME_HEADER && f.payload.len <= sizeof copy);
	memcpy(copy, f.payload.data, f.payload.len);
	cr_assert(properties_decode(
		p, bytes_of(copy + CONTENT_FLAGS_AT, f.payload.len - CONTENT_FLAGS_AT)));
	cr_assert(client_frame(c, &f) && f.type == FRAME_BODY);
	cr_assert(bytes_equal_str(f.payload, body), "expected body '%s', got '%.*s'", body,
		  BYTES_ARG(f.payload));
	return tag;
}

uint32_t client_count(struct client *c, const char *queue)
{
	struct method m = { .id = METHOD_queue_declare };
	m.queue_declare.queue = bytes_str(queue);
	m.queue_declare.passive = true;
	client_method(c, 1, &m);
	return client_expect(c, METHOD_queue_declare_ok).queue_declare_ok.message_count;
}

void client_declare(struct client *c, const char *queue, bool is_durable)
{
	struct method m = { .id = METHOD_queue_declare };
	m.queue_declare.queue = bytes_str(queue);
	m.queue_declare.durable = is_durable;
	client_method(c, 1, &m);
	if (is_durable)
		broker_sync(c->broker);
	client_expect(c, METHOD_queue_declare_ok);
}

void client_exchange(struct client *c, const char *name, const char *type, struct bytes arguments)
{
	struct method m = { .id = METHOD_exchange_declare };
	m.exchange_declare.exchange = bytes_str(name);
	m.exchange_declare.type = bytes_str(type);
	m.exchange_declare.arguments = arguments;
	client_method(c, 1, &m);
	client_expect(c, METHOD_exchange_declare_ok);
}

void client_bind(struct client *c, const char *queue, const char *exchange, const char *key)
{
	struct method m = { .id = METHOD_queue_bind };
	m.queue_bind.queue = bytes_str(queue);
	m.queue_bind.exchange = bytes_str(exchange);
	m.queue_bind.routing_key = bytes_str(key);
	client_method(c, 1, &m);
	client_expect(c, METHOD_queue_bind_ok);
}

void client_consume(struct client *c, const char *queue, const char *tag, bool is_no_ack,
		    uint16_t prefetch)
{
	struct method m = { .id = METHOD_basic_qos };
	m.basic_qos.prefetch_count = prefetch;
	client_method(c, 1, &m);
	client_expect(c, METHOD_basic_qos_ok);
	m = (struct method){ .id = METHOD_basic_consume };
	m.basic_consume.queue = bytes_str(queue);
	m.basic_consume.consumer_tag = bytes_str(tag);
	m.basic_consume.no_ack = is_no_ack;
	client_method(c, 1, &m);
	client_expect(c, METHOD_basic_consume_ok);
}

void client_ack(struct client *c, uint64_t tag, bool is_multiple)
{
	struct method m = { .id = METHOD_basic_ack };
	m.basic_ack.delivery_tag = tag;
	m.basic_ack.multiple = is_multiple;
	client_method(c, 1, &m);
}

void client_nack(struct client *c, uint64_t tag, bool is_multiple, bool is_requeue)
{
	struct method m = { .id = METHOD_basic_nack };
	m.basic_nack.delivery_tag = tag;
	m.basic_nack.multiple = is_multiple;
	m.basic_nack.requeue = is_requeue;
	client_method(c, 1, &m);
}

void client_confirms(struct client *c)
{
	struct method m = { .id = METHOD_confirm_select };
	client_method(c, 1, &m);
	client_expect(c, METHOD_confirm_select_ok);
}

bool has_text(struct bytes table, const char *name, const char *text)
{
	struct bytes found;
	return table_find_string(table, name, &found) && bytes_equal_str(found, text);
}

bool has_integer(struct bytes table, const char *name, int64_t n)
{
	int64_t found;
	return table_find_integer(table, name, &found) && found == n;
}
