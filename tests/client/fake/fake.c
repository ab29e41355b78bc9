#include "fake.h"

#include "frame.h"
#include "properties.h"
#include "socket.h"
#include "table.h"

#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>

enum { SAID_MAX = 1 << 20, HEARD_MAX = 1 << 20, CHANNELS = 16 };

struct fake fake;

/* Of the present connection. */
static uint8_t said[SAID_MAX], heard[HEARD_MAX];
static size_t said_at, said_len, heard_len;
static bool is_cut, has_begun;
static uint64_t tags[CHANNELS]; /* Of publishes, by channel, */
static uint64_t delivery_tag;
static bool is_confirming[CHANNELS];

static void forget_connection(void)
{
	said_at = said_len = heard_len = 0;
	is_cut = has_begun = false;
	memset(tags, 0, sizeof tags);
	memset(is_confirming, 0, sizeof is_confirming);
	delivery_tag = 0;
}

void fake_reset(void)
{
	if (fake.outstanding != 0)
		abort();
	fake = (struct fake){ .now_ms = 1000000 };
	forget_connection();
}

/* --- memory --- */

void *fake_malloc(size_t size);
void *fake_calloc(size_t n, size_t size);
void *fake_realloc(void *old, size_t size);
void fake_free(void *p);
char *fake_strdup(const char *s);

static bool is_refused(void)
{
	fake.allocations++;
	return fake.fail_at != 0 && (fake.fails_after ? fake.allocations >= fake.fail_at
						      : fake.allocations == fake.fail_at);
}

void *fake_calloc(size_t n, size_t size)
{
	void *p = is_refused() ? NULL : calloc(n, size);
	fake.outstanding += p != NULL;
	return p;
}

void *fake_malloc(size_t size)
{
	void *p = is_refused() ? NULL : malloc(size);
	fake.outstanding += p != NULL;
	return p;
}

void *fake_realloc(void *old, size_t size)
{
	void *p = is_refused() ? NULL : realloc(old, size);
	fake.outstanding += p != NULL && old == NULL;
	return p;
}

void fake_free(void *p)
{
	fake.outstanding -= p != NULL;
	free(p);
}

char *fake_strdup(const char *s)
{
	size_t len = strlen(s) + 1;
	char *copy = fake_malloc(len);
	return copy == NULL ? NULL : memcpy(copy, s, len);
}

/* --- time --- */

int fake_clock_gettime(clockid_t clock, struct timespec *t);
int fake_poll(struct pollfd *fds, nfds_t len, int ms);

int fake_clock_gettime(clockid_t clock, struct timespec *t)
{
	(void)clock;
	*t = (struct timespec){ (time_t)(fake.now_ms / 1000),
				(long)(fake.now_ms % 1000) * 1000000 };
	return 0;
}

int fake_poll(struct pollfd *fds, nfds_t len, int ms)
{
	bool is_ready = len > 0 && fds[0].fd >= 0 &&
			(fds[0].events & POLLOUT || said_at < said_len || is_cut);
	if (is_ready) {
		fds[0].revents = fds[0].events;
		return 1;
	}
	fake.now_ms += ms > 0 ? (uint64_t)ms : 0;
	return 0;
}

/* --- addresses and sockets --- */

int fake_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
		     struct addrinfo **out);
void fake_freeaddrinfo(struct addrinfo *a);

int fake_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
		     struct addrinfo **out)
{
	static struct addrinfo second, first = { .ai_next = &second };
	(void)host;
	(void)port;
	(void)hints;
	*out = &first;
	return 0;
}

void fake_freeaddrinfo(struct addrinfo *a)
{
	(void)a;
}

int socket_connect(struct socket *s, const struct uri *uri, const struct addrinfo *address,
		   struct reason *why)
{
	(void)uri;
	(void)address;
	if (fake.is_down)
		return reason_set(why, LEV_UNREACHABLE, "refused");
	*s = (struct socket){ .fd = 1000000, .state = SOCKET_CONNECTING };
	forget_connection();
	fake.connections++;
	return LEV_OK;
}

int socket_advance(struct socket *s, const struct uri *uri, struct reason *why)
{
	(void)uri;
	(void)why;
	s->state = SOCKET_OPEN;
	return LEV_OK;
}

