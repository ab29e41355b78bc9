#include "http/parser.h"

#include "base/alloc.h"
#include "http/head.h"
#include "http/text.h"

#include <stdlib.h>

enum { FIRST_HEAD_BYTES = 512, FIRST_BODY_BYTES = 4096, CHUNK_DIGITS_MAX = 15 };

enum state { IN_HEAD, AFTER_HEAD, IN_BODY, IN_CHUNK_LINE, IN_CHUNK, IN_CHUNK_END, IN_TRAILERS };

void http_parser_init(struct http_parser *p, size_t body_bytes_max)
{
	memset(p, 0, sizeof *p);
	p->body_bytes_max = body_bytes_max;
	p->state = IN_HEAD;
}

void http_parser_fini(struct http_parser *p)
{
	free(p->head);
	free(p->decoded);
	free(p->body);
	p->head = p->decoded = p->body = NULL;
}

size_t http_parser_held(const struct http_parser *p)
{
	return p->head_cap + p->body_cap;
}

static enum http_parse wrong(struct http_parser *p, unsigned status, const char *reason)
{
	p->status = status;
	p->reason = reason;
	return PARSE_WRONG;
}

static uint8_t take(struct bytes *input)
{
	input->len--;
	return *input->data++;
}

enum step { STEP_IN_LINE, STEP_CR, STEP_LINE, STEP_WRONG };

/* One more byte of a line that ends with CR LF. */
static enum step step(struct http_parser *p, uint8_t c)
{
	if (p->is_after_cr) {
		p->is_after_cr = false;
		return c == '\n' ? STEP_LINE : STEP_WRONG;
	}
	p->is_after_cr = c == '\r';
	if (p->is_after_cr)
		return STEP_CR;
	return (c < ' ' && c != '\t') || c == 0x7f ? STEP_WRONG : STEP_IN_LINE;
}

static enum http_parse odd_line(struct http_parser *p)
{
	return wrong(p, 400, "a control character, or a line that does not end with CR LF");
}

/* --- head --- */

static enum http_parse end_head(struct http_parser *p)
{
	const uint8_t *end = memchr(p->head, '\r', p->head_len);
	p->decoded = alloc_zeroed((size_t)(end - p->head) + 1);
	struct http_fault fault = head_parse(&p->request, p->head, p->head_len - 2, p->decoded);
	if (fault.status != 0)
		return wrong(p, fault.status, fault.reason);
	p->state = AFTER_HEAD;
	return PARSE_HEAD;
}

/* One empty line before the request is what some clients send behind a body (RFC 9112, 2.2). */
static enum http_parse end_head_line(struct http_parser *p)
{
	size_t len = p->line_len;
	p->line_len = 0;
	if (len == 0 && p->lines > 0)
		return end_head(p);
	if (len > 0) {
		p->lines++;
		return PARSE_MORE;
	}
	if (p->has_skipped)
		return wrong(p, 400, "empty lines");
	p->has_skipped = true;
	p->head_len = 0;
	return PARSE_MORE;
}

static enum http_parse read_head(struct http_parser *p, struct bytes *input)
{
	enum http_parse result = PARSE_MORE;
	while (result == PARSE_MORE && input->len > 0) {
		uint8_t c = take(input);
		enum step s = step(p, c);
		if (s == STEP_WRONG)
			return odd_line(p);
		if (p->head_len == HTTP_HEAD_BYTES_MAX)
			return wrong(p, 431, "the head is too long");
		if (s == STEP_IN_LINE && ++p->line_len > HTTP_LINE_MAX && p->lines == 0)
			return wrong(p, 414, "the request line is too long");
		if (p->head_len == p->head_cap) {
			size_t need = p->head_cap == 0 ? FIRST_HEAD_BYTES : p->head_cap + 1;
			p->head = alloc_grow(p->head, &p->head_cap, need, 1);
		}
		p->head[p->head_len++] = c;
		if (s == STEP_LINE)
			result = end_head_line(p);
	}
	return result;
}

/* --- body --- */

static enum http_parse done(struct http_parser *p)
{
	p->request.body = bytes_of(p->body, p->body_len);
	return PARSE_DONE;
}

/* What is announced, as much as may be: 413. */
static bool is_too_much(const struct http_parser *p, uint64_t more)
{
	return p->body_len > p->body_bytes_max || more > p->body_bytes_max - p->body_len;
}

static enum http_parse too_much(struct http_parser *p)
{
	return wrong(p, 413, "the body is too long");
}

