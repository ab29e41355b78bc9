/* Socket: a non-blocking TCP connection to a broker, plain or under TLS, from connect(2) on. Moves
 * bytes and knows nothing of them. */
#ifndef LEV_CLIENT_SOCKET_H
#define LEV_CLIENT_SOCKET_H

#include "reason.h"
#include "uri.h"

#include <sys/types.h>

struct addrinfo;
struct ssl_st;

enum socket_state { SOCKET_NONE, SOCKET_CONNECTING, SOCKET_SECURING, SOCKET_OPEN };

struct socket {
	enum socket_state state;
	int fd;             /* -1: SOCKET_NONE. */
	struct ssl_st *ssl; /* NULL: plain. */
	bool wants_write;   /* TLS cannot go on reading, or shaking hands, before it can write. */
};

enum { SOCKET_WAIT = 0, SOCKET_ENDED = -1 };

/* Begins to connect. LEV_UNREACHABLE, LEV_TLS or LEV_NO_MEMORY with a reason. */
int socket_connect(struct socket *s, const struct uri *uri, const struct addrinfo *address,
		   struct reason *why);

/* Goes on with that, when the socket is ready: towards SOCKET_OPEN. */
int socket_advance(struct socket *s, const struct uri *uri, struct reason *why);

/* Bytes, SOCKET_WAIT or SOCKET_ENDED. */
ssize_t socket_read(struct socket *s, void *data, size_t len);
ssize_t socket_write(struct socket *s, const void *data, size_t len);

/* POLLIN and POLLOUT. */
short socket_want(const struct socket *s, bool has_output);

void socket_close(struct socket *s);

#endif