ssize_t socket_read(struct socket *s, void *data, size_t len)
{
	size_t left = said_len - said_at, n = left < len ? left : len;
	(void)s;
	if (n == 0)
		return is_cut ? SOCKET_ENDED : SOCKET_WAIT;
	memcpy(data, said + said_at, n);
	said_at += n;
	return (ssize_t)n;
}

short socket_want(const struct socket *s, bool has_output)
{
	return s->state == SOCKET_NONE
		       ? 0
		       : (short)(POLLIN |
				 (has_output || s->state == SOCKET_CONNECTING ? POLLOUT : 0));
}

void socket_close(struct socket *s)
{
	*s = (struct socket){ .fd = -1 };
}

/* --- what the broker says --- */

void fake_say(struct bytes b)
{
	if (said_at == said_len)
		said_at = said_len = 0;
	if (b.len > SAID_MAX - said_len)
		return;
	if (b.len > 0)
		memcpy(said + said_len, b.data, b.len);
	said_len += b.len;
}

void fake_say_frame(uint8_t type, uint16_t channel, struct bytes payload)
{
	uint8_t head[FRAME_HEAD_BYTES], end = FRAME_END;
	frame_head(head, type, channel, (uint32_t)payload.len);
	fake_say(bytes_of(head, sizeof head));
	fake_say(payload);
	fake_say(bytes_of(&end, 1));
}

void fake_say_method(uint16_t channel, const struct method *m)
{
	uint8_t payload[2048];
	struct writer w = writer_of(payload, sizeof payload);
	method_encode(&w, m);
	fake_say_frame(FRAME_METHOD, channel, bytes_of(payload, (size_t)(w.at - payload)));
}

void fake_say_message(uint16_t channel, const struct method *m, struct bytes header,
		      struct bytes body)
{
	fake_say_method(channel, m);
	fake_say_frame(FRAME_HEADER, channel, header);
	if (body.len > 0)
		fake_say_frame(FRAME_BODY, channel, body);
}

void fake_cut(void)
{
	is_cut = true;
}

/* --- what it answers --- */

static struct bytes plain_header(uint8_t data[CONTENT_FLAGS_AT + 2], uint64_t body_len)
{
	struct writer w = writer_of(data, CONTENT_FLAGS_AT + 2);
	write_u32(&w, (uint32_t)CLASS_BASIC << 16);
	write_u64(&w, body_len);
	write_u16(&w, 0);
	return bytes_of(data, CONTENT_FLAGS_AT + 2);
}

static void deliver(uint16_t channel, uint32_t id)
{
	uint8_t header[CONTENT_FLAGS_AT + 2];
	struct method m = { .id = id };
	if (id == METHOD_basic_deliver) {
		m.basic_deliver.consumer_tag = bytes_str("leveret");
		m.basic_deliver.delivery_tag = ++delivery_tag;
		m.basic_deliver.routing_key = bytes_str("q");
	} else {
		m.basic_get_ok.delivery_tag = ++delivery_tag;
		m.basic_get_ok.routing_key = bytes_str("q");
	}
	fake_say_message(channel, &m, plain_header(header, 5), bytes_str("hello"));
}

static void start(void)
{
	uint8_t table[256];
	struct writer w = writer_of(table, sizeof table);
	struct method m = { .id = METHOD_connection_start };
	uint8_t *began = table_begin(&w, "capabilities");
	if (!fake.is_plain) {
		table_write_bool(&w, "idempotency", true);
		table_write_bool(&w, "lease_extend", true);
		table_write_bool(&w, "retry_after", true);
	}
	table_end(&w, began);
	m.connection_start.version_minor = 9;
	m.connection_start.server_properties = bytes_of(table, (size_t)(w.at - table));
	m.connection_start.mechanisms = bytes_str("PLAIN");
	m.connection_start.locales = bytes_str("en_US");
	fake_say_method(0, &m);
}

static void confirm(uint16_t channel)
{
	struct method m = { .id = METHOD_basic_ack };
	fake.publishes++;
	if (channel >= CHANNELS || !is_confirming[channel] || fake.holds_confirms)
		return;
	m.basic_ack.delivery_tag = ++tags[channel];
	fake_say_method(channel, &m);
}

