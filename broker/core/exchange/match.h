/* Match: what a binding of a headers exchange wants, and whether a message has it. */
#ifndef LEV_CORE_EXCHANGE_MATCH_H
#define LEV_CORE_EXCHANGE_MATCH_H

#include "base/bytes.h"
#include "table.h"

#include <stdbool.h>
#include <stddef.h>

struct binding;

/* A field of a table, and several by name: views into it. */
struct field {
	struct bytes name;
	struct table_value value;
};

struct fields {
	struct field *items; /* Owned. */
	size_t len;
	size_t cap;
};

enum headers_match { MATCH_ALL, MATCH_ANY, MATCH_ALL_WITH_X, MATCH_ANY_WITH_X };

bool headers_match_parse(struct bytes arguments, enum headers_match *match);
/* Takes from a new binding's arguments what messages must have. */
void match_bind(struct binding *binding);
/* The fields of a message's table of headers, by name. */
void match_read(struct fields *fields, struct bytes headers);
/* Whether any of what it wants is enough. */
bool match_is_any(const struct binding *binding);
/* Whether a message has all that the binding wants. */
bool match_all(const struct binding *binding, const struct fields *headers);

#endif
