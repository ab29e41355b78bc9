#include "peer.h"

#include "base/alloc.h"
#include "fail.h"
#include "table.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { IN_FIRST_BYTES = 16 * 1024 };

void peer_lost(const struct peer *p)
{
	fail(EXIT_BROKER, "%s port %s: the broker closed the connection", p->target->host,
	     p->target->port);
}

void peer_check(const struct peer *p, const struct method *m)
{
	struct bytes text = m->connection_close.reply_text; /* channel.close begins alike. */
	if (m->id == METHOD_channel_close)
		text = m->channel_close.reply_text;
	else if (m->id != METHOD_connection_close)
		return;
	fail(EXIT_BROKER, "%s port %s: %s: %u %.*s", p->target->host, p->target->port,
	     method_name(m->id),
	     m->id == METHOD_channel_close ? m->channel_close.reply_code
					   : m->connection_close.reply_code,
	     BYTES_ARG(text));
}

/* --- bytes --- */

static ssize_t raw_read(struct peer *p, void *buffer, size_t len)
{
	if (p->ssl == NULL) {
		ssize_t n = read(p->fd, buffer, len);
		return n > 0                                            ? n
		       : n == -1 && (errno == EAGAIN || errno == EINTR) ? PEER_WAIT
									: PEER_CLOSED;
	}
	size_t got = 0;
	while (got < len) { /* A record at a time. */
		int n = SSL_read(p->ssl, (char *)buffer + got, (int)(len - got));
		if (n <= 0) {
			int why = SSL_get_error(p->ssl, n);
			bool is_wait = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE;
			return got > 0 ? (ssize_t)got : is_wait ? PEER_WAIT : PEER_CLOSED;
		}
		got += (size_t)n;
		if (SSL_pending(p->ssl) == 0 && (fcntl(p->fd, F_GETFL) & O_NONBLOCK) == 0)
			break; /* Blocking: no more than is there. */
	}
	return (ssize_t)got;
}

static void drop_front(struct peer *p, size_t len)
{
	p->in_len -= len;
	if (len > 0)
		memmove(p->in, p->in + len, p->in_len);
}

ssize_t peer_read(struct peer *p, void *buffer, size_t len)
{
	if (p->in_len == 0)
		return raw_read(p, buffer, len);
	size_t part = p->in_len < len ? p->in_len : len;
	memcpy(buffer, p->in, part);
	drop_front(p, part);
	return (ssize_t)part;
}

ssize_t peer_write(struct peer *p, const void *data, size_t len)
{
	if (p->ssl == NULL) {
		ssize_t n = send(p->fd, data, len, MSG_NOSIGNAL);
		return n >= 0 ? n : errno == EAGAIN || errno == EINTR ? PEER_WAIT : PEER_CLOSED;
	}
	size_t sent = 0;
	while (sent < len) {
		int n = SSL_write(p->ssl, (const char *)data + sent, (int)(len - sent));
		if (n <= 0) {
			int why = SSL_get_error(p->ssl, n);
			bool is_wait = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE;
			return sent > 0 ? (ssize_t)sent : is_wait ? PEER_WAIT : PEER_CLOSED;
		}
		sent += (size_t)n;
	}
	return (ssize_t)sent;
}

void peer_send(struct peer *p, const void *data, size_t len)
{
	for (const uint8_t *at = data; len > 0;) {
		ssize_t n = peer_write(p, at, len);
		if (n == PEER_CLOSED)
			peer_lost(p);
		at += n;
		len -= (size_t)n;
	}
}

static void receive(struct peer *p)
{
	p->in = alloc_grow(p->in, &p->in_cap, p->in_len + IN_FIRST_BYTES, 1);
	ssize_t n = raw_read(p, p->in + p->in_len, p->in_cap - p->in_len);
	if (n == PEER_CLOSED)
		peer_lost(p);
	p->in_len += (size_t)n;
}

/* --- methods --- */

size_t peer_put_method(uint8_t *at, uint16_t channel, const struct method *m)
{
	size_t size = method_size(m);
	frame_head(at, FRAME_METHOD, channel, (uint32_t)size);
	struct writer w = writer_of(at + FRAME_HEAD_BYTES, size);
	method_encode(&w, m);
	*w.at = FRAME_END;
	return size + FRAME_OVERHEAD;
}

/* The answer stays in front until the next call, since m has views into it. */
static void drop_answer(struct peer *p)
{
	drop_front(p, p->answer_len);
	p->answer_len = 0;
}

static void wait_for(struct peer *p, uint32_t id, struct method *m)
{
	struct frame f;
	size_t used = 0;
	drop_answer(p);
	for (;;) {
		int rc;
		while ((rc = frame_parse(bytes_of(p->in, p->in_len), p->frame_max, &f, &used)) ==
		       FRAME_INCOMPLETE)
			receive(p);
		if (rc != FRAME_OK)
			fail(EXIT_BROKER, "%s port %s: no AMQP 0-9-1 broker answers there",
			     p->target->host, p->target->port);
		bool is_method = f.type == FRAME_METHOD && method_decode(m, f.payload) == METHOD_OK;
		if (is_method)
			peer_check(p, m);
		if (is_method && m->id == id)
			break;
		drop_front(p, used);
	}
	p->answer_len = used;
}

void peer_call(struct peer *p, uint16_t channel, const struct method *m, uint32_t reply_id,
	       struct method *reply)
{
	struct method unused;
	uint8_t *buffer = alloc_resize(NULL, method_size(m) + FRAME_OVERHEAD);
	peer_send(p, buffer, peer_put_method(buffer, channel, m));
	free(buffer);
	wait_for(p, reply_id, reply == NULL ? &unused : reply);
}

