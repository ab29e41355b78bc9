/* Topic: a trie over binding patterns, one level a word. `*` matches exactly one word, `#` zero or
 * more.
 *
 * Matching walks the key once with the set of nodes that are still possible, so it costs at most
 * nodes x words whatever the patterns are: a hostile pattern like #.#.#.#.# cannot burn the CPU.
 * Keys are split on `.`; the empty key has no words at all, `a.` has two (RabbitMQ's rules,
 * measured). */
#ifndef LEV_CORE_TOPIC_H
#define LEV_CORE_TOPIC_H

#include "base/bytes.h"

#include <stddef.h>

struct node;
struct topic;

/* Bound to a pattern; for its owner to embed. What is in it is topic.c's. */
struct topic_value {
	struct node *node; /* Where it lies, */
	size_t at;         /* and as which one. */
};

struct topic *topic_create(uint64_t seed);
void topic_destroy(struct topic *topic); /* NULL is fine. */

/* Binds a value, not owned, to a pattern. */
void topic_add(struct topic *topic, struct bytes pattern, struct topic_value *value);

/* The value must have been added. Costs the same however many have its pattern. */
void topic_remove(struct topic_value *value);

/* Calls found for every value whose pattern matches, at least once each. */
void topic_match(struct topic *topic, struct bytes key,
		 void (*found)(void *arg, struct topic_value *value), void *arg);

#endif
