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

struct topic;

struct topic *topic_create(uint64_t seed);
void topic_destroy(struct topic *topic); /* NULL is fine. */

/* Binds a value, not owned, to a pattern. The same pair may be added once only. */
void topic_add(struct topic *topic, struct bytes pattern, void *value);

/* The pair must be there. */
void topic_remove(struct topic *topic, struct bytes pattern, void *value);

/* Calls found for every value whose pattern matches, at least once each. */
void topic_match(struct topic *topic, struct bytes key, void (*found)(void *arg, void *value),
		 void *arg);

#endif
