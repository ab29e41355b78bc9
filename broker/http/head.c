#include "http/head.h"

#include "http/text.h"

#include <strings.h>

static const struct http_fault fine = { 0 };

static struct http_fault bad(const char *reason)
{
	return (struct http_fault){ 400, reason };
}

/* RFC 9110, 5.6.2. */
static bool is_token_char(uint8_t c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
	       (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_token(struct bytes b)
{
	for (size_t i = 0; i < b.len; i++)
		if (!is_token_char(b.data[i]))
			return false;
	return b.len > 0;
}

/* --- request line --- */

static enum http_method find_method(struct bytes name)
{
	static const char *const names[] = {
		[HTTP_GET] = "GET",     [HTTP_HEAD] = "HEAD",     [HTTP_POST] = "POST",
		[HTTP_PUT] = "PUT",     [HTTP_DELETE] = "DELETE", [HTTP_OPTIONS] = "OPTIONS",
		[HTTP_PATCH] = "PATCH",
	};
	for (size_t i = HTTP_GET; i < sizeof names / sizeof *names; i++)
		if (bytes_equal_str(name, names[i]))
			return (enum http_method)i;
	return HTTP_OTHER;
}

static struct http_fault take_version(struct http_request *r, struct bytes version)
{
	if (version.len != 8 || !bytes_has_prefix(version, "HTTP/") || version.data[6] != '.' ||
	    version.data[5] < '0' || version.data[5] > '9' || version.data[7] < '0' ||
	    version.data[7] > '9')
		return bad("odd request line");
	if (version.data[5] != '1' || version.data[7] > '1')
		return (struct http_fault){ 505, "only HTTP/1.1 and 1.0 are spoken" };
	r->is_1_1 = version.data[7] == '1';
	return fine;
}

static bool is_visible(struct bytes b)
{
	for (size_t i = 0; i < b.len; i++)
		if (b.data[i] <= ' ' || b.data[i] >= 0x7f || b.data[i] == '#')
			return false;
	return b.len > 0;
}

/* "GET target HTTP/1.1": one space each. */
static struct http_fault take_line(struct http_request *r, struct bytes line)
{
	const uint8_t *first = memchr(line.data, ' ', line.len);
	const uint8_t *last = memrchr(line.data, ' ', line.len);
	if (first == NULL || first == last)
		return bad("odd request line");
	r->method_name = bytes_of(line.data, (size_t)(first - line.data));
	r->target = bytes_of(first + 1, (size_t)(last - first - 1));
	struct bytes version = bytes_of(last + 1, (size_t)(line.data + line.len - last - 1));
	if (!is_token(r->method_name) || !is_visible(r->target))
		return bad("odd request line");
	r->method = find_method(r->method_name);
	return take_version(r, version);
}

/* --- headers --- */

bool head_field(uint8_t *line, size_t len, struct http_pair *pair)
{
	uint8_t *colon = len == 0 ? NULL : memchr(line, ':', len);
	if (colon == NULL)
		return false;
	pair->name = bytes_of(line, (size_t)(colon - line));
	if (!is_token(
		    pair->name)) /* So is what begins with a blank, or has one before the colon. */
		return false;
	for (uint8_t *c = line; c < colon; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c |= 0x20;
	pair->value = text_trim(bytes_of(colon + 1, (size_t)(line + len - colon - 1)));
	return true;
}

static struct http_fault take_host(struct http_request *r, struct bytes value)
{
	(void)r;
	for (size_t i = 0; i < value.len; i++) {
		uint8_t c = value.data[i];
		if (!(c >= '0' && c <= '9') && !((c | 0x20) >= 'a' && (c | 0x20) <= 'z') &&
		    (c == 0 || strchr("-._~:[]%", c) == NULL))
			return bad("odd host");
	}
	return value.len > 0 ? fine : bad("empty host");
}

static struct http_fault take_length(struct http_request *r, struct bytes value)
{
	if (value.len == 0 || (value.len > 1 && value.data[0] == '0'))
		return bad("odd content-length");
	for (size_t i = 0; i < value.len; i++) {
		if (value.data[i] < '0' || value.data[i] > '9')
			return bad("odd content-length");
		if (i < 19) /* Digits that surely fit; of a longer one they are too much, too. */
			r->length = r->length * 10 + (uint64_t)(value.data[i] - '0');
	}
	r->has_length = true;
	return fine;
}

static struct http_fault take_coding(struct http_request *r, struct bytes value)
{
	if (!text_equal_fold(value, "chunked"))
		return bad("transfer-encoding other than chunked");
	r->is_chunked = true;
	return fine;
}

static struct http_fault take_expect(struct http_request *r, struct bytes value)
{
	if (!text_equal_fold(value, "100-continue"))
		return (struct http_fault){ 417, "only 100-continue can be expected" };
	r->expects_continue = true;
	return fine;
}

/* Those that may come once. */
static const struct {
	const char *name;
	struct http_fault (*take)(struct http_request *r, struct bytes value);
} singles[] = {
	{ "host", take_host },
	{ "content-length", take_length },
	{ "transfer-encoding", take_coding },
	{ "expect", take_expect },
	{ "authorization", NULL },
	{ "content-type", NULL },
	{ "content-encoding", NULL },
	{ "origin", NULL },
	{ "sec-fetch-site", NULL },
};

static struct http_fault take_field(struct http_request *r, const struct http_pair *pair,
				    unsigned *seen)
{
	for (size_t i = 0; i < sizeof singles / sizeof *singles; i++) {
		if (!bytes_equal_str(pair->name, singles[i].name))
			continue;
		if (*seen & 1u << i)
			return bad("a header that may come once is there twice");
		*seen |= 1u << i;
		return singles[i].take == NULL ? fine : singles[i].take(r, pair->value);
	}
	return fine;
}

/* Line by line, each with its CR LF. */
static struct http_fault take_fields(struct http_request *r, uint8_t *at, const uint8_t *end)
{
	unsigned seen = 0;
	while (at < end) {
		uint8_t *line = at;
		size_t len = (size_t)((uint8_t *)memchr(at, '\r', (size_t)(end - at)) - at);
		at += len + 2;
		if (r->headers_len == HTTP_HEADERS_MAX)
			return (struct http_fault){ 431, "too many headers" };
		struct http_pair *pair = &r->headers[r->headers_len++];
		if (!head_field(line, len, pair))
			return bad("odd header");
		struct http_fault fault = take_field(r, pair, &seen);
		if (fault.status != 0)
			return fault;
	}
	return fine;
}

/* --- what they mean together --- */

static struct http_fault judge(struct http_request *r)
{
	struct bytes host;
	if (r->is_1_1 && !http_header(r, "host", &host))
		return bad("no host");
	if (r->is_chunked && r->has_length)
		return bad("both content-length and transfer-encoding");
	if (r->is_chunked && !r->is_1_1)
		return bad("transfer-encoding in HTTP/1.0");
	r->expects_continue &= r->is_1_1;
	r->keeps_alive = r->is_1_1 ? !http_header_has(r, "connection", "close")
				   : http_header_has(r, "connection", "keep-alive") &&
					     !http_header_has(r, "connection", "close");
	return fine;
}

/* Of "http://host/path" the host has to be the one that the header says. False: no such target. */
static bool strip_authority(const struct http_request *r, struct bytes *target)
{
	struct bytes host = { NULL, 0 };
	size_t scheme = bytes_has_prefix(*target, "http://")    ? 7
			: bytes_has_prefix(*target, "https://") ? 8
								: 0;
	http_header(r, "host", &host);
	if (scheme == 0 || host.len == 0 || target->len < scheme + host.len ||
	    strncasecmp((const char *)target->data + scheme, (const char *)host.data, host.len) !=
		    0)
		return false;
	target->data += scheme + host.len;
	target->len -= scheme + host.len;
	return target->len == 0 || target->data[0] == '/' || target->data[0] == '?';
}

static struct http_fault take_target(struct http_request *r, uint8_t *decoded)
{
	struct bytes target = r->target;
	if (r->method == HTTP_OPTIONS && bytes_equal_str(target, "*"))
		return fine;
	if (target.data[0] != '/' && !strip_authority(r, &target))
		return bad("odd target");
	return uri_split(r, target, decoded);
}

struct http_fault head_parse(struct http_request *r, uint8_t *head, size_t len, uint8_t *decoded)
{
	const uint8_t *end = memchr(head, '\r', len);
	size_t line_len = (size_t)(end - head);
	struct http_fault fault = take_line(r, bytes_of(head, line_len));
	if (fault.status == 0)
		fault = take_fields(r, head + line_len + 2, head + len);
	if (fault.status == 0)
		fault = judge(r);
	return fault.status != 0 ? fault : take_target(r, decoded);
}
