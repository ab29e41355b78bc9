#include "reply.h"

#include "base/bytes.h"

#include <stdarg.h>
#include <stdio.h>

const char *reply_name(uint16_t code)
{
	switch (code) {
#define REPLY(symbol, number, name, hard) \
	case number:                      \
		return name;
#include "replies.def"
#undef REPLY
	default: return "UNKNOWN";
	}
}

bool reply_is_hard(uint16_t code)
{
	switch (code) {
#define REPLY(symbol, number, name, hard) \
	case number:                      \
		return hard;
#include "replies.def"
#undef REPLY
	default: return true;
	}
}

bool refuse(struct refusal *refusal, enum reply_code code, const char *format, ...)
{
	char text[1024];
	int head = snprintf(text, sizeof text, "%s - ", reply_name((uint16_t)code));
	va_list args;
	va_start(args, format);
	vsnprintf(text + head, sizeof text - (size_t)head, format, args);
	va_end(args);

	size_t len = strnlen(text, sizeof refusal->text - 1);
	while (len > 0 && !bytes_is_utf8(bytes_of(text, len)) && text[len] != '\0')
		len--; /* Cut inside a character. */
	memcpy(refusal->text, text, len);
	refusal->text[len] = '\0';
	refusal->code = (uint16_t)code;
	return false;
}
