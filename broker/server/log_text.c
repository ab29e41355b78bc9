#include "server/log_text.h"

#include <stdio.h>
#include <string.h>

enum { TAIL_BYTES = 4 }; /* Room for the closing quote and brace and the end of the line. */

/* Callers have seen to the room, save for a line's last value. */
static void put(struct log_text *l, const char *text, size_t len)
{
	size_t room = sizeof l->text - l->len;
	if (len > room)
		len = room;
	memcpy(l->text + l->len, text, len);
	l->len += len;
}

static void put_str(struct log_text *l, const char *text)
{
	put(l, text, strlen(text));
}

/* Of a sequence that is UTF-8. */
static uint32_t code_point(const uint8_t *p, size_t len)
{
	uint32_t c = len == 1 ? p[0] : p[0] & (0x7fu >> len);
	for (size_t i = 1; i < len; i++)
		c = c << 6 | (p[i] & 0x3f);
	return c;
}

/* How many bytes a character has that is UTF-8. */
static size_t sequence_len(uint8_t first)
{
	return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* What is in the JSON of one that may not be shown. Returns how many bytes it has. No such one is
 * beyond 16 bits. */
static size_t escape_json(struct bytes rest, bool is_utf8, char out[static 8])
{
	size_t len = is_utf8 ? sequence_len(rest.data[0]) : 1;
	uint32_t c = !is_utf8 && rest.data[0] >= 0x80 ? 0xfffd : code_point(rest.data, len);
	snprintf(out, 8, "\\u%04x", (unsigned)(c & 0xffff));
	return len;
}

/* The first character of the rest: as it is, or escaped. Returns how many bytes it has. */
static size_t escape(enum log_format format, struct bytes rest, bool is_utf8, char out[static 8])
{
	uint8_t c = rest.data[0];
	size_t len = c >= 0x80 && !is_utf8 ? 0 : bytes_shown_len(rest);
	if (c == '"' || c == '\\')
		snprintf(out, 8, "\\%c", c);
	else if (len > 0)
		snprintf(out, 8, "%.*s", (int)len, (const char *)rest.data);
	else if (format == LOG_JSON)
		return escape_json(rest, is_utf8, out);
	else
		snprintf(out, 8, "\\x%02x", c);
	return len == 0 ? 1 : len;
}

static void put_value(struct log_text *l, struct bytes value, size_t end)
{
	bool is_utf8 = bytes_is_utf8(value);
	put_str(l, "\"");
	for (size_t at = 0; at < value.len;) {
		char one[8];
		at += escape(l->format, bytes_of(value.data + at, value.len - at), is_utf8, one);
		if (l->len + strlen(one) > end)
			break;
		put_str(l, one);
	}
	put_str(l, "\"");
}

static void put_name(struct log_text *l, const char *name)
{
	bool is_json = l->format == LOG_JSON;
	put_str(l, l->len == 0 ? (is_json ? "{" : "") : is_json ? "," : " ");
	put_str(l, is_json ? "\"" : "");
	put_str(l, name);
	put_str(l, is_json ? "\":" : "=");
}

void log_text_begin(struct log_text *l, enum log_format format)
{
	l->len = 0;
	l->format = format;
}

void log_text_field(struct log_text *l, const char *name, struct bytes value, bool is_bare)
{
	put_name(l, name);
	if (is_bare && l->format == LOG_LOGFMT)
		put(l, (const char *)value.data, value.len);
	else
		put_value(l, value, l->len + LOG_TEXT_FIELD_MAX);
}

void log_text_end(struct log_text *l, const char *name, struct bytes value)
{
	put_name(l, name);
	put_value(l, value, sizeof l->text - TAIL_BYTES);
	put_str(l, l->format == LOG_JSON ? "}\n" : "\n");
}
