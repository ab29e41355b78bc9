#include "http/uri.h"

#include "http/text.h"

bool uri_decode(struct bytes in, bool is_plus_space, uint8_t **at, struct bytes *out)
{
	uint8_t *begin = *at;
	for (size_t i = 0; i < in.len; i++) {
		uint8_t c = in.data[i];
		if (c == '%') {
			int high = i + 1 < in.len ? text_hex(in.data[i + 1]) : -1;
			int low = i + 2 < in.len ? text_hex(in.data[i + 2]) : -1;
			if (high < 0 || low < 0 || high + low == 0)
				return false;
			c = (uint8_t)(high << 4 | low);
			i += 2;
		} else if (c == '+' && is_plus_space) {
			c = ' ';
		}
		*(*at)++ = c;
	}
	*out = bytes_of(begin, (size_t)(*at - begin));
	return true;
}

static const struct http_fault odd_encoding = { 400, "odd percent-encoding in the target" };

static struct http_fault split_path(struct http_request *r, struct bytes path, uint8_t **at)
{
	text_cut(&path, '/'); /* What stands before the first one is empty. */
	while (path.len > 0) {
		struct bytes segment = text_cut(&path, '/');
		if (r->segments_len == HTTP_SEGMENTS_MAX)
			return (struct http_fault){ 414, "too many segments in the path" };
		if (!uri_decode(segment, false, at, &r->segments[r->segments_len++]))
			return odd_encoding;
	}
	return (struct http_fault){ 0 };
}

static struct http_fault split_query(struct http_request *r, struct bytes query, uint8_t **at)
{
	while (query.len > 0) {
		struct bytes value = text_cut(&query, '&');
		if (value.len == 0)
			continue;
		if (r->parameters_len == HTTP_PARAMETERS_MAX)
			return (struct http_fault){ 414, "too many parameters in the query" };
		struct http_pair *p = &r->parameters[r->parameters_len++];
		struct bytes name = text_cut(&value, '=');
		if (!uri_decode(name, true, at, &p->name) ||
		    !uri_decode(value, true, at, &p->value))
			return odd_encoding;
	}
	return (struct http_fault){ 0 };
}

struct http_fault uri_split(struct http_request *r, struct bytes target, uint8_t *decoded)
{
	struct bytes query = target;
	struct bytes path = text_cut(&query, '?');
	struct http_fault fault = split_path(r, path, &decoded);
	return fault.status != 0 ? fault : split_query(r, query, &decoded);
}
