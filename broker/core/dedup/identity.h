/* Identity: what makes two publishes the same one. Shared by the core's own files.
 *
 * A publish is known by its idempotency key (identity.c) or by its producer's sequence
 * (producer.c). Both are remembered only when a queue has taken the message, in the journal's
 * transaction of that message (keylog.c), and are asked for only when something is published: what
 * moves inside the broker is never asked again. docs/idempotency.md has the rules as users see
 * them. */
#ifndef LEV_CORE_DEDUP_IDENTITY_H
#define LEV_CORE_DEDUP_IDENTITY_H

#include "core/dedup/keys.h"

#include "base/bytes.h"
#include "table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct channel;
struct claim;
struct core;
struct exchange;
struct headers;
struct message;
struct queue;
struct refusal;
struct vhost;

/* A key as a publish gives it. That of x-deduplication-header may be of any type: it is what it is
 * worth there, so that 5 is the same key in every type of integer, and "5" is another. */
struct key_text {
	char class; /* table_value_class() */
	bool is_alias;
	uint8_t worth[TABLE_WORTH_BYTES];
	struct bytes text; /* Without data, its first bytes are in worth. */
};

/* What a publish says of itself. */
struct identity {
	bool has_key;
	bool has_producer;
	bool is_alias; /* The key is that of x-deduplication-header: its scope is the exchange,
			  whatever the routing key. */
	bool is_by_exchange;      /* The key is asked for and remembered once for all queues, */
	bool is_by_queue;         /* by some of the queues on their own, */
	bool is_while_queued;     /* and by some of them as long as they have the message. */
	struct key_text key_text; /* Borrowed from the headers: until it has been judged. */
	uint64_t key[2];          /* Its hash, with is_by_queue. */
	struct key_name name;     /* With is_by_exchange. */
	uint64_t print;
	const struct claim *claim; /* Borrowed; NULL: none. */
};

enum verdict {
	VERDICT_NEW,
	VERDICT_DUPLICATE,
	VERDICT_CONFLICT, /* The same key with another body: not taken. */
};

struct judgement {
	enum verdict verdict;
	bool is_conflict;  /* It, or a part of it, came under a key of something else: also if that
			      counts as a duplicate. */
	uint64_t sequence; /* Of the journal: the answer must wait for it; 0: it need not. */
	struct message *notice; /* For its publisher: one reference; NULL: none. */
};

/* Duplicates that nobody has been told of yet, and what the first of them was. */
struct untold {
	uint64_t len;
	uint64_t sequence;
	bool is_producer;
	uint8_t texts[4 * (1 + UINT8_MAX)]; /* Short strings: vhost, exchange, routing key,
						identity. */
};

/* False, and a refusal, if its headers make no sense. */
bool identity_check(const struct headers *headers, struct refusal *refusal);
/* Whether it has a key or a producer's sequence; the headers have been checked. claim: NULL if it
 * has none. */
bool identity_find(const struct vhost *vhost, const struct message *message,
		   const struct headers *headers, const struct claim *claim, struct identity *id);
/* Whether it has been published before. The list of queues becomes that of those that do not have
 * it yet; if that differs, it is the caller's to free. x is where it was published. */
struct judgement identity_judge(struct channel *ch, struct exchange *x, struct identity *id,
				struct message *message, struct queue ***queues,
				size_t *queues_len);
/* These queues have taken it (or NULL: the broker itself has). */
void identity_remember(struct core *core, const struct exchange *x, const struct identity *id,
		       struct queue **queues, size_t queues_len, bool is_in_journal);
/* A message leaves the queue: a key that holds while it is there goes with it. */
void identity_left_queue(struct queue *queue, const struct message *message);
/* The queue has lost all messages but the unacked ones, unread. */
void identity_queue_emptied(struct queue *queue);
/* A key that holds as long as its message is queued still does: its queue is there and has not been
 * emptied since. */
bool identity_is_queued(const struct core *core, const struct key *key, uint64_t position);
/* Some keys hold while their messages are queued. */
bool identity_follows_queues(const struct core *core);

#endif
