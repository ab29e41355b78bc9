#include "core/exchange/topic.h"
#include "core/exchange/automaton.h"
#include "core/exchange/words.h"

#include "base/alloc.h"
#include "base/list.h"
#include "base/map.h"

#include <assert.h>
#include <stdlib.h>

struct node {
	struct topic_end end;
	struct node *parent;
	struct bytes word; /* Owned; what the parent's map refers to. */
	struct map words;  /* word -> struct node */
	struct node *star;
	struct node *hash;
	uint64_t seen; /* The step of the walk that last put it into the set. */
	uint64_t told; /* The match that last told of its values before its end. */
};

struct topic {
	struct node root;
	uint64_t seed;
	uint64_t step;
	struct node **now;  /* The set of possible nodes before a word, */
	struct node **next; /* and after it. */
	size_t now_cap;
	size_t next_cap;
	size_t next_len;
	uint64_t matches;
	struct automaton *automaton; /* NULL: no pattern has needed it. */
};

struct topic *topic_create(uint64_t seed)
{
	struct topic *topic = alloc_zeroed(sizeof *topic);
	topic->seed = seed;
	map_init(&topic->root.words, seed);
	return topic;
}

static void node_fini(struct node *node);

static void node_free(struct node *node)
{
	if (node == NULL)
		return;
	node_fini(node);
	free(node);
}

/* Recursion is as deep as a pattern has words: 128 at most. */
static void node_fini(struct node *node)
{
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&node->words, &at)) != NULL;)
		node_free(e->value);
	map_fini(&node->words);
	node_free(node->star);
	node_free(node->hash);
	free((void *)node->word.data);
	free(node->end.values);
}

void topic_destroy(struct topic *topic)
{
	if (topic == NULL)
		return;
	node_fini(&topic->root);
	free(topic->now);
	free(topic->next);
	automaton_destroy(topic->automaton);
	free(topic);
}

static struct node *child_create(const struct topic *topic, struct node *parent)
{
	struct node *child = alloc_zeroed(sizeof *child);
	child->parent = parent;
	map_init(&child->words, topic->seed);
	return child;
}

static struct node **wildcard(struct node *node, struct bytes word)
{
	return bytes_equal_str(word, "*")   ? &node->star
	       : bytes_equal_str(word, "#") ? &node->hash
					    : NULL;
}

static struct node *descend(const struct topic *topic, struct node *node, struct bytes word)
{
	struct node **wild = wildcard(node, word);
	if (wild != NULL) {
		if (*wild == NULL)
			*wild = child_create(topic, node);
		return *wild;
	}
	struct node *child = map_get(&node->words, word);
	if (child == NULL) {
		child = child_create(topic, node);
		child->word = word.len == 0 ? bytes_of(alloc_zeroed(1), 0) : alloc_copy(word);
		map_put(&node->words, child->word, child);
	}
	return child;
}

/* Whether the nodes of patterns like this one that a key can be at, all at the same time, are few:
 * some thousands in all. */
static bool is_for_tree(struct bytes pattern)
{
	enum { SHORTEST = 4, SHORT = 8, MIDDLING = 16 };
	size_t words = 0, stars = 0, hashes = 0;
	bool ends_in_hash = false;
	struct bytes rest = words_of(pattern), word;
	while (next_word(&rest, &word)) {
		ends_in_hash = bytes_equal_str(word, "#");
		hashes += ends_in_hash;
		stars += bytes_equal_str(word, "*");
		words++;
	}
	switch (hashes - ends_in_hash) { /* One at the end matches at once, and leads nowhere. */
	case 0: return stars <= 1 || words <= SHORT || (words <= MIDDLING && stars == 2);
	case 1: return words <= SHORTEST || (words <= MIDDLING && stars == 0);
	default: return false;
	}
}

static struct topic_end *find_end(struct topic *topic, struct bytes pattern)
{
	struct node *node = &topic->root;
	struct bytes rest = words_of(pattern), word;
	if (!is_for_tree(pattern)) {
		if (topic->automaton == NULL)
			topic->automaton = automaton_create(topic->seed);
		return automaton_end(topic->automaton, pattern);
	}
	while (next_word(&rest, &word))
		node = descend(topic, node, word);
	return &node->end;
}

void topic_add(struct topic *topic, struct bytes pattern, struct topic_value *value)
{
	topic_end_add(find_end(topic, pattern), value);
}

static bool is_leaf(const struct node *node)
{
	return node->words.len == 0 && node->star == NULL && node->hash == NULL;
}

/* Removes nodes that lead nowhere any more, from the leaf up. */
static void prune(struct node *node)
{
	while (node->parent != NULL && node->end.len == 0 && is_leaf(node)) {
		struct node *parent = node->parent;
		if (parent->star == node)
			parent->star = NULL;
		else if (parent->hash == node)
			parent->hash = NULL;
		else
			map_remove(&parent->words, node->word);
		node_free(node);
		node = parent;
	}
}

void topic_remove(struct topic_value *value)
{
	struct topic_end *end = value->end;
	topic_end_remove(value);
	if (!end->is_run)
		prune(list_entry(end, struct node, end));
	else if (end->len == 0)
		automaton_drop(end);
}

static bool is_hash(const struct node *node)
{
	return node->parent != NULL && node->parent->hash == node;
}

static void tell_once(struct topic *topic, struct node *node, const struct topic_finding *finding)
{
	if (node->told != topic->matches)
		topic_end_tell(&node->end, finding);
	node->told = topic->matches;
}

/* Adds a node to the next set, once a step. `#` also matches no word at all, so its node comes
 * along at once; if nothing follows, all that is left of the key is its. */
static void possible(struct topic *topic, struct node *node, const struct topic_finding *finding)
{
	for (; node != NULL && node->seen != topic->step; node = node->hash) {
		node->seen = topic->step;
		if (is_hash(node) && is_leaf(node)) {
			tell_once(topic, node, finding);
			return;
		}
		topic->next = alloc_grow(topic->next, &topic->next_cap, topic->next_len + 1,
					 sizeof *topic->next);
		topic->next[topic->next_len++] = node;
	}
}

static size_t swap_sets(struct topic *topic)
{
	struct node **set = topic->now;
	size_t cap = topic->now_cap, len = topic->next_len;
	topic->now = topic->next;
	topic->now_cap = topic->next_cap;
	topic->next = set;
	topic->next_cap = cap;
	topic->next_len = 0;
	topic->step++;
	return len;
}

static void match_tree(struct topic *topic, struct bytes key, const struct topic_finding *finding)
{
	struct bytes rest = words_of(key), word;
	topic->next_len = 0;
	topic->step++;
	topic->matches++;
	possible(topic, &topic->root, finding);
	size_t len = swap_sets(topic);
	while (len > 0 && next_word(&rest, &word)) {
		for (size_t i = 0; i < len; i++) {
			struct node *node = topic->now[i];
			if (is_hash(node))
				possible(topic, node, finding);
			possible(topic, map_get(&node->words, word), finding);
			possible(topic, node->star, finding);
		}
		len = swap_sets(topic);
	}
	for (size_t i = 0; i < len; i++)
		topic_end_tell(&topic->now[i]->end, finding);
}

void topic_match(struct topic *topic, struct bytes key,
		 void (*found)(void *arg, struct topic_value *value), void *arg)
{
	const struct topic_finding finding = { found, arg };
	match_tree(topic, key, &finding);
	if (topic->automaton != NULL)
		automaton_match(topic->automaton, key, &finding);
}
