/* Head: request line and headers of HTTP/1.1 and 1.0 (RFC 9112), validated. What another party on
 * the way to us could understand in another way is refused, not guessed at. */
#ifndef LEV_HTTP_HEAD_H
#define LEV_HTTP_HEAD_H

#include "http/uri.h"

/* Takes a head apart into *request, which is zeroed. head: len bytes of lines that each end with CR
 * LF, without the empty one at the end, and without other control characters than tabs; names in
 * it are made lower case. decoded: room for HTTP_LINE_MAX bytes. The request borrows both. */
struct http_fault head_parse(struct http_request *request, uint8_t *head, size_t len,
			     uint8_t *decoded);

/* A header's line, without its end; the name is made lower case. False if it is none. */
bool head_field(uint8_t *line, size_t len, struct http_pair *pair);

#endif
