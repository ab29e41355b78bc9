#include "net/net.h"

#include "base/alloc.h"
#include "base/walk.h"
#include "net/clock.h"
#include "net/io.h"
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
	READ_BYTES = 32 * 1024, /* From one connection in one turn: the next one is read while the
				   journal writes what came of it. */
	IOV_MAX_USED = 64,
	IO_WRITE_BYTES = 512 * 1024, /* One write of an I/O thread, about: nothing is heard of it
					before all of it is done. */
	LINGER_MS = 2000,            /* How long a connection that has ended may take to notice. */
	PEER_NAME_BYTES = 64,
	CONNECTION_NAME_BYTES = 2 * PEER_NAME_BYTES + 4,
};

struct net {
	struct net_options options;
	struct list listeners;
	struct list conns;
	struct list walks; /* Of conns: struct walk. */
	struct list gone;
	struct list touched;
	struct list resumed;
	struct list waiting;
	struct list throttled;
	struct list unread;  /* TLS holds input that the sockets' events know nothing of. */
	struct list closing; /* Connections that an I/O thread has not let go of yet. */
	struct io **ios;     /* I/O threads. */
	struct event **io_events;
	size_t ios_len;
	size_t next_io;
	size_t conns_len;
	bool is_paused;
	uint8_t *read_buffer; /* One for all: what is left over after a read moves to the
				 connection. */
	size_t read_cap;
	unsigned senders; /* Connections that sent something in this turn. */
};

struct conn {
	struct net *net;
	struct list node;
	struct list in_touched;
	struct list in_resumed;
	struct list in_waiting;
	struct list in_unread;
	struct list in_throttled;
	struct transport transport;
	struct session *session;
	struct event *readable;
	struct event *writable;
	struct io_conn *io; /* An I/O thread has the transport; NULL: we have it, and the events. */
	struct io_buffer *taken; /* Its buffers that have not been given back. */
	uint8_t *left;           /* Input that makes no whole frame yet, or must wait. */
	size_t left_len;
	bool is_reading; /* The event is on; or buffers are given back. */
	bool is_writing; /* The event is on; or the thread has something to write. */
	bool is_lost;    /* That was said. */
	bool is_gone;    /* The peer has closed: nothing can be sent. */
	bool is_closing; /* The I/O thread has been asked to let go of it. */
	bool is_ending;  /* Everything is sent; its last bytes are being dropped. */
	uint64_t ended_ms;
	char peer_name[PEER_NAME_BYTES];
	char name[CONNECTION_NAME_BYTES]; /* With our own address. */
};

static void leave_list(struct conn *c)
{
	walks_leave(&c->net->walks, &c->node);
	list_remove(&c->node);
}

/* --- events on and off --- */

static void give_back(struct conn *c)
{
	while (c->taken != NULL) {
		struct io_buffer *next = c->taken->next;
		io_give_back(c->io, c->taken);
		c->taken = next;
	}
}

static void set_reading(struct conn *c, bool is_on)
{
	if (c->io != NULL) {
		c->is_reading = is_on;
		if (is_on)
			give_back(c);
		return;
	}
	if (is_on && transport_has_pending(&c->transport) && list_is_empty(&c->in_unread))
		list_push_tail(&c->net->unread, &c->in_unread);
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
	if (c->io != NULL || c->is_writing == is_on)
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
	return !c->is_gone && session_phase(c->session) != SESSION_ENDED &&
	       !session_is_waiting(c->session) && list_is_empty(&c->in_resumed) &&
	       session_out(c->session)->len < SESSION_OUT_MAX && !session_is_full(c->session) &&
	       !(c->net->is_paused && session_is_publisher(c->session)) &&
	       list_is_empty(&c->in_throttled);
}

static void touch(struct conn *c)
{
	if (list_is_empty(&c->in_touched))
		list_push_tail(&c->net->touched, &c->in_touched);
}

/* Its input is offered again in the next turn. */
static void resume(struct conn *c)
{
	if (list_is_empty(&c->in_resumed))
		list_push_tail(&c->net->resumed, &c->in_resumed);
	touch(c);
}

