/* Route: from an exchange and a message to the queues that get it, and decisions that are
 * remembered. */
#ifndef LEV_CORE_EXCHANGE_ROUTE_H
#define LEV_CORE_EXCHANGE_ROUTE_H

#include "core/exchange/match.h"

#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct binding;
struct channel;
struct core;
struct exchange;
struct message;
struct properties;
struct queue;

/* A routing decision that is remembered. */
struct route {
	size_t queues_len;
	struct bytes routing_key; /* View into the memory behind queues. */
	struct queue *queues[];
};

/* Where a channel's last publish went: the next one mostly goes there, too. */
struct last_route {
	uint64_t topology; /* It holds as long as this is the vhost's. */
	struct exchange *exchange;
	uint16_t tail_len;
	uint8_t tail[2 * (1 + UINT8_MAX)]; /* message_tail() of that publish. */
	size_t queues_len;
	struct queue **queues; /* Owned. */
	size_t queues_cap;
};

/* The working memory of one routing decision. */
struct router {
	uint64_t step;
	struct queue **queues;
	size_t queues_len;
	size_t queues_cap;
	struct exchange **exchanges; /* In the order in which they are asked. */
	size_t exchanges_len;
	size_t exchanges_cap;
	struct fields headers;   /* Of the message, */
	bool has_read_headers;   /* if a headers exchange has been asked. */
	bool depends_on_headers; /* The decision holds for this message only. */
	bool is_matched;         /* The exchange being asked had a binding that matched. */
};

/* The keys of a message: its routing key, then those of CC and BCC. Every exchange on its way is
 * asked for all of them. */
struct key_list {
	struct bytes routing_key;
	struct bytes copies[2]; /* What is left of the arrays in CC and BCC. */
};

/* Takes the next one of the copies; what is no string is no key. */
bool key_list_next(struct key_list *keys, struct bytes *key);
/* For types of exchanges: the message goes along this binding, or straight to this queue. */
void route_along(struct router *router, const struct binding *binding);
void route_to(struct router *router, struct queue *queue);

/* The queues for a message; valid until the next call or change of topology. CC and BCC are
 * honoured. */
struct queue **route(struct core *core, struct exchange *exchange, const struct message *message,
		     const struct properties *properties, size_t *queues_len);
void route_memo_clear(struct exchange *exchange);
/* True if the channel's last publish was to the same exchange, with the same key, and nothing has
 * changed since. */
bool route_is_last(const struct channel *channel, const struct message *message);
/* As route(), for a message that the channel publishes now; is_last is what route_is_last() says,
 * has_copies whether there is a header CC or BCC. */
struct queue **route_publish(struct channel *channel, struct exchange *exchange, bool is_last,
			     bool has_copies, const struct message *message,
			     const struct properties *properties, size_t *queues_len);
void route_forget_last(struct channel *channel); /* For the channel's end. */
/* Asserts that a route that the exchange remembers is what it would decide now. For check.h. */
uint64_t route_check_memo(struct exchange *exchange);

#endif
