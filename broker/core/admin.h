/* Admin: what operators ask of the core: policies, idempotency keys, figures. */
#ifndef LEV_CORE_ADMIN_H
#define LEV_CORE_ADMIN_H

#include "core/core.h"
#include "core/view.h"

#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct core;
struct vhost;

/* --- virtual hosts: within a turn --- */

struct vhost_settings {
	int64_t queues_max;      /* More are refused; -1: no limit. */
	int64_t connections_max; /* As above; whoever opens connections asks. */
	struct bytes notes;      /* What the owner keeps with it; copied. */
};

/* Named 1 to 255 bytes, and not there yet. Durable with the turn. */
struct vhost *core_vhost_create(struct core *core, struct bytes name,
				const struct vhost_settings *settings);
void core_vhost_set(struct vhost *vhost, const struct vhost_settings *settings);
/* Queues that are declared without a type are of type quorum, if they are durable and not
 * exclusive; otherwise classic. Not recorded: the owner says it after each start. */
void core_vhost_set_quorum_default(struct vhost *vhost, bool is_quorum_default);
/* It is not found any more, and what is in it goes in steps, in this turn and those to come; a
 * crash between them is made up for by the next start. It is the owner's to close its connections:
 * it goes with the last of them. */
void core_vhost_delete(struct vhost *vhost);
struct vhost_settings vhost_settings(const struct vhost *vhost);
uint64_t vhost_connections(const struct vhost *vhost);
/* In the order of their making; after NULL comes the first, after the last NULL. Any change makes
 * what it returned stale. */
struct vhost *core_next_vhost(struct core *core, const struct vhost *after);

/* --- what there is: nothing may change between two calls --- */

/* In no order; *at begins with 0. False: no more. (Lists that stop between turns: view.h.) */
bool core_next_queue(const struct vhost *vhost, size_t *at, struct queue_info *info);
bool core_next_exchange(const struct vhost *vhost, size_t *at, struct exchange_info *info);

struct exchange;
struct list;

/* Begins with zeros. */
struct binding_cursor {
	size_t at;
	const struct exchange *exchange;
	const struct list *node;
};

bool core_next_binding(const struct vhost *vhost, struct binding_cursor *cursor,
		       struct binding_info *info);

/* --- documents: what the owner keeps in the journal beside the definitions --- */

enum { DOCUMENT_KEY_MAX = 64 };

/* Within a turn, of which core_awaited() then tells. kind: 'A' to 'Z'. An empty value deletes it.
 * What the journal has is told at recovery, see struct core_options. */
void core_document_put(struct core *core, uint8_t kind, struct bytes key, struct bytes value);

/* --- policies --- */

enum policy_applies {
	POLICY_TO_ALL,
	POLICY_TO_QUEUES,
	POLICY_TO_EXCHANGES,
	POLICY_TO_CLASSIC_QUEUES,
	POLICY_TO_QUORUM_QUEUES
};

struct policy {
	struct bytes name;
	struct bytes pattern; /* A regular expression (PCRE). */
	enum policy_applies applies;
	bool is_operator;
	int64_t priority;        /* Of those that match, the one with the highest holds. */
	struct bytes definition; /* A table: the keys of arguments without "x-". */
};

/* Replaces all policies of a vhost; they hold at once, also for what is there already. Between
 * turns or within one. False: *which has a pattern that is no regular expression, why says what is
 * wrong, and nothing has changed. */
bool core_set_policies(struct vhost *vhost, const struct policy *policies, size_t len,
		       size_t *which, char *why, size_t why_size);

/* Whether it is a regular expression; if not, why says what is wrong. */
bool core_pattern_check(struct bytes pattern, char *why, size_t why_size);

/* --- idempotency keys, for operators --- */

/* Where a key holds: an exchange and a routing key or, if its name is not empty, a queue. */
struct key_wanted {
	struct bytes exchange;
	struct bytes routing_key;
	struct bytes queue;
	struct bytes key;
};

struct key_found {
	uint64_t time_ms; /* When it was published, Unix time; sliding: last published. */
	uint64_t print;   /* Fingerprint of the body. */
	bool is_transient;
	bool is_while_queued;
};

bool core_key_find(const struct vhost *vhost, const struct key_wanted *wanted,
		   struct key_found *found);
/* Within a turn. False: there is none. */
bool core_key_forget(struct vhost *vhost, const struct key_wanted *wanted);
/* What is not found may still be there. */
bool core_keys_are_loading(const struct core *core);