void net_touch(struct net *net, struct session *session)
{
	(void)net;
	touch(session_owner(session));
}

/* --- input --- */

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
	if (transport_read(&c->transport, read_room(c->net, 0), READ_BYTES) == TRANSPORT_CLOSED)
		conn_gone(c);
}

/* Once a turn, however much there is: what comes of it must go out before more is taken. */
static void conn_read(struct conn *c)
{
	struct net *net = c->net;
	if (c->is_ending) {
		drop_input(c);
		return;
	}
	uint8_t *buffer = read_room(net, c->left_len);
	ssize_t n = transport_read(&c->transport, buffer + c->left_len, READ_BYTES);
	if (n == TRANSPORT_CLOSED) {
		conn_gone(c);
	} else if (n != TRANSPORT_WAIT) {
		if (c->left_len > 0)
			memcpy(buffer, c->left, c->left_len);
		session_received(c->session);
		conn_feed(c, bytes_of(buffer, c->left_len + (size_t)n));
	}
	if (c->transport.wants_write)
		set_writing(c, true);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	(void)fd;
	(void)what;
	c->net->options.begin_turn(c->net->options.arg);
	c->net->senders++;
	list_remove(&c->in_unread);
	conn_read(c);
}

static void conn_destroy(struct conn *c)
{
	session_destroy(c->session);
	for (struct io_buffer *next; c->taken != NULL; c->taken = next) {
		next = c->taken->next;
		free(c->taken);
	}
	if (c->io == NULL) {
		event_free(c->readable);
		event_free(c->writable);
		transport_close(&c->transport);
	}
	leave_list(c);
	list_remove(&c->in_touched);
	list_remove(&c->in_resumed);
	list_remove(&c->in_waiting);
	list_remove(&c->in_unread);
	list_remove(&c->in_throttled);
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
	struct list unread; /* Those that have been read may be put back. */
	list_init(&unread);
	while (!list_is_empty(&net->unread)) {
		struct list *node = net->unread.next;
		list_remove(node);
		list_push_tail(&unread, node);
	}
	while (!list_is_empty(&unread)) {
		struct conn *c = list_entry(unread.next, struct conn, in_unread);
		list_remove(&c->in_unread);
		if (c->is_reading && wants_input(c))
			conn_read(c);
	}
}

/* --- output --- */

static void ask_for_write(struct conn *c)
{
	struct iovec iov[IO_IOV_MAX];
	if (c->is_writing || c->is_gone || session_out(c->session)->len == 0)
		return;
	c->is_writing = true;
	int iov_len = outbuf_iovec(session_out(c->session), iov, IO_IOV_MAX), used = 0;
	for (size_t bytes = 0; used < iov_len && bytes < IO_WRITE_BYTES; used++)
		bytes += iov[used].iov_len;
	io_write(c->io, iov, used);
}

