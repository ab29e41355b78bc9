/* Wants: what the bindings of a headers exchange want, by what they want.
 *
 * A binding that any of its headers is enough for is found by each of them, one that needs all by
 * the one that fewest others want. So a message costs a search for each of its headers, and a look
 * at those bindings of which one is right: not at those that want something else, however many. */
#ifndef LEV_CORE_EXCHANGE_WANTS_H
#define LEV_CORE_EXCHANGE_WANTS_H

#include <stddef.h>
#include <stdint.h>

struct binding;
struct fields;
struct wanted;
struct wants;

/* Where a binding is to be found. What is in it is wants.c's. */
struct want_place {
	struct wanted *wanted;
	size_t at;
};

struct wants *wants_create(uint64_t seed);
void wants_destroy(struct wants *wants); /* Without bindings. NULL is fine. */
/* By binding->wanted, which is not to change while it is here, binding->places. */
void wants_add(struct wants *wants, struct binding *binding);
void wants_remove(struct wants *wants, struct binding *binding);
/* Calls found once for each binding that these headers meet. */
void wants_match(struct wants *wants, const struct fields *headers,
		 void (*found)(void *arg, const struct binding *binding), void *arg);

#endif
