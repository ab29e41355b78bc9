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

#include "core/message/message.h"

#include "base/bytes.h"
#include "journal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct batch;
struct core;
struct queue;
struct space;
struct vhost;

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
	/* At recovery: a document of the owner's (core_document_put()); views. NULL: they are
	 * passed over. */
	void (*on_document)(void *arg, uint8_t kind, struct bytes key, struct bytes value);
	void *arg;
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

/* --- recovery --- */

/* For journal_recover() with the core as argument, before the first turn. */
extern const struct journal_visitor core_recovery;

/* --- clearing sparse slots --- */

/* Takes note of what lives between two addresses of the log; then core_living(), with the core as
 * argument, is a journal_living for messages between them, until the next survey. False: not now.
 */
bool core_survey(struct core *core, uint64_t from_at, uint64_t until_at);
journal_living core_living;

#endif
