/* Automaton: topic patterns with so many wildcards that a tree of them could be walked in very many
 * ways at once.
 *
 * All of them are matched together, a bit for each place in each pattern, and a machine word of
 * bits in one step. So a key costs at most its words x the words of all patterns / 64 steps, and a
 * search for each of its words, whatever the patterns are. */
#ifndef LEV_CORE_EXCHANGE_AUTOMATON_H
#define LEV_CORE_EXCHANGE_AUTOMATON_H

#include "core/exchange/topic_end.h"

#include "base/bytes.h"

#include <stdint.h>

struct automaton;

struct automaton *automaton_create(uint64_t seed);
void automaton_destroy(struct automaton *automaton); /* NULL is fine. */
/* The end of a pattern of at most 255 bytes, for values to be added to it. */
struct topic_end *automaton_end(struct automaton *automaton, struct bytes pattern);
/* Nothing is bound to it any more. */
void automaton_drop(struct topic_end *end);
/* Tells all values of patterns that match the key, once each. */
void automaton_match(struct automaton *automaton, struct bytes key,
		     const struct topic_finding *finding);

#endif
