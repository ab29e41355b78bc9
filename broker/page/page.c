#include "page/page.h"

#include <string.h>

static const char policy[] = "default-src 'none'; script-src 'self'; style-src 'self'; img-src "
			     "'self' data:; connect-src "
			     "'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

static const char *type_of(const char *name)
{
	const char *end = strrchr(name, '.');
	return strcmp(end, ".js") == 0    ? "text/javascript; charset=utf-8"
	       : strcmp(end, ".css") == 0 ? "text/css; charset=utf-8"
					  : "text/html; charset=utf-8";
}

static const struct page_file *find(const struct http_request *r)
{
	bool is_front = r->segments_len == 0 ||
			(r->segments_len == 2 && bytes_equal_str(r->segments[0], "api") &&
			 bytes_equal_str(r->segments[1], "index.html"));
	bool is_file = r->segments_len == 2 && bytes_equal_str(r->segments[0], "page");
	struct bytes name = is_front  ? bytes_str("index.html")
			    : is_file ? r->segments[1]
				      : bytes_of("", 0);
	for (const struct page_file *f = page_files; f->name != NULL; f++)
		if (bytes_equal_str(name, f->name))
			return f;
	return NULL;
}

bool page_reply(struct http_request *r)
{
	const struct page_file *f = find(r);
	if (f == NULL || (r->method != HTTP_GET && r->method != HTTP_HEAD))
		return false;
	const struct http_header headers[] = {
		{ "content-security-policy", bytes_str(policy) },
		{ "cache-control", bytes_str("no-cache") },
		{ "referrer-policy", bytes_str("no-referrer") },
		{ "cross-origin-opener-policy", bytes_str("same-origin") },
		{ "cross-origin-resource-policy", bytes_str("same-origin") },
		{ "permissions-policy", bytes_str("camera=(), microphone=(), geolocation=()") },
	};
	http_reply_with(r, 200, type_of(f->name), bytes_of(f->data, f->len), headers,
			sizeof headers / sizeof *headers);
	return true;
}
