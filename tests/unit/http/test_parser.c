#include "http/parser.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { BODY_MAX = 100, SAID_MAX = 4096 };

/* What became of a request, as a text that can be compared: "GET [a][b/c] ?k=v h:x !BODY +REST", or
 * the status of what was refused. */
struct outcome {
	char said[SAID_MAX];
	size_t len;
};

static void say(struct outcome *o, const char *before, struct bytes b, const char *after)
{
	o->len += (size_t)snprintf(o->said + o->len, SAID_MAX - o->len, "%s%.*s%s", before,
				   BYTES_ARG(b), after);
	cr_assert_lt(o->len, SAID_MAX);
}

static void say_request(struct outcome *o, const struct http_request *r)
{
	say(o, "", r->method_name, r->is_1_1 ? " " : "/1.0 ");
	for (size_t i = 0; i < r->segments_len; i++)
		say(o, "[", r->segments[i], "]");
	for (size_t i = 0; i < r->parameters_len; i++) {
		say(o, " ?", r->parameters[i].name, "=");
		say(o, "", r->parameters[i].value, "");
	}
	for (size_t i = 0; i < r->headers_len; i++) {
		say(o, " ", r->headers[i].name, ":");
		say(o, "", r->headers[i].value, "");
	}
	if (r->expects_continue)
		say(o, " (continue)", bytes_of(NULL, 0), "");
	if (!r->keeps_alive)
		say(o, " (close)", bytes_of(NULL, 0), "");
	say(o, " !", r->body, "");
}

/* Given in parts that end where `at` says, and one after the other. */
static void parse(struct outcome *o, struct bytes text, size_t at, size_t part)
{
	struct http_parser p;
	enum http_parse result = PARSE_MORE;
	size_t heads = 0, given = 0;
	*o = (struct outcome){ 0 };
	http_parser_init(&p, BODY_MAX);
	while (result == PARSE_MORE && given < text.len) {
		size_t len = given == 0 && at > 0 ? at : part;
		len = len > text.len - given ? text.len - given : len;
		/* On the heap and no longer than it is, so that reading beyond its end is seen. */
		uint8_t *copy = malloc(len);
		memcpy(copy, text.data + given, len);
		struct bytes input = bytes_of(copy, len);
		while ((result = http_parse(&p, &input)) == PARSE_HEAD)
			heads++;
		given += len - input.len;
		cr_assert(result != PARSE_MORE || input.len == 0);
		free(copy);
	}
	if (result == PARSE_DONE) {
		cr_assert_eq(heads, 1);
		say_request(o, &p.request);
		say(o, " +", bytes_of(text.data + given, text.len - given), "");
	} else if (result == PARSE_WRONG) {
		cr_assert_not_null(p.reason);
		o->len = (size_t)snprintf(o->said, SAID_MAX, "%u", p.status);
	} else {
		o->len = (size_t)snprintf(o->said, SAID_MAX, "more");
	}
	http_parser_fini(&p);
}

/* Whatever the parts are in which it comes. */
static void expect_bytes(struct bytes text, const char *said)
{
	struct outcome o;
	for (size_t at = 0; at < text.len; at++) {
		parse(&o, text, at, text.len);
		cr_assert_str_eq(o.said, said, "%.*s\nsplit at %zu gives: %s\nnot: %s",
				 BYTES_ARG(text), at, o.said, said);
	}
	parse(&o, text, 0, 1);
	cr_assert_str_eq(o.said, said, "%.*s\nbyte by byte gives: %s", BYTES_ARG(text), o.said);
}

static void expect(const char *text, const char *said)
{
	expect_bytes(bytes_str(text), said);
}

#define HOST "Host: h\r\n"
#define GET  "GET / HTTP/1.1\r\n" HOST
#define POST "POST / HTTP/1.1\r\n" HOST

