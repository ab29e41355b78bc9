#include "base/bytes.h"

/* How many bytes the sequence that starts here takes, or 0 if it is malformed. */
static size_t utf8_sequence(const uint8_t *p, size_t left)
{
	if (p[0] < 0x80)
		return 1;
	size_t len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	if (p[0] < 0xc2 || p[0] > 0xf4 || left < len)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	bool is_overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
	bool is_surrogate = p[0] == 0xed && p[1] > 0x9f;
	bool is_too_large = p[0] == 0xf4 && p[1] > 0x8f;
	return is_overlong || is_surrogate || is_too_large ? 0 : len;
}

bool bytes_is_utf8(struct bytes b)
{
	const uint8_t *p = b.data;
	size_t left = b.len;
	while (left > 0) {
		uint64_t word;
		if (left >= sizeof word) { /* Names are ASCII almost always: eight at a time. */
			memcpy(&word, p, sizeof word);
			if ((word & 0x8080808080808080u) == 0) {
				p += sizeof word;
				left -= sizeof word;
				continue;
			}
		}
		size_t len = utf8_sequence(p, left);
		if (len == 0)
			return false;
		p += len;
		left -= len;
	}
	return true;
}

size_t bytes_shown_len(struct bytes b)
{
	const uint8_t *p = b.data;
	if (p[0] < 0x80)
		return p[0] >= ' ' && p[0] != 127;
	size_t len = utf8_sequence(p, b.len);
	bool is_c1 = len == 2 && p[0] == 0xc2 && p[1] < 0xa0;
	bool is_mark = len == 3 && p[0] == 0xe2 &&
		       ((p[1] == 0x80 && (p[2] >= 0xa8 || (p[2] & 0xfc) == 0x8c || p[2] == 0x8b)) ||
			(p[1] == 0x81 && p[2] >= 0xa0));
	return is_c1 || is_mark ? 0 : len;
}

void bytes_mend_utf8(uint8_t *data, size_t len)
{
	for (size_t at = 0; at < len;) {
		size_t sequence = utf8_sequence(data + at, len - at);
		if (sequence == 0)
			data[at] = '?';
		at += sequence == 0 ? 1 : sequence;
	}
}

uint64_t read_varint(struct reader *r)
{
	uint64_t v = 0;
	for (unsigned shift = 0; shift < 70; shift += 7) {
		uint8_t byte = read_u8(r);
		if (shift == 63 && byte > 1)
			break;
		v |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return v;
	}
	r->failed = true;
	return 0;
}

void write_varint(struct writer *w, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		write_u8(w, (uint8_t)(v | 0x80));
	write_u8(w, (uint8_t)v);
}
