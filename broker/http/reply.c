#include "http/reply.h"

#include "http/gzip.h"
#include "http/state.h"
#include "net/clock.h"

#include <assert.h>
#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>

static const struct {
	unsigned status;
	const char *text;
	const char *error; /* NULL: none of ours. */
} statuses[] = {
	{ 200, "OK", NULL },
	{ 201, "Created", NULL },
	{ 202, "Accepted", NULL },
	{ 204, "No Content", NULL },
	{ 301, "Moved Permanently", NULL },
	{ 302, "Found", NULL },
	{ 303, "See Other", NULL },
	{ 304, "Not Modified", NULL },
	{ 400, "Bad Request", "bad_request" },
	{ 401, "Unauthorized", "not_authorised" },
	{ 403, "Forbidden", "forbidden" },
	{ 404, "Not Found", "Object Not Found" },
	{ 405, "Method Not Allowed", "method_not_allowed" },
	{ 406, "Not Acceptable", "not_acceptable" },
	{ 408, "Request Timeout", "request_timeout" },
	{ 409, "Conflict", "conflict" },
	{ 413, "Content Too Large", "content_too_large" },
	{ 414, "URI Too Long", "uri_too_long" },
	{ 415, "Unsupported Media Type", "unsupported_media_type" },
	{ 417, "Expectation Failed", "expectation_failed" },
	{ 422, "Unprocessable Content", "unprocessable_content" },
	{ 429, "Too Many Requests", "too_many_requests" },
	{ 431, "Request Header Fields Too Large", "header_fields_too_large" },
	{ 500, "Internal Server Error", "internal_error" },
	{ 503, "Service Unavailable", "service_unavailable" },
	{ 504, "Gateway Timeout", "timeout" },
	{ 505, "HTTP Version Not Supported", "version_not_supported" },
};

static size_t find_status(unsigned status)
{
	size_t i = 0;
	while (i < sizeof statuses / sizeof *statuses && statuses[i].status != status)
		i++;
	return i;
}

static const char *status_text(unsigned status)
{
	size_t i = find_status(status);
	return i < sizeof statuses / sizeof *statuses ? statuses[i].text : "Other";
}

static const char *status_error(unsigned status)
{
	size_t i = find_status(status);
	const char *error = i < sizeof statuses / sizeof *statuses ? statuses[i].error : NULL;
	return error == NULL ? "error" : error;
}

/* --- head --- */

static void put(struct evbuffer *out, const char *text)
{
	evbuffer_add(out, text, strlen(text));
}

/* A line's end in a value would let whoever chose it write headers of his own. */
static void put_value(struct evbuffer *out, struct bytes value)
{
	for (size_t i = 0; i < value.len; i++) {
		uint8_t c = value.data[i];
		bool is_fine = c == '\t' || (c >= ' ' && c != 0x7f);
		evbuffer_add(out, is_fine ? &c : (const uint8_t *)"?", 1);
	}
}

static void put_header(struct evbuffer *out, const char *name, struct bytes value)
{
	put(out, name);
	put(out, ": ");
	put_value(out, value);
	put(out, "\r\n");
}

static void put_headers(struct evbuffer *out, const struct http_header *headers, size_t len)
{
	for (size_t i = 0; i < len; i++)
		put_header(out, headers[i].name, headers[i].value);
}

static bool has_header(const struct http_header *headers, size_t len, const char *name)
{
	for (size_t i = 0; i < len; i++)
		if (strcmp(headers[i].name, name) == 0)
			return true;
	return false;
}

/* RFC 9110, 5.6.7. In English whatever the locale. */
static void put_date(struct evbuffer *out)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t now = (time_t)(clock_unix_ms() / 1000);
	struct tm t;
	gmtime_r(&now, &t);
	evbuffer_add_printf(out, "date: %.3s, %02d %.3s %04d %02d:%02d:%02d GMT\r\n",
			    days + 3 * t.tm_wday, t.tm_mday, months + 3 * t.tm_mon,
			    t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
}

bool reply_has_body(const struct call *call, unsigned status)
{
	return status != 204 && status != 304 && call->parser.request.method != HTTP_HEAD;
}

