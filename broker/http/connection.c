/* Connection: one client's requests, one after the other.
 *
 * Callbacks of libevent are deferred, so none of them runs within what is called here. What a
 * handler calls may end the connection while it is still looked at further up: it is then marked as
 * closed and destroyed by whoever looks at it (connection_run()). */
#include "http/state.h"

#include "base/alloc.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	INPUT_BYTES_MAX = 32 * 1024,  /* Read ahead. */
	DROPPED_BYTES_MAX = 16 << 20, /* After the last reply; then the client may lose it. */
	REQUESTS_PER_TURN = 16, /* Then others have theirs; it goes on when something of the answers
				   has been sent. */
};

struct evbuffer *connection_output(const struct connection *c)
{
	return bufferevent_get_output(c->stream);
}

static struct evbuffer *input_of(const struct connection *c)
{
	return bufferevent_get_input(c->stream);
}

static size_t output_len(const struct connection *c)
{
	return evbuffer_get_length(connection_output(c));
}

static void note(const struct connection *c, const char *text)
{
	if (c->server->options.log != NULL)
		c->server->options.log(c->server->options.arg, &c->peer, text);
}

void connection_account(struct connection *c)
{
	size_t held = output_len(c) + (c->call == NULL ? 0 : http_parser_held(&c->call->parser));
	c->server->held_bytes += held - c->held_bytes;
	c->held_bytes = held;
}

/* It is we who wait, and nothing would be lost but a wait. */
static bool is_waiting(const struct connection *c)
{
	return c->phase == PHASE_IDLE ? output_len(c) == 0
				      : c->phase == PHASE_HEAD || c->phase == PHASE_BODY ||
						c->phase == PHASE_LINGER;
}

/* timeout_ms 0: none. */
static void enter(struct connection *c, enum phase phase, uint32_t timeout_ms)
{
	struct timeval timeout = { .tv_sec = timeout_ms / 1000,
				   .tv_usec = timeout_ms % 1000 * 1000 };
	c->phase = phase;
	list_remove(&c->node);
	list_push_tail(is_waiting(c) ? &c->server->waiting : &c->server->busy, &c->node);
	if (timeout_ms == 0)
		event_del(c->timer);
	else
		event_add(c->timer, &timeout);
}

static bool is_reading(const struct connection *c)
{
	return c->phase <= PHASE_BODY;
}

void connection_destroy(struct connection *c)
{
	struct call *call = c->call;
	list_remove(&c->node);
	c->server->connections_len--;
	c->server->held_bytes -= c->held_bytes;
	event_free(c->timer);
	bufferevent_free(c->stream);
	if (call != NULL && call->is_owned)
		call_leave(call);
	else if (call != NULL)
		call_destroy(call);
	free(c);
}

/* --- the end of a connection --- */

static void close_now(struct connection *c)
{
	c->phase = PHASE_CLOSED;
}

/* Closing a socket that has unread bytes resets the connection, and the client would lose the
 * reply: so our side ends first, and what comes is dropped for a while. */
static void linger(struct connection *c)
{
	if (c->is_ended) {
		close_now(c);
		return;
	}
	if (c->is_tls)
		SSL_shutdown(bufferevent_openssl_get_ssl(c->stream));
	ERR_clear_error();
	shutdown(bufferevent_getfd(c->stream), SHUT_WR);
	enter(c, PHASE_LINGER, c->server->options.limits.linger_ms);
}

/* After what is in the output. */
static void finish(struct connection *c)
{
	if (output_len(c) == 0)
		linger(c);
	else
		enter(c, PHASE_LAST, c->server->options.limits.reply_ms);
}

static void drop_input(struct connection *c)
{
	size_t len = evbuffer_get_length(input_of(c));
	evbuffer_drain(input_of(c), len);
	c->dropped_bytes += len;
	if (c->dropped_bytes > DROPPED_BYTES_MAX)
		close_now(c);
}

/* --- requests --- */

static void refuse(struct connection *c, unsigned status, const char *reason)
{
	note(c, reason);
	c->call->is_owned = true;
	http_reply_error(&c->call->parser.request, status, NULL, reason);
}

static void begin_request(struct connection *c)
{
	c->call = call_create(c);
	enter(c, PHASE_HEAD, c->server->options.limits.head_ms);
}

/* The head has come: may the body? False: the request has been answered. */
static bool admit(struct connection *c)
{
	const struct http_options *o = &c->server->options;
	struct call *call = c->call;
	struct http_request *r = &call->parser.request;
	bool has_body = r->is_chunked || r->length > 0;
	enter(c, PHASE_BODY, o->limits.body_ms);
	if (!has_body || o->body_max == NULL)
		return true;
	call->is_owned = true;
	size_t max = o->body_max(o->arg, r);
	if (c->call != call)
		return false;
	call->is_owned = false;
	if (max < call->parser.body_bytes_max)
		call->parser.body_bytes_max = max;
	return true;
}