Test(http_parser, takes_requests_apart)
{
	expect(GET "\r\n", "GET  host:h !"
			   " +");
	expect("GET /api/queues/%2f/a%20b?page=1&name=%5Ea+b&x HTTP/1.1\r\nhost:h:15672\r\n"
	       "X-Thing: \t a  b \t\r\n\r\n",
	       "GET [api][queues][/][a b] ?page=1 ?name=^a b ?x= host:h:15672 x-thing:a  b ! +");
	expect("PUT /a HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabcGET",
	       "PUT [a] host:h content-length:3 !abc +GET");
	expect("DELETE /a HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\nGET",
	       "DELETE [a] host:h content-length:0 ! +GET");
	expect("BREW /pot HTTP/1.1\r\n" HOST "\r\n", "BREW [pot] host:h ! +");
	expect("OPTIONS * HTTP/1.1\r\n" HOST "\r\n", "OPTIONS  host:h ! +");
	expect(GET, "more");
	expect(GET "\r", "more");
	expect(POST "Content-Length: 3\r\n\r\nab", "more");
}

Test(http_parser, splits_paths_before_decoding)
{
	expect("GET /a%2Fb/%2F/c+d HTTP/1.1\r\n" HOST "\r\n", "GET [a/b][/][c+d] host:h ! +");
	expect("GET /a/ HTTP/1.1\r\n" HOST "\r\n", "GET [a] host:h ! +");
	expect("GET //a HTTP/1.1\r\n" HOST "\r\n", "GET [][a] host:h ! +");
	expect("GET /a//?b HTTP/1.1\r\n" HOST "\r\n", "GET [a][] ?b= host:h ! +");
	expect("GET /%c3%BC/.. HTTP/1.1\r\n" HOST "\r\n", "GET [\303\274][..] host:h ! +");
	expect("GET /%2523?a%3D=%26&&=b&c=d=e HTTP/1.1\r\n" HOST "\r\n",
	       "GET [%23] ?a==& ?=b ?c=d=e host:h ! +");
}

Test(http_parser, refuses_odd_encoding)
{
	static const char *const targets[] = { "/%",     "/%2",     "/%2/",   "/%zz",   "/%2g",
					       "/%+1",   "/%00",    "/a%00b", "/?a=%",  "/?%=1",
					       "/?a=%0", "/?a=%00", "/% 1",   "/%u0041" };
	for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
		char text[100];
		snprintf(text, sizeof text, "GET %s HTTP/1.1\r\n" HOST "\r\n", targets[i]);
		expect(text, "400");
	}
}

Test(http_parser, refuses_odd_request_lines)
{
	static const char *const lines[] = {
		"GET",
		"GET /",
		"GET  / HTTP/1.1",
		"GET /  HTTP/1.1",
		" GET / HTTP/1.1",
		"GET / HTTP/1.1 ",
		"GET / x HTTP/1.1",
		"GET\t/ HTTP/1.1",
		"GET /\ta HTTP/1.1",
		"GET / HTTP/1.10",
		"GET / HTTP/11",
		"GET / http/1.1",
		"GET / HTTP/x.1",
		"GET / HTTP/1,1",
		"G(T / HTTP/1.1",
		"G\303\234T / HTTP/1.1",
		"GET /\303\274 HTTP/1.1",
		"GET /a#b HTTP/1.1",
		"GET a HTTP/1.1",
		"GET * HTTP/1.1",
		"GET ?a HTTP/1.1",
		"CONNECT h:80 HTTP/1.1",
		"GET ftp://h/ HTTP/1.1",
		"GET http://other/ HTTP/1.1",
		"GET http://ha/ HTTP/1.1",
		"GET http://i/ HTTP/1.1",
		"GET http://u@h/ HTTP/1.1",
		"GET http:// HTTP/1.1",
		" / HTTP/1.1",
	};
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		char text[100];
		snprintf(text, sizeof text, "%s\r\n" HOST "\r\n", lines[i]);
		expect(text, "400");
	}
}

Test(http_parser, takes_whole_addresses_of_its_host)
{
	expect("GET http://h/a?b=c HTTP/1.1\r\n" HOST "\r\n", "GET [a] ?b=c host:h ! +");
	expect("GET https://H HTTP/1.1\r\n" HOST "\r\n", "GET  host:h ! +");
	expect("GET http://h?b HTTP/1.1\r\n" HOST "\r\n", "GET  ?b= host:h ! +");
}

