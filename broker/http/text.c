#include "http/text.h"

#include <strings.h>

int text_hex(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		return (c | 0x20) - 'a' + 10;
	return -1;
}

bool text_equal_fold(struct bytes a, const char *b)
{
	return a.len == strlen(b) &&
	       (a.len == 0 || strncasecmp((const char *)a.data, b, a.len) == 0);
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

struct bytes text_trim(struct bytes b)
{
	while (b.len > 0 && is_blank(b.data[0])) {
		b.data++;
		b.len--;
	}
	while (b.len > 0 && is_blank(b.data[b.len - 1]))
		b.len--;
	return b;
}

struct bytes text_cut(struct bytes *rest, uint8_t at)
{
	const uint8_t *found = rest->len == 0 ? NULL : memchr(rest->data, at, rest->len);
	if (found == NULL) {
		struct bytes all = *rest;
		*rest = bytes_of(NULL, 0);
		return all;
	}
	struct bytes before = bytes_of(rest->data, (size_t)(found - rest->data));
	*rest = bytes_of(found + 1, rest->len - before.len - 1);
	return before;
}
