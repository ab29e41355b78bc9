/* View: what there is in a core, for operators: plain structs, a few at a time.
 *
 * What an info says are views, valid until anything changes: between turns, or in one before
 * anything is put in. Counters begin with the process. */
#ifndef LEV_CORE_VIEW_H
#define LEV_CORE_VIEW_H

#include "core/stats.h"

#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct channel;
struct connection;
struct core;
struct core_figures;
struct message;
struct properties;
struct vhost;

/* The policies that hold of an object; empty: none. Definitions are tables. */
struct policy_info {
	struct bytes name;
	struct bytes definition;
	struct bytes operator_name;
	struct bytes operator_definition;
};

struct queue_info {
	struct bytes vhost;
	struct bytes name;
	struct bytes arguments;
	struct policy_info policy;
	bool is_durable;
	bool is_auto_delete;
	bool is_exclusive;
	bool is_system; /* The broker's own: delayed messages. */
	bool is_single_active;
	bool has_exclusive_consumer;
	int max_priority;     /* -1: none. */
	uint64_t ready;       /* With those that are aside for others of their group, */
	uint64_t ready_bytes; /* and the bytes of their bodies. */
	uint64_t waiting;     /* For their time to come. */
	uint64_t held;        /* For others of their group. */
	uint64_t unacked;
	uint32_t consumers;
	uint64_t used_ms;         /* When it was last, Unix time; 0: not in this process. */
	uint64_t oldest_ms;       /* When the first ready message came; 0: not known. */
	struct bytes active_tag;  /* Of the single active consumer, */
	const void *active_owner; /* and the owner of its channel; NULL: none. */
	const void *owner;        /* Of the connection that it is exclusive to; NULL: not known. */
	struct message_stats stats;
};

struct exchange_info {
	struct bytes vhost;
	struct bytes name;
	const char *type; /* As it was declared. */
	struct bytes arguments;
	struct policy_info policy;
	bool is_durable;
	bool is_auto_delete;
	bool is_internal;
	bool is_predeclared;
	uint64_t publish_in;  /* Publishes that came to it, */
	uint64_t publish_out; /* and copies of them that went to queues. */
};

struct binding_info {
	struct bytes vhost;
	struct bytes source;
	struct bytes destination;
	bool is_to_exchange;
	bool is_kept; /* It outlives a restart. */
	struct bytes routing_key;
	struct bytes arguments;
};

struct channel_info {
	const void *owner; /* Of channel_open(). */
	struct bytes vhost;
	struct bytes user;
	bool is_confirm;
	bool is_tx;
	uint32_t prefetch;        /* Of each of its consumers, */
	uint32_t global_prefetch; /* and of all; 0: no limit. */
	uint64_t consumers;
	uint64_t unacked;
	uint64_t unconfirmed;
	uint64_t uncommitted; /* Publishes and */
	uint64_t uncommitted_acks;
	uint64_t confirmed;
	uint64_t returned; /* Unroutable publishes that went back, */
	uint64_t dropped;  /* and that did not. */
	struct message_stats stats;
};

struct consumer_info {
	const void *owner; /* Of its channel. */
	struct bytes vhost;
	struct bytes queue;
	struct bytes tag;
	bool is_no_ack;
	bool is_exclusive;
	bool is_active; /* False: another one is the single active one. */
	bool is_single; /* It is the single active one. */
	uint32_t prefetch;
	uint64_t unacked;
	int64_t priority;
	struct bytes arguments;
};

/* --- lists --- */

enum view_of { VIEW_QUEUES, VIEW_EXCHANGES, VIEW_BINDINGS, VIEW_CHANNELS, VIEW_CONSUMERS };

struct view;

/* vhost: only what is in it; copied; NULL: all. */
struct view *view_open(struct core *core, enum view_of of, const struct bytes *vhost);
/* Before the core goes. NULL is fine. */
void view_close(struct view *view);
/* Looks at up to budget objects, and calls visit for those that are wanted, with the info of their
 * kind. What is there from open to close is visited once, whatever comes and goes meanwhile.
 * False: that was the last one. Within a turn or between two. */
bool view_next(struct view *view, size_t budget, void (*visit)(void *arg, const void *info),
	       void *arg);

/* --- one --- */

bool view_queue(const struct vhost *vhost, struct bytes name, struct queue_info *info);
bool view_exchange(const struct vhost *vhost, struct bytes name, struct exchange_info *info);

/* --- messages: looked at, not touched --- */

enum message_place { MESSAGE_READY, MESSAGE_WAITING, MESSAGE_HELD, MESSAGE_DYING, MESSAGE_UNACKED };

struct message_info {
	uint64_t position;
	enum message_place place;
	const struct message *message; /* NULL: it is on disk, at: */
	uint64_t location;
	uint32_t queue_id; /* Of its place there. */
	uint32_t failed;   /* Deliveries that failed. */
	bool is_delivered; /* At least once. */
	uint64_t until_ms; /* When a waiting one is ready, Unix time. */
	/* Of an unacked one: */
	const void *owner; /* of its channel; */
	struct bytes tag;  /* of its consumer, empty: none; */
	uint64_t delivery_tag;
};

/* The first of a queue's messages at or after a position, in order of position, max of them at
 * most; returns how many. Those of which only the store has the index are passed over: *hidden is
 * their number. What does not stand in line costs a look each. */
size_t view_messages(const struct vhost *vhost, struct bytes queue, uint64_t from,
		     struct message_info *out, size_t max, uint64_t *hidden);

/* Where a message would go: calls visit for each queue. Nothing happens. False: there is no such
 * exchange. properties: of the message, decoded. */
bool view_route(struct channel *channel, const struct message *message,
		const struct properties *properties, void (*visit)(void *arg, struct bytes queue),
		void *arg);

/* --- totals --- */

/* As core_figures(), but spilling is 0: nothing is summed up. */
void core_totals(const struct core *core, struct core_figures *figures,
		 struct message_stats *stats);

#endif
