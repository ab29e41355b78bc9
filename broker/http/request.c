#include "http/request.h"

#include "http/text.h"

#include <strings.h>

static bool find(const struct http_pair *pairs, size_t len, const char *name, struct bytes *value)
{
	for (size_t i = 0; i < len; i++) {
		if (bytes_equal_str(pairs[i].name, name)) {
			*value = pairs[i].value;
			return true;
		}
	}
	return false;
}

bool http_header(const struct http_request *r, const char *name, struct bytes *value)
{
	return find(r->headers, r->headers_len, name, value);
}

bool http_parameter(const struct http_request *r, const char *name, struct bytes *value)
{
	return find(r->parameters, r->parameters_len, name, value);
}

bool http_header_has(const struct http_request *r, const char *name, const char *word)
{
	for (size_t i = 0; i < r->headers_len; i++) {
		struct bytes rest = r->headers[i].value;
		while (bytes_equal_str(r->headers[i].name, name) && rest.len > 0)
			if (text_equal_fold(text_trim(text_cut(&rest, ',')), word))
				return true;
	}
	return false;
}

/* --- qualities --- */

enum { NOT_MEANT, BY_ANYTHING, BY_TYPE, BY_NAME };

static int how_meant(struct bytes entry, const char *offered)
{
	const char *slash = strchr(offered, '/');
	if (text_equal_fold(entry, offered))
		return BY_NAME;
	if (bytes_equal_str(entry, slash == NULL ? "*" : "*/*"))
		return BY_ANYTHING;
	size_t type_len = slash == NULL ? 0 : (size_t)(slash - offered) + 1;
	bool is_type = type_len > 0 && entry.len == type_len + 1 && entry.data[type_len] == '*' &&
		       strncasecmp((const char *)entry.data, offered, type_len) == 0;
	return is_type ? BY_TYPE : NOT_MEANT;
}

/* "0.5" and the like; 0 of what is none, so that an odd one is not what is chosen. */
static int read_quality(struct bytes b)
{
	int thousandths = 0, scale = 1000;
	if (b.len == 0 || b.len > 5 || (b.data[0] != '0' && b.data[0] != '1') ||
	    (b.len > 1 && b.data[1] != '.'))
		return 0;
	for (size_t i = 0; i < b.len; i++) {
		if (i == 1)
			continue;
		if (b.data[i] < '0' || b.data[i] > '9')
			return 0;
		thousandths += (b.data[i] - '0') * scale;
		scale /= 10;
	}
	return thousandths > 1000 ? 0 : thousandths;
}

static int entry_quality(struct bytes parameters)
{
	while (parameters.len > 0) {
		struct bytes value = text_cut(&parameters, ';');
		struct bytes name = text_cut(&value, '=');
		if (text_equal_fold(text_trim(name), "q"))
			return read_quality(text_trim(value));
	}
	return 1000;
}

int http_quality(const struct http_request *r, const char *name, const char *offered)
{
	int best = NOT_MEANT, quality = -1;
	for (size_t i = 0; i < r->headers_len; i++) {
		struct bytes rest = r->headers[i].value;
		if (!bytes_equal_str(r->headers[i].name, name))
			continue;
		quality = quality < 0 ? 0 : quality;
		while (rest.len > 0) {
			struct bytes entry = text_cut(&rest, ',');
			int meant = how_meant(text_trim(text_cut(&entry, ';')), offered);
			if (meant > best) {
				best = meant;
				quality = entry_quality(entry);
			}
		}
	}
	return quality;
}
