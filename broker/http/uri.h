/* Uri: targets of requests taken apart and percent-decoded (RFC 3986). */
#ifndef LEV_HTTP_URI_H
#define LEV_HTTP_URI_H

#include "http/request.h"

/* Why a request is not taken: a status with its reason, a string literal. status 0: it is. */
struct http_fault {
	unsigned status;
	const char *reason;
};

/* Fills segments and parameters of request from a path with a query. decoded: room for as many
 * bytes as the target has, which the request's bytes will lie in. */
struct http_fault uri_split(struct http_request *request, struct bytes target, uint8_t *decoded);

/* Decodes in to *at and moves it past what it wrote, which *out becomes; at most in.len bytes.
 * False if a '%' is not followed by two hexadecimal digits, or means NUL. */
bool uri_decode(struct bytes in, bool is_plus_space, uint8_t **at, struct bytes *out);

#endif
