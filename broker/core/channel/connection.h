/* Connection: a peer. It owns its channels and its exclusive queues. */
#ifndef LEV_CORE_CHANNEL_CONNECTION_H
#define LEV_CORE_CHANNEL_CONNECTION_H

#include "base/bytes.h"
#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>

struct core;
struct queue;
struct vhost;

struct connection {
	struct core *core;
	struct vhost *vhost;
	struct bytes user; /* Owned. */
	void *owner;       /* Of whoever made it; NULL: nobody. */
	bool is_closed;    /* It is here for its exclusive queues only, until they have gone. */
	bool is_writable;
	bool is_impersonator;     /* It may publish in the name of others. */
	bool knows_duplicates;    /* It wants to hear of them. */
	uint32_t consumers_len;   /* On all its channels. */
	struct queue *flooded;    /* It publishes faster than this queue's consumers take; NULL: it
				     does not. */
	struct list in_throttled; /* If there is such a queue. */
	struct list in_core;      /* Open ones, or closed ones. */
	struct list channels;
	struct list exclusive; /* Queues. */
};

#endif
