/* Topic matching: by how many patterns there are, how many match, and how hostile they are. */
#include "micro.h"

#include "core/exchange/topic.h"

#include <stdio.h>

static struct bytes key;

static void count(void *arg, struct topic_value *value)
{
	(void)value;
	++*(uint64_t *)arg;
}

static void match(void *arg, uint64_t rounds)
{
	uint64_t found = 0;
	while (rounds-- > 0)
		topic_match(arg, key, count, &found);
	micro_use(&found);
}

static void with_bindings(unsigned bindings, const char *pattern, const char *what)
{
	char text[100], name[100];
	static struct topic_value values[10001];
	struct topic *topic = topic_create(42);
	topic_add(topic, bytes_str("order.*.eu"), &values[10000]);
	for (unsigned i = 0; i < bindings; i++) {
		snprintf(text, sizeof text, pattern, i);
		topic_add(topic, bytes_str(text), &values[i]);
	}
	snprintf(name, sizeof name, "topic_match/bindings=%u,%s", bindings, what);
	key = bytes_str("order.created.eu");
	micro_run(name, match, topic, 1);
	topic_destroy(topic);
}

/* Five times # against a key of 128 words: exponential for a matcher that tries every way. */
static void hostile(void)
{
	static struct topic_value value;
	char words[256];
	struct topic *topic = topic_create(42);
	topic_add(topic, bytes_str("#.a.#.a.#.a.#.a.#.b"), &value);
	for (unsigned i = 0; i < sizeof words; i++)
		words[i] = i % 2 == 0 ? 'a' : '.';
	key = bytes_of(words, sizeof words - 1);
	micro_run("topic_match/hashes=5,words=128", match, topic, 1);
	topic_destroy(topic);
}

void micro_topic(void)
{
	with_bindings(0, "", "words=3");
	with_bindings(100, "no.%u.*", "none match");
	with_bindings(10000, "no.%u.*", "none match");
	with_bindings(10000, "*.created.%u", "none match but in the last word");
	hostile();
}
