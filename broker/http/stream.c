/* Streams: replies whose body comes little by little. */
#include "http/reply.h"

#include "http/state.h"

#include <assert.h>
#include <event2/buffer.h>

void http_stream_begin(struct http_request *request, unsigned status, const char *content_type,
		       const struct http_header *headers, size_t headers_len)
{
	struct call *call = call_of(request);
	assert(call->is_owned && !call->is_stream && status >= 200);
	call->is_stream = true;
	if (http_is_gone(request))
		return;
	bool has_body = reply_has_body(call, status);
	call->is_chunked = has_body && request->is_1_1;
	call->goes_on = connection_goes_on(call->connection) && (call->is_chunked || !has_body);
	struct reply_head head = {
		.status = status,
		.content_type = content_type,
		.headers = headers,
		.headers_len = headers_len,
		.is_chunked = call->is_chunked,
		.goes_on = call->goes_on,
	};
	call->is_mute = !has_body;
	reply_head(call, &head);
	connection_stream(call->connection);
}

/* What may be said now; false: nothing. */
static bool has_room(struct call *call)
{
	assert(call->is_stream);
	if (http_is_gone(&call->parser.request))
		return false;
	call->is_room_wanted =
		evbuffer_get_length(connection_output(call->connection)) > HTTP_STREAM_BYTES_MAX;
	return !call->is_room_wanted;
}

/* Empties piece. A chunk of no bytes would be the end. */
static void send_piece(struct call *call, struct evbuffer *piece)
{
	struct evbuffer *out = connection_output(call->connection);
	size_t len = evbuffer_get_length(piece);
	if (call->is_mute || len == 0)
		return;
	if (call->is_chunked)
		evbuffer_add_printf(out, "%zx\r\n", len);
	evbuffer_add_buffer(out, piece);
	if (call->is_chunked)
		evbuffer_add(out, "\r\n", 2);
	connection_account(call->connection);
}

bool http_stream_write(struct http_request *request, struct bytes bytes)
{
	struct call *call = call_of(request);
	if (!has_room(call))
		return false;
	struct evbuffer *piece = evbuffer_new();
	if (piece == NULL)
		return false;
	evbuffer_add(piece, bytes.data, bytes.len);
	send_piece(call, piece);
	evbuffer_free(piece);
	return true;
}

/* Each line is a field of its own; CR, LF and CR LF end one (HTML, 9.2.6). */
static void put_data(struct evbuffer *piece, struct bytes data)
{
	size_t begin = 0;
	for (size_t i = 0; i <= data.len; i++) {
		bool is_end = i == data.len || data.data[i] == '\n' || data.data[i] == '\r';
		if (!is_end)
			continue;
		evbuffer_add(piece, "data: ", 6);
		evbuffer_add(piece, data.data + begin, i - begin);
		evbuffer_add(piece, "\n", 1);
		if (i + 1 < data.len && data.data[i] == '\r' && data.data[i + 1] == '\n')
			i++;
		begin = i + 1;
	}
	evbuffer_add(piece, "\n", 1);
}

bool http_stream_event(struct http_request *request, const char *name, struct bytes data)
{
	struct call *call = call_of(request);
	if (!has_room(call))
		return false;
	struct evbuffer *piece = evbuffer_new();
	if (piece == NULL)
		return false;
	if (name != NULL)
		evbuffer_add_printf(piece, "event: %s\n", name);
	put_data(piece, data);
	send_piece(call, piece);
	evbuffer_free(piece);
	return true;
}

void http_stream_on_room(struct http_request *request,
			 void (*room)(void *arg, struct http_request *request), void *arg)
{
	struct call *call = call_of(request);
	call->room = room;
	call->room_arg = arg;
}

void http_stream_end(struct http_request *request)
{
	struct call *call = call_of(request);
	assert(call->is_stream);
	bool goes_on = call->goes_on;
	if (!http_is_gone(request) && call->is_chunked)
		evbuffer_add(connection_output(call->connection), "0\r\n\r\n", 5);
	call_end(call, goes_on);
}
