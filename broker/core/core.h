/* Core: the broker's decisions, as a deterministic state machine.
 *
 * It never reads a clock, a socket, a file or a random source, never blocks, never calls back. Its
 * owner
 *
 *   1. begins a turn with the journal's batch and the time    core_begin()
 *   2. pushes inputs: declare, publish, consume, ack, ...     each O(1) or bounded by what it names
 *   3. drains what must now happen                            core_next_effect(), until false
 *   4. ends the turn                                          core_end(), then journal_submit()
 *   5. reports what reached the disk                          core_durable()
 *
 * The same inputs in the same order give the same effects and the same batches. A peer's mistake
 * fills a struct refusal and changes nothing. Not thread-safe: one core belongs to one thread.
 * Names and tables passed in are borrowed for the call. */
#ifndef LEV_CORE_CORE_H
#define LEV_CORE_CORE_H

#include "core/message.h"
#include "journal.h"
#include "reply.h"

struct core;
struct vhost;
struct connection;
struct channel;
struct queue;

struct core_options {
	uint64_t hash_seed;           /* For all hash tables: not to be guessed by peers. */
	uint8_t secret[16];           /* What addresses that peers must not guess are made from. It
					 is never given out, nor are tables' hashes made from it. */
	uint64_t memory_budget_bytes; /* Message bodies beyond it leave memory, if the journal has
					 them. */
	uint32_t queues_max;          /* All vhosts together. */
	uint32_t exchanges_max;
	uint32_t bindings_max;
	uint32_t consumers_max; /* Of one channel. */
	uint64_t key_window_ms; /* How long an idempotency key is remembered, unless its exchange or
				   queue says otherwise; 0: an hour. */
	uint64_t keys_max;      /* How many are, all together; 0: 10 million. */
	uint32_t producers_max; /* Whose sequences are remembered; 0: 10,000. */
	bool gives_uids;     /* To all messages, not only to those that have a key or a producer. */
	struct space *space; /* The journal's; borrowed. */
};

struct core *core_create(const struct core_options *options);
void core_destroy(struct core *core); /* Connections included. NULL is fine. */

/* Where the owner creates messages for core_publish(). */
struct message_pool *core_messages(struct core *core);

/* Memory that messages take, and what must be known of each of them: what the memory alarm looks
 * at. */
uint64_t core_held_bytes(const struct core *core);

struct vhost *core_vhost(struct core *core, struct bytes name); /* NULL: there is none. */

/* --- turns --- */

/* now_ms: Unix time. batch: where this turn is recorded; valid until core_end(). */
void core_begin(struct core *core, struct batch *batch, uint64_t now_ms);

/* Writes to the batch what the turn changed. */
void core_end(struct core *core);

/* Adds the state of every changed queue to the changes of the batch, so that older entries need not
 * be replayed. Between core_begin() and core_end(). One at a time: the next one only after
 * core_checkpointed(), which says that the store has it. */
void core_checkpoint(struct core *core);
void core_checkpointed(struct core *core);

/* Draws limits of delivery back to what was delivered, for queues that have been quiet for 50 ms
 * (see grant.c). Worth calling now and then while core_is_loose(), and at the end (is_last) for
 * all. Within a turn. */
void core_tighten(struct core *core, bool is_last);
bool core_is_loose(const struct core *core);

/* To be called now and then, within a turn: if nothing has been published since the last time, a
 * part of the memory budget is enough from here on until something is. What waits for long need not
 * wait in memory. */
void core_rest(struct core *core);

/* More messages are in memory than there should be, and they are on their way out of it. */
bool core_is_paging(const struct core *core);

/* Everything up to this sequence is on disk. */
void core_durable(struct core *core, uint64_t sequence);

