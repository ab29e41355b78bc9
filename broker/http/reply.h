/* Reply: what a handler answers a request with (server.h hands requests out).
 *
 * Each request that a handler was given has to be answered exactly once, at once or later, from the
 * server's thread: with one of the replies, or with a stream from its begin to its end. Until then
 * it is valid, whatever becomes of its client; of one that has gone the answer is dropped. With the
 * answer (http_stream_end(), if it is a stream) the request is gone.
 *
 * What is given here is copied or sent before the function returns. Clients that ask for HEAD get
 * the same reply without its body. */
#ifndef LEV_HTTP_REPLY_H
#define LEV_HTTP_REPLY_H

#include "http/request.h"

enum {
	HTTP_GZIP_FROM = 1024,              /* Bytes: shorter replies are not compressed. */
	HTTP_STREAM_BYTES_MAX = 128 * 1024, /* Beyond, a stream takes no more for now. */
};

struct http_header {
	const char *name;   /* Lower case. */
	struct bytes value; /* Control characters in it become question marks. */
};

/* A whole reply. status: 200 and above. content_type NULL: there is none. The body is compressed if
 * the client wants it, unless the headers have a content-encoding. Other headers that are added:
 * content-length, content-type, date, connection, vary, and those of the server's options.
 *
 * If the server holds more than limits.memory_bytes_max with it, a 503 goes out in its place. */
void http_reply(struct http_request *request, unsigned status, const char *content_type,
		struct bytes body);
void http_reply_with(struct http_request *request, unsigned status, const char *content_type,
		     struct bytes body, const struct http_header *headers, size_t headers_len);

/* {"error":error,"reason":reason}, both plain text. error NULL: that of the status, e.g.
 * "bad_request".
 */
void http_reply_error(struct http_request *request, unsigned status, const char *error,
		      const char *reason);

/* True if the client has gone: what is said to it is dropped. */
bool http_is_gone(const struct http_request *request);

/* Calls gone(arg, request) once if the client goes before it has been answered, or has gone. The
 * request has to be answered nevertheless, in the callback or later. (A client that has only ended
 * its side of a plain connection still reads, and counts as gone for streams alone.) NULL: no more.
 */
void http_on_gone(struct http_request *request,
		  void (*gone)(void *arg, struct http_request *request), void *arg);

/* --- streams: a body that comes little by little, e.g. server-sent events --- */

/* The reply's head. Streams are not compressed; to HTTP/1.0 they end with the connection. */
void http_stream_begin(struct http_request *request, unsigned status, const char *content_type,
		       const struct http_header *headers, size_t headers_len);

/* All of it, or, if more than HTTP_STREAM_BYTES_MAX wait to be sent already or the client has gone,
 * nothing: false. What waits is thus bounded by that and the longest piece. */
bool http_stream_write(struct http_request *request, struct bytes piece);

/* An event of server-sent events, as http_stream_write(): name NULL is "message"; data may have
 * lines, and is valid UTF-8. */
bool http_stream_event(struct http_request *request, const char *name, struct bytes data);

/* Calls room(arg, request) each time that there is room again after something was not taken. The
 * callback may write and end. NULL: no more. */
void http_stream_on_room(struct http_request *request,
			 void (*room)(void *arg, struct http_request *request), void *arg);

void http_stream_end(struct http_request *request);

#endif
