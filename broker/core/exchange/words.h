/* Words: of a topic exchange's key or pattern, between its dots. The empty key has none at all,
 * `a.` has two (RabbitMQ's rules, measured). */
#ifndef LEV_CORE_EXCHANGE_WORDS_H
#define LEV_CORE_EXCHANGE_WORDS_H

#include "base/bytes.h"

enum { WORDS_MAX = 128 }; /* Of a pattern: it has 255 bytes. Keys of copies may have more. */

/* To begin with; data == NULL marks the end, since `a.` ends in an empty word that is still to
 * come.
 */
static inline struct bytes words_of(struct bytes key)
{
	return key.len == 0 ? bytes_of(NULL, 0) : key;
}

/* Takes the next word off *rest; false after the last one. */
static inline bool next_word(struct bytes *rest, struct bytes *word)
{
	if (rest->data == NULL)
		return false;
	const uint8_t *dot = rest->len == 0 ? NULL : memchr(rest->data, '.', rest->len);
	if (dot == NULL) {
		*word = *rest;
		rest->data = NULL;
		return true;
	}
	*word = bytes_of(rest->data, (size_t)(dot - rest->data));
	*rest = bytes_of(dot + 1, rest->len - word->len - 1);
	return true;
}

#endif