enum effect_kind {
	EFFECT_DELIVER,   /* basic.deliver */
	EFFECT_CONFIRM,   /* basic.ack or basic.nack to a publisher */
	EFFECT_RETURN,    /* basic.return, NO_ROUTE */
	EFFECT_CANCELLED, /* The consumer's queue is gone, for good. */
	EFFECT_LOAD,      /* Messages must be read from the journal: answer with core_loaded(). */
	EFFECT_CLOSE,     /* channel.close: a lease has ended. */
	EFFECT_INDEX, /* A chunk of a queue's index must be read: answer with core_index_loaded().
		       */
	EFFECT_STATE, /* A key of the store must be read: answer with core_state_loaded(). */
	EFFECT_REPEATED, /* A publish was none: it is a duplicate, or it says something else under
			    the same key. Comes before its confirm. */
};

/* What must happen. Everything in it is borrowed until the next call of the core, except that the
 * message of a return or a repetition comes with a reference which the receiver gives up. */
struct effect {
	enum effect_kind kind;
	void *owner; /* Of the channel; NULL with EFFECT_LOAD, EFFECT_INDEX and EFFECT_STATE. */
	union {
		struct {
			struct message *message;
			struct bytes consumer_tag;
			uint64_t delivery_tag;
			int64_t delivery_count; /* -1: the queue does not tell its consumers. */
			bool is_redelivered;
		} deliver;
		struct {
			uint64_t delivery_tag;
			bool is_multiple;
			bool is_nack;
		} confirm;
		struct {
			struct message *message;
		} returned;
		struct {
			struct message *message; /* Without a body; its header x-publish-tag says
						    which publish it was. */
			bool is_conflict;
		} repeated;
		struct {
			struct bytes key;
		} state;
		struct {
			struct bytes consumer_tag;
		} cancelled;
		struct {
			uint64_t lease_ms;
		} close;
		struct {
			struct queue *queue;
			uint64_t *
				slots; /* To be handed to core_loaded(), where core_needs_load(). */
			size_t slots_len;
			uint32_t queue_id; /* Which place of the message this is: the queue, */
			uint64_t position; /* and the position of slots[0]; the others follow. */
		} load;
		struct {
			uint32_t queue_id;
			uint64_t position; /* The chunk that holds it, or the first one after it. */
		} index;
	};
};

/* When something is due without any input, Unix time in ms; UINT64_MAX: nothing is. A turn begun
 * then, or later, will find it. */
uint64_t core_next_due(const struct core *core);

/* True if there may be effects that no further input is needed for: a connection has become
 * writable, say. */
bool core_has_work(const struct core *core);

/* What has been put in so far may still cause effects: whoever looks at a queue, or changes who
 * takes from it, is to drain them before, so that it is found as if they had come at once. */
bool core_is_behind(const struct core *core);

/* As above, and it makes a difference for a mere ack or requeue as well: something must leave its
 * queue unless a consumer takes it before. */
bool core_is_overdue(const struct core *core);

/* Does one bounded unit of work; false when there is nothing left to do. */
bool core_next_effect(struct core *core, struct effect *effect);

/* Answers EFFECT_LOAD for one of its slots, before the next input: message, whose reference is
 * taken, or NULL if the journal's copy is damaged. Slots for which core_needs_load() is false are
 * left alone. */
bool core_needs_load(uint64_t slot, uint64_t *location);
void core_loaded(struct queue *queue, uint64_t *slot, struct message *message);

/* Answers EFFECT_INDEX, before the next input: the chunk that was found, empty if it is damaged,
 * and the position that it begins with. */
void core_index_loaded(struct core *core, bool is_found, uint64_t base, struct bytes chunk);

/* Answers EFFECT_STATE, before the next input: its value, empty if it is damaged. */
void core_state_loaded(struct core *core, struct bytes key, bool is_found, struct bytes value);

/* --- connections and channels --- */

struct connection *connection_open(struct core *core, struct vhost *vhost, struct bytes user);

/* Closes its channels: what was unacked goes back to its place, exclusive queues are deleted. */
void connection_close(struct connection *connection);

