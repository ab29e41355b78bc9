#include "reason.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_BYTES = 300 };

static _Thread_local char last[TEXT_BYTES];

const char *lev_result_text(int result)
{
	switch (result) {
#define X(name, value, text) \
	case name: return text;
		LEV_RESULTS(X)
#undef X
	default: return "no such result";
	}
}

const char *lev_result_name(int result)
{
	switch (result) {
#define X(name, value, text) \
	case name: return #name;
		LEV_RESULTS(X)
#undef X
	default: return "?";
	}
}

const char *lev_reason(void)
{
	return last;
}

/* Reasons quote names and words of others: what is no text in them, or would not stay in its line,
 * is escaped. Spaces stand for the ends of lines. */
static void put(char out[TEXT_BYTES], const char *format, va_list args)
{
	char raw[2 * TEXT_BYTES];
	size_t len = 0;
	vsnprintf(raw, sizeof raw, format, args);
	for (const char *p = raw; *p != '\0';) {
		char escaped[8];
		size_t step = bytes_shown_len(bytes_str(p)), put_len = step;
		const char *from = p;
		if (step == 0) {
			snprintf(escaped, sizeof escaped, "\\x%02x", (unsigned char)*p);
			if (strchr("\n\r\t", *p) != NULL)
				snprintf(escaped, sizeof escaped, " ");
			put_len = strlen(escaped);
			from = escaped;
			step = 1;
		}
		if (len + put_len >= TEXT_BYTES)
			break;
		memcpy(out + len, from, put_len);
		len += put_len;
		p += step;
	}
	while (len > 0 && out[len - 1] == ' ')
		len--;
	out[len] = '\0';
}

static int set(struct reason *r, int result, const char *format, va_list args)
{
	static_assert(sizeof r->text == TEXT_BYTES, "a reason is kept whole");
	put(r->text, format, args);
	r->result = result;
	r->reply_code = 0;
	return result;
}

int reason_set(struct reason *r, int result, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	set(r, result, format, args);
	va_end(args);
	return result;
}

int reason_reply(struct reason *r, uint16_t code, struct bytes text)
{
	reason_set(r, LEV_REFUSED, "%u %.*s", code, BYTES_ARG(text));
	r->reply_code = code;
	return LEV_REFUSED;
}

int lev_fail(int result, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	put(last, format, args);
	va_end(args);
	return result;
}

int fail_with(const struct reason *r)
{
	return lev_fail(r->result, "%s", r->text);
}

int fail_plainly(int result)
{
	return lev_fail(result, "%s", lev_result_text(result));
}
