/* Transport: a non-blocking stream socket, plain or under TLS. It moves bytes and knows nothing of
 * them. */
#ifndef LEV_NET_TRANSPORT_H
#define LEV_NET_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

struct ssl_ctx_st;
struct ssl_st;

struct transport {
	int fd;
	struct ssl_st *ssl; /* NULL: plain. */
	bool wants_write;   /* A read of TLS waits until the socket can be written. */
	/* With TRANSPORT_CLOSED. */
	struct transport_end_of {
		int error;               /* errno; 0: the peer closed in order. */
		const char *tls;         /* What OpenSSL says; NULL: nothing. Static. */
		const char *certificate; /* What is wrong with the peer's; likewise. */
		bool is_handshake;       /* Of TLS, which was not over. */
		bool is_unused;          /* Nor had it begun. */
	} end;
};

enum transport_result {
	TRANSPORT_WAIT = 0,    /* Nothing now; the socket's events tell when. */
	TRANSPORT_CLOSED = -1, /* The peer has ended, in order or not. */
};

/* Takes over fd, which must be non-blocking. tls NULL: plain. False if TLS cannot be set up; fd is
 * closed then. */
bool transport_init(struct transport *t, int fd, struct ssl_ctx_st *tls);
void transport_close(struct transport *t);

/* Bytes read or written, or a transport_result. */
ssize_t transport_read(struct transport *t, void *buffer, size_t len);
ssize_t transport_write(struct transport *t, const struct iovec *iov, int iov_len);

/* After TRANSPORT_CLOSED, why: a line. False: the peer has gone without having said a word of TLS.
 */
bool transport_why(const struct transport *t, char *out, size_t size);

/* True if bytes wait inside TLS that the socket's events know nothing of. */
bool transport_has_pending(const struct transport *t);

/* True if the peer has hung up, even behind bytes that have not been read. */
bool transport_is_hung_up(const struct transport *t);

/* Of the certificate that the peer has shown, and that has been found good: its subject's
 * distinguished name (RFC 4514), or its common name. Returns the length; 0: there is none, it does
 * not fit, or it has a NUL in it. After the handshake. */
size_t transport_peer_name(const struct transport *t, bool is_common_name, char *out, size_t size);

/* No more will be written. */
void transport_end(struct transport *t);

#endif
