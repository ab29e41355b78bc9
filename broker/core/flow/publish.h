/* Publish: a message's way from its channel to queues. */
#ifndef LEV_CORE_FLOW_PUBLISH_H
#define LEV_CORE_FLOW_PUBLISH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct claim;
struct exchange;
struct headers;
struct channel;
struct core;
struct message;
struct pending_publish;
struct place;
struct properties;
struct queue;

/* Gives the message to the queues, at least one, and the caller's reference with it; true if the
 * journal has it. */
bool message_enqueue(struct core *core, struct message *message, struct queue **queues,
		     size_t queues_len);
/* The message without its header BCC, and under another reply address if the channel (NULL: none)
 * asked for one: what consumers may see. Takes one reference and gives one. */
struct message *message_for_consumers(struct core *core, const struct channel *channel,
				      struct message *message, const struct properties *properties);

/* What became of a publish. */
struct outcome {
	bool is_taken;     /* By a queue, or by the broker itself. */
	bool is_refused;   /* By one queue at least. */
	bool is_conflict;  /* The notice speaks of one: its key was something else's. */
	uint64_t sequence; /* Of the journal, which has it, or what it repeats; 0: it has not. */
	struct message *returned; /* To its publisher: one reference; NULL: it is not. */
	struct message
		*notice; /* For a publisher that repeats itself: one reference; NULL: none. */
};

/* Gives a publish that has been checked to its queues, or to whoever waits for it as a reply.
 * exchange: NULL if it has gone since a transaction's publish; it routes nowhere. is_last_route:
 * the one before it went to the same exchange with the same key. claim: what its publisher says of
 * its identity; NULL: nothing. Takes the reference. */
struct outcome publish_route(struct channel *channel, struct exchange *exchange, bool is_last_route,
			     struct message *message, const struct properties *properties,
			     const struct headers *headers, const struct claim *claim,
			     bool is_mandatory);

#endif