void peer_open_channel(struct peer *p, uint16_t channel)
{
	peer_call(p, channel, &(struct method){ .id = METHOD_channel_open }, METHOD_channel_open_ok,
		  NULL);
}

/* --- life --- */

static int connect_to(const struct target *t)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found;
	int rc = getaddrinfo(t->host, t->port, &hints, &found), fd = -1, on = 1;
	if (rc != 0)
		fail(EXIT_BROKER, "%s port %s: %s", t->host, t->port, gai_strerror(rc));
	for (const struct addrinfo *a = found; a != NULL && fd == -1; a = a->ai_next) {
		fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, 0);
		if (fd != -1 && connect(fd, a->ai_addr, a->ai_addrlen) == -1) {
			int why = errno;
			close(fd);
			errno = why;
			fd = -1;
		}
	}
	freeaddrinfo(found);
	if (fd == -1)
		fail(EXIT_BROKER, "%s port %s: %s", t->host, t->port, strerror(errno));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return fd;
}

static SSL_CTX *tls_context;

static void make_tls_context(void)
{
	tls_context = SSL_CTX_new(TLS_client_method());
	if (tls_context == NULL)
		fail(EXIT_BROKER, "TLS: out of memory");
	SSL_CTX_set_mode(tls_context,
			 SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

static struct ssl_st *begin_tls(const struct peer *p)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, make_tls_context);
	SSL *ssl = SSL_new(tls_context);
	if (ssl == NULL || SSL_set_fd(ssl, p->fd) != 1 || SSL_connect(ssl) != 1)
		fail(EXIT_BROKER, "%s port %s: no TLS: %s", p->target->host, p->target->port,
		     ERR_error_string(ERR_peek_last_error(), NULL));
	return ssl;
}

static void remember_name(struct broker_name *name, struct bytes server_properties)
{
	struct bytes text;
	*name = (struct broker_name){ "unknown", "" };
	if (table_find_string(server_properties, "product", &text))
		snprintf(name->product, sizeof name->product, "%.*s", BYTES_ARG(text));
	if (table_find_string(server_properties, "version", &text))
		snprintf(name->version, sizeof name->version, "%.*s", BYTES_ARG(text));
}

/* So that the broker says why, where it refuses. */
static struct bytes client_properties(uint8_t *room, size_t size)
{
	struct writer w = writer_of(room, size);
	table_write_str(&w, "product", bytes_str("leveret-bench"));
	uint8_t *capabilities = table_begin(&w, "capabilities");
	table_write_bool(&w, "authentication_failure_close", true);
	table_end(&w, capabilities);
	return bytes_of(room, (size_t)(w.at - room));
}

static void log_in(struct peer *p, uint32_t frame_max)
{
	uint8_t properties[256];
	char response[2 * TARGET_TEXT_MAX + 2];
	int len = snprintf(response, sizeof response, "%c%s%c%s", 0, p->target->user, 0,
			   p->target->password);
	struct method m = { .id = METHOD_connection_start_ok }, tune;
	m.connection_start_ok.client_properties = client_properties(properties, sizeof properties);
	m.connection_start_ok.mechanism = bytes_str("PLAIN");
	m.connection_start_ok.response = bytes_of(response, (size_t)len);
	m.connection_start_ok.locale = bytes_str("en_US");
	peer_call(p, 0, &m, METHOD_connection_tune, &tune);
	m = (struct method){ .id = METHOD_connection_tune_ok };
	m.connection_tune_ok.channel_max = tune.connection_tune.channel_max;
	uint32_t most =
		tune.connection_tune.frame_max == 0 ? UINT32_MAX : tune.connection_tune.frame_max;
	p->frame_max = m.connection_tune_ok.frame_max = frame_max < most ? frame_max : most;
	uint8_t buffer[METHOD_ROOM];
	peer_send(p, buffer, peer_put_method(buffer, 0, &m));
	m = (struct method){ .id = METHOD_connection_open };
	m.connection_open.virtual_host = bytes_str(p->target->vhost);
	peer_call(p, 0, &m, METHOD_connection_open_ok, NULL);
}

void peer_open(struct peer *p, const struct target *target, uint32_t frame_max,
	       struct broker_name *name)
{
	struct method start;
	*p = (struct peer){ .target = target, .fd = connect_to(target), .frame_max = frame_max };
	if (target->is_tls)
		p->ssl = begin_tls(p);
	peer_send(p, "AMQP\0\0\11\1", PROTOCOL_HEADER_BYTES);
	wait_for(p, METHOD_connection_start, &start);
	if (name != NULL)
		remember_name(name, start.connection_start.server_properties);
	log_in(p, frame_max);
}

void peer_set_nonblocking(struct peer *p)
{
	fcntl(p->fd, F_SETFL, fcntl(p->fd, F_GETFL) | O_NONBLOCK);
	drop_answer(p);
	if (p->in_len > 0)
		return;
	free(p->in);
	p->in = NULL;
	p->in_cap = 0;
}

void peer_close(struct peer *p)
{
	struct method m = { .id = METHOD_connection_close };
	uint8_t buffer[METHOD_ROOM];
	m.connection_close.reply_code = 200;
	peer_write(p, buffer, peer_put_method(buffer, 0, &m));
	SSL_free(p->ssl);
	close(p->fd);
	free(p->in);
	p->fd = -1;
}
