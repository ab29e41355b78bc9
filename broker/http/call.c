/* Call: a request from its first byte to its answer. It outlives its connection if a handler has
 * it, and keeps its server's memory until then. */
#include "http/state.h"

#include "base/alloc.h"

#include <assert.h>
#include <stdlib.h>

struct call *call_create(struct connection *c)
{
	struct call *call = alloc_zeroed(sizeof *call);
	http_parser_init(&call->parser, c->server->options.limits.body_bytes_max);
	call->parser.request.peer = c->peer;
	call->parser.request.is_tls = c->is_tls;
	call->server = c->server;
	call->connection = c;
	call->server->calls_len++;
	return call;
}

void call_destroy(struct call *call)
{
	struct http_server *s = call->server;
	s->held_bytes -= call->held_bytes;
	http_parser_fini(&call->parser);
	free(call);
	s->calls_len--;
	if (s->is_destroyed && s->calls_len == 0)
		free(s);
}

void call_leave(struct call *call)
{
	void (*gone)(void *, struct http_request *) = call->gone;
	call->connection = NULL;
	call->held_bytes = http_parser_held(&call->parser);
	call->server->held_bytes += call->held_bytes;
	call->gone = NULL;
	call->room = NULL;
	if (gone != NULL)
		gone(call->gone_arg, &call->parser.request);
}

void call_end(struct call *call, bool goes_on)
{
	struct connection *c = call->connection;
	call_destroy(call);
	if (c != NULL)
		connection_answered(c, goes_on);
}

bool http_is_gone(const struct http_request *request)
{
	const struct call *call = call_of(request);
	return call->connection == NULL || call->connection->phase == PHASE_CLOSED;
}

void http_on_gone(struct http_request *request,
		  void (*gone)(void *arg, struct http_request *request), void *arg)
{
	struct call *call = call_of(request);
	assert(call->is_owned);
	call->gone = gone;
	call->gone_arg = arg;
	if (call->connection == NULL && gone != NULL) {
		call->gone = NULL;
		gone(arg, request);
	}
}
