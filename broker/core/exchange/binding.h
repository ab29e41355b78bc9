/* Binding: a way from an exchange to a queue or another exchange. Owned by its source. */
#ifndef LEV_CORE_EXCHANGE_BINDING_H
#define LEV_CORE_EXCHANGE_BINDING_H

#include "core/exchange/match.h"
#include "core/exchange/topic.h"
#include "core/exchange/wants.h"

#include "base/bytes.h"
#include "base/list.h"

#include <stdint.h>

struct exchange;
struct queue;

struct binding {
	struct exchange *source;
	struct queue *queue; /* The destination: one of the two. */
	struct exchange *exchange;
	struct bytes identity; /* Owned; routing_key and arguments are views into it. */
	struct bytes routing_key;
	struct bytes arguments;
	enum headers_match match;
	struct fields wanted; /* Of a headers exchange: the arguments that a message must have. */
	struct want_place *places; /* Where it is found by them. Owned. */
	size_t places_len;
	uint64_t seen; /* The message that was last found to meet it. */
	struct list in_source;
	struct list in_destination;
	struct binding *same_key; /* direct: the next one of the chain, */
	struct binding *before;   /* and the one before it; NULL: this is the first. */
	struct topic_value in_topic;
	uint64_t id;      /* Of its definition; 0: not durable. */
	uint64_t defined; /* The sequence of the journal that has it. */
};

struct binding *binding_find(const struct exchange *source, struct bytes identity);
/* identity: see binding_identity(); exactly one of queue and exchange. */
struct binding *binding_create(struct exchange *source, struct queue *queue,
			       struct exchange *exchange, struct bytes identity);
void binding_destroy(struct binding *binding);
/* Writes the identity of a binding: destination kind and name, routing key, arguments. Returns a
 * view into buffer. */
struct bytes binding_identity(struct writer *buffer, char kind, struct bytes destination,
			      struct bytes routing_key, struct bytes arguments);

enum { BINDING_IDENTITY_OVERHEAD = 3 };

#endif
