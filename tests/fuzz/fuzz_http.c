/* Requests of HTTP: whatever the parts in which one comes, the same becomes of it; what is taken
 * holds what request.h promises, and means the same when it is written down again.
 *
 * The first byte's lowest bit says how the others are to be read: as they are, or small values as
 * words of HTTP, so that chance reaches deep; the other bits choose the parts. */
#include "base/prng.h"
#include "http/parser.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BODY_MAX = 3000, TEXT_MAX = 1 << 17 };

static const char *const words[] = {
	"\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\n",
	"POST /a%2Fb/c?d=e+f HTTP/1.1\r\nHost: h\r\n",
	"\r\n\r\n",
	"Transfer-Encoding: chunked\r\n",
	"Content-Length: 5\r\n",
	"5\r\nabcde\r\n",
	"0\r\n\r\n",
	": ",
	"A",
	"/",
	"PUT http://h/ HTTP/1.1\r\nHost: h\r\n",
	"%41",
	"?",
	"&",
	"=",
	"+",
	" ",
	"Expect: 100-continue\r\n",
	"Connection: close, keep-alive\r\n",
	" HTTP/1.0\r\n",
	"\r",
	"\n",
	";",
	"fff",
	"Host",
};

struct parse {
	struct http_parser parser;
	enum http_parse result;
	size_t taken;
};

static void holds(bool what)
{
	if (!what)
		abort();
}

/* In parts of chance, each in memory of its own size. parts NULL: at once. */
static void parse(struct parse *p, struct bytes text, struct prng *parts)
{
	http_parser_init(&p->parser, BODY_MAX);
	p->result = PARSE_MORE;
	p->taken = 0;
	while (p->result == PARSE_MORE && p->taken < text.len) {
		size_t left = text.len - p->taken;
		size_t len =
			parts == NULL ? left : 1 + prng_below(parts, 1 + prng_below(parts, 64));
		len = len < left ? len : left;
		uint8_t *part = malloc(len);
		struct bytes input = bytes_of(part, len);
		memcpy(part, text.data + p->taken, len);
		do
			p->result = http_parse(&p->parser, &input);
		while (p->result == PARSE_HEAD);
		p->taken += len - input.len;
		holds(p->result != PARSE_MORE || input.len == 0);
		free(part);
	}
}

static void same_pairs(const struct http_pair *a, size_t a_len, const struct http_pair *b,
		       size_t b_len)
{
	holds(a_len == b_len);
	for (size_t i = 0; i < a_len; i++)
		holds(bytes_equal(a[i].name, b[i].name) && bytes_equal(a[i].value, b[i].value));
}

static void same_meaning(const struct http_request *a, const struct http_request *b)
{
	holds(a->method == b->method && bytes_equal(a->method_name, b->method_name));
	holds(a->segments_len == b->segments_len);
	for (size_t i = 0; i < a->segments_len; i++)
		holds(bytes_equal(a->segments[i], b->segments[i]));
	same_pairs(a->parameters, a->parameters_len, b->parameters, b->parameters_len);
	holds(bytes_equal(a->body, b->body));
	holds(a->keeps_alive == b->keeps_alive && a->expects_continue == b->expects_continue);
}

static void same_outcome(const struct parse *a, const struct parse *b)
{
	holds(a->result == b->result && a->taken == b->taken);
	if (a->result == PARSE_WRONG)
		holds(a->parser.status == b->parser.status && a->parser.reason == b->parser.reason);
	if (a->result != PARSE_DONE)
		return;
	same_meaning(&a->parser.request, &b->parser.request);
	same_pairs(a->parser.request.headers, a->parser.request.headers_len,
		   b->parser.request.headers, b->parser.request.headers_len);
}

