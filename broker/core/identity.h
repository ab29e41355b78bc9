/* Identity: what makes two publishes the same one. Shared by the core's own files.
 *
 * A publish is known by its idempotency key (identity.c) or by its producer's sequence
 * (producer.c). Both are remembered only when a queue has taken the message, in the journal's
 * transaction of that message (keylog.c), and are asked for only when something is published: what
 * moves inside the broker is never asked again. docs/idempotency.md has the rules as users see
 * them. */
#ifndef LEV_CORE_IDENTITY_H
#define LEV_CORE_IDENTITY_H

#include "core/keys.h"
#include "core/timer.h"

#include "base/map.h"
#include "properties.h"
#include "reply.h"
#include "table.h"

struct batch;
struct channel;
struct core;
struct core_figures;
struct effect;
struct exchange;
struct headers;
struct table_value;
struct message;
struct queue;

/* --- settings of exchanges and queues --- */

enum dedup_mode {
	DEDUP_UNSET,   /* An exchange: as DEDUP_WINDOW. A queue: it leaves it to the exchange. */
	DEDUP_WINDOW,  /* A key holds for a time from its first publish, */
	DEDUP_SLIDING, /* from its last one, */
	DEDUP_WHILE_QUEUED, /* or as long as its message is in the queue. */
};

struct dedup {
	enum dedup_mode mode;
	bool takes_alias;       /* x-deduplication-header is a key, too. */
	bool rejects_conflicts; /* Otherwise they count as duplicates. */
	uint64_t window_ms;     /* 0: the broker's. */
};

/* --- claim.c --- */

enum { UID_BYTES = 16 };

/* What a publish says in headers that do not go on to consumers. */
struct claim {
	bool is_copy; /* It came with the x-message-uid of another message, which it repeats for
			 somebody else: that one's identity is not its own. */
	bool has_producer;
	uint8_t name_len;
	uint8_t name[UINT8_MAX];
	uint64_t epoch;
	uint64_t sequence;
	uint64_t origin[2]; /* Hash of that uid. */
};

/* Some of these headers are there. */
bool claim_is_made(const struct headers *headers);
/* The channel keeps the claim, until its next publish; the message goes on without, and with a uid
 * of its own. Unchanged, and no claim, if the headers make no sense. Takes one reference and gives
 * one. */
struct message *claim_take(struct channel *ch, struct message *message,
			   const struct headers *headers);
/* For a publisher whose message comes back: with the producer's number that it had. Takes one
 * reference and gives one. */
struct message *claim_give_back(struct core *core, struct message *message,
				const struct claim *claim);
void claim_hash_origin(const struct core *core, const struct table_value *uid, uint64_t hash[2]);
/* Gives the message a header x-message-uid, unless it has one. Takes one reference and gives one.
 */
struct message *message_with_uid(struct core *core, struct message *message);

static inline struct bytes claim_producer(const struct claim *claim)
{
	return bytes_of(claim->name, claim->name_len);
}

/* --- identity.c --- */

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
};

/* Duplicates that nobody has been told of yet, and what the first of them was. */
struct untold {
	uint64_t len;
	uint64_t sequence;
	bool is_producer;
	uint8_t texts[3 * (1 + UINT8_MAX)]; /* Short strings: exchange, routing key, identity. */
};

/* False, and a refusal, if its headers make no sense. */
bool identity_check(const struct headers *headers, struct refusal *refusal);
/* Whether it has a key or a producer's sequence; the headers have been checked. claim: NULL if it
 * has none. */
bool identity_find(struct core *core, const struct message *message, const struct headers *headers,
		   const struct claim *claim, struct identity *id);
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

/* --- keylog.c --- */

struct gone_key {
	struct key_name name;
	uint64_t until; /* Keys of this name with lower positions are gone. */
};

/* Keys from this position on came with that batch. */
struct key_mark {
	uint64_t position;
	uint64_t sequence;
};

enum { KEY_MARKS = 4, KEYS_STORE_KEY_BYTES = 9 };

