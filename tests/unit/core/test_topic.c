#include "base/prng.h"
#include "core/exchange/topic.h"

#include <criterion/criterion.h>
#include <stdio.h>

struct hits {
	unsigned counts[64];
};

static struct topic_value values[64];

static void on_found(void *arg, struct topic_value *value)
{
	struct hits *hits = arg;
	hits->counts[value - values]++;
}

static bool matches(const char *pattern, const char *key)
{
	struct topic *topic = topic_create(1);
	struct hits hits = { { 0 } };
	topic_add(topic, bytes_str(pattern), &values[0]);
	topic_match(topic, bytes_str(key), on_found, &hits);
	topic_remove(&values[0]);
	unsigned before = hits.counts[0];
	topic_match(topic, bytes_str(key), on_found, &hits);
	cr_assert_eq(hits.counts[0], before, "a removed pattern matches nothing");
	topic_destroy(topic);
	return before > 0;
}

/* Recorded on RabbitMQ 3.10.8. */
Test(topic, matches_as_rabbitmq_does)
{
	static const char *const patterns[] = { "a.*",   "a.#", "#",   "*",     "",
						"a.*.c", "#.c", "*.b", "a.b.#", "a..c",
						"*.*.*", "#.#", "#.*" };
	static const struct {
		const char *key;
		const char *matching[10];
	} recorded[] = {
		{ "", { "#", "", "#.#" } },
		{ "a", { "a.#", "#", "*", "#.#", "#.*" } },
		{ "a.b", { "a.*", "a.#", "#", "*.b", "a.b.#", "#.#", "#.*" } },
		{ "a.b.c", { "a.#", "#", "a.*.c", "#.c", "a.b.#", "*.*.*", "#.#", "#.*" } },
		{ "a.x.y.c", { "a.#", "#", "#.c", "#.#", "#.*" } },
		{ "a..c", { "a.#", "#", "a.*.c", "#.c", "a..c", "*.*.*", "#.#", "#.*" } },
		{ ".", { "#", "#.#", "#.*" } },
		{ "a.", { "a.*", "a.#", "#", "#.#", "#.*" } },
	};
	for (size_t k = 0; k < sizeof recorded / sizeof *recorded; k++)
		for (size_t p = 0; p < sizeof patterns / sizeof *patterns; p++) {
			bool expected = false;
			for (size_t m = 0; m < 10 && recorded[k].matching[m] != NULL; m++)
				expected |= strcmp(recorded[k].matching[m], patterns[p]) == 0;
			cr_assert_eq(matches(patterns[p], recorded[k].key), expected,
				     "pattern '%s' key '%s'", patterns[p], recorded[k].key);
		}
}

Test(topic, words_count)
{
	cr_assert(matches("notification.email.*", "notification.email.order"));
	cr_assert_not(matches("notification.email.*", "notification.email.order.confirmed"));
	cr_assert(matches("#.a.#", "a"));
	cr_assert(matches("a.*.#", "a.*"), "in a key a star is a word like any other");
	cr_assert_not(matches("*", ""));
}

/* Those that stay must know where they are, when others go from between them. */
Test(topic, values_of_one_pattern_go_in_any_order)
{
	static const char *const patterns[] = { "a.#", "a.b" };
	struct prng prng = { 7 };
	struct topic *topic = topic_create(1);
	bool is_there[64] = { false };
	for (int i = 0; i < 10000; i++) {
		uint32_t v = prng_below(&prng, 64);
		if (is_there[v])
			topic_remove(&values[v]);
		else
			topic_add(topic, bytes_str(patterns[v % 2]), &values[v]);
		is_there[v] = !is_there[v];
		struct hits hits = { { 0 } };
		topic_match(topic, bytes_str("a.b"), on_found, &hits);
		for (int k = 0; k < 64; k++)
			cr_assert_eq(hits.counts[k] > 0, is_there[k]);
	}
	for (int v = 0; v < 64; v++)
		if (is_there[v])
			topic_remove(&values[v]);
	struct hits hits = { { 0 } };
	topic_match(topic, bytes_str("a.b"), on_found, &hits);
	cr_assert_eq(hits.counts[0] + hits.counts[1], 0);
	topic_destroy(topic);
}