void reply_head(const struct call *call, const struct reply_head *h)
{
	const struct http_options *o = &call->server->options;
	const struct http_request *r = &call->parser.request;
	struct evbuffer *out = connection_output(call->connection);
	evbuffer_add_printf(out, "HTTP/1.1 %u %s\r\n", h->status, status_text(h->status));
	put_date(out);
	put_headers(out, o->headers, o->headers_len);
	put_headers(out, h->headers, h->headers_len);
	if (h->content_type != NULL)
		put_header(out, "content-type", bytes_str(h->content_type));
	if (h->is_encoded)
		put(out, "content-encoding: gzip\r\n");
	if (h->content_type != NULL && !has_header(h->headers, h->headers_len, "vary") &&
	    !has_header(o->headers, o->headers_len, "vary"))
		put(out, "vary: accept-encoding\r\n");
	if (h->has_length && h->status != 204 && h->status != 304)
		evbuffer_add_printf(out, "content-length: %zu\r\n", h->length);
	if (h->is_chunked)
		put(out, "transfer-encoding: chunked\r\n");
	if (!h->goes_on)
		put(out, "connection: close\r\n");
	else if (!r->is_1_1)
		put(out, "connection: keep-alive\r\n");
	put(out, "\r\n");
}

/* --- whole replies --- */

static bool is_gzip_wanted(const struct call *call, struct bytes body,
			   const struct http_header *headers, size_t headers_len)
{
	return body.len >= HTTP_GZIP_FROM &&
	       !has_header(headers, headers_len, "content-encoding") &&
	       http_quality(&call->parser.request, "accept-encoding", "gzip") > 0;
}

/* head's length and encoding are still to be said. */
static void send_whole(struct call *call, struct reply_head *head, struct bytes body)
{
	struct bytes packed;
	struct connection *c = call->connection;
	if (is_gzip_wanted(call, body, head->headers, head->headers_len) &&
	    gzip_compress(body, &packed)) {
		body = packed;
		head->is_encoded = true;
	}
	head->has_length = true;
	head->length = body.len;
	reply_head(call, head);
	if (reply_has_body(call, head->status) && body.len > 0)
		evbuffer_add(connection_output(c), body.data, body.len);
	if (head->is_encoded)
		free((void *)body.data);
	connection_account(c);
}

static bool is_room_for(const struct call *call, size_t len)
{
	return len <= SMALL_BYTES ||
	       call->server->held_bytes + len <= call->server->options.limits.memory_bytes_max;
}

void http_reply_with(struct http_request *request, unsigned status, const char *content_type,
		     struct bytes body, const struct http_header *headers, size_t headers_len)
{
	struct call *call = call_of(request);
	assert(call->is_owned && !call->is_stream && status >= 200);
	bool goes_on = false;
	if (!http_is_gone(request)) {
		if (!is_room_for(call, body.len)) {
			http_reply_error(request, 503, NULL, "too much is under way");
			return;
		}
		goes_on = connection_goes_on(call->connection);
		struct reply_head head = {
			.status = status,
			.content_type = content_type,
			.headers = headers,
			.headers_len = headers_len,
			.goes_on = goes_on,
		};
		send_whole(call, &head, body);
	}
	call_end(call, goes_on);
}

void http_reply(struct http_request *request, unsigned status, const char *content_type,
		struct bytes body)
{
	http_reply_with(request, status, content_type, body, NULL, 0);
}

static void put_json(FILE *f, const char *text)
{
	for (const char *c = text; *c != '\0'; c++) {
		if (*c == '"' || *c == '\\')
			fprintf(f, "\\%c", *c);
		else if ((unsigned char)*c < ' ')
			fprintf(f, "\\u%04x", (unsigned)*c);
		else
			fputc(*c, f);
	}
}

void http_reply_error(struct http_request *request, unsigned status, const char *error,
		      const char *reason)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	if (f != NULL) {
		fputs("{\"error\":\"", f);
		put_json(f, error == NULL ? status_error(status) : error);
		fputs("\",\"reason\":\"", f);
		put_json(f, reason);
		fputs("\"}", f);
		fclose(f);
	}
	http_reply(request, status, "application/json", bytes_of(text, len));
	free(text);
}