static void reply(uint16_t channel, uint32_t id)
{
	struct method m = { .id = id };
	if (id == METHOD_connection_tune)
		m.connection_tune = (struct amqp_connection_tune){ 15, 8192, 10, 0 };
	if (id == METHOD_basic_consume_ok)
		m.basic_consume_ok.consumer_tag = bytes_str("leveret");
	fake_say_method(channel, &m);
}

static bool is_held(uint16_t channel, bool is_exclusive, const char *refusal, uint16_t code)
{
	struct method m = { .id = METHOD_channel_close };
	if (!is_exclusive || fake.now_ms >= fake.held_until)
		return false;
	m.channel_close.reply_code = code;
	m.channel_close.reply_text = bytes_str(refusal);
	fake_say_method(channel, &m);
	return true;
}

static void answer(uint16_t channel, const struct method *m)
{
	switch (m->id) {
	case METHOD_connection_start_ok: reply(0, METHOD_connection_tune); break;
	case METHOD_connection_open: reply(0, METHOD_connection_open_ok); break;
	case METHOD_connection_close:
		reply(0, METHOD_connection_close_ok);
		fake_cut();
		break;
	case METHOD_channel_open: reply(channel, METHOD_channel_open_ok); break;
	case METHOD_channel_close:
		if (channel < CHANNELS)
			tags[channel] = 0;
		reply(channel, METHOD_channel_close_ok);
		break;
	case METHOD_confirm_select:
		if (channel < CHANNELS)
			is_confirming[channel] = true;
		reply(channel, METHOD_confirm_select_ok);
		break;
	case METHOD_basic_consume:
		if (is_held(channel, m->basic_consume.exclusive,
			    "ACCESS_REFUSED - queue in exclusive use", 403))
			break;
		reply(channel, METHOD_basic_consume_ok);
		for (unsigned i = 0; i < fake.deliveries; i++)
			deliver(channel, METHOD_basic_deliver);
		break;
	case METHOD_basic_publish: confirm(channel); break;
	case METHOD_basic_get: deliver(channel, METHOD_basic_get_ok); break;
	case METHOD_basic_qos: reply(channel, METHOD_basic_qos_ok); break;
	case METHOD_basic_cancel: reply(channel, METHOD_basic_cancel_ok); break;
	case METHOD_queue_declare:
		if (!is_held(channel, m->queue_declare.exclusive,
			     "RESOURCE_LOCKED - another connection's", 405)) {
			fake.declared++;
			reply(channel, METHOD_queue_declare_ok);
		}
		break;
	case METHOD_queue_bind: reply(channel, METHOD_queue_bind_ok); break;
	case METHOD_queue_delete: reply(channel, METHOD_queue_delete_ok); break;
	case METHOD_queue_purge: reply(channel, METHOD_queue_purge_ok); break;
	case METHOD_exchange_declare: reply(channel, METHOD_exchange_declare_ok); break;
	case METHOD_tx_select: reply(channel, METHOD_tx_select_ok); break;
	case METHOD_tx_commit: reply(channel, METHOD_tx_commit_ok); break;
	default: break;
	}
}

/* The library must not send what is no frame. */
static void listen_to_frames(void)
{
	size_t at = has_begun ? 0 : PROTOCOL_HEADER_BYTES, used;
	struct frame f;
	if (!has_begun && heard_len < PROTOCOL_HEADER_BYTES)
		return;
	if (!has_begun && !fake.is_silent)
		start();
	has_begun = true;
	for (;; at += used) {
		struct method m;
		int rc = frame_parse(bytes_of(heard + at, heard_len - at), 131072, &f, &used);
		if (rc == FRAME_INCOMPLETE)
			break;
		if (rc != FRAME_OK ||
		    (f.type == FRAME_METHOD && method_decode(&m, f.payload) != METHOD_OK))
			abort();
		if (f.type == FRAME_METHOD && !fake.is_silent)
			answer(f.channel, &m);
	}
	memmove(heard, heard + at, heard_len - at);
	heard_len -= at;
}

ssize_t socket_write(struct socket *s, const void *data, size_t len)
{
	size_t n = len < HEARD_MAX - heard_len ? len : HEARD_MAX - heard_len;
	(void)s;
	if (is_cut)
		return SOCKET_ENDED;
	if (fake.is_deaf)
		return SOCKET_WAIT;
	memcpy(heard + heard_len, data, n);
	heard_len += n;
	listen_to_frames();
	return (ssize_t)n;
}
