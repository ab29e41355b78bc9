#include "core/exchange/topic.h"

#include "base/alloc.h"
#include "base/map.h"

#include <assert.h>
#include <stdlib.h>

struct node {
	struct node *parent;
	struct bytes word; /* Owned; what the parent's map refers to. */
	struct map words;  /* word -> struct node */
	struct node *star;
	struct node *hash;
	struct topic_value **values;
	size_t values_len;
	size_t values_cap;
	uint64_t seen; /* The step of the walk that last put it into the set. */
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
	free(node->values);
}

void topic_destroy(struct topic *topic)
{
	if (topic == NULL)
		return;
	node_fini(&topic->root);
	free(topic->now);
	free(topic->next);
	free(topic);
}

/* Takes the next word off *rest; false after the last one. rest->data == NULL marks the end, since
 * `a.` ends in an empty word that is still to come. */
static bool next_word(struct bytes *rest, struct bytes *word)
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

static struct bytes words_of(struct bytes key)
{
	return key.len == 0 ? (struct bytes){ NULL, 0 } : key;
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

void topic_add(struct topic *topic, struct bytes pattern, struct topic_value *value)
{
	struct node *node = &topic->root;
	struct bytes rest = words_of(pattern), word;
	while (next_word(&rest, &word))
		node = descend(topic, node, word);
	node->values = alloc_grow(node->values, &node->values_cap, node->values_len + 1,
				  sizeof *node->values);
	*value = (struct topic_value){ node, node->values_len };
	node->values[node->values_len++] = value;
}

/* Removes nodes that lead nowhere any more, from the leaf up. */
static void prune(struct node *node)
{
	while (node->parent != NULL && node->values_len == 0 && node->words.len == 0 &&
	       node->star == NULL && node->hash == NULL) {
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

/* The last one takes its place. */
void topic_remove(struct topic_value *value)
{
	struct node *node = value->node;
	assert(value->at < node->values_len && node->values[value->at] == value);
	struct topic_value *last = node->values[--node->values_len];
	node->values[value->at] = last;
	last->at = value->at;
	value->node = NULL;
	prune(node);
}

/* Adds a node to the next set, once a step. `#` also matches no word at all, so its node comes
 * along at once. */
static void possible(struct topic *topic, struct node *node)
{
	for (; node != NULL && node->seen != topic->step; node = node->hash) {
		node->seen = topic->step;
		topic->next = alloc_grow(topic->next, &topic->next_cap, topic->next_len + 1,
					 sizeof *topic->next);
		topic->next[topic->next_len++] = node;
	}
}

static bool is_hash(const struct node *node)
{
	return node->parent != NULL && node->parent->hash == node;
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

void topic_match(struct topic *topic, struct bytes key,
		 void (*found)(void *arg, struct topic_value *value), void *arg)
{
	struct bytes rest = words_of(key), word;
	topic->next_len = 0;
	topic->step++;
	possible(topic, &topic->root);
	size_t len = swap_sets(topic);
	while (len > 0 && next_word(&rest, &word)) {
		for (size_t i = 0; i < len; i++) {
			struct node *node = topic->now[i];
			if (is_hash(node))
				possible(topic, node);
			possible(topic, map_get(&node->words, word));
			possible(topic, node->star);
		}
		len = swap_sets(topic);
	}
	for (size_t i = 0; i < len; i++)
		for (size_t v = 0; v < topic->now[i]->values_len; v++)
			found(arg, topic->now[i]->values[v]);
}
