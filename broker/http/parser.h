/* Parser: takes one request of HTTP/1.1 or 1.0 out of bytes that come in parts of any size.
 *
 * It is strict, so that no proxy on the way can understand a request differently than it does
 * (request smuggling): lines end with CR LF; no control characters but tabs; no folded headers; the
 * body has either one plain content-length or "chunked", never both; Host has to be there. Whatever
 * is odd has a status (400, or 413, 414, 417, 431, 505 where they fit), after which nothing of the
 * connection can be trusted: answer and close.
 *
 * Memory: the head as it comes, at most 2 x HTTP_HEAD_BYTES_MAX; the body as it comes, never what
 * is merely announced, at most body_bytes_max. No clock, no I/O, no shared state. */
#ifndef LEV_HTTP_PARSER_H
#define LEV_HTTP_PARSER_H

#include "http/request.h"

enum {
	HTTP_CHUNK_LINE_MAX = 128,   /* With its extension, which is ignored. */
	HTTP_TRAILER_LINE_MAX = 512, /* Trailers are validated and dropped. */
	HTTP_TRAILERS_MAX = 16,
};

enum http_parse {
	PARSE_MORE, /* All input was taken, and more is needed. */
	PARSE_HEAD, /* The head is there: said once, before anything of the body is looked at. */
	PARSE_DONE, /* The request is whole; what follows it was left. */
	PARSE_WRONG,
};

struct http_parser {
	struct http_request request;
	size_t body_bytes_max; /* May be changed when the head has come. */
	/* Of PARSE_WRONG. */
	unsigned status;
	const char *reason; /* A string literal. */

	uint8_t state;
	bool is_after_cr;
	bool has_skipped; /* An empty line. */
	uint8_t *head;
	size_t head_len, head_cap;
	size_t line_len;
	unsigned lines;
	uint8_t *decoded; /* Segments and parameters. */
	uint8_t *body;
	size_t body_len, body_cap;
	uint64_t left; /* Of the body or the chunk. */
	uint8_t line[HTTP_TRAILER_LINE_MAX];
};

/* A body that is longer gets 413: at once when its length is announced. */
void http_parser_init(struct http_parser *parser, size_t body_bytes_max);
void http_parser_fini(struct http_parser *parser);

/* Moves *input past what it took. Not to be called again after PARSE_DONE or PARSE_WRONG. After
 * PARSE_HEAD it has to be called again, even without input. */
enum http_parse http_parse(struct http_parser *parser, struct bytes *input);

/* What the parser has allocated, in bytes: grows by http_parse() only. */
size_t http_parser_held(const struct http_parser *parser);

#endif
