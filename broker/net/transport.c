#include "net/transport.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
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

static ssize_t plain_result(struct transport *t, ssize_t n)
{
	if (n > 0)
		return n;
	bool is_later = n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
	t->end.error = n == -1 ? errno : 0;
	return is_later ? TRANSPORT_WAIT : TRANSPORT_CLOSED;
}

/* What OpenSSL has to say is a static text each. */
static void note_end(struct transport *t, int why, int error)
{
	long verified = SSL_get_verify_result(t->ssl);
	bool is_eof = why != SSL_ERROR_SSL ||
		      ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
	t->end = (struct transport_end_of){
		.error = why == SSL_ERROR_SYSCALL ? error : 0,
		.tls = why == SSL_ERROR_SSL ? ERR_reason_error_string(ERR_peek_error()) : NULL,
		.certificate =
			verified == X509_V_OK ? NULL : X509_verify_cert_error_string(verified),
		.is_handshake = !SSL_is_init_finished(t->ssl),
		.is_unused = is_eof && SSL_get_state(t->ssl) == TLS_ST_BEFORE,
	};
}

bool transport_why(const struct transport *t, char *out, size_t size)
{
	const struct transport_end_of *e = &t->end;
	const char *said = e->tls != NULL    ? e->tls
			   : e->error != 0   ? strerror(e->error)
			   : e->is_handshake ? "closed by the client"
					     : "closed by the client without connection.close";
	bool is_certificate = e->is_handshake && e->certificate != NULL;
	snprintf(out, size, "%s%s%s%s", e->is_handshake ? "TLS handshake failed: " : "", said,
		 is_certificate ? ": " : "", is_certificate ? e->certificate : "");
	return !e->is_unused;
}

static ssize_t tls_result(struct transport *t, int n)
{
	if (n > 0)
		return n;
	int error = errno, why = SSL_get_error(t->ssl, n);
	t->wants_write = why == SSL_ERROR_WANT_WRITE;
	if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
		ERR_clear_error();
		return TRANSPORT_WAIT;
	}
	note_end(t, why, error);
	ERR_clear_error();
	return TRANSPORT_CLOSED;
}

ssize_t transport_read(struct transport *t, void *buffer, size_t len)
{
	if (t->ssl == NULL)
		return plain_result(t, read(t->fd, buffer, len));
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
		return plain_result(t, writev(t->fd, iov, iov_len));
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

static size_t copy_name(const unsigned char *name, int len, char *out, size_t size)
{
	if (len <= 0 || (size_t)len > size || memchr(name, 0, (size_t)len) != NULL)
		return 0;
	memcpy(out, name, (size_t)len);
	return (size_t)len;
}

/* With more than one common name it is not clear which is meant. */
static size_t common_name(const X509_NAME *subject, char *out, size_t size)
{
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0)
		return 0;
	unsigned char *text = NULL;
	int len = ASN1_STRING_to_UTF8(&text,
				      X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
	size_t copied = copy_name(text, len, out, size);
	OPENSSL_free(text);
	return copied;
}

static size_t distinguished_name(const X509_NAME *subject, char *out, size_t size)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	size_t copied = 0;
	if (bio != NULL &&
	    X509_NAME_print_ex(bio, subject, 0,
			       XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) >= 0) {
		long len = BIO_get_mem_data(bio, &text);
		copied = copy_name((unsigned char *)text, (int)len, out, size);
	}
	BIO_free(bio);
	return copied;
}

size_t transport_peer_name(const struct transport *t, bool is_common_name, char *out, size_t size)
{
	X509 *certificate = t->ssl == NULL ? NULL : SSL_get1_peer_certificate(t->ssl);
	size_t len = 0;
	if (certificate != NULL && SSL_get_verify_result(t->ssl) == X509_V_OK) {
		const X509_NAME *subject = X509_get_subject_name(certificate);
		len = is_common_name ? common_name(subject, out, size)
				     : distinguished_name(subject, out, size);
	}
	X509_free(certificate);
	return len;
}
