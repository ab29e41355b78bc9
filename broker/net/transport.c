#include "net/transport.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

bool transport_init(struct transport *t, int fd, struct ssl_ctx_st *tls)
{
	*t = (struct transport){ .fd = fd };
	if (tls == NULL)
		return true;
	t->ssl = SSL_new(tls);
	if (t->ssl == NULL || SSL_set_fd(t->ssl, fd) != 1) {
		transport_close(t);
		return false;
	}
	SSL_set_accept_state(t->ssl);
	return true;
}

void transport_close(struct transport *t)
{
	SSL_free(t->ssl);
	close(t->fd);
	*t = (struct transport){ .fd = -1 };
}

static ssize_t plain_result(ssize_t n)
{
	if (n > 0)
		return n;
	bool is_later = n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
	return is_later ? TRANSPORT_WAIT : TRANSPORT_CLOSED;
}

static ssize_t tls_result(struct transport *t, int n)
{
	if (n > 0)
		return n;
	int why = SSL_get_error(t->ssl, n);
	ERR_clear_error();
	t->wants_write = why == SSL_ERROR_WANT_WRITE;
	return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? TRANSPORT_WAIT
									 : TRANSPORT_CLOSED;
}

ssize_t transport_read(struct transport *t, void *buffer, size_t len)
{
	if (t->ssl == NULL)
		return plain_result(read(t->fd, buffer, len));
	size_t got = 0;
	while (got < len) { /* A record at a time: 16 KiB at most. */
		ssize_t n = tls_result(t, SSL_read(t->ssl, (char *)buffer + got, (int)(len - got)));
		if (n <= 0)
			return got > 0 ? (ssize_t)got : n;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

ssize_t transport_write(struct transport *t, const struct iovec *iov, int iov_len)
{
	if (t->ssl == NULL)
		return plain_result(writev(t->fd, iov, iov_len));
	size_t sent = 0;
	for (int i = 0; i < iov_len; i++)
		for (size_t at = 0; at < iov[i].iov_len;) {
			const char *from = (const char *)iov[i].iov_base + at;
			ssize_t n =
				tls_result(t, SSL_write(t->ssl, from, (int)(iov[i].iov_len - at)));
			if (n <= 0)
				return sent > 0 ? (ssize_t)sent : n;
			at += (size_t)n;
			sent += (size_t)n;
		}
	return (ssize_t)sent;
}

bool transport_has_pending(const struct transport *t)
{
	return t->ssl != NULL && SSL_pending(t->ssl) > 0;
}

bool transport_is_hung_up(const struct transport *t)
{
	struct pollfd fd = { .fd = t->fd, .events = POLLRDHUP };
	return poll(&fd, 1, 0) == 1;
}

void transport_end(struct transport *t)
{
	if (t->ssl != NULL && SSL_is_init_finished(t->ssl)) {
		SSL_shutdown(t->ssl);
		ERR_clear_error();
	}
	shutdown(t->fd, SHUT_WR);
}
