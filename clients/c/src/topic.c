/* Topic patterns: words between dots, "*" for one word, "#" for any number of them
 * (section 3.1.3.3). */
#include "reason.h"

static struct bytes next_word(struct bytes *rest, bool *has_more)
{
	const uint8_t *dot = rest->len == 0 ? NULL : memchr(rest->data, '.', rest->len);
	struct bytes word = *rest;
	*has_more = dot != NULL;
	if (dot == NULL) {
		*rest = bytes_of(rest->data + rest->len, 0);
		return word;
	}
	word.len = (size_t)(dot - rest->data);
	*rest = bytes_of(dot + 1, rest->len - word.len - 1);
	return word;
}

int lev_topic_check(const char *pattern)
{
	struct bytes rest = bytes_str(pattern);
	bool has_more = true;
	if (rest.len > UINT8_MAX)
		return lev_fail(LEV_INVALID, "a pattern has at most 255 bytes");
	if (!bytes_is_utf8(rest))
		return lev_fail(LEV_INVALID, "a pattern is UTF-8");
	while (has_more) {
		struct bytes word = next_word(&rest, &has_more);
		bool has_wildcard = word.len > 0 && (memchr(word.data, '*', word.len) != NULL ||
						     memchr(word.data, '#', word.len) != NULL);
		if (word.len == 0 && pattern[0] != '\0')
			return lev_fail(LEV_INVALID,
					"'%s' has an empty word, which matches empty words only",
					pattern);
		if (has_wildcard && word.len > 1)
			return lev_fail(LEV_INVALID,
					"'%.*s' in '%s' matches only itself: wildcards stand for "
					"whole words",
					BYTES_ARG(word), pattern);
	}
	return LEV_OK;
}

enum { WORDS_MAX = 256 }; /* Of a key: 255 bytes are at most 256 words. */

static size_t split(const char *text, struct bytes words[WORDS_MAX])
{
	struct bytes rest = bytes_str(text);
	size_t len = 0;
	bool has_more = rest.len > 0; /* The empty key has no words. */
	while (has_more && len < WORDS_MAX)
		words[len++] = next_word(&rest, &has_more);
	return len;
}

/* Dynamic programming over the key's words: reach[i] is true if the pattern so far matches the
 * first i of them. */
bool lev_topic_matches(const char *pattern, const char *key)
{
	struct bytes words[WORDS_MAX], patterns[WORDS_MAX];
	bool reach[WORDS_MAX + 1] = { true };
	if (strlen(pattern) > UINT8_MAX || strlen(key) > UINT8_MAX)
		return false;
	size_t len = split(key, words), patterns_len = split(pattern, patterns);
	for (size_t p = 0; p < patterns_len; p++) {
		if (bytes_equal_str(patterns[p], "#")) {
			for (size_t i = 1; i <= len; i++)
				reach[i] |= reach[i - 1];
			continue;
		}
		bool is_star = bytes_equal_str(patterns[p], "*");
		for (size_t i = len; i > 0; i--)
			reach[i] =
				reach[i - 1] && (is_star || bytes_equal(patterns[p], words[i - 1]));
		reach[0] = false;
	}
	return reach[len];
}
