/* Expiration: the property of that name, a decimal number of milliseconds as a text. It is read as
 * RabbitMQ does, which is Erlang's string:to_integer(), and refused in its words (measured), which
 * are Erlang terms. */
#include "core/message/expiration.h"
#include "core/vhost/settings.h"

#include "reply.h"

#include <assert.h>
#include <stdio.h>

enum {
	PLAIN_DIGITS_MAX = 18, /* As many as never overflow. */
	TERM_LINE = 79,        /* Where Erlang begins a new line in a term. */
};

/* What nearly all are: digits, and few enough. */
static bool parse_plainly(struct bytes text, uint64_t *value)
{
	*value = 0;
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		*value = *value * 10 + (uint64_t)(text.data[i] - '0');
	}
	return text.len > 0 && text.len <= PLAIN_DIGITS_MAX;
}

static struct bytes after(struct bytes text, size_t len)
{
	return bytes_of(text.data + len, text.len - len);
}

/* An integer at the beginning of a text. */
struct number {
	bool is_negative;
	struct bytes digits; /* Without zeros in front; of zero, none is left. */
	struct bytes rest;   /* What follows it. */
};

/* False: the text begins with none. */
static bool parse(struct bytes text, struct number *n)
{
	size_t at = text.len > 0 && (text.data[0] == '+' || text.data[0] == '-');
	n->is_negative = at > 0 && text.data[0] == '-';
	n->digits = n->rest = after(text, at);
	while (n->rest.len > 0 && n->rest.data[0] >= '0' && n->rest.data[0] <= '9')
		n->rest = after(n->rest, 1);
	bool is_number = n->rest.len < n->digits.len;
	n->digits.len -= n->rest.len;
	while (n->digits.len > 0 && n->digits.data[0] == '0')
		n->digits = after(n->digits, 1);
	return is_number;
}

uint64_t expiration_ms(struct bytes text)
{
	uint64_t plain;
	struct number n;
	if (parse_plainly(text, &plain))
		return plain;
	return parse(text, &n) && parse_plainly(n.digits, &plain) ? plain : 0;
}

/* --- refusing --- */

/* As Erlang prints a list of bytes: a text, or the numbers if it has what cannot be printed. */
static void write_string(struct writer *w, struct bytes text)
{
	bool is_printable = true;
	for (size_t i = 0; i < text.len; i++)
		is_printable &=
			(text.data[i] >= ' ' && text.data[i] < 0x7f) || text.data[i] >= 0xa0;
	for (size_t i = 0; i < text.len && !is_printable; i++) {
		char number[8];
		snprintf(number, sizeof number, "%c%u", i == 0 ? '[' : ',', text.data[i]);
		write_bytes(w, bytes_str(number));
	}
	if (!is_printable) {
		write_u8(w, ']');
		return;
	}
	write_u8(w, '"');
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] == '"' || text.data[i] == '\\')
			write_u8(w, '\\');
		write_u8(w, text.data[i]);
	}
	write_u8(w, '"');
}

/* The text refused, and why: an atom, or if there is a detail, a pair of both. */
static bool refuse_text(struct refusal *refusal, struct bytes text, const char *why,
			struct bytes detail)
{
	uint8_t memory[2048];
	struct writer w = writer_of(memory, sizeof memory);
	write_bytes(&w, bytes_str("invalid expiration '"));
	write_bytes(&w, text);
	write_bytes(&w, bytes_str("': "));
	size_t column = (size_t)(w.at - memory);
	if (detail.len > 0)
		write_u8(&w, '{');
	write_bytes(&w, bytes_str(why));
	if (detail.len > 0) {
		write_u8(&w, ',');
		if ((size_t)(w.at - memory) + detail.len + 1 >= TERM_LINE) {
			write_u8(&w, '\n');
			for (size_t i = 0; i <= column; i++)
				write_u8(&w, ' ');
		}
		write_bytes(&w, detail);
		write_u8(&w, '}');
	}
	assert(!w.failed);
	return refuse_bytes(refusal, REPLY_PRECONDITION_FAILED,
			    bytes_of(memory, (size_t)(w.at - memory)));
}

static bool refuse_number(struct refusal *refusal, struct bytes text, const char *why,
			  const struct number *n)
{
	uint8_t memory[UINT8_MAX + 1];
	struct writer w = writer_of(memory, sizeof memory);
	if (n->is_negative)
		write_u8(&w, '-');
	write_bytes(&w, n->digits);
	return refuse_text(refusal, text, why, bytes_of(memory, (size_t)(w.at - memory)));
}

bool expiration_check(struct bytes text, struct refusal *refusal)
{
	uint64_t value;
	struct number n;
	if (parse_plainly(text, &value) && value <= TIME_MAX_MS)
		return true;
	if (!parse(text, &n))
		return refuse_text(refusal, text, "no_integer", bytes_of(NULL, 0));
	if (n.rest.len > 0) {
		uint8_t memory[4 * UINT8_MAX + 2];
		struct writer w = writer_of(memory, sizeof memory);
		write_string(&w, n.rest);
		return refuse_text(refusal, text, "leftover_string",
				   bytes_of(memory, (size_t)(w.at - memory)));
	}
	if (n.digits.len == 0)
		return true;
	if (n.is_negative)
		return refuse_number(refusal, text, "value_negative", &n);
	if (!parse_plainly(n.digits, &value) || value > TIME_MAX_MS)
		return refuse_number(refusal, text, "value_too_large", &n);
	return true;
}
