#include "reason.h"

#include <stdarg.h>
#include <stdio.h>

static _Thread_local char last[300];

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

static int set(struct reason *r, int result, const char *format, va_list args)
{
	vsnprintf(r->text, sizeof r->text, format, args);
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
	vsnprintf(last, sizeof last, format, args);
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
