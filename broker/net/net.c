#include "net/net.h"

#include "base/alloc.h"
#include "net/clock.h"
#include "net/listener.h"
#include "net/transport.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

enum {
	READ_BYTES =
		32 * 1024, /* From one connection in one turn: the next one is read while the journal writes what came of it. */
	IOV_MAX_USED = 64,
	LINGER_MS = 2000, /* How long a connection that has ended may take to notice. */
	PEER_NAME_BYTES = 64,
};

struct net {
	struct net_options options;
	struct list listeners;
	struct list conns;
	struct list gone;
	struct list touched;
	struct list resumed;
	struct list waiting;
	size_t conns_len;
	bool is_paused;
	const char *pause_reason;
	uint8_t *read_buffer; /* One for all: what is left over after a read moves to the connection. */
	size_t read_cap;
	unsigned senders; /* Connections that sent something in this turn. */
};

struct conn {
	struct net *net;
	struct list node;
	struct list in_touched;
	struct list in_resumed;
	struct list in_waiting;
	struct transport transport;
	struct session *session;
	struct event *readable;
	struct event *writable;
	uint8_t *left; /* Input that makes no whole frame yet, or must wait. */
	size_t left_len;
	bool is_reading; /* The event is on. */
	bool is_writing;
	bool is_gone;   /* The peer has closed: nothing can be sent. */
	bool is_ending; /* Everything is sent; its last bytes are being dropped. */
	uint64_t ended_ms;
	char peer_name[PEER_NAME_BYTES];
};

/* --- events on and off ------------------------------------------------------------------------------------------- */

static void set_reading(struct conn *c, bool is_on)
{
	if (c->is_reading == is_on)
		return;
	c->is_reading = is_on;
	if (is_on)
		event_add(c->readable, NULL);
	else
		event_del(c->readable);
}

static void set_writing(struct conn *c, bool is_on)
{
	if (c->is_writing == is_on)
		return;
	c->is_writing = is_on;
	if (is_on)
		event_add(c->writable, NULL);
	else
		event_del(c->writable);
}

static bool wants_input(const struct conn *c)
{
	if (c->is_ending)
		return true;
	return !c->is_gone && session_phase(c->session) != SESSION_ENDED && !session_is_waiting(c->session) &&
	       list_is_empty(&c->in_resumed) && session_out(c->session)->len < SESSION_OUT_MAX &&
	       !(c->net->is_paused && session_is_publisher(c->session));
}

static void touch(struct conn *c)
{
	if (list_is_empty(&c->in_touched))
		list_push_tail(&c->net->touched, &c->in_touched);
}

void net_touch(struct net *net, struct session *session)
{
	(void)net;
	touch(session_owner(session));
}

/* --- input ----------------------------------------------------------------------------------------------------- */

static void keep_left(struct conn *c, struct bytes rest)
{
	uint8_t *old = c->left;
	c->left = NULL;
	if (rest.len > 0) {
		c->left = alloc_resize(NULL, rest.len);
		memcpy(c->left, rest.data, rest.len);
	}
	c->left_len = rest.len;
	free(old);
}

/* fresh begins with what was left. */
static void conn_feed(struct conn *c, struct bytes fresh)
{
	size_t used = session_input(c->session, fresh);
	if (session_phase(c->session) == SESSION_ENDED)
		used = fresh.len;
	keep_left(c, bytes_of(fresh.data + used, fresh.len - used));
	if (session_is_waiting(c->session) && list_is_empty(&c->in_waiting))
		list_push_tail(&c->net->waiting, &c->in_waiting);
	touch(c);
}

static void conn_gone(struct conn *c)
{
	c->is_gone = true;
	touch(c);
}

/* Room for what was left and for a full read behind it. */
static uint8_t *read_room(struct net *net, size_t left_len)
{
	if (left_len + READ_BYTES > net->read_cap) {
		net->read_cap = left_len + READ_BYTES;
		net->read_buffer = alloc_resize(net->read_buffer, net->read_cap);
	}
	return net->read_buffer;
}

static void drop_input(struct conn *c)
{
	ssize_t n;
	while ((n = transport_read(&c->transport, read_room(c->net, 0), READ_BYTES)) > 0)
		;
	if (n == TRANSPORT_CLOSED)
		conn_gone(c);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	struct net *net = c->net;
	(void)fd;
	(void)what;
	net->options.begin_turn(net->options.arg);
	net->senders++;
	if (c->is_ending) {
		drop_input(c);
		return;
	}
	do {
		uint8_t *buffer = read_room(net, c->left_len);
		ssize_t n = transport_read(&c->transport, buffer + c->left_len, READ_BYTES);
		if (n == TRANSPORT_CLOSED) {
			conn_gone(c);
			return;
		}
		if (n == TRANSPORT_WAIT)
			break;
		if (c->left_len > 0)
			memcpy(buffer, c->left, c->left_len);
		session_received(c->session);
		conn_feed(c, bytes_of(buffer, c->left_len + (size_t)n));
	} while (transport_has_pending(&c->transport) && wants_input(c));
	if (c->transport.wants_write)
		set_writing(c, true);
}

