/* Publish: a message's way from its channel to queues. */
#ifndef LEV_CORE_FLOW_PUBLISH_H
#define LEV_CORE_FLOW_PUBLISH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
/* Routes a message of a transaction. Takes the reference. Returns the sequence of the journal that
 * makes it durable; 0: it is not there. */
uint64_t publish_now(struct channel *channel, const struct pending_publish *publish);
/* The message without its header BCC, and under another reply address if the channel (NULL: none)
 * asked for one: what consumers may see. Takes one reference and gives one. */
struct message *message_for_consumers(struct core *core, const struct channel *channel,
				      struct message *message, const struct properties *properties);

#endif
