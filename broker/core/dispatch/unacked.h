/* Unacked: deliveries that are not settled yet, by channel in order of tag and by queue. */
#ifndef LEV_CORE_DISPATCH_UNACKED_H
#define LEV_CORE_DISPATCH_UNACKED_H

#include "base/list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct channel;
struct consumer;
struct group;
struct lease;
struct message;
struct queue;
struct taken;

/* A message on its way: delivered and not yet settled. */
struct delivery {
	struct list in_queue;
	struct queue *queue;       /* NULL: deleted meanwhile. */
	struct consumer *consumer; /* NULL: by basic.get, or cancelled meanwhile. */
	struct list in_consumer;   /* On its list of what it has not acked. */
	struct message *message;   /* One reference; NULL if the queue is gone. */
	struct channel *channel;
	struct group *group; /* NULL: none. */
	struct lease *lease; /* NULL: none; */
	struct list in_lease;
	uint64_t lease_due_ms; /* when it ends. */
	uint64_t position;
	uint64_t tag;
	uint32_t count;  /* Failed deliveries before this one. */
	bool is_limited; /* Counts for the channel's prefetch. */
};

struct tag_slot {
	uint64_t tag;
	struct delivery *delivery; /* NULL: settled. */
};

/* The unacked deliveries of a channel in order of tag: a ring with tombstones. */
struct deliveries {
	struct tag_slot *slots;
	size_t cap; /* Power of two. */
	size_t first;
	size_t len; /* Slots, tombstones included. */
	size_t alive;
};

enum settlement { SETTLE_ACK, SETTLE_REJECT, SETTLE_REQUEUE };

struct delivery *delivery_create(struct channel *channel, struct queue *queue,
				 struct consumer *consumer, const struct taken *taken);
/* An unacked delivery; NULL. */
struct delivery *delivery_find(const struct channel *channel, uint64_t tag);
/* It is cancelled; what it has not acked stays with its channel. */
void deliveries_forget_consumer(struct consumer *consumer);

/* An ack or reject that waits for tx.commit. */
struct pending_settle {
	struct delivery *delivery;
	enum settlement how;
};

/* The i-th of the ring, 0 is the oldest; its delivery may be settled. */
static inline struct tag_slot *deliveries_at(const struct deliveries *deliveries, size_t i)
{
	return &deliveries->slots[(deliveries->first + i) & (deliveries->cap - 1)];
}

/* With a higher tag than all that are there. */
void deliveries_push(struct deliveries *deliveries, struct delivery *delivery);
struct tag_slot *deliveries_find(const struct deliveries *deliveries, uint64_t tag);
/* The slot becomes a tombstone; slots that were found before may be gone. */
void deliveries_remove(struct deliveries *deliveries, struct tag_slot *slot);
/* What was to be settled is unacked again, under its old tag. */
void deliveries_put_back(struct deliveries *deliveries, const struct pending_settle *settles,
			 size_t len);
/* It no longer counts against any prefetch. */
void delivery_release(struct channel *channel, struct delivery *delivery);
void delivery_leave_queue(struct delivery *delivery);
void delivery_free(struct channel *channel, struct delivery *delivery);

#endif
