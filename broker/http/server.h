/* Server: HTTP/1.1 and 1.0 on an event base that its owner runs.
 *
 * Why not libevent's own: evhttp takes bare line ends, folded headers and both lengths, reads heads
 * and bodies before anybody may refuse them, and has no back-pressure for streams.
 *
 * One thread: all functions here and in reply.h are called on the thread that runs the base, and so
 * are all callbacks. Several servers may share a base; nothing is global.
 *
 * A connection has one request at a time: what is pipelined behind it waits in order. Whatever a
 * peer can make grow has a limit (struct http_limits). If all connections are taken, the one that
 * has kept us waiting longest makes room for a new one: with its request, or else with taking its
 * reply. Those whose request a handler has, streams included, never do. */
#ifndef LEV_HTTP_SERVER_H
#define LEV_HTTP_SERVER_H

#include "http/reply.h"

struct event_base;
struct ssl_ctx_st;

struct http_limits {
	/* Each takes about 8 KiB while a short request comes, at most 160 KiB for a head and what
	 * is read ahead, and less than 2 KiB when it is idle. */
	size_t connections_max;
	size_t body_bytes_max; /* Of one request; body_max may say less. */
	/* Bodies of requests and replies of all connections together, beyond 64 KiB each. More is
	 * answered by 503. */
	size_t memory_bytes_max;
	uint32_t head_ms;   /* From the first byte of a request (of a connection: its begin) to the
			     * end   of its head. Beyond: 408. */
	uint32_t body_ms;   /* For the whole body. Beyond: 408. */
	uint32_t idle_ms;   /* Between requests. */
	uint32_t stall_ms;  /* Without a byte of a reply or a stream being taken. */
	uint32_t reply_ms;  /* For a whole reply to be taken. */
	uint32_t linger_ms; /* For a client to end after the last reply. */
};

extern const struct http_limits http_default_limits;

struct http_options {
	struct event_base *base;
	struct http_limits limits;
	/* Headers of every reply, those to requests that never reach a handler included. Borrowed.
	 */
	const struct http_header *headers;
	size_t headers_len;
	/* A whole request, to be answered (reply.h). */
	void (*handle)(void *arg, struct http_request *request);
	/* The head of a request whose body is still to come: returns how many bytes it may have,
	 * e.g. little to who is not logged in; limits.body_bytes_max holds, too. It may answer the
	 * request instead: the body is not read then, and the connection ends. NULL:
	 * limits.body_bytes_max. */
	size_t (*body_max)(void *arg, struct http_request *request);
	/* What an operator may want to know: requests that are refused, failures of TLS. Any
	 * stranger can cause any number of them. peer NULL: of a listener. */
	void (*log)(void *arg, const union http_peer *peer, const char *text);
	void *arg;
};

struct http_server;

struct http_server *http_server_create(const struct http_options *options);

/* Serves the listening socket fd, which it takes over (listener_socket() makes one). tls: the
 * context for each connection at its time, so that it can be renewed; borrowed; NULL: plain. False
 * if memory is lacking (fd is closed). */
bool http_server_listen(struct http_server *server, int fd, struct ssl_ctx_st *const *tls);

/* Closes all. Requests that have not been answered still have to be, and may be afterwards. Not
 * from within a callback of this server. The base has to run once more before
 * it is freed: sockets are closed then. */
void http_server_destroy(struct http_server *server);

/* How many there are, and what is held for all of them: heads and bodies that have come, replies
 * that are not sent yet. */
size_t http_server_connections(const struct http_server *server);
size_t http_server_held_bytes(const struct http_server *server);

/* "127.0.0.1:5000", "[::1]:5000"; "local" of other families. */
void http_peer_text(const union http_peer *peer, char *text, size_t size);

#endif
