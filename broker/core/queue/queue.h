/* Queue: messages in order of position, each of them ready, unacked or waiting. It owns the ready
 * ones. */
#ifndef LEV_CORE_QUEUE_QUEUE_H
#define LEV_CORE_QUEUE_QUEUE_H

#include "core/dispatch/lease.h"
#include "core/line/fifo.h"
#include "core/line/ranges.h"
#include "core/line/shelf.h"
#include "core/queue/throttle.h"
#include "core/stats.h"
#include "core/vhost/settings.h"

#include "base/bytes.h"
#include "base/list.h"
#include "base/map.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct connection;
struct consumer;
struct level;
struct message;
struct recovery;
struct vhost;

/* Where a queue's next message is. */
struct head {
	uint64_t *slot;          /* NULL: there is none, or its index is to be read first. */
	struct shelf_item *item; /* NULL: it is the fifo's. */
	uint64_t position;
	bool is_new; /* It has never been delivered. */
};

/* A message that was taken off a queue. */
struct taken {
	struct message *message;
	uint64_t position;
	uint32_t count;
	bool is_redelivered;
};

struct queue {
	struct vhost *vhost;
	struct bytes name;   /* Owned. */
	uint32_t id;         /* Of its definition and its places in the journal; 0: not durable. */
	uint32_t key_number; /* A transient one's in key_queues; 0: it is not there. */
	uint64_t serial;     /* Of all queues of this process. */
	uint64_t defined;    /* The sequence of the journal that has it as it is, */
	uint64_t purged;     /* and the last time it was purged. */
	uint64_t duplicates; /* Publishes that it dropped, which others may have taken. */
	uint64_t keys_from;  /* Keys of its messages at lower positions are gone: it was emptied. */
	uint32_t index_id;   /* Of its index chunks: id, or one that means nothing to the next
				process; 0: none yet. */
	bool is_durable;     /* As declared. */
	bool is_auto_delete;
	bool is_exclusive_consumer; /* Its one consumer is exclusive. */
	bool is_delaying;           /* It holds the vhost's delayed messages (delay.c). */
	struct settings settings;
	uint64_t policies;        /* The version of them that it has been set to. */
	struct connection *owner; /* Exclusive to it; NULL: not exclusive. */
	struct list in_owner;
	struct bytes arguments; /* Owned. */
	struct list inbound;    /* Bindings whose destination it is. */

	struct fifo fifo;      /* Never delivered. */
	uint64_t volatile_len; /* Messages in it that will not survive, */
	uint64_t fifo_bytes;   /* and bytes of the bodies of all. */
	struct shelf shelf;    /* Those that do not simply stand in line. */
	uint64_t kept_bytes;   /* Of bodies that the journal has, unacked ones included. */
	uint64_t dying_len;    /* Messages whose dead-letter target refuses them. */
	uint64_t tail;         /* The next position. */
	uint64_t cursor;     /* Of the fifo every position from here on has never been delivered, */
	uint64_t reached;    /* and of shelf and fifo. */
	struct list unacked; /* struct delivery, in_queue. */
	uint64_t unacked_len;

	struct list consumers; /* All of them, by in_queue. */
	struct level **levels; /* Highest priority first. */
	size_t levels_len;
	uint32_t consumers_len;

	struct list in_dirty;   /* May have something to deliver. */
	struct list in_loading; /* Its first message is to be read from the journal. */
	struct list in_parked;  /* As above, the index first. */
	struct list in_late;    /* Has more to be done by the clock than fits in a turn. */
	struct timer tend;      /* When the next message expires, or has waited. */
	struct timer unused;    /* When the queue goes, if nobody uses it. */
	uint64_t loading_item;  /* Stamp and id of the shelf's item that is to be read; NEVER: none.
				 */
	bool is_loading_fifo;   /* The head of the fifo is, whatever comes before it. */
	bool is_woken;          /* Something has become deliverable. */
	struct lease lease;     /* Of its deliveries, if they have one. */
	struct map groups;      /* Value of the group header -> struct group. */
	struct consumer *active; /* The single active one. */
	uint32_t burst;          /* Deliveries since it came to the front of the dirty list. */
	struct message_stats stats;
	uint64_t used_ms; /* When it was used last, Unix time; 0: not in this process. */

	struct list in_changed; /* Has something below to be written at the end of the turn. */
	struct ranges removed_ranges;
	struct ranges returned_ranges;
	bool is_limit_changed;
	uint64_t granted; /* The limit on disk, see grant.c: positions below it may go out. */
	uint64_t asked;   /* The limit recorded last, */
	uint64_t asked_sequence; /* and when it is on disk. */
	uint64_t delivered_ms;   /* When a message that the journal has went out last. */
	struct pace pace;
	struct list in_granting; /* `asked` is not on disk yet. */
	struct list in_loose;    /* `asked` runs ahead of what was delivered. */
	struct list in_stale;  /* Differs from its record: to be written at the next checkpoint. */
	struct list in_saving; /* Has chunks in the running checkpoint. */
	struct list in_core;
	uint64_t routed;        /* Routing step that last chose it. */
	uint64_t survey_cursor; /* The cursor at the last survey. */
	struct recovery *recovery;
};

uint64_t queue_ready_bytes(const struct queue *queue);
/* Of the bodies of the messages in its fifo. */
void queue_set_fifo_bytes(struct queue *queue, uint64_t bytes);
uint64_t queue_ready(const struct queue *queue);
/* As clients and operators are told, and as limits count: with those that are aside for others of
 * their group. */
uint64_t queue_counted(const struct queue *queue);
uint64_t queue_counted_bytes(const struct queue *queue);
/* Takes a reference of the message. */
void queue_push(struct queue *queue, uint64_t position, struct message *message);
/* An item of the shelf for a message of the queue, ready. */
struct shelf_item queue_item(const struct queue *queue, uint64_t position, struct message *message);
/* A message's priority, as far as it counts here. */
uint8_t queue_priority(const struct queue *queue, uint8_t priority);
/* Whether a message that has never been delivered goes to the fifo; expires_ms NEVER: it has no
 * expiration of its own. */
bool queue_stands_in_line(const struct queue *queue, uint64_t expires_ms, uint8_t priority);
/* The next ready message. False: there is none, or the queue's index must be read first. */
bool queue_first(struct queue *queue, struct head *head);
/* Takes it (it must be in memory) off the queue. The reference passes to the caller. */
struct taken queue_take(struct queue *queue, const struct head *head);
/* Puts a message back where it was. The reference passes to the queue. The item is valid until the
 * next change. */
struct shelf_item *queue_put_back(struct queue *queue, const struct taken *taken, bool is_delivered,
				  enum shelf_state state, uint64_t until_ms);
/* The same after a failed delivery, which is counted: it rests for rest_ms before the next one, or,
 * if that is 0, as long as the queue has it. */
void queue_failed(struct queue *queue, uint64_t position, struct message *message, uint32_t count,
		  uint64_t rest_ms);
/* A message of the queue is gone for good: recorded, if the journal has it. The reference is given
 * up. */
void queue_settle(struct queue *queue, uint64_t position, struct message *message);
/* The same, but the reference stays the caller's. */
void queue_release(struct queue *queue, uint64_t position, struct message *message);
/* The slot's reference to a message or to its place in the log is given up, nothing is recorded. */
void queue_forget_slot(struct queue *queue, uint64_t slot);
/* Whether the journal has the message as one of this queue. */
bool queue_keeps(const struct queue *queue, const struct message *message);

#endif