/* By the definition, without any cleverness. */
static bool naive(const char *const *pattern, size_t pattern_len, const char *const *key,
		  size_t key_len)
{
	if (pattern_len == 0)
		return key_len == 0;
	if (strcmp(pattern[0], "#") == 0)
		return naive(pattern + 1, pattern_len - 1, key, key_len) ||
		       (key_len > 0 && naive(pattern, pattern_len, key + 1, key_len - 1));
	return key_len > 0 && (strcmp(pattern[0], "*") == 0 || strcmp(pattern[0], key[0]) == 0) &&
	       naive(pattern + 1, pattern_len - 1, key + 1, key_len - 1);
}

static size_t random_words(struct prng *prng, const char *const *from, uint32_t kinds,
			   const char **words, char *text)
{
	size_t len = 1 + prng_below(prng, 6);
	text[0] = '\0';
	for (size_t i = 0; i < len; i++) {
		words[i] = from[prng_below(prng, kinds)];
		sprintf(text + strlen(text), "%s%s", i == 0 ? "" : ".", words[i]);
	}
	return len;
}

Test(topic, agrees_with_the_definition_on_random_patterns)
{
	static const char *const kinds[] = { "a", "b", "*", "#" };
	struct prng prng = { 5 };
	for (int round = 0; round < 300; round++) {
		const char *patterns[20][8], *key[8];
		size_t lens[20];
		char texts[20][32], key_text[32];
		struct topic *topic = topic_create((uint64_t)round);
		for (int p = 0; p < 20; p++) {
			lens[p] = random_words(&prng, kinds, 4, patterns[p], texts[p]);
			topic_add(topic, bytes_str(texts[p]), &values[p]);
		}
		for (int k = 0; k < 40; k++) {
			struct hits hits = { { 0 } };
			size_t key_len = random_words(&prng, kinds, 2, key, key_text);
			topic_match(topic, bytes_str(key_text), on_found, &hits);
			for (int p = 0; p < 20; p++)
				cr_assert_eq(hits.counts[p] > 0,
					     naive(patterns[p], lens[p], key, key_len), "%s %s",
					     texts[p], key_text);
		}
		for (int p = 0; p < 20; p++)
			topic_remove(&values[p]);
		topic_destroy(topic);
	}
}

/* Naive recursion takes seconds for each key here; the count of steps keeps this one from ever
 * doing so. */
Test(topic, a_hostile_pattern_stays_polynomial, .timeout = 20)
{
	char key[300] = "x";
	struct topic *topic = topic_create(1);
	struct hits hits = { { 0 } };
	for (int i = 0; i < 127; i++)
		strcat(key, ".x");
	topic_add(topic, bytes_str("#.a.#.a.#.a.#.a.#.a.#.a.#.a.#.a.#.a.#.b"), &values[0]);
	topic_add(topic, bytes_str("#.#.#.#.#.#.#.#.#.#.#.#.#.#.#.#.#.#.#.b"), &values[1]);
	for (int i = 0; i < 1000; i++)
		topic_match(topic, bytes_str(key), on_found, &hits);
	cr_assert_eq(hits.counts[0] + hits.counts[1], 0);
	topic_destroy(topic);
}

/* As naive(), for what is too long for it: after each word of the pattern, how much of the key it
 * may have met. */
