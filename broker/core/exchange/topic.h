/* Topic: binding patterns. `*` matches exactly one word, `#` zero or more.
 *
 * Most patterns are in a tree, one level a word. Matching walks the key once with the set of nodes
 * that are still possible. Patterns of which many could be possible all the time, for they have
 * many wildcards, are in an automaton instead (automaton.h): a hostile pattern like #.#.#.#.#
 * cannot burn the CPU, nor can many thousands of them. */
#ifndef LEV_CORE_TOPIC_H
#define LEV_CORE_TOPIC_H

#include "core/exchange/topic_end.h"

#include "base/bytes.h"

struct topic;

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