Test(http_parser, speaks_1_1_and_1_0)
{
	expect("GET / HTTP/1.0\r\n\r\n", "GET/1.0  (close) ! +");
	expect("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
	       "GET/1.0  connection:Keep-Alive ! +");
	expect("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",
	       "GET/1.0  connection:keep-alive, close (close) ! +");
	expect(GET "Connection: x,\tClose ,y\r\n\r\n",
	       "GET  host:h connection:x,\tClose ,y (close) ! +");
	expect("GET / HTTP/1.2\r\n" HOST "\r\n", "505");
	expect("GET / HTTP/2.0\r\n" HOST "\r\n", "505");
	expect("GET / HTTP/0.9\r\n" HOST "\r\n", "505");
	expect("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505");
}

Test(http_parser, wants_one_host)
{
	expect("GET / HTTP/1.1\r\n\r\n", "400");
	expect("GET / HTTP/1.1\r\nHost:\r\n\r\n", "400");
	expect("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "400");
	expect("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "400");
	expect("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", "400");
	expect("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", "400");
	expect(GET HOST "\r\n", "400");
	expect("GET / HTTP/1.0\r\n" HOST HOST "\r\n", "400");
	expect("GET / HTTP/1.1\r\nHost: [::1]:15672\r\n\r\n", "GET  host:[::1]:15672 ! +");
}

Test(http_parser, refuses_odd_headers)
{
	static const char *const headers[] = {
		"no colon",
		": empty name",
		"Name : blank before the colon",
		"Name\t: tab before the colon",
		" Folded: at the beginning",
		"A: b\r\n folded",
		"A: b\r\n\tfolded",
		"A: b\r\n ",
		"N(me: x",
		"N\303\244me: x",
		"Na me: x",
		"Authorization: Basic YTpi\r\nauthorization: Basic YTpi",
		"Content-Type: a/b\r\nContent-Type: a/b",
		"Origin: null\r\nOrigin: null",
	};
	for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
		char text[200];
		snprintf(text, sizeof text, GET "%s\r\n\r\n", headers[i]);
		expect(text, "400");
	}
	expect(GET "Cookie: a\r\ncookie: b\r\nX: \303\244\r\nEmpty:\r\n\r\n",
	       "GET  host:h cookie:a cookie:b x:\303\244 empty: ! +");
}

static void expect_bent(const char *bent, size_t len, uint8_t odd, const char *how, size_t at)
{
	struct outcome o;
	parse(&o, bytes_of(bent, len), 0, len);
	cr_assert_str_eq(o.said, "400", "%d %s %zu: %s", odd, how, at, o.said);
}

Test(http_parser, refuses_control_characters_and_bare_line_ends)
{
	static const char text[] = GET "Name: value\r\n\r\n";
	static const uint8_t odds[] = { 0, 1, 8, 0x0b, 0x0c, 0x1b, 0x1f, 0x7f, '\n', '\r' };
	size_t len = sizeof text - 1;
	for (size_t i = 0; i < sizeof odds * len; i++) {
		uint8_t odd = odds[i / len];
		size_t at = i % len;
		char bent[sizeof text];
		memcpy(bent, text, len);
		bent[at] = (char)odd;
		if (text[at] != bent[at])
			expect_bent(bent, len, odd, "in place of", at);
		memcpy(bent + at + 1, text + at, len - at);
		if (odd != '\n' || at != len - 1) /* There it ends the request. */
			expect_bent(bent, len + 1, odd, "before", at);
	}
	expect("GET / HTTP/1.1\n" HOST "\r\n", "400");
	expect(GET "A: b\n\r\n", "400");
	expect(GET "A: b\r\n\n", "400");
	expect(GET "A: b\n\n", "400");
	expect(GET "A: b\rC: d\r\n\r\n", "400");
	expect("\026\003\001\002", "400"); /* TLS. */
}

Test(http_parser, skips_one_empty_line_before_a_request)
{
	expect("\r\n" GET "\r\n", "GET  host:h ! +");
	expect("\r\n\r\n" GET "\r\n", "400");
	expect("\n" GET "\r\n", "400");
	expect("\r\n", "more");
}

Test(http_parser, takes_plain_lengths_alone)
{
	static const char *const lengths[] = {
		"",    "+3",   "-3",  "0x3", "3 ,3", "3, 3",  "3a",
		"3.0", "\t3x", "3 3", "03",  "00",   "three", "\"3\""
	};
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		char text[200];
		snprintf(text, sizeof text, POST "Content-Length: %s\r\n\r\nabc", lengths[i]);
		expect(text, "400");
	}
	expect(POST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", "400");
	expect(POST "Content-Length: 3\r\ncontent-length: 4\r\n\r\nabcd", "400");
	expect(POST "Content-Length : 3\r\n\r\nabc", "400");
	expect(POST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400");
	expect(POST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", "400");
}

Test(http_parser, takes_no_coding_but_chunked)
{
	static const char *const codings[] = { "xchunked",      "chunked, chunked",
					       "gzip, chunked", "chunked, identity",
					       "identity",      "",
					       "chunked;a=b",   "\"chunked\"",
					       "chunk",         "\vchunked",
					       "gzip",          "chunked," };
	for (size_t i = 0; i < sizeof codings / sizeof *codings; i++) {
		char text[200];
		snprintf(text, sizeof text, POST "Transfer-Encoding: %s\r\n\r\n0\r\n\r\n",
			 codings[i]);
		expect(text, "400");
	}
	expect(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	       "400");
	expect(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n", "400");
	expect(POST "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", "400");
	expect(POST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", "400");
	expect("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400");
	expect(POST "Transfer-Encoding:  CHUNKED \r\n\r\n0\r\n\r\n",
	       "POST  host:h transfer-encoding:CHUNKED ! +");
}

#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"
#define SAID    "POST  host:h transfer-encoding:chunked !"

Test(http_parser, puts_chunks_together)
{
	expect(CHUNKED "3\r\nabc\r\n0\r\n\r\nGET", SAID "abc +GET");
	expect(CHUNKED "3\r\na\r\n\r\n0a\r\n0123456789\r\n000\r\n\r\n", SAID "a\r\n0123456789 +");
	expect(CHUNKED "3;ext=\"a b\"\r\nabc\r\n0;last\r\n\r\n", SAID "abc +");
	expect(CHUNKED "1\r\na\r\n0\r\nTrailer: x\r\nContent-Length: 5\r\n\r\nGET", SAID "a +GET");
}

Test(http_parser, refuses_odd_chunks)
{
	static const char *const bodies[] = {
		"\r\n",
		"x\r\n",
		" 3\r\nabc\r\n",
		"3 \r\nabc\r\n",
		"3 ;a\r\nabc\r\n",
		"+3\r\nabc\r\n",
		"-1\r\n",
		"0x3\r\nabc\r\n",
		"3\nabc\r\n",
		"3\r\nabc\n0\r\n\r\n",
		"3\r\nabcd\r\n0\r\n\r\n",
		"3\r\nabc0\r\n\r\n",
		"3\r\nabc\r0\r\n\r\n",
		"3;a\nb\r\nabc\r\n0\r\n\r\n",
		"3;a\rb\r\nabc\r\n0\r\n\r\n",
		"0000000000000003\r\nabc\r\n0\r\n\r\n",
		"10000000000000003\r\nabc\r\n0\r\n\r\n",
		"0\r\nno colon\r\n\r\n",
		"0\r\n folded: x\r\n\r\n",
		"0\r\nA : x\r\n\r\n",
		"0\r\nA: x\n\r\n",
		"0\r\n\n",
	};
	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
		char text[300];
		snprintf(text, sizeof text, CHUNKED "%s", bodies[i]);
		expect(text, "400");
	}
	expect_bytes(bytes_of(CHUNKED "3;\0\r\n", sizeof CHUNKED + 5), "400");
}

/* --- limits --- */

/* before, len times c, after. */
static void expect_long(const char *before, char c, size_t len, const char *after, const char *said,
			size_t part)
{
	size_t size = strlen(before) + len + strlen(after);
	uint8_t *text = malloc(size);
	struct outcome o;
	memcpy(text, before, strlen(before));
	memset(text + strlen(before), c, len);
	memcpy(text + strlen(before) + len, after, strlen(after));
	parse(&o, bytes_of(text, size), 0, part);
	cr_assert(strncmp(o.said, said, strlen(said)) == 0, "%s..., %zu times %c: %.40s", before,
		  len, c, o.said);
	free(text);
}

Test(http_parser, bounds_the_request_line)
{
	size_t rest = strlen("GET / HTTP/1.1");
	static const char before[] = "GET /", after[] = " HTTP/1.0\r\n\r\n";
	static const size_t parts[] = { 1, 7, 100000 };
	for (size_t i = 0; i < 3; i++) {
		struct http_parser p;
		expect_long(before, 'a', HTTP_LINE_MAX + 1 - rest, after, "414", parts[i]);
		expect_long("", 'a', HTTP_LINE_MAX + 1, "", "414", parts[i]);
		expect_long("", 'a', HTTP_LINE_MAX, "", "more", parts[i]);
		/* Too long to be said here. */
		uint8_t text[HTTP_LINE_MAX + 4];
		memset(text, 'a', sizeof text);
		memcpy(text, before, strlen(before));
		memcpy(text + HTTP_LINE_MAX - 9, after, strlen(after));
		struct bytes input = bytes_of(text, sizeof text);
		http_parser_init(&p, 0);
		cr_assert_eq(http_parse(&p, &input), PARSE_HEAD);
		cr_assert_eq(p.request.segments[0].len, HTTP_LINE_MAX - rest);
		http_parser_fini(&p);
	}
	expect_long(before, '/', HTTP_SEGMENTS_MAX, after, "GET", 1);
	expect_long(before, '/', HTTP_SEGMENTS_MAX + 1, after, "414", 1);
}

Test(http_parser, bounds_parameters)
{
	char text[1000] = "GET /?";
	for (int i = 0; i < HTTP_PARAMETERS_MAX; i++)
		strcat(text, "&a=");
	size_t len = strlen(text);
	strcpy(text + len, " HTTP/1.0\r\n\r\n");
	struct outcome o;
	parse(&o, bytes_str(text), 0, 1);
	cr_assert_eq(o.said[0], 'G');
	strcpy(text + len, "&a HTTP/1.0\r\n\r\n");
	expect(text, "414");
}

Test(http_parser, bounds_the_head)
{
	static const char before[] = GET "A: ";
	size_t rest = strlen(before) + 4;
	struct http_parser p;
	uint8_t *text = malloc(HTTP_HEAD_BYTES_MAX);
	memset(text, 'a', HTTP_HEAD_BYTES_MAX);
	memcpy(text, before, strlen(before));
	memcpy(text + HTTP_HEAD_BYTES_MAX - 4, "\r\n\r\n", 4);
	struct bytes input = bytes_of(text, HTTP_HEAD_BYTES_MAX);
	http_parser_init(&p, 0);
	cr_assert_eq(http_parse(&p, &input), PARSE_HEAD);
	cr_assert_eq(p.request.headers[1].value.len, HTTP_HEAD_BYTES_MAX - rest);
	cr_assert_leq(http_parser_held(&p), 2 * HTTP_HEAD_BYTES_MAX);
	http_parser_fini(&p);
	free(text);
	expect_long(before, 'a', HTTP_HEAD_BYTES_MAX - rest + 1, "\r\n\r\n", "431", 1);
	expect_long(before, 'a', HTTP_HEAD_BYTES_MAX, "", "431", 1000);
}

Test(http_parser, bounds_headers)
{
	char text[1000] = "GET / HTTP/1.0\r\n";
	for (int i = 0; i < HTTP_HEADERS_MAX; i++)
		strcat(text, "a:b\r\n");
	size_t len = strlen(text);
	strcpy(text + len, "\r\n");
	struct outcome o;
	parse(&o, bytes_str(text), 0, 1);
	cr_assert_eq(o.said[0], 'G');
	strcpy(text + len, "a:b\r\n\r\n");
	expect(text, "431");
}

Test(http_parser, bounds_bodies_when_they_are_announced)
{
	expect(POST "Content-Length: 101\r\n\r\n", "413");
	expect(POST "Content-Length: 10737418240\r\n\r\n", "413");
	expect(POST "Content-Length: 18446744073709551617\r\n\r\n", "413"); /* 2^64 + 1 */
	expect(POST "Content-Length: 100000000000000000000000000000000000003\r\n\r\nabc", "413");
	expect(CHUNKED "65\r\n", "413");
	expect(CHUNKED "fffffffffffffff\r\n", "413");
	expect(CHUNKED "3\r\nabc\r\n62\r\n", "413");
	expect_long(POST "Content-Length: 100\r\n\r\n", 'b', BODY_MAX, "", "POST", 3);
	expect_long(CHUNKED "64\r\n", 'b', BODY_MAX, "\r\n0\r\n\r\n", "POST", 3);
}

Test(http_parser, bounds_lines_between_chunks)
{
	expect_long(CHUNKED "1;", 'x', HTTP_CHUNK_LINE_MAX - 2, "\r\na\r\n0\r\n\r\n", "POST", 1);
	expect_long(CHUNKED "1;", 'x', HTTP_CHUNK_LINE_MAX - 1, "\r\na\r\n0\r\n\r\n", "400", 1);
	expect_long(CHUNKED "0\r\nA:", 'x', HTTP_TRAILER_LINE_MAX - 2, "\r\n\r\n", "POST", 1);
	expect_long(CHUNKED "0\r\nA:", 'x', HTTP_TRAILER_LINE_MAX - 1, "\r\n\r\n", "431", 1);
	char text[400] = CHUNKED "0\r\n";
	for (int i = 0; i < HTTP_TRAILERS_MAX; i++)
		strcat(text, "a:b\r\n");
	size_t len = strlen(text);
	strcpy(text + len, "\r\n");
	expect(text, SAID " +");
	strcpy(text + len, "a:b\r\n\r\n");
	expect(text, "431");
}

Test(http_parser, lets_the_owner_say_how_long_a_body_may_be)
{
	struct http_parser p;
	struct bytes input = bytes_str(POST "Content-Length: 5\r\n\r\nabcde");
	http_parser_init(&p, 0);
	cr_assert_eq(http_parse(&p, &input), PARSE_HEAD);
	cr_assert_eq(p.request.length, 5);
	p.body_bytes_max = 5;
	cr_assert_eq(http_parse(&p, &input), PARSE_DONE);
	http_parser_fini(&p);
	input = bytes_str(POST "Content-Length: 5\r\n\r\nabcde");
	http_parser_init(&p, 5);
	cr_assert_eq(http_parse(&p, &input), PARSE_HEAD);
	p.body_bytes_max = 4;
	cr_assert_eq(http_parse(&p, &input), PARSE_WRONG);
	cr_assert_eq(p.status, 413);
	http_parser_fini(&p);
}

/* Memory follows what comes. */
Test(http_parser, holds_nothing_for_what_is_announced)
{
	struct http_parser p;
	struct bytes input = bytes_str(POST "Content-Length: 1000000000\r\n\r\nx");
	http_parser_init(&p, 1000000000);
	cr_assert_eq(http_parse(&p, &input), PARSE_HEAD);
	cr_assert_eq(http_parse(&p, &input), PARSE_MORE);
	cr_assert_lt(http_parser_held(&p), 10000);
	http_parser_fini(&p);
}

Test(http_parser, knows_what_is_expected)
{
	expect(POST "Expect: 100-Continue\r\n\r\n",
	       "POST  host:h expect:100-Continue (continue) ! +");
	expect("POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n",
	       "POST/1.0  expect:100-continue (close) ! +");
	expect(POST "Expect: a pony\r\n\r\n", "417");
	expect(POST "Expect: 100-continue\r\nExpect: 100-continue\r\n\r\n", "400");
}
