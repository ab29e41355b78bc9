/* Request: what a client of HTTP asked, taken apart and decoded.
 *
 * All bytes belong to the request and are valid until it has been answered. Whoever gets one may
 * rely on what the parser (parser.h) holds: names of headers are lower case; no header that may
 * come once is there twice; segments and parameters are percent-decoded and hold no NUL, but may
 * hold anything else, bytes that are not UTF-8 included. */
#ifndef LEV_HTTP_REQUEST_H
#define LEV_HTTP_REQUEST_H

#include "base/bytes.h"

#include <netinet/in.h>

enum http_method {
	HTTP_OTHER, /* Of method_name. */
	HTTP_GET,
	HTTP_HEAD,
	HTTP_POST,
	HTTP_PUT,
	HTTP_DELETE,
	HTTP_OPTIONS,
	HTTP_PATCH,
};

/* Bounds of a head: with them a request takes at most 6 KiB beside its bytes. */
enum {
	HTTP_LINE_MAX = 8192,        /* Of the request line; beyond: 414. */
	HTTP_HEAD_BYTES_MAX = 65536, /* Beyond: 431. */
	HTTP_HEADERS_MAX = 100,      /* Beyond: 431. */
	HTTP_SEGMENTS_MAX = 16,      /* Beyond: 414. */
	HTTP_PARAMETERS_MAX = 64,    /* Beyond: 414. */
};

struct http_pair {
	struct bytes name;
	struct bytes value;
};

/* An address of either family. */
union http_peer {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

struct http_request {
	enum http_method method;
	struct bytes method_name;
	struct bytes target; /* As it came, encoded. */
	/* Of the path, split at '/' before decoding: %2F stays inside its segment, and a plus is a
	 * plus. A slash at the end adds none ("/" has none at all), a doubled one an empty one. */
	struct bytes segments[HTTP_SEGMENTS_MAX];
	size_t segments_len;
	/* Of the query, in order; here a plus is a space. Without '=' the value is empty. */
	struct http_pair parameters[HTTP_PARAMETERS_MAX];
	size_t parameters_len;
	/* In order; values are without the blanks around them. */
	struct http_pair headers[HTTP_HEADERS_MAX];
	size_t headers_len;
	struct bytes body; /* Whole; empty until it has come. */
	union http_peer peer;
	bool is_tls;
	void *data; /* The handler's own. */

	/* What the connection needs to know. */
	bool is_1_1;
	bool is_chunked;
	bool has_length;
	uint64_t length;
	bool expects_continue;
	bool keeps_alive;
};

/* The first of that name (lower case); false, and *value untouched, if there is none. */
bool http_header(const struct http_request *request, const char *name, struct bytes *value);

/* The first of that name; false, and *value untouched, if there is none. */
bool http_parameter(const struct http_request *request, const char *name, struct bytes *value);

/* True if the comma-separated values of all headers of that name hold the word; case does not
 * matter. */
bool http_header_has(const struct http_request *request, const char *name, const char *word);

/* How much the client wants what it is offered, in thousandths, by the header of that name
 * ("accept", "accept-encoding"; RFC 9110, 12.4.2): 0 is not at all. offered is lower case: a media
 * type, which type/anything means, too, or a coding. The most specific entry counts. Of a header
 * that is not there: -1. */
int http_quality(const struct http_request *request, const char *name, const char *offered);

#endif
