/* Topic end: where a pattern ends, and the values that are bound to it. */
#ifndef LEV_CORE_EXCHANGE_TOPIC_END_H
#define LEV_CORE_EXCHANGE_TOPIC_END_H

#include <stdbool.h>
#include <stddef.h>

struct topic_end;

/* Bound to a pattern; for its owner to embed. What is in it is topic_end.c's. */
struct topic_value {
	struct topic_end *end;
	size_t at;
};

struct topic_end {
	struct topic_value **values; /* The array is owned. */
	size_t len;
	size_t cap;
	bool is_run; /* Of an automaton; otherwise of a tree. */
};

/* What is told of values that have been found. */
struct topic_finding {
	void (*found)(void *arg, struct topic_value *value);
	void *arg;
};

void topic_end_add(struct topic_end *end, struct topic_value *value);
/* Costs the same however many there are. */
void topic_end_remove(struct topic_value *value);
void topic_end_tell(const struct topic_end *end, const struct topic_finding *finding);

#endif