static void conn_write(struct conn *c)
{
	struct outbuf *out = session_out(c->session);
	struct iovec iov[IOV_MAX_USED];
	bool is_sent = false;
	if (c->io != NULL) {
		ask_for_write(c);
		return;
	}
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

/* --- what I/O threads tell --- */

static void left_append(struct conn *c, struct bytes more)
{
	c->left = alloc_resize(c->left, c->left_len + more.len);
	memcpy(c->left + c->left_len, more.data, more.len);
	c->left_len += more.len;
}

/* What was left goes in front: into the room that the buffer has for that, or both where there is
 * more. */
static void feed_buffer(struct conn *c, struct io_buffer *b)
{
	uint8_t *data = b->bytes + IO_HEADROOM;
	size_t left_len = c->left_len;
	if (left_len <= IO_HEADROOM) {
		data -= left_len;
	} else {
		data = read_room(c->net, left_len + b->len);
		memcpy(data + left_len, b->bytes + IO_HEADROOM, b->len);
	}
	if (left_len > 0)
		memcpy(data, c->left, left_len);
	conn_feed(c, bytes_of(data, left_len + b->len));
}

static void on_io_input(void *arg, struct io_buffer *b)
{
	struct conn *c = arg;
	if (c->is_closing) { /* The thread wants nothing back any more. */
		free(b);
		return;
	}
	b->next = c->taken;
	c->taken = b;
	c->net->senders++;
	touch(c); /* conn_settle() gives the buffer back. */
	if (c->is_gone || c->is_ending)
		return;
	session_received(c->session);
	if (wants_input(c))
		feed_buffer(c, b);
	else
		left_append(c, bytes_of(b->bytes + IO_HEADROOM, b->len));
}

static void on_io_written(void *arg, size_t bytes)
{
	struct conn *c = arg;
	c->is_writing = false;
	outbuf_consume(session_out(c->session), bytes);
	session_sent(c->session);
	touch(c);
}

static void on_io_closed(void *arg)
{
	conn_gone(arg);
}

static void on_io_released(void *arg)
{
	struct conn *c = arg;
	leave_list(c);
	list_push_tail(&c->net->gone, &c->node);
}

static void on_io(evutil_socket_t fd, short what, void *arg)
{
	struct net *net = arg;
	(void)what;
	net->options.begin_turn(net->options.arg);
	for (size_t i = 0; i < net->ios_len; i++)
		if (io_fd(net->ios[i]) == fd)
			io_take(net->ios[i]);
}

static bool start_ios(struct net *net)
{
	static const struct io_events events = { on_io_input, on_io_written, on_io_closed,
						 on_io_released };
	net->ios = alloc_zeroed((net->options.io_threads + 1) * sizeof(struct io *));
	net->io_events = alloc_zeroed((net->options.io_threads + 1) * sizeof(struct event *));
	for (; net->ios_len < net->options.io_threads; net->ios_len++) {
		struct io *io = io_create(&events);
		if (io == NULL)
			return false;
		net->ios[net->ios_len] = io;
		net->io_events[net->ios_len] =
			event_new(net->options.base, io_fd(io), EV_READ | EV_PERSIST, on_io, net);
		if (net->io_events[net->ios_len] == NULL ||
		    event_add(net->io_events[net->ios_len], NULL) != 0) {
			io_destroy(io);
			errno = ENOMEM;
			return false;
		}
	}
	return true;
}

static void stop_ios(struct net *net)
{
	for (size_t i = 0; i < net->ios_len; i++) {
		event_free(net->io_events[i]);
		io_destroy(net->ios[i]);
	}
	free(net->ios);
	free(net->io_events);
}

/* --- a connection's life --- */

static void write_address(const struct sockaddr *address, char *out, size_t size)
{
	char text[INET6_ADDRSTRLEN] = "?";
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)address;
	if (address->sa_family == AF_INET) {
		inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
		snprintf(out, size, "%s:%u", text, ntohs(v4->sin_port));
	} else if (address->sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
		snprintf(out, size, "[%s]:%u", text, ntohs(v6->sin6_port));
	} else {
		snprintf(out, size, "local");
	}
}

static void name_connection(struct conn *c, int fd)
{
	struct sockaddr_storage own = { 0 };
	char text[PEER_NAME_BYTES];
	socklen_t len = sizeof own;
	if (getsockname(fd, (struct sockaddr *)&own, &len) != 0)
		own.ss_family = AF_UNSPEC;
	write_address((const struct sockaddr *)&own, text, sizeof text);
	snprintf(c->name, sizeof c->name, "%s -> %s", c->peer_name, text);
}

static void name_peer(struct conn *c, const struct sockaddr *address, struct session_peer *peer)
{
	write_address(address, c->peer_name, sizeof c->peer_name);
	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *a = (const struct sockaddr_in *)(const void *)address;
		peer->is_loopback = ntohl(a->sin_addr.s_addr) >> 24 == 127;
		memset(peer->address + 10, 0xff, 2);
		memcpy(peer->address + 12, &a->sin_addr, 4);
	} else if (address->sa_family == AF_INET6) {
		const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)(const void *)address;
		memcpy(peer->address, &a->sin6_addr, sizeof peer->address);
		peer->is_loopback =
			IN6_IS_ADDR_LOOPBACK(&a->sin6_addr) ||
			(IN6_IS_ADDR_V4MAPPED(&a->sin6_addr) && a->sin6_addr.s6_addr[12] == 127);
	} else {
		peer->is_loopback = true;
	}
	peer->name = c->peer_name;
	peer->connection_name = c->name;
}