static void holds_promises(const struct http_request *r)
{
	struct bytes host;
	holds(r->method_name.len > 0 && r->body.len <= BODY_MAX);
	holds(!(r->is_chunked && r->has_length) && (!r->is_1_1 || http_header(r, "host", &host)));
	holds(!r->has_length || r->length == r->body.len);
	for (size_t i = 0; i < r->segments_len; i++)
		holds(r->segments[i].len == 0 ||
		      memchr(r->segments[i].data, 0, r->segments[i].len) == NULL);
	for (size_t i = 0; i < r->headers_len; i++) {
		struct bytes name = r->headers[i].name, value = r->headers[i].value;
		holds(name.len > 0);
		for (size_t k = 0; k < name.len; k++)
			holds(name.data[k] > ' ' && name.data[k] < 0x7f && name.data[k] != ':' &&
			      (name.data[k] < 'A' || name.data[k] > 'Z'));
		for (size_t k = 0; k < value.len; k++)
			holds(value.data[k] == '\t' ||
			      (value.data[k] >= ' ' && value.data[k] != 0x7f));
	}
}

/* --- written down again --- */

static void write_encoded(FILE *f, struct bytes b)
{
	for (size_t i = 0; i < b.len; i++) {
		uint8_t c = b.data[i];
		bool is_plain = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
		fprintf(f, is_plain ? "%c" : "%%%02X", c);
	}
}

static void write_line(FILE *f, const struct http_request *r)
{
	fprintf(f, "%.*s ", BYTES_ARG(r->method_name));
	for (size_t i = 0; i < r->segments_len; i++) {
		fputc('/', f);
		write_encoded(f, r->segments[i]);
	}
	fputs("/?", f);
	for (size_t i = 0; i < r->parameters_len; i++) {
		write_encoded(f, r->parameters[i].name);
		fputc('=', f);
		write_encoded(f, r->parameters[i].value);
		fputc('&', f);
	}
	fprintf(f, " HTTP/1.%d\r\n", r->is_1_1);
}

static bool is_of_body(struct bytes name)
{
	return bytes_equal_str(name, "content-length") ||
	       bytes_equal_str(name, "transfer-encoding");
}

static void means_the_same_again(const struct http_request *r)
{
	char *text;
	size_t len;
	struct parse again;
	FILE *f = open_memstream(&text, &len);
	write_line(f, r);
	bool is_long = ftell(f) > HTTP_LINE_MAX + 2;
	for (size_t i = 0; i < r->headers_len; i++)
		if (!is_of_body(r->headers[i].name))
			fprintf(f, "%.*s:%.*s\r\n", BYTES_ARG(r->headers[i].name),
				BYTES_ARG(r->headers[i].value));
	if (r->headers_len < HTTP_HEADERS_MAX || r->is_chunked || r->has_length)
		fprintf(f, "content-length: %zu\r\n", r->body.len);
	fputs("\r\n", f);
	is_long |= ftell(f) > HTTP_HEAD_BYTES_MAX;
	fwrite(r->body.data == NULL ? (const uint8_t *)"" : r->body.data, 1, r->body.len, f);
	fclose(f);
	parse(&again, bytes_of(text, len), NULL);
	if (is_long) {
		holds(again.result == PARSE_WRONG);
	} else {
		holds(again.result == PARSE_DONE && again.taken == len);
		same_meaning(r, &again.parser.request);
	}
	http_parser_fini(&again.parser);
	free(text);
}

/* --- from input to text --- */

static uint8_t text[TEXT_MAX];

static struct bytes spell(const uint8_t *data, size_t size, bool is_plain)
{
	size_t len = 0;
	for (size_t i = 0; i < size; i++) {
		bool is_word = !is_plain && data[i] < sizeof words / sizeof *words;
		struct bytes b = is_word ? bytes_str(words[data[i]]) : bytes_of(data + i, 1);
		if (b.len > TEXT_MAX - len)
			break;
		memcpy(text + len, b.data, b.len);
		len += b.len;
	}
	return bytes_of(text, len);
}

/* One request after the other, as on a connection. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	struct prng parts = { data[0] };
	struct bytes rest = spell(data + 1, size - 1, data[0] & 1);
	enum http_parse result = PARSE_DONE;
	while (result == PARSE_DONE && rest.len > 0) {
		struct parse whole, split;
		parse(&whole, rest, NULL);
		parse(&split, rest, &parts);
		same_outcome(&whole, &split);
		result = whole.result;
		if (result == PARSE_DONE) {
			holds_promises(&whole.parser.request);
			means_the_same_again(&whole.parser.request);
		}
		rest.data += whole.taken;
		rest.len -= whole.taken;
		http_parser_fini(&whole.parser);
		http_parser_fini(&split.parser);
	}
	return 0;
}
