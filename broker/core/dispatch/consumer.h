/* Consumer: who takes messages from a queue, in turn and within its credit. */
#ifndef LEV_CORE_DISPATCH_CONSUMER_H
#define LEV_CORE_DISPATCH_CONSUMER_H

#include "core/dispatch/lease.h"

#include "base/bytes.h"
#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>

struct channel;
struct consume;
struct core;
struct queue;

/* Consumers of one priority. */
struct level {
	int64_t priority;
	struct list ready; /* Those that can take a message now; the next one in turn is first. */
	uint32_t consumers_len;
};

struct consumer {
	struct bytes tag;       /* Owned. */
	struct bytes arguments; /* Owned; as its client gave them. */
	struct channel *channel;
	struct queue *queue;
	struct level *level;
	bool is_no_ack;
	bool is_ready;
	bool is_closing;   /* Its channel is being closed: it takes nothing more. */
	uint16_t prefetch; /* 0: no limit. */
	uint32_t unacked_len;
	struct list unacked;    /* Its deliveries, settles of a transaction included. */
	struct list in_level;   /* On level->ready, if is_ready. */
	struct list in_queue;   /* All consumers of the queue, */
	struct list in_channel; /* and of the channel. */
	struct list groups;     /* Those that wait for its credit. */
	struct lease lease;     /* Of its own; NEVER: the queue's holds. */
};

/* A consumer whose queue is gone, and who is to hear of it when that is on disk. */
struct cancellation {
	struct list in_core;
	struct channel *channel;
	struct bytes tag; /* Owned. */
	uint64_t sequence;
};

struct consumer *consumer_create(struct channel *channel, struct queue *queue,
				 const struct consume *c, int64_t priority);
void consumer_destroy(struct consumer *consumer);
/* The same because its queue is going, which is on disk with that sequence; 0: it need not be. */
void consumer_cancel(struct consumer *consumer, uint64_t sequence);
/* Of the channel with that tag, waiting to be told; NULL. */
struct cancellation *cancellation_find(const struct channel *channel, struct bytes tag);
void cancellation_drop(struct cancellation *cancellation);
void cancellations_drop(const struct channel *channel); /* For the channel's end. */
/* core->durable has moved. */
void cancellations_durable(struct core *core);
/* How many messages it may be given, by its prefetch and the channel's; NEVER: any number. */
uint64_t consumer_credit(const struct consumer *consumer);
/* Whether it may be given one now. */
bool consumer_can_take(const struct consumer *consumer);
/* Whether it can take messages may have changed. */
void consumer_update(struct consumer *consumer);
void channel_update_consumers(struct channel *channel);
/* The consumer whose turn it is, or NULL. */
struct consumer *queue_next_consumer(const struct queue *queue);
void consumer_took_turn(struct consumer *consumer);

#endif