/* If it cannot, the socket is closed. */
static bool conn_set_up(struct net *net, int fd, struct ssl_ctx_st *tls, struct conn *c)
{
	int on = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (!transport_init(&c->transport, fd, tls))
		return false;
	if (net->ios_len > 0) {
		c->io = io_add(net->ios[net->next_io++ % net->ios_len], &c->transport, c);
		return true;
	}
	c->readable = event_new(net->options.base, fd, EV_READ | EV_PERSIST, on_readable, c);
	c->writable = event_new(net->options.base, fd, EV_WRITE | EV_PERSIST, on_writable, c);
	if (c->readable != NULL && c->writable != NULL)
		return true;
	if (c->readable != NULL)
		event_free(c->readable);
	if (c->writable != NULL)
		event_free(c->writable);
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
	bool is_random = getrandom(peer.seed, sizeof peer.seed, 0) == sizeof peer.seed;
	if (!is_random)
		close(fd);
	if (!is_random || !conn_set_up(net, fd, tls, c)) {
		net->options.log(net->options.arg, "connection dropped: cannot set it up");
		free(c);
		return;
	}
	name_peer(c, address, &peer);
	name_connection(c, fd);
	peer.owner = c;
	peer.is_tls = tls != NULL;
	c->session = session_create(net->options.sessions, &peer);
	list_init(&c->in_touched);
	list_init(&c->in_resumed);
	list_init(&c->in_waiting);
	list_init(&c->in_unread);
	list_init(&c->in_throttled);
	list_push_tail(&net->conns, &c->node);
	net->conns_len++;
	set_reading(c, true);
}

/* Says no more, but reads what is on its way: an early close would make the kernel throw away what
 * the peer has not read. */
static void begin_ending(struct conn *c)
{
	c->is_ending = true;
	c->ended_ms = clock_steady_ms();
	if (c->io != NULL)
		io_end(c->io);
	else
		transport_end(&c->transport);
	keep_left(c, bytes_of(NULL, 0));
}

/* Nobody else notices: what follows looks like any other end. */
static void tell_lost(struct conn *c)
{
	char why[300];
	if (c->is_lost)
		return;
	c->is_lost = true;
	if (c->io != NULL ? io_why(c->io, why, sizeof why)
			  : transport_why(&c->transport, why, sizeof why))
		session_lost(c->session, why);
}

/* After a turn: writes, ends or goes on. What has gone is destroyed in the next turn: that may
 * change queues. */
static void conn_settle(struct conn *c)
{
	if (c->is_closing)
		return;
	if (!c->is_ending)
		conn_write(c);
	if (c->is_gone)
		tell_lost(c);
	if (c->is_gone && c->io != NULL) {
		give_back(c);
		io_close(c->io);
		c->is_closing = true;
		leave_list(c);
		list_push_tail(&c->net->closing, &c->node);
		return;
	}
	if (c->is_gone) {
		set_reading(c, false);
		set_writing(c, false);
		leave_list(c);
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
	if (session_is_throttled(c->session) && list_is_empty(&c->in_throttled))
		list_push_tail(&c->net->throttled, &c->in_throttled);
	set_writing(c, (unsent > 0 && !c->is_ending) || c->transport.wants_write);
	set_reading(c, wants_input(c));
}

/* --- turns --- */

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
		resume(c);
	}
	list_each (node, &net->throttled) {
		struct conn *c = list_entry(node, struct conn, in_throttled);
		if (session_is_throttled(c->session))
			continue;
		list_remove(&c->in_throttled);
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
	for (size_t i = 0; i < net->ios_len; i++)
		io_kick(net->ios[i]);
	return !list_is_empty(&net->resumed) || !list_is_empty(&net->touched) ||
	       !list_is_empty(&net->gone) || !list_is_empty(&net->unread);
}