static void conn_destroy(struct conn *c)
{
	session_destroy(c->session);
	event_free(c->readable);
	event_free(c->writable);
	transport_close(&c->transport);
	list_remove(&c->node);
	list_remove(&c->in_touched);
	list_remove(&c->in_resumed);
	list_remove(&c->in_waiting);
	c->net->conns_len--;
	free(c->left);
	free(c);
}

void net_take_up(struct net *net)
{
	while (!list_is_empty(&net->gone))
		conn_destroy(list_entry(net->gone.next, struct conn, node));
	while (!list_is_empty(&net->resumed)) {
		struct conn *c = list_entry(net->resumed.next, struct conn, in_resumed);
		list_remove(&c->in_resumed);
		size_t len = c->left_len;
		uint8_t *buffer = read_room(net, len);
		if (len > 0)
			memcpy(buffer, c->left, len);
		conn_feed(c, bytes_of(buffer, len));
	}
}

/* --- output ---------------------------------------------------------------------------------------------------- */

static void conn_write(struct conn *c)
{
	struct outbuf *out = session_out(c->session);
	struct iovec iov[IOV_MAX_USED];
	bool is_sent = false;
	while (out->len > 0 && !c->is_gone) {
		int iov_len = outbuf_iovec(out, iov, IOV_MAX_USED);
		size_t offered = 0;
		for (int i = 0; i < iov_len; i++)
			offered += iov[i].iov_len;
		ssize_t n = transport_write(&c->transport, iov, iov_len);
		if (n == TRANSPORT_CLOSED)
			c->is_gone = true;
		if (n <= 0)
			break;
		is_sent = true;
		outbuf_consume(out, (size_t)n);
		if ((size_t)n < offered)
			break;
	}
	if (is_sent)
		session_sent(c->session);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	(void)fd;
	(void)what;
	c->net->options.begin_turn(c->net->options.arg);
	touch(c); /* net_flush() writes. */
	if (c->transport.wants_write) {
		c->transport.wants_write = false;
		on_readable(c->transport.fd, EV_READ, c);
	}
}

/* --- a connection's life ----------------------------------------------------------------------------------------- */

static void name_peer(struct conn *c, const struct sockaddr *address, struct session_peer *peer)
{
	char text[INET6_ADDRSTRLEN] = "?";
	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *a = (const struct sockaddr_in *)(const void *)address;
		inet_ntop(AF_INET, &a->sin_addr, text, sizeof text);
		snprintf(c->peer_name, sizeof c->peer_name, "%s:%u", text, ntohs(a->sin_port));
		peer->is_loopback = ntohl(a->sin_addr.s_addr) >> 24 == 127;
	} else if (address->sa_family == AF_INET6) {
		const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)(const void *)address;
		inet_ntop(AF_INET6, &a->sin6_addr, text, sizeof text);
		snprintf(c->peer_name, sizeof c->peer_name, "[%s]:%u", text, ntohs(a->sin6_port));
		peer->is_loopback = IN6_IS_ADDR_LOOPBACK(&a->sin6_addr) ||
				    (IN6_IS_ADDR_V4MAPPED(&a->sin6_addr) && a->sin6_addr.s6_addr[12] == 127);
	} else {
		snprintf(c->peer_name, sizeof c->peer_name, "local");
		peer->is_loopback = true;
	}
	peer->name = c->peer_name;
}

static bool conn_set_up(struct net *net, int fd, struct ssl_ctx_st *tls, struct conn *c)
{
	int on = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (!transport_init(&c->transport, fd, tls))
		return false;
	c->readable = event_new(net->options.base, fd, EV_READ | EV_PERSIST, on_readable, c);
	c->writable = event_new(net->options.base, fd, EV_WRITE | EV_PERSIST, on_writable, c);
	if (c->readable != NULL && c->writable != NULL)
		return true;
	if (c->readable != NULL)
		event_free(c->readable);
	transport_close(&c->transport);
	return false;
}

static void on_accepted(void *arg, int fd, const struct sockaddr *address, struct ssl_ctx_st *tls)
{
	struct net *net = arg;
	struct session_peer peer = { 0 };
	net->options.begin_turn(net->options.arg);
	if (net->conns_len >= net->options.connections_max) {
		net->options.log(net->options.arg, "connection refused: connection_max is reached");
		close(fd);
		return;
	}
	struct conn *c = alloc_zeroed(sizeof *c);
	c->net = net;
	if (!conn_set_up(net, fd, tls, c) || getrandom(peer.seed, sizeof peer.seed, 0) != sizeof peer.seed) {
		net->options.log(net->options.arg, "connection dropped: cannot set it up");
		free(c);
		return;
	}
	name_peer(c, address, &peer);
	peer.owner = c;
	c->session = session_create(net->options.sessions, &peer);
	list_init(&c->in_touched);
	list_init(&c->in_resumed);
	list_init(&c->in_waiting);
	list_push_tail(&net->conns, &c->node);
	net->conns_len++;
	set_reading(c, true);
}

