#include "socket.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TLS_WRITE_MAX = 1024 * 1024 };

/* --- TLS --- */

static int tls_failed(struct reason *why, const char *doing)
{
	char text[160] = "no reason given";
	unsigned long code = ERR_peek_last_error();
	if (code != 0)
		ERR_error_string_n(code, text, sizeof text);
	ERR_clear_error();
	return reason_set(why, LEV_TLS, "%s: %s", doing, text);
}

static int load_files(SSL_CTX *context, const struct uri *uri, struct reason *why)
{
	if (uri->ca_file[0] != '\0' &&
	    SSL_CTX_load_verify_locations(context, uri->ca_file, NULL) != 1)
		return tls_failed(why, uri->ca_file);
	if (uri->ca_file[0] == '\0')
		SSL_CTX_set_default_verify_paths(context);
	if (uri->certificate_file[0] != '\0' &&
	    SSL_CTX_use_certificate_chain_file(context, uri->certificate_file) != 1)
		return tls_failed(why, uri->certificate_file);
	const char *key = uri->key_file[0] != '\0' ? uri->key_file : uri->certificate_file;
	if (key[0] != '\0' && SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
		return tls_failed(why, key);
	return LEV_OK;
}

/* The certificate must be for the name, or the address, that the URI has. */
static bool expect_name(SSL *ssl, const struct uri *uri)
{
	const char *name = uri->server_name[0] != '\0' ? uri->server_name : uri->host;
	X509_VERIFY_PARAM *verify = SSL_get0_param(ssl);
	if (X509_VERIFY_PARAM_set1_ip_asc(verify, name) == 1)
		return true;
	ERR_clear_error();
	return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

static int secure(struct socket *s, const struct uri *uri, struct reason *why)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	if (context == NULL)
		return tls_failed(why, "cannot set up TLS");
	SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
	SSL_CTX_set_mode(context,
			 SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_verify(context, uri->is_unverified ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
	int rc = load_files(context, uri, why);
	if (rc == LEV_OK) {
		s->ssl = SSL_new(context);
		if (s->ssl == NULL || !expect_name(s->ssl, uri) || SSL_set_fd(s->ssl, s->fd) != 1)
			rc = tls_failed(why, "cannot set up TLS");
	}
	SSL_CTX_free(context); /* The connection has a reference. */
	if (rc == LEV_OK)
		SSL_set_connect_state(s->ssl);
	return rc;
}

/* OpenSSL writes with write(2): SIGPIPE must not reach a program that does not expect it. False: it
 * is blocked anyway. */
static bool quiet_pipe(sigset_t *before)
{
	sigset_t pipe;
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, before);
	return sigismember(before, SIGPIPE) == 0;
}

static void loud_pipe(const sigset_t *before, bool is_guarded)
{
	const struct timespec now = { 0, 0 };
	sigset_t pipe;
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	if (!is_guarded)
		return;
	sigtimedwait(&pipe, NULL, &now);
	pthread_sigmask(SIG_SETMASK, before, NULL);
}

static int shake_hands(struct socket *s, const struct uri *uri, struct reason *why)
{
	sigset_t before;
	bool is_guarded = quiet_pipe(&before);
	int n = SSL_do_handshake(s->ssl);
	loud_pipe(&before, is_guarded);
	if (n == 1) {
		s->wants_write = false;
		s->state = SOCKET_OPEN;
		return LEV_OK;
	}
	int error = SSL_get_error(s->ssl, n);
	s->wants_write = error == SSL_ERROR_WANT_WRITE;
	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
		ERR_clear_error();
		return LEV_OK;
	}
	long verified = SSL_get_verify_result(s->ssl);
	if (verified != X509_V_OK) {
		ERR_clear_error();
		return reason_set(why, LEV_TLS, "certificate of %s: %s", uri->host,
				  X509_verify_cert_error_string(verified));
	}
	if (ERR_peek_last_error() == 0)
		return reason_set(why, LEV_UNREACHABLE, "%s:%s: closed during the TLS handshake",
				  uri->host, uri->port);
	return tls_failed(why, "TLS handshake");
}

/* --- connecting --- */

static int unreachable(struct reason *why, const struct uri *uri, int error)
{
	char text[128];
	return reason_set(why, LEV_UNREACHABLE, "%s:%s: %s", uri->host, uri->port,
			  strerror_r(error, text, sizeof text));
}

int socket_connect(struct socket *s, const struct uri *uri, const struct addrinfo *address,
		   struct reason *why)
{
	int on = 1;
	*s = (struct socket){ .fd = socket(address->ai_family,
					   SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) };
	if (s->fd == -1)
		return unreachable(why, uri, errno);
	s->state = SOCKET_CONNECTING;
	setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (connect(s->fd, address->ai_addr, address->ai_addrlen) == -1 && errno != EINPROGRESS) {
		int rc = unreachable(why, uri, errno);
		socket_close(s);
		return rc;
	}
	return LEV_OK;
}

static int connected(struct socket *s, const struct uri *uri, struct reason *why)
{
	struct pollfd p = { .fd = s->fd, .events = POLLOUT };
	int error = 0;
	socklen_t len = sizeof error;
	if (poll(&p, 1, 0) == 0)
		return LEV_OK;
	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		error = errno;
	if (error != 0)
		return unreachable(why, uri, error);
	if (!uri->is_tls) {
		s->state = SOCKET_OPEN;
		return LEV_OK;
	}
	s->state = SOCKET_SECURING;
	return secure(s, uri, why);
}

int socket_advance(struct socket *s, const struct uri *uri, struct reason *why)
{
	int rc = LEV_OK;
	if (s->state == SOCKET_CONNECTING)
		rc = connected(s, uri, why);
	if (rc == LEV_OK && s->state == SOCKET_SECURING)
		rc = shake_hands(s, uri, why);
	return rc;
}

void socket_close(struct socket *s)
{
	SSL_free(s->ssl);
	if (s->fd >= 0)
		close(s->fd);
	*s = (struct socket){ .fd = -1 };
}

/* --- bytes --- */

static ssize_t result_of(struct socket *s, ssize_t n)
{
	if (n > 0)
		return n;
	if (s->ssl == NULL)
		return n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
			       ? SOCKET_WAIT
			       : SOCKET_ENDED;
	int error = SSL_get_error(s->ssl, (int)n);
	ERR_clear_error();
	s->wants_write = error == SSL_ERROR_WANT_WRITE;
	return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? SOCKET_WAIT
									     : SOCKET_ENDED;
}

ssize_t socket_read(struct socket *s, void *data, size_t len)
{
	if (s->ssl == NULL)
		return result_of(s, read(s->fd, data, len));
	size_t got = 0;
	ssize_t n = 1;
	sigset_t before;
	bool is_guarded =
		quiet_pipe(&before); /* A new key of the peer's is answered while reading. */
	while (got < len && n > 0) { /* All that TLS has: the socket would not tell of it. */
		n = result_of(s, SSL_read(s->ssl, (char *)data + got, (int)(len - got)));
		got += n > 0 ? (size_t)n : 0;
	}
	loud_pipe(&before, is_guarded);
	return got > 0 ? (ssize_t)got : n;
}

ssize_t socket_write(struct socket *s, const void *data, size_t len)
{
	if (s->ssl == NULL)
		return result_of(s, send(s->fd, data, len, MSG_NOSIGNAL));
	sigset_t before;
	bool is_guarded = quiet_pipe(&before);
	size_t part = len < TLS_WRITE_MAX ? len : TLS_WRITE_MAX;
	ssize_t n = result_of(s, SSL_write(s->ssl, data, (int)part));
	loud_pipe(&before, is_guarded);
	return n;
}

short socket_want(const struct socket *s, bool has_output)
{
	switch (s->state) {
	case SOCKET_NONE: return 0;
	case SOCKET_CONNECTING: return POLLOUT;
	case SOCKET_SECURING: return s->wants_write ? POLLOUT : POLLIN;
	default: return (short)(POLLIN | (has_output || s->wants_write ? POLLOUT : 0));
	}
}