void net_tick(struct net *net)
{
	uint64_t now = clock_steady_ms();
	list_each (node, &net->conns) {
		struct conn *c = list_entry(node, struct conn, node);
		if (!c->is_reading) /* Its heartbeats wait unread: that is our doing. */
			session_received(c->session);
		if (session_is_full(c->session) && transport_is_hung_up(&c->transport))
			c->is_gone = true;
		session_tick(c->session);
		if (c->ended_ms != 0 && now - c->ended_ms >= LINGER_MS)
			c->is_gone = true;
		if (c->is_gone || session_phase(c->session) == SESSION_ENDED ||
		    session_out(c->session)->len > 0)
			touch(c);
	}
}

void net_pause_publishers(struct net *net, bool is_paused)
{
	if (net->is_paused == is_paused)
		return;
	net->is_paused = is_paused;
	list_each (node, &net->conns)
		touch(list_entry(node, struct conn, node));
}

/* One that waits for the journal goes on when that is done, with all it has. */
void net_set_alarm(struct net *net, const char *reason)
{
	net->options.sessions->alarm = reason;
	list_each (node, &net->conns) {
		struct conn *c = list_entry(node, struct conn, node);
		if (session_alarm(c->session) && !session_is_waiting(c->session))
			resume(c);
		touch(c);
	}
}

size_t net_peer_certificate(const struct session *session, bool is_common_name, char *out,
			    size_t size)
{
	const struct conn *c = session_owner(session);
	return transport_peer_name(&c->transport, is_common_name, out, size);
}

void net_each(struct net *net, void (*visit)(void *arg, struct session *session), void *arg)
{
	list_each (node, &net->conns) {
		struct conn *c = list_entry(node, struct conn, node);
		visit(arg, c->session);
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

/* --- life --- */

struct net *net_create(const struct net_options *options)
{
	struct net *net = alloc_zeroed(sizeof *net);
	net->options = *options;
	list_init(&net->listeners);
	list_init(&net->conns);
	list_init(&net->walks);
	list_init(&net->gone);
	list_init(&net->touched);
	list_init(&net->resumed);
	list_init(&net->waiting);
	list_init(&net->throttled);
	list_init(&net->unread);
	list_init(&net->closing);
	if (start_ios(net))
		return net;
	int why = errno;
	net_destroy(net);
	errno = why;
	return NULL;
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

int net_listen(struct net *net, const struct sockaddr *address, socklen_t len,
	       struct ssl_ctx_st *const *tls)
{
	int fd = listener_socket(address, len);
	return fd == -1 ? -1 : net_listen_fd(net, fd, tls);
}

/* --- lists --- */

struct net_view {
	struct walk walk;
	struct net *net;
};

struct net_view *net_view_open(struct net *net)
{
	struct net_view *v = alloc_zeroed(sizeof *v);
	v->net = net;
	v->walk.outer = net->conns.next;
	list_push_tail(&net->walks, &v->walk.in_walks);
	return v;
}

void net_view_close(struct net_view *v)
{
	if (v == NULL)
		return;
	list_remove(&v->walk.in_walks);
	free(v);
}

bool net_view_next(struct net_view *v, size_t budget,
		   void (*visit)(void *arg, struct session *session), void *arg)
{
	const struct list *end = &v->net->conns;
	for (; budget > 0 && v->walk.outer != end; budget--) {
		struct conn *c = list_entry(v->walk.outer, struct conn, node);
		v->walk.outer = v->walk.outer->next;
		visit(arg, c->session);
	}
	return v->walk.outer != end;
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
	stop_ios(net);
	net_take_up(net);
	while (!list_is_empty(&net->conns))
		conn_destroy(list_entry(net->conns.next, struct conn, node));
	while (!list_is_empty(&net->closing))
		conn_destroy(list_entry(net->closing.next, struct conn, node));
	free(net->read_buffer);
	free(net);
}
