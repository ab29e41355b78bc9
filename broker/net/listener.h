/* Listener: accepts connections. Without descriptors it takes the connection with a spare one and
 * drops it, then rests for 100 ms: it neither spins nor leaves clients hanging. */
#ifndef LEV_NET_LISTENER_H
#define LEV_NET_LISTENER_H

#include "base/list.h"

#include <stdint.h>
#include <sys/socket.h>

struct event_base;
struct ssl_ctx_st;

struct listener_options {
	struct event_base *base;
	/* Takes over fd, which is non-blocking. */
	void (*accepted)(void *arg, int fd, const struct sockaddr *peer, struct ssl_ctx_st *tls);
	void (*log)(void *arg, const char *text);
	void *arg;
};

struct listener;

/* Takes over fd, a listening socket. NULL if memory is lacking (fd is closed). */
struct listener *listener_create(const struct listener_options *options, int fd,
				 struct ssl_ctx_st *const *tls);
void listener_destroy(struct listener *listener);

/* host: a numeric address; empty: all of version 4. Returns the length of *address; 0: it is none.
 */
socklen_t listener_address(const char *host, uint16_t port, struct sockaddr_storage *address);

/* A listening socket for the address; -1 with errno. */
int listener_socket(const struct sockaddr *address, socklen_t len);

struct list *listener_node(struct listener *listener);
struct listener *listener_of(struct list *node);

#endif
