/* State: what server, connection, reply and stream share. For them alone. */
#ifndef LEV_HTTP_STATE_H
#define LEV_HTTP_STATE_H

#include "base/list.h"
#include "http/parser.h"
#include "http/server.h"

struct bufferevent;
struct evbuffer;
struct event;

enum {
	OUTPUT_LOW_BYTES = 64 * 1024, /* With more to be sent the next request has to wait. */
	SMALL_BYTES = 64 * 1024,      /* So much is always held. */
};

struct http_server {
	struct http_options options;
	struct list listeners;
	struct list busy;    /* Connections that are answered, or take a reply. */
	struct list waiting; /* Those that we wait for, longest first. */
	size_t connections_len;
	size_t calls_len; /* Requests that are not answered yet. */
	size_t held_bytes;
	bool is_destroyed;
};

enum phase {
	PHASE_IDLE,
	PHASE_HEAD,
	PHASE_BODY,
	PHASE_ANSWER, /* A handler has the request. */
	PHASE_STREAM,
	PHASE_LAST,   /* What is left to be sent is; what comes is dropped. */
	PHASE_LINGER, /* We have ended our side, and wait for the peer to end his. */
	PHASE_CLOSED,
};

struct connection {
	struct list node; /* Of server->busy or server->waiting. */
	struct http_server *server;
	struct bufferevent *stream;
	struct event *timer;
	struct call *call; /* The request that comes or is being answered. */
	enum phase phase;
	union http_peer peer;
	bool is_tls;
	bool is_secure;  /* The handshake of TLS is over. */
	bool is_ended;   /* The peer sends no more. */
	bool is_taking;  /* The reply to the request before. */
	bool is_paused;  /* Enough is read ahead. */
	bool is_running; /* Somebody above on the stack looks at it again. */
	size_t held_bytes;
	size_t dropped_bytes;
};

/* A request from its first byte to its answer. */
struct call {
	struct http_parser parser;
	struct http_server *server;
	struct connection *connection; /* NULL: gone. */
	size_t held_bytes;             /* Without a connection. */
	bool is_owned;                 /* A handler has it. */
	bool is_whole;                 /* With its body. */
	bool is_stream;
	/* Of a stream. */
	bool is_chunked;
	bool is_mute; /* Without its body: the client asked for HEAD. */
	bool goes_on; /* The connection, after it. */
	bool is_room_wanted;
	void (*gone)(void *arg, struct http_request *request);
	void *gone_arg;
	void (*room)(void *arg, struct http_request *request);
	void *room_arg;
};

static inline struct call *call_of(const struct http_request *request)
{
	return list_entry(request, struct call, parser.request);
}

/* --- connection.c --- */

void connection_accept(struct http_server *server, int fd, const struct sockaddr *peer,
		       struct ssl_ctx_st *tls);
void connection_destroy(struct connection *connection);
struct evbuffer *connection_output(const struct connection *connection);
/* Its output has become longer. */
void connection_account(struct connection *connection);
/* A stream begins to be answered. */
void connection_stream(struct connection *connection);
/* True if the connection can have another request after the answer to this one. */
bool connection_goes_on(const struct connection *connection);
/* The answer to its request is in its output, and the request is gone. */
void connection_answered(struct connection *connection, bool goes_on);

/* --- reply.c --- */

/* Puts status line and headers out. */
struct reply_head {
	unsigned status;
	const char *content_type;
	const struct http_header *headers;
	size_t headers_len;
	bool has_length;
	size_t length;
	bool is_chunked;
	bool is_encoded; /* With gzip. */
	bool goes_on;
};
void reply_head(const struct call *call, const struct reply_head *head);
bool reply_has_body(const struct call *call, unsigned status);

/* --- call.c --- */

struct call *call_create(struct connection *connection);
void call_destroy(struct call *call);
/* A handler has it, and its connection goes. */
void call_leave(struct call *call);
/* Frees it and tells its connection. */
void call_end(struct call *call, bool goes_on);

#endif
