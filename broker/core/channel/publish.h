/* Publish: what a publish is checked for, and what its publisher is told. */
#ifndef LEV_CORE_CHANNEL_PUBLISH_H
#define LEV_CORE_CHANNEL_PUBLISH_H

#include <stdint.h>

struct channel;
struct pending_publish;

/* Routes a message of a transaction, at its commit. Takes the reference. Returns the sequence of
 * the journal that makes it durable; 0: it is not there. */
uint64_t publish_now(struct channel *channel, const struct pending_publish *publish);

#endif
