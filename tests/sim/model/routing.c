#include "routing.h"

#include <string.h>

enum routing_exchange routing_alternate(enum routing_exchange x)
{
	return x == X_TOPIC || x == X_HEADERS ? X_ALTERNATE : X_DEFAULT;
}

/* --- bindings --- */

size_t routing_find(const struct routing *r, const struct routing_binding *b)
{
	for (size_t i = 0; i < r->len; i++) {
		const struct routing_binding *o = &r->bindings[i];
		if (o->source == b->source && o->is_to_exchange == b->is_to_exchange &&
		    o->destination == b->destination && strcmp(o->key, b->key) == 0 &&
		    o->match == b->match && memcmp(o->headers, b->headers, sizeof o->headers) == 0)
			return i;
	}
	return SIZE_MAX;
}

bool routing_bind(struct routing *r, const struct routing_binding *b)
{
	if (routing_find(r, b) != SIZE_MAX)
		return true;
	if (r->len == ROUTING_BINDINGS_MAX)
		return false;
	r->bindings[r->len++] = *b;
	return true;
}

void routing_unbind(struct routing *r, size_t number)
{
	r->bindings[number] = r->bindings[--r->len];
}

void routing_queue_gone(struct routing *r, unsigned queue)
{
	for (size_t i = r->len; i-- > 0;)
		if (!r->bindings[i].is_to_exchange && r->bindings[i].destination == queue)
			routing_unbind(r, i);
}

void routing_exchange_gone(struct routing *r, enum routing_exchange x)
{
	r->is_deleted[x] = true;
	for (size_t i = r->len; i-- > 0;)
		if (r->bindings[i].source == x ||
		    (r->bindings[i].is_to_exchange && r->bindings[i].destination == x))
			routing_unbind(r, i);
}

/* --- matching --- */

/* Words are single letters or, of patterns, "*" and "#", with dots between them. */
static bool topic_fits(const char *pattern, const char *key)
{
	const char *pattern_rest = strchr(pattern, '.'), *key_rest = strchr(key, '.');
	bool is_last = pattern_rest == NULL, is_last_word = key_rest == NULL;
	pattern_rest = is_last ? "" : pattern_rest + 1;
	if (pattern[0] == '#') {
		/* None, or one more. */
		if (is_last)
			return true;
		if (topic_fits(pattern_rest, key))
			return true;
		return !is_last_word && topic_fits(pattern, key_rest + 1);
	}
	if (key[0] == '\0' || (pattern[0] != '*' && pattern[0] != key[0]))
		return false; /* An empty key has no words. */
	if (is_last_word)     /* A "#" may follow, and stand for nothing. */
		return is_last || strcmp(pattern_rest, "#") == 0;
	return !is_last && topic_fits(pattern_rest, key_rest + 1);
}

static bool headers_fit(const struct routing_binding *b, const struct routing_message *m)
{
	bool is_any = b->match == M_ANY || b->match == M_ANY_WITH_X;
	bool has_x = b->match == M_ALL_WITH_X || b->match == M_ANY_WITH_X;
	unsigned wanted = 0, fitting = 0;
	for (unsigned i = 0; i < ROUTING_HEADERS; i++) {
		if (b->headers[i] == H_ABSENT || (i == ROUTING_HEADERS - 1 && !has_x))
			continue;
		wanted++;
		fitting += b->headers[i] == H_VOID ? m->headers[i] != H_ABSENT
						   : m->headers[i] == b->headers[i];
	}
	return is_any ? fitting > 0 : fitting == wanted;
}

static bool fits(const struct routing_binding *b, const struct routing_message *m)
{
	bool is_fitting = b->source == X_FANOUT || b->source == X_ALTERNATE;
	if (b->source == X_HEADERS)
		return headers_fit(b, m);
	for (unsigned i = 0; i < m->keys_len && !is_fitting; i++)
		is_fitting = b->source == X_DIRECT ? strcmp(b->key, m->keys[i]) == 0
						   : topic_fits(b->key, m->keys[i]);
	return is_fitting;
}

static unsigned from(const struct routing *r, const struct routing_message *m,
		     enum routing_exchange x, unsigned *seen)
{
	unsigned queues = 0;
	bool is_fitting = false;
	if ((*seen & 1u << x) || r->is_deleted[x])
		return 0;
	*seen |= 1u << x;
	for (size_t i = 0; i < r->len; i++) {
		const struct routing_binding *b = &r->bindings[i];
		if (b->source != x || !fits(b, m))
			continue;
		is_fitting = true;
		queues |=
			b->is_to_exchange ? from(r, m, b->destination, seen) : 1u << b->destination;
	}
	if (!is_fitting && r->alternates[x] != X_DEFAULT)
		queues |= from(r, m, r->alternates[x], seen);
	return queues;
}

unsigned routing_queues(const struct routing *r, const struct routing_message *m)
{
	unsigned queues = 0, seen = 0;
	if (m->exchange != X_DEFAULT)
		return from(r, m, m->exchange, &seen);
	for (unsigned i = 0; i < m->keys_len; i++)
		if (m->keys[i][0] == 'q')
			queues |= 1u << (m->keys[i][1] - '0');
	return queues;
}