/* What the journal has of the keys. */
struct key_log {
	struct key_mark marks[KEY_MARKS]; /* The newest is first. */
	uint64_t noted;                   /* Keys below this position are in the log. */
	uint64_t saved_first;             /* As the store has it: the first chunk, */
	uint64_t saved_next;              /* the next position, */
	size_t saved_pending;             /* and how many of `pending`. */
	struct gone_key *gone;            /* In this turn. */
	size_t gone_len;
	size_t gone_cap;
	struct gone_key *pending; /* To be looked for when all keys are loaded. */
	size_t pending_len;
	size_t pending_cap;
	uint32_t work;                        /* Chunks that may still be loaded in this turn. */
	uint8_t wanted[KEYS_STORE_KEY_BYTES]; /* The one that is being loaded. */
	struct timer timer;
	uint64_t evicted_ms; /* How old the key was that was evicted last; NEVER: none was. */
	uint64_t longest_ms; /* The longest window that anything has. */
	bool has_seed;       /* The journal knows with which seed names are hashed. */
};

/* The turn begins. */
void keylog_begin(struct core *core);
/* Adds, removes: with all that follows from it for the journal. */
uint64_t keylog_add(struct core *core, struct key_name name, uint64_t print, bool is_volatile,
		    bool is_queued);
void keylog_remove(struct core *core, uint64_t position);
/* The key is as if it had been added now. */
void keylog_renew(struct core *core, uint64_t position);
/* As keylog_remove(), for a key that may not be loaded yet. */
void keylog_forget(struct core *core, struct key_name name);
/* The journal's sequence that makes a key durable; 0: it is, or will never be. */
uint64_t keylog_sequence(const struct core *core, uint64_t position);
/* Keys that are older than any window go. */
void keylog_is_due(struct core *core);
/* Writes what the turn changed, and for a checkpoint what differs from the store. */
void keylog_end(struct core *core);
void keylog_save(struct core *core);
bool keylog_next(struct core *core, struct effect *effect);
/* Recovery: what the store knows, and notes of the log's tail. */
void keylog_on_state(struct core *core, struct bytes value);
void keylog_on_note(struct core *core, struct bytes key, struct bytes value);
/* New keys come at this position or after it. */
void keylog_skip(struct core *core, uint64_t position);
void keylog_figures(const struct core *core, struct core_figures *figures);
void keylog_fini(struct core *core);

/* --- producer.c --- */

enum { PRODUCER_WINDOW = 1024, PRODUCER_WORDS = PRODUCER_WINDOW / 64 };

/* What a producer has published: the highest sequence, and which of the 1,024 up to it. */
struct producer {
	struct bytes name; /* Owned. */
	uint64_t epoch;
	uint64_t high;
	uint64_t seen[PRODUCER_WORDS]; /* Bit i: high - i. */
	uint64_t sequence;             /* The journal's: its last publish; 0: that was transient. */
	struct list in_core;           /* The one that published last is last. */
	struct list in_noted;          /* Changed in this turn, */
	struct list in_dirty;          /* or since the last checkpoint. */
};

struct producers {
	struct map by_name;
	struct list all;
	struct list noted;
	struct list dirty;
};

void producers_init(struct producers *producers, uint64_t seed);
void producers_fini(struct producers *producers);
struct producer *producer_find(const struct core *core, struct bytes name);
/* False, and a refusal, if the producer has been replaced by a newer one or the sequence is too old
 * to be told. */
bool producer_check(struct core *core, const struct claim *claim, struct refusal *refusal);
struct judgement producer_judge(const struct core *core, const struct claim *claim);
void producer_remember(struct core *core, const struct claim *claim, bool is_in_journal);
/* A message that tells where a producer stands, one reference; NULL: it is not known. */
struct message *producer_report(struct core *core, struct bytes name);
void producers_end(struct core *core);
void producers_save(struct core *core);
void producers_on_record(struct core *core, struct bytes key, struct bytes value);

#endif