/* False: its consumers get nothing until it is true again. */
void connection_set_writable(struct connection *connection, bool is_writable);

/* It is to be told of duplicates and conflicts (EFFECT_REPEATED); otherwise of conflicts only, for
 * the operator. */
void connection_tell_repeated(struct connection *connection);

/* It publishes faster than consumers take, and should not be read for a while: until this is false.
 */
bool connection_is_throttled(struct connection *connection);

struct bytes vhost_name(const struct vhost *vhost);

/* owner comes back with each effect. */
struct channel *channel_open(struct connection *connection, void *owner);
void channel_close(struct channel *channel);

/* What the answer to the definition, removal, purge or commit just made must wait for: what it says
 * may have been decided earlier, for somebody else, and not be on disk yet. A sequence of the
 * journal that is not durable, or 0: nothing. */
uint64_t core_awaited(const struct core *core);
bool core_is_durable(const struct core *core, uint64_t sequence);

/* --- definitions: true, or false and *refusal --- */

struct exchange_declare {
	struct bytes name;
	struct bytes type;
	bool is_passive;
	bool is_durable;
	bool is_auto_delete;
	bool is_internal;
	struct bytes arguments; /* A table that table_check() has seen. */
};
bool core_exchange_declare(struct connection *connection, const struct exchange_declare *d,
			   struct refusal *refusal);
bool core_exchange_delete(struct connection *connection, struct bytes name, bool if_unused,
			  struct refusal *refusal);

struct queue_declare {
	struct bytes name;
	bool is_passive;
	bool is_durable;
	bool is_exclusive;
	bool is_auto_delete;
	bool is_generated; /* The broker made the name: it may begin with "amq.". */
	struct bytes arguments;
};
struct queue_counts {
	uint64_t messages; /* Ready ones. */
	uint32_t consumers;
};
bool core_queue_declare(struct channel *channel, const struct queue_declare *d,
			struct queue_counts *counts, struct refusal *refusal);
bool core_queue_delete(struct connection *connection, struct bytes name, bool if_unused,
		       bool if_empty, uint64_t *messages, struct refusal *refusal);
bool core_queue_purge(struct connection *connection, struct bytes name, uint64_t *messages,
		      struct refusal *refusal);

struct bind {
	struct bytes source;
	struct bytes destination;
	bool is_to_exchange;
	struct bytes routing_key;
	struct bytes arguments;
};
bool core_bind(struct connection *connection, const struct bind *b, struct refusal *refusal);
bool core_unbind(struct connection *connection, const struct bind *b, struct refusal *refusal);

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

/* Replaces all policies; they hold at once, also for what is there already. Between turns or within
 * one. False: *which has a pattern that is no regular expression, why says what is wrong, and
 * nothing has changed. */
bool core_set_policies(struct core *core, const struct policy *policies, size_t len, size_t *which,
		       char *why, size_t why_size);

/* --- messages --- */

/* The header of a message that is being published on the channel has come, and nothing has been
 * checked; of its body there need not be anything. What can be done best by now is done. The next
 * core_publish() of the channel must be of this message, unless that is given up. Takes the
 * reference and gives one. Optional. */
struct message *core_publish_begins(struct channel *channel, struct message *message);

/* Takes the reference to message, also when it refuses. properties are those of the message,
 * decoded: views into it or into what it was made from. */
bool core_publish(struct channel *channel, struct message *message,
		  const struct properties *properties, bool is_mandatory, struct refusal *refusal);

/* After a start, while the keys of the last process are being loaded: a publish with these
 * properties, or a commit, cannot be judged yet. To be tried again in the next turn. */
bool core_publish_waits(const struct core *core, struct bytes properties);
bool core_commit_waits(const struct channel *channel);

void core_confirm_select(struct channel *channel);
bool channel_is_confirm(const struct channel *channel);

/* prefetch_count 0: no limit. is_global: for the channel as a whole; otherwise for each of its
 * consumers, those that began before included (docs/decisions/prefetch.md). At once either way. */
