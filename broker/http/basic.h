/* Basic: user and password of an Authorization header (RFC 7617), and the base64 that it is in. */
#ifndef LEV_HTTP_BASIC_H
#define LEV_HTTP_BASIC_H

#include "base/bytes.h"

enum { HTTP_BASIC_MAX = 1024 }; /* Bytes of user and password together, with the colon. */

struct http_basic {
	struct bytes user; /* Both lie in text. */
	struct bytes password;
	uint8_t text[HTTP_BASIC_MAX + 3];
};

/* Decodes the standard alphabet with padding and nothing else in between (RFC 4648, 4); unused bits
 * have to be 0, so that a text has one encoding. out: room for in.len / 4 * 3 bytes. False if in is
 * not base64. */
bool base64_decode(struct bytes in, uint8_t *out, size_t *len);

/* header: the value of Authorization. False if it is no such login, or longer than a login may be.
 * The caller wipes *login with OPENSSL_cleanse() when it has been looked at. */
bool http_basic_read(struct bytes header, struct http_basic *login);

#endif