static bool slow(const char *pattern, const char *key)
{
	static bool met[2][1024];
	size_t key_len = key[0] != '\0';
	for (const char *c = key; *c != '\0'; c++)
		key_len += *c == '.';
	memset(met, 0, sizeof met);
	met[0][0] = true;
	int now = 0;
	for (const char *p = pattern; p != NULL && *p != '\0'; now = !now) {
		size_t p_len = strcspn(p, ".");
		const char *k = key;
		bool is_hash = p_len == 1 && p[0] == '#', is_star = p_len == 1 && p[0] == '*';
		met[!now][0] = is_hash && met[now][0];
		for (size_t i = 0; i < key_len; i++) {
			size_t k_len = strcspn(k, ".");
			bool is_same = k_len == p_len && memcmp(k, p, p_len) == 0;
			met[!now][i + 1] = is_hash ? met[now][i + 1] || met[!now][i]
						   : (is_star || is_same) && met[now][i];
			k += k_len + 1;
		}
		p = p[p_len] == '.' ? p + p_len + 1 : NULL;
	}
	return met[now][key_len];
}

static void random_text(struct prng *prng, const char *from, size_t words, char *text)
{
	for (size_t i = 0; i < words; i++) {
		text[2 * i] = from[prng_below(prng, (uint32_t)strlen(from))];
		text[2 * i + 1] = i + 1 < words ? '.' : '\0';
	}
}

/* Patterns that share blocks come and go, and neither their states nor their words are mistaken for
 * those of others. */
Test(topic, long_patterns_agree_with_the_definition_while_they_come_and_go)
{
	struct prng prng = { 11 };
	char texts[64][256], key[1024];
	bool is_there[64] = { false };
	struct topic *topic = topic_create(3);
	for (int round = 0; round < 12000; round++) {
		uint32_t p = prng_below(&prng, 64);
		if (is_there[p])
			topic_remove(&values[p]);
		is_there[p] = !is_there[p];
		if (is_there[p]) {
			random_text(&prng, round % 3 == 0 ? "ab#*" : "a#*",
				    1 + prng_below(&prng, p % 4 == 0 ? 128 : 12), texts[p]);
			topic_add(topic, bytes_str(texts[p]), &values[p]);
		}
		/* A routing key has 128 words at most, a copy's may have more. */
		random_text(&prng, round % 2 == 0 ? "aaab" : "aaaaaaaac",
			    1 + prng_below(&prng, round % 8 == 0 ? 500 : 16), key);
		struct hits hits = { { 0 } };
		topic_match(topic, bytes_str(key), on_found, &hits);
		for (int i = 0; i < 64; i++)
			cr_assert_eq(hits.counts[i] > 0, is_there[i] && slow(texts[i], key),
				     "%s %s", texts[i], key);
	}
	for (int i = 0; i < 64; i++)
		if (is_there[i])
			topic_remove(&values[i]);
	struct hits hits = { { 0 } };
	topic_match(topic, bytes_str(key), on_found, &hits);
	for (int i = 0; i < 64; i++)
		cr_assert_eq(hits.counts[i], 0);
	topic_destroy(topic);
}

static void on_many(void *arg, struct topic_value *value)
{
	(void)value;
	++*(size_t *)arg;
}

/* A walk along a tree of these takes half a minute for each key. */
Test(topic, many_hostile_patterns_are_matched_together, .timeout = 60)
{
	enum { PATTERNS = 20000 };
	static struct topic_value many[PATTERNS];
	struct prng prng = { 13 };
	char text[256];
	struct topic *topic = topic_create(1);
	size_t told = 0, expected = 0;
	char key[256];
	random_text(&prng, "a", 121, key);
	for (int i = 0; i < PATTERNS; i++) {
		random_text(&prng, "#*a", 100, text);
		expected += slow(text, key);
		topic_add(topic, bytes_str(text), &many[i]);
	}
	for (int i = 0; i < 20; i++)
		topic_match(topic, bytes_str(key), on_many, &told);
	cr_assert_eq(told, 20 * expected);
	cr_assert_gt(expected, 0);
	topic_destroy(topic);
}