static void invite_body(struct connection *c)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
	bufferevent_write(c->stream, text, sizeof text - 1);
}

static void hand_over(struct connection *c)
{
	const struct http_options *o = &c->server->options;
	c->call->is_whole = true;
	c->call->is_owned = true;
	enter(c, PHASE_ANSWER, 0);
	o->handle(o->arg, &c->call->parser.request);
}

static bool is_out_of_memory(struct connection *c)
{
	connection_account(c);
	return c->held_bytes > SMALL_BYTES &&
	       c->server->held_bytes > c->server->options.limits.memory_bytes_max;
}

/* What lies together at the beginning of the input, to the parser. */
static enum http_parse parse_some(struct connection *c)
{
	struct call *call = c->call;
	struct evbuffer *in = input_of(c);
	struct evbuffer_iovec piece;
	evbuffer_peek(in, -1, NULL, &piece, 1);
	struct bytes rest = bytes_of(piece.iov_base, piece.iov_len);
	enum http_parse result = http_parse(&call->parser, &rest);
	bool is_head = result == PARSE_HEAD;
	bool is_admitted = !is_head || admit(c);
	if (is_admitted && is_head)
		result = http_parse(&call->parser, &rest);
	evbuffer_drain(in, piece.iov_len - rest.len);
	if (!is_admitted)
		return PARSE_MORE;
	if (is_head && result == PARSE_MORE && call->parser.request.expects_continue &&
	    evbuffer_get_length(in) == 0)
		invite_body(c);
	return result;
}

/* True if a request has been handed over. */
static bool read_some(struct connection *c)
{
	if (c->call == NULL)
		begin_request(c);
	enum http_parse result = parse_some(c);
	if (c->call == NULL)
		return true;
	if (result == PARSE_WRONG)
		refuse(c, c->call->parser.status, c->call->parser.reason);
	else if (is_out_of_memory(c))
		refuse(c, 503, "too much is under way");
	else if (result == PARSE_DONE)
		hand_over(c);
	return result == PARSE_DONE;
}

static bool can_read(const struct connection *c)
{
	return is_reading(c) && !c->server->is_destroyed && evbuffer_get_length(input_of(c)) > 0 &&
	       output_len(c) <= OUTPUT_LOW_BYTES;
}

/* Watermarks would do the same, but stop within a record of TLS, whose rest nobody then reads until
 * the peer sends more (libevent 2.1). */
static void pace(struct connection *c)
{
	bool is_full = evbuffer_get_length(input_of(c)) >= INPUT_BYTES_MAX;
	if (c->is_ended || is_full == c->is_paused)
		return;
	c->is_paused = is_full;
	if (is_full)
		bufferevent_disable(c->stream, EV_READ);
	else
		bufferevent_enable(c->stream, EV_READ);
}

static void run(struct connection *c)
{
	unsigned requests = 0;
	c->is_running = true;
	while (can_read(c) && requests < REQUESTS_PER_TURN)
		requests += read_some(c);
	if (c->is_ended && is_reading(c) && evbuffer_get_length(input_of(c)) == 0)
		finish(c);
	if (c->phase == PHASE_LAST || c->phase == PHASE_LINGER)
		drop_input(c);
	c->is_running = false;
	if (c->phase == PHASE_CLOSED) {
		connection_destroy(c);
		return;
	}
	pace(c);
	connection_account(c);
}

bool connection_goes_on(const struct connection *c)
{
	return c->call->is_whole && c->call->parser.request.keeps_alive && c->phase != PHASE_CLOSED;
}

void connection_answered(struct connection *c, bool goes_on)
{
	const struct http_limits *limits = &c->server->options.limits;
	c->call = NULL;
	if (c->phase == PHASE_CLOSED)
		return;
	c->is_taking = goes_on && output_len(c) > 0;
	if (goes_on)
		enter(c, PHASE_IDLE, c->is_taking ? limits->reply_ms : limits->idle_ms);
	else
		finish(c);
	if (!c->is_running)
		run(c);
}

void connection_stream(struct connection *c)
{
	enter(c, PHASE_STREAM, 0);
	if (c->is_ended)
		close_now(c);
	if (!c->is_running)
		run(c);
}

/* --- events --- */

static void on_read(struct bufferevent *stream, void *arg)
{
	(void)stream;
	run(arg);
}

static void give_room(struct connection *c)
{
	struct call *call = c->call;
	if (c->phase != PHASE_STREAM || !call->is_room_wanted)
		return;
	call->is_room_wanted = false;
	c->is_running = true;
	if (call->room != NULL)
		call->room(call->room_arg, &call->parser.request);
}