void core_qos(struct channel *channel, uint16_t prefetch_count, bool is_global);

struct consume {
	struct bytes queue;
	struct bytes tag;
	bool is_no_ack;
	bool is_exclusive;
	struct bytes arguments;
};
/* A tag that is in use on the channel is refused. */
bool core_consume(struct channel *channel, const struct consume *c, struct refusal *refusal);

/* An unknown tag is fine. */
void core_cancel(struct channel *channel, struct bytes tag);

enum get_result {
	GET_OK, /* *effect is the delivery, without a consumer tag; *messages are left. */
	GET_EMPTY,
	GET_REFUSED,
	GET_LATER, /* The journal must be read or written first: ask again when this turn is
		      durable. */
};
enum get_result core_get(struct channel *channel, struct bytes queue, bool is_no_ack,
			 struct effect *effect, uint64_t *messages, struct refusal *refusal);

bool core_ack(struct channel *channel, uint64_t tag, bool is_multiple, struct refusal *refusal);
bool core_reject(struct channel *channel, uint64_t tag, bool is_multiple, bool is_requeue,
		 struct refusal *refusal);

/* Everything unacked on the channel goes back. */
void core_recover(struct channel *channel);

/* --- transactions --- */

void core_tx_select(struct channel *channel);
bool channel_is_tx(const struct channel *channel);

/* Publishes and acks since the last commit happen in this turn, hence all or none of them. */
void core_tx_commit(struct channel *channel);
void core_tx_rollback(struct channel *channel);

/* --- recovery --- */

/* For journal_recover() with the core as argument, before the first turn. */
extern const struct journal_visitor core_recovery;

/* --- clearing sparse slots --- */

/* Takes note of what lives between two addresses of the log; then core_living(), with the core as
 * argument, is a journal_living for messages between them, until the next survey. False: not now.
 */
bool core_survey(struct core *core, uint64_t from_at, uint64_t until_at);
journal_living core_living;

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

bool core_key_find(const struct core *core, const struct key_wanted *wanted,
		   struct key_found *found);
/* Within a turn. False: there is none. */
bool core_key_forget(struct core *core, const struct key_wanted *wanted);
/* What is not found may still be there. */
bool core_keys_are_loading(const struct core *core);

struct producer_found {
	uint64_t epoch;
	uint64_t sequence;
};
bool core_producer_find(const struct core *core, struct bytes name, struct producer_found *found);

/* --- duplicates: publishes that were answered as if they had been taken, and dropped --- */

/* How many an exchange, or a queue on its own, has dropped since the start; which one is said by
 * queue, or if that is empty by exchange. False: there is none of that name. */
bool core_duplicates(const struct core *core, struct bytes exchange, struct bytes queue,
		     uint64_t *len);

/* Those since the last call, for the log. Views until the next publish. */
struct duplicates_told {
	uint64_t len;
	/* Of the first of them: */
	struct bytes exchange;
	struct bytes routing_key;
	struct bytes identity; /* Its key, or the name of its producer, at most 255 bytes of it. */
	bool is_producer;
	uint64_t sequence; /* Of the producer. */
};
/* False: there was none. */
bool core_tell_duplicates(struct core *core, struct duplicates_told *told);

/* --- figures --- */

enum { DEATH_REASONS = 4 };

struct core_figures {
	uint64_t queues;
	uint64_t exchanges;
	uint64_t bindings;
	uint64_t messages_ready;
	uint64_t messages_unacked;
	uint64_t message_bytes; /* In memory. */
	uint64_t damaged;       /* Messages and stretches of the journal that were lost to a failed
				   checksum, or that make no sense. */
	uint64_t set_aside;     /* Messages among them that were read back for nothing. */
	uint64_t published;
	uint64_t delivered;
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
void core_figures(const struct core *core, struct core_figures *figures);

/* Something that a queue holds. */
struct held {
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