static enum http_parse begin_body(struct http_parser *p)
{
	if (p->request.is_chunked) {
		p->state = IN_CHUNK_LINE;
		return PARSE_MORE;
	}
	if (is_too_much(p, p->request.length))
		return too_much(p);
	p->left = p->request.length;
	p->state = IN_BODY;
	return p->left == 0 ? done(p) : PARSE_MORE;
}

/* Room for len bytes more, which will not pass body_bytes_max. False: no memory. */
static bool body_room(struct http_parser *p, size_t len)
{
	size_t need = p->body_len + len;
	if (need <= p->body_cap)
		return true;
	size_t cap = p->body_cap < FIRST_BODY_BYTES ? FIRST_BODY_BYTES : 2 * p->body_cap;
	cap = cap > need ? cap : need;
	cap = cap > p->body_bytes_max ? p->body_bytes_max : cap;
	uint8_t *body = realloc(p->body, cap);
	if (body == NULL)
		return false;
	p->body = body;
	p->body_cap = cap;
	return true;
}

static bool read_raw_body(struct http_parser *p, struct bytes *input)
{
	size_t len = input->len < p->left ? input->len : (size_t)p->left;
	if (!body_room(p, len))
		return false;
	if (len > 0)
		memcpy(p->body + p->body_len, input->data, len);
	p->body_len += len;
	p->left -= len;
	input->data += len;
	input->len -= len;
	return true;
}

static enum http_parse read_body(struct http_parser *p, struct bytes *input)
{
	if (!read_raw_body(p, input))
		return wrong(p, 503, "no memory");
	if (p->left > 0)
		return PARSE_MORE;
	if (p->state == IN_BODY)
		return done(p);
	p->state = IN_CHUNK_END;
	return PARSE_MORE;
}

/* --- chunks (RFC 9112, 7.1) --- */

static enum http_parse end_chunk_line(struct http_parser *p)
{
	uint64_t size = 0;
	size_t digits = 0;
	while (digits < p->line_len && text_hex(p->line[digits]) >= 0 && digits < CHUNK_DIGITS_MAX)
		size = size << 4 | (uint64_t)text_hex(p->line[digits++]);
	if (digits == 0 || (digits < p->line_len && p->line[digits] != ';'))
		return wrong(p, 400, "odd size of a chunk");
	if (is_too_much(p, size))
		return too_much(p);
	p->left = size;
	p->state = size == 0 ? IN_TRAILERS : IN_CHUNK;
	p->lines = 0;
	p->line_len = 0;
	return PARSE_MORE;
}

static enum http_parse end_trailer(struct http_parser *p)
{
	struct http_pair pair;
	if (p->line_len == 0)
		return done(p);
	if (++p->lines > HTTP_TRAILERS_MAX)
		return wrong(p, 431, "too many trailers");
	if (!head_field(p->line, p->line_len, &pair))
		return wrong(p, 400, "odd trailer");
	p->line_len = 0;
	return PARSE_MORE;
}

static enum http_parse read_line(struct http_parser *p, struct bytes *input)
{
	bool is_chunk = p->state == IN_CHUNK_LINE;
	size_t max = is_chunk ? HTTP_CHUNK_LINE_MAX : HTTP_TRAILER_LINE_MAX;
	while (input->len > 0) {
		uint8_t c = take(input);
		switch (step(p, c)) {
		case STEP_WRONG: return odd_line(p);
		case STEP_LINE: return is_chunk ? end_chunk_line(p) : end_trailer(p);
		case STEP_CR: break;
		case STEP_IN_LINE:
			if (p->line_len == max)
				return is_chunk ? wrong(p, 400, "odd size of a chunk")
						: wrong(p, 431, "a trailer is too long");
			p->line[p->line_len++] = c;
		}
	}
	return PARSE_MORE;
}

static enum http_parse read_chunk_end(struct http_parser *p, struct bytes *input)
{
	while (input->len > 0 && p->state == IN_CHUNK_END) {
		switch (step(p, take(input))) {
		case STEP_CR: break;
		case STEP_LINE: p->state = IN_CHUNK_LINE; break;
		default: return wrong(p, 400, "a chunk is longer than its size");
		}
	}
	return PARSE_MORE;
}

static enum http_parse parse_some(struct http_parser *p, struct bytes *input)
{
	switch (p->state) {
	case IN_HEAD: return read_head(p, input);
	case AFTER_HEAD: return begin_body(p);
	case IN_BODY:
	case IN_CHUNK: return read_body(p, input);
	case IN_CHUNK_END: return read_chunk_end(p, input);
	default: return read_line(p, input);
	}
}

enum http_parse http_parse(struct http_parser *p, struct bytes *input)
{
	enum http_parse result;
	do
		result = parse_some(p, input);
	while (result == PARSE_MORE && input->len > 0);
	return result;
}