/* No more than OUTPUT_LOW_BYTES are left to be sent. */
static void on_write(struct bufferevent *stream, void *arg)
{
	struct connection *c = arg;
	(void)stream;
	connection_account(c);
	give_room(c);
	if (output_len(c) == 0 && c->phase == PHASE_LAST) {
		linger(c);
	} else if (output_len(c) == 0 && c->phase == PHASE_IDLE && c->is_taking) {
		c->is_taking = false;
		enter(c, PHASE_IDLE, c->server->options.limits.idle_ms);
	}
	run(c);
}

static void note_failure(const struct connection *c)
{
	unsigned long code = bufferevent_get_openssl_error(c->stream);
	char reason[120], text[160];
	if (code == 0)
		return;
	ERR_error_string_n(code, reason, sizeof reason);
	snprintf(text, sizeof text, "TLS: %s", reason);
	note(c, text);
}

/* Whose side of a plain connection has ended may still read what he asked for. */
static void on_event(struct bufferevent *stream, short what, void *arg)
{
	struct connection *c = arg;
	(void)stream;
	if (what & BEV_EVENT_CONNECTED) {
		c->is_secure = true;
		return;
	}
	if (c->is_tls && !c->is_secure)
		note_failure(c);
	c->is_ended = true;
	if (!(what & BEV_EVENT_EOF) || c->is_tls || c->phase == PHASE_STREAM ||
	    c->phase == PHASE_LINGER)
		close_now(c);
	run(c);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct connection *c = arg;
	(void)fd;
	(void)what;
	c->is_running = true;
	if (c->phase == PHASE_HEAD || c->phase == PHASE_BODY)
		refuse(c, 408, "the request did not come in time");
	else
		close_now(c);
	run(c);
}

/* --- the begin of a connection --- */

static struct bufferevent *open_stream(struct event_base *base, int fd, struct ssl_ctx_st *tls)
{
	const int options = BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS;
	if (tls == NULL)
		return bufferevent_socket_new(base, fd, options);
	SSL *ssl = SSL_new(tls);
	if (ssl == NULL)
		return NULL;
	struct bufferevent *stream =
		bufferevent_openssl_socket_new(base, fd, ssl, BUFFEREVENT_SSL_ACCEPTING, options);
	if (stream == NULL)
		SSL_free(ssl);
	return stream;
}

static void set_peer(struct connection *c, const struct sockaddr *peer)
{
	if (peer->sa_family == AF_INET)
		memcpy(&c->peer.v4, peer, sizeof c->peer.v4);
	else if (peer->sa_family == AF_INET6)
		memcpy(&c->peer.v6, peer, sizeof c->peer.v6);
	else
		c->peer.any.sa_family = peer->sa_family;
}

static void begin(struct connection *c)
{
	const struct http_limits *limits = &c->server->options.limits;
	struct timeval stall = { .tv_sec = limits->stall_ms / 1000,
				 .tv_usec = limits->stall_ms % 1000 * 1000 };
	int on = 1, fd = bufferevent_getfd(c->stream);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	bufferevent_setwatermark(c->stream, EV_WRITE, OUTPUT_LOW_BYTES, 0);
	bufferevent_set_timeouts(c->stream, NULL, &stall);
	bufferevent_setcb(c->stream, on_read, on_write, on_event, c);
	bufferevent_enable(c->stream, EV_READ | EV_WRITE);
	enter(c, PHASE_IDLE, limits->head_ms);
}

/* The one that has kept us waiting longest: with its request, else with taking its reply. NULL: all
 * are waiting for us. */
static struct connection *find_slowest(const struct http_server *s)
{
	if (!list_is_empty(&s->waiting))
		return list_entry(s->waiting.next, struct connection, node);
	list_each (node, &s->busy) {
		struct connection *c = list_entry(node, struct connection, node);
		if (c->phase == PHASE_IDLE || c->phase == PHASE_LAST)
			return c;
	}
	return NULL;
}

static bool make_room(struct http_server *s)
{
	struct connection *c = find_slowest(s);
	if (c == NULL)
		return false;
	note(c, "closed to make room for another connection");
	connection_destroy(c);
	return true;
}

void connection_accept(struct http_server *s, int fd, const struct sockaddr *peer,
		       struct ssl_ctx_st *tls)
{
	bool is_full = s->connections_len >= s->options.limits.connections_max;
	struct bufferevent *stream = NULL;
	if (!is_full || make_room(s))
		stream = open_stream(s->options.base, fd, tls);
	if (stream == NULL) {
		close(fd);
		return;
	}
	struct connection *c = alloc_zeroed(sizeof *c);
	c->timer = evtimer_new(s->options.base, on_timer, c);
	if (c->timer == NULL) {
		bufferevent_free(stream);
		free(c);
		return;
	}
	c->server = s;
	c->stream = stream;
	c->is_tls = tls != NULL;
	list_init(&c->node);
	set_peer(c, peer);
	s->connections_len++;
	begin(c);
}