struct producer_found {
	uint64_t epoch;
	uint64_t sequence;
};

bool core_producer_find(const struct vhost *vhost, struct bytes name, struct producer_found *found);

/* --- duplicates: publishes that were answered as if they had been taken, and dropped --- */

/* How many an exchange, or a queue on its own, has dropped since the start; which one is said by
 * queue, or if that is empty by exchange. False: there is none of that name. */
bool core_duplicates(const struct vhost *vhost, struct bytes exchange, struct bytes queue,
		     uint64_t *len);

/* Those since the last call, for the log. Views until the next publish. */
struct duplicates_told {
	uint64_t len;
	/* Of the first of them: */
	struct bytes vhost;
	struct bytes exchange;
	struct bytes routing_key;
	struct bytes identity; /* Its key, or the name of its producer, at most 255 bytes of it. */
	bool is_producer;
	uint64_t sequence; /* Of the producer. */
};

/* False: there was none. */
bool core_tell_duplicates(struct core *core, struct duplicates_told *told);

/* --- figures --- */

enum { DEATH_REASONS = 4, SIZE_CLASSES = 9 };

struct core_figures {
	uint64_t queues;
	uint64_t exchanges;
	uint64_t bindings;
	uint64_t messages_ready; /* With those that are aside for others of their group, */
	uint64_t ready_bytes;    /* and the bytes of their bodies. */
	uint64_t messages_unacked;
	uint64_t message_bytes; /* In memory. */
	uint64_t damaged;       /* Messages and stretches of the journal that were lost to a failed
				   checksum, or that make no sense. */
	uint64_t set_aside;     /* Messages among them that were read back for nothing. */
	uint64_t published;
	/* Of their bodies: how many up to 100, 10^3, 10^4, 10^5, 10^6, 10^7, 5 * 10^7 and 10^8
	 * bytes, and beyond; and the sum. */
	uint64_t sizes[SIZE_CLASSES];
	uint64_t size_sum;
	uint64_t confirmed;
	uint64_t returned;
	uint64_t delivered; /* However. */
	uint64_t connections_opened;
	uint64_t connections_closed;
	uint64_t channels_opened;
	uint64_t channels_closed;
	uint64_t consumers;
	uint64_t queues_declared; /* Those that were there included, */
	uint64_t queues_created;  /* and those that were not. */
	uint64_t queues_deleted;
	uint64_t dropped; /* Unroutable and not mandatory. */
	uint64_t refused; /* Publishes that a full queue did not take. */
	/* By reason (rejected, expired, maxlen, delivery limit): moved on, */
	uint64_t dead_lettered[DEATH_REASONS];
	uint64_t discarded[DEATH_REASONS]; /* and gone: the queue has no dead-letter exchange, or
					      that leads nowhere. */
	uint64_t cycles; /* Copies that were not made, for they would have gone round for ever. */
	uint64_t keys;   /* Idempotency keys that are remembered, */
	uint64_t key_bytes;     /* and the memory that takes. */
	uint64_t key_hits;      /* Publishes that were answered as duplicates, */
	uint64_t key_conflicts; /* and those that said something else under the same key. */
	uint64_t key_evictions; /* Keys forgotten before their time: there were too many. */
	uint64_t key_window_ms; /* How long keys are remembered at present: less than they should be
				   if there are too many. */
	uint64_t keys_waiting;  /* Chunks of keys that have not been loaded yet. */
	uint64_t producers;     /* Whose sequences are remembered. */
	uint64_t producers_fenced;   /* Publishes of an older epoch. */
	uint64_t producer_evictions; /* Producers that were forgotten to make room. */
	uint64_t spilling; /* Copies in the log, for want of memory, that are still in memory as
			      well. */
};

/* Walks through all queues, for spilling: for tests. Otherwise core_totals(). */
void core_figures(const struct core *core, struct core_figures *figures);

/* Something that a queue holds. */
struct held {
	struct bytes vhost;
	struct bytes queue;
	uint64_t position;
	uint64_t slot; /* A message or its location, see fifo.h; 0: a stretch of which only the
			  store has the index. */
	bool is_unacked;
	bool is_delivered; /* At least once. */
	uint32_t index_id; /* With slot 0: of the index, */
	uint64_t until;    /* where the stretch ends, */
	uint64_t len;      /* and how many messages that are. */
};

/* Calls visit for everything that queues hold, for tests and management. */
void core_each_held(const struct core *core, void (*visit)(void *arg, const struct held *held),
		    void *arg);

#endif
