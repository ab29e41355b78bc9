#include "reply.h"

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

static void cut(struct refusal *refusal, size_t len)
{
	static const char end[] = "...";
	while (len > 0 && ((uint8_t)refusal->text[len] & 0xc0) == 0x80)
		len--; /* Not in the middle of a character. */
	memcpy(refusal->text + len, end, sizeof end);
	refusal->text_len = (uint8_t)(len + sizeof end - 1);
}

bool refuse_bytes(struct refusal *refusal, enum reply_code code, struct bytes text)
{
	size_t room = sizeof refusal->text - 1;
	int head = snprintf(refusal->text, room, "%s - ", reply_name((uint16_t)code));
	size_t begin = (size_t)head, len = text.len <= room - begin ? text.len : room - begin;
	refusal->code = (uint16_t)code;
	refusal->text_len = (uint8_t)(begin + len);
	memcpy(refusal->text + begin, text.data, len);
	refusal->text[refusal->text_len] = '\0';
	/* It quotes what the peer has said, which may be anything. */
	bytes_mend_utf8((uint8_t *)refusal->text, refusal->text_len);
	if (len < text.len)
		cut(refusal, room - 3);
	return false;
}

bool refuse(struct refusal *refusal, enum reply_code code, const char *format, ...)
{
	char text[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	return refuse_bytes(refusal, code, bytes_str(text));
}