/* Says no more, but reads what is on its way: an early close would make the kernel throw away what the peer has not read. */
static void begin_ending(struct conn *c)
{
	c->is_ending = true;
	c->ended_ms = clock_steady_ms();
	transport_end(&c->transport);
	keep_left(c, bytes_of(NULL, 0));
}

/* After a turn: writes, ends or goes on. What has gone is destroyed in the next turn: that may change queues. */
static void conn_settle(struct conn *c)
{
	if (!c->is_ending)
		conn_write(c);
	if (c->is_gone) {
		set_reading(c, false);
		set_writing(c, false);
		list_remove(&c->node);
		list_push_tail(&c->net->gone, &c->node);
		return;
	}
	size_t unsent = session_out(c->session)->len;
	if (session_phase(c->session) == SESSION_ENDED && !c->is_ending) {
		if (c->ended_ms == 0)
			c->ended_ms = clock_steady_ms();
		if (unsent == 0)
			begin_ending(c);
	}
	session_check_output(c->session);
	set_writing(c, (unsent > 0 && !c->is_ending) || c->transport.wants_write);
	set_reading(c, wants_input(c));
}

/* --- turns ----------------------------------------------------------------------------------------------------- */

unsigned net_senders(const struct net *net)
{
	return net->senders;
}

bool net_flush(struct net *net, uint64_t submitted, uint64_t durable)
{
	net->senders = 0;
	list_each (node, &net->waiting) {
		struct conn *c = list_entry(node, struct conn, in_waiting);
		if (!session_resume(c->session, submitted, durable))
			continue;
		list_remove(&c->in_waiting);
		list_push_tail(&net->resumed, &c->in_resumed);
		touch(c);
	}
	struct list round; /* What a connection's end touches is for the next one. */
	list_init(&round);
	while (!list_is_empty(&net->touched)) {
		struct list *node = net->touched.next;
		list_remove(node);
		list_push_tail(&round, node);
	}
	while (!list_is_empty(&round)) {
		struct list *node = round.next;
		list_remove(node);
		conn_settle(list_entry(node, struct conn, in_touched));
	}
	return !list_is_empty(&net->resumed) || !list_is_empty(&net->touched) || !list_is_empty(&net->gone);
}

void net_tick(struct net *net)
{
	uint64_t now = clock_steady_ms();
	list_each (node, &net->conns) {
		struct conn *c = list_entry(node, struct conn, node);
		if (!c->is_reading) /* Its heartbeats wait unread: that is our doing. */
			session_received(c->session);
		session_tick(c->session);
		if (c->ended_ms != 0 && now - c->ended_ms >= LINGER_MS)
			c->is_gone = true;
		if (c->is_gone || session_phase(c->session) == SESSION_ENDED || session_out(c->session)->len > 0)
			touch(c);
	}
}

void net_pause_publishers(struct net *net, bool is_paused, const char *reason)
{
	if (net->is_paused == is_paused && net->pause_reason == reason)
		return;
	net->is_paused = is_paused;
	net->pause_reason = is_paused ? reason : NULL;
	list_each (node, &net->conns) {
		struct conn *c = list_entry(node, struct conn, node);
		session_block(c->session, net->pause_reason);
		touch(c);
	}
}

void net_shutdown(struct net *net, enum reply_code code, const char *text)
{
	list_each (node, &net->conns) {
		struct conn *c = list_entry(node, struct conn, node);
		session_shutdown(c->session, code, text);
		touch(c);
	}
}

/* --- life ------------------------------------------------------------------------------------------------------ */

struct net *net_create(const struct net_options *options)
{
	struct net *net = alloc_zeroed(sizeof *net);
	net->options = *options;
	list_init(&net->listeners);
	list_init(&net->conns);
	list_init(&net->gone);
	list_init(&net->touched);
	list_init(&net->resumed);
	list_init(&net->waiting);
	return net;
}

static void on_listener_log(void *arg, const char *text)
{
	struct net *net = arg;
	net->options.log(net->options.arg, text);
}

int net_listen_fd(struct net *net, int fd, struct ssl_ctx_st *const *tls)
{
	struct listener_options options = {
		.base = net->options.base,
		.accepted = on_accepted,
		.log = on_listener_log,
		.arg = net,
	};
	struct listener *l = listener_create(&options, fd, tls);
	if (l == NULL) {
		errno = ENOMEM;
		return -1;
	}
	list_push_tail(&net->listeners, listener_node(l));
	return 0;
}

int net_listen(struct net *net, const struct sockaddr *address, socklen_t len, struct ssl_ctx_st *const *tls)
{
	int fd = listener_socket(address, len);
	return fd == -1 ? -1 : net_listen_fd(net, fd, tls);
}

void net_stop_listening(struct net *net)
{
	while (!list_is_empty(&net->listeners))
		listener_destroy(listener_of(net->listeners.next));
}

size_t net_connections(const struct net *net)
{
	return net->conns_len;
}

void net_destroy(struct net *net)
{
	if (net == NULL)
		return;
	net_stop_listening(net);
	net_take_up(net);
	while (!list_is_empty(&net->conns))
		conn_destroy(list_entry(net->conns.next, struct conn, node));
	free(net->read_buffer);
	free(net);
}
