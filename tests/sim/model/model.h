/* Model: what clients may expect of the broker, kept in the plainest way there is, and nothing of
 * how the core does it.
 *
 * It is told what was asked of the core and what the core did, and says when that was wrong by
 * ending the program with the seed and step to replay. Time is counted in journal sequences: what
 * happened in a turn is on disk once its sequence is. */
#ifndef LEV_TESTS_SIM_MODEL_H
#define LEV_TESTS_SIM_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	MODEL_QUEUES = 10,
	MODEL_DELAY = MODEL_QUEUES, /* Stands for the queue of delayed messages. */
	MODEL_DELAY_TO = 1,         /* Where those go. */
	MODEL_UNIQUE = 0,           /* Queues that take no key twice. */
	MODEL_UNIQUE_TOO = 7,
	MODEL_PRIORITIES = 4, /* The queue that has some. */
	MODEL_SINGLE = 8,     /* Where one consumer at a time gets messages. */
	MODEL_GROUPED = 9,    /* Where messages of one group go to one consumer. */
	MODEL_CONSUMERS = 8,
	MODEL_CHANNELS = 3,
	MODEL_COPIES_MAX = 16384, /* Of messages in queues, in one life. */
	MODEL_DEATHS_MAX = 20,
	MODEL_TOLD_MAX = 4,   /* Of them by others. */
	MODEL_NO_QUEUE = 98,  /* They name none, or something that is no name; */
	MODEL_ELSEWHERE = 99, /* or one that is not here. */
	MODEL_PRODUCERS = 2,
	MODEL_NUMBERS = 4096, /* Of a producer in one epoch. */
	MODEL_PRODUCER_WINDOW = 1024,
	MODEL_VERDICT = 3, /* Exit status that says that the model has found something. */
};

enum {
	NOT_YET = 0,
	MODEL_KEYS = 24,
	MODEL_COPY_KEYS = 400, /* Keys of copies: each with what it is a copy of. */
	MODEL_KEYS_ALL = 1 + MODEL_KEYS + MODEL_COPY_KEYS,
	MODEL_UIDS = 1 << 15, /* Of the last so many messages. */
	MODEL_SCOPES = MODEL_QUEUES + 1,
	MODEL_FAN = MODEL_QUEUES,
	MODEL_WINDOW_MS = 700
};

/* What is known of a key, in the scope of one queue's routing key or the fanout exchange. */
struct model_key {
	bool is_there;
	bool is_journaled;
	uint64_t time_ms;
	uint64_t sequence;
};

/* What queues do by themselves; what follows from their arguments and the policies is in
 * model.rules. */
struct model_queue {
	bool is_durable;
	bool is_fanned;      /* Bound to the fanout exchange. */
	uint64_t ttl_ms;     /* 0: none. */
	int dead_to;         /* The queue for dead letters; -1: none. */
	unsigned length_max; /* 0: none. */
	bool is_rejecting;   /* What comes when it is full; otherwise the head leaves. */
	unsigned max_priority;
	bool is_unique;    /* Takes no key twice while its message is there. */
	bool is_single;    /* One consumer has all, until it goes. */
	bool is_grouped;   /* One consumer has all of a group, as long as it has any of it. */
	unsigned limit;    /* Of failed deliveries; 0: none. */
	uint64_t lease_ms; /* Of what consumers get that have none; 0: none. */
	uint64_t retry_ms;
	uint64_t retry_max_ms;
};
extern const struct model_queue model_queues[MODEL_QUEUES + 1];

enum model_reason {
	DIED_REJECTED,
	DIED_EXPIRED,
	DIED_MAXLEN,
	DIED_LIMIT,
	DIED_UNTOLD /* Others say no reason, or something that is none. */
};

struct model_death {
	unsigned queue;
	enum model_reason reason;
	uint64_t count; /* 0: it is not said. */
};

/* What a message tells of its deaths, newest first. */
struct model_story {
	struct model_death deaths[MODEL_DEATHS_MAX];
	unsigned len;
	unsigned strays; /* What stands among them and is no death. */
	uint64_t uid;    /* 0: none. */
	uint64_t origin;
};

/* What is known of how a message is called by the broker. */
struct model_uid {
	uint64_t id;
	bool is_due; /* It has a uid. */
	uint64_t uid;
	uint64_t origin;
};

/* Publishers that number what they publish. */
enum model_number { NUMBER_NEW, NUMBER_SEEN, NUMBER_UNSURE /* After a crash. */ };

struct model_producer {
	bool must_renew; /* What the broker knows of its epoch is not sure: the next one begins. */
	uint64_t epoch;
	unsigned highest; /* That is not new. */
	bool has_any;
	struct {
		enum model_number state;
		bool is_journaled;
		uint64_t sequence;
	} numbers[MODEL_NUMBERS];
};

/* One message in one queue. */
struct copy {
	uint64_t id;
	unsigned queue;
	unsigned group; /* 0: none. */
	unsigned key;   /* That it holds in its queue; 0: none. */
	unsigned whole; /* The key that it was published with: a copy's holds for others, too. */
	bool is_persistent;
	bool is_journaled;
	bool is_there; /* Ready, waiting or unacked. */
	bool is_unacked;
	bool is_floating; /* It came by the clock: when exactly, among what came in the same turn,
			     is not known. */
	unsigned channel; /* That holds it, if unacked. */
	int consumer;     /* -1: by get. */
	uint64_t tag;
	unsigned priority;
	uint64_t arrived_ms;
	uint64_t own_due_ms; /* When it expires whatever its queue says; 0: never. */
	uint64_t due_ms;     /* When it expires; 0: never. */
	uint64_t until_ms;   /* It waits until then; 0: it does not. */
	bool may_not_wait;   /* A crash may have made it forget that it waits, */
	unsigned count_min;  /* and how often it has failed. */
	unsigned count_max;
	struct model_death deaths[MODEL_DEATHS_MAX]; /* Newest first. */
	unsigned deaths_len;
	unsigned strays;   /* Among them, until it dies. */
	uint64_t lease_ms; /* How long its consumer may have it; 0: as long as it likes. */
	uint64_t lease_began_ms;
	bool is_queues_lease;     /* And changes with its queue's rules. */
	uint64_t published;       /* Sequence. */
	uint64_t gone;            /* Sequence of what removed it; NOT_YET. */
	bool must_be_redelivered; /* It was delivered, if ever so shortly before a crash. */
	bool may_be_redelivered;  /* After a crash the broker may take it for delivered. */
};

struct model_consumer {
	bool is_on;
	unsigned queue;
	unsigned channel;
	unsigned prefetch; /* 0: no limit. */
	bool is_no_ack;
	unsigned unacked;
	unsigned priority;
	uint64_t since;    /* A number that grows. */
	bool is_active;    /* With a queue that has a single one. */
	uint64_t lease_ms; /* Of what it gets; 0: none. */
};

struct model {
	uint64_t seed;
	uint64_t step;
	uint64_t now_ms;
	bool is_unwritable;                         /* No consumer can be written to. */
	struct model_queue rules[MODEL_QUEUES + 1]; /* As they are now. */
	struct model_consumer consumers[MODEL_CONSUMERS];
	uint64_t consumers_begun;
	struct copy
		copies[MODEL_COPIES_MAX]; /* In order of arrival: the order in which they leave. */
	size_t copies_len;
	/* Publishes on confirm channels, in order of tag from 1: the sequence that the confirm must
	 * wait for; 0: none; and whether a queue refused. */
	uint64_t needs[MODEL_CHANNELS][MODEL_COPIES_MAX];
	bool is_refused[MODEL_CHANNELS][MODEL_COPIES_MAX];
	uint64_t published[MODEL_CHANNELS];
	uint64_t confirmed[MODEL_CHANNELS];
	struct model_producer producers[MODEL_PRODUCERS];
	struct model_story told;
	struct model_key keys[MODEL_SCOPES][MODEL_KEYS_ALL];
	struct {
		unsigned whole;
		uint64_t origin;
	} copy_keys[MODEL_COPY_KEYS];
	unsigned copy_keys_len;
	struct model_uid uids[MODEL_UIDS];
	uint64_t uids_given[4 * MODEL_UIDS]; /* All of them, in no order. */
	uint64_t duplicates;
	uint64_t deliveries;
	uint64_t confirms;
	uint64_t refusals;
	uint64_t died[4]; /* By reason. */
	uint64_t cycles;
	uint64_t delayed;
	uint64_t leases_ended;
};

#define MODEL_CHECK(m, what)                            \
	do {                                            \
		if (!(what))                            \
			model_fail(m, #what, __func__); \
	} while (0)

_Noreturn void model_fail(const struct model *m, const char *what, const char *where);

/* --- what was asked --- */

struct model_publish {
	uint64_t id;
	unsigned queues; /* A set of bits. */
	unsigned scope;
	unsigned key;    /* 0: none. */
	unsigned whole;  /* Of a copy: the key that it says; its own is that and its origin. */
	bool is_copy;    /* Of something that was delivered. */
	uint64_t origin; /* Its uid. */
	bool is_persistent;
	unsigned group; /* 0: none. */
	unsigned priority;
	uint64_t expiration_ms;                      /* 0: none. */
	uint64_t delay_ms;                           /* 0: none. */
	struct model_death deaths[MODEL_DEATHS_MAX]; /* That others tell of, newest first. */
	unsigned deaths_len;
	unsigned strays;    /* What they have put among those, one before each at most. */
	bool is_story_none; /* Where a story should be they have put something else. */
	unsigned producer;  /* 0: none; otherwise its number + 1. */
	uint64_t epoch;
	unsigned number;
};

/* Whether the producer's publish must be refused: it is fenced, or too old to be told from a
 * duplicate. */
bool model_is_fenced(const struct model *m, const struct model_publish *p);

/* The number of a copy's key; 0: there are too many. */
unsigned model_copy_key(struct model *m, unsigned whole, uint64_t origin);
/* It has been published, or will be. */
void model_uid_expected(struct model *m, const struct model_publish *p);
void model_uid_told(struct model *m, uint64_t id); /* m->told: by the message that has come. */

/* channel: whose confirm is wanted; -1: none is. The sequence that has what became of it, at least;
 * 0: none. */
uint64_t model_published(struct model *m, const struct model_publish *p, int channel,
			 uint64_t sequence);
enum model_settlement { ACKED, REJECTED, REQUEUED };
void model_settled(struct model *m, unsigned channel, uint64_t tag, bool is_multiple,
		   enum model_settlement how, uint64_t sequence);
void model_purged(struct model *m, unsigned queue, uint64_t messages, uint64_t sequence);
void model_queue_deleted(struct model *m, unsigned queue, uint64_t sequence);
/* c: what it asked for. */
void model_consumer_began(struct model *m, unsigned consumer, const struct model_consumer *c);
void model_consumer_gone(struct model *m, unsigned consumer);
void model_channel_gone(struct model *m, unsigned channel, uint64_t sequence);

/* --- what the core did --- */

/* m->told: its story. */
void model_delivered(struct model *m, unsigned queue, unsigned channel, int consumer, uint64_t tag,
		     uint64_t id, bool is_no_ack, bool is_redelivered, int64_t count,
		     uint64_t sequence);
void model_got_nothing(struct model *m, unsigned queue);
void model_confirmed(struct model *m, unsigned channel, uint64_t tag, bool is_nack,
		     uint64_t durable);

/* The channel is closed for a lease of so long. */
void model_lease_ended(const struct model *m, unsigned channel, uint64_t lease_ms);
/* tag 0: of all that the channel has. */
void model_lease_extended(struct model *m, unsigned channel, uint64_t tag);
/* No lease is over that nobody has ended. */
void model_leases_hold(const struct model *m);

/* The queue has been looked at: what was due before this moment has left it. */
void model_tended(struct model *m, unsigned queue, uint64_t sequence);
/* Nothing moves any more: what is due has left, and what is too many. */
void model_drained(struct model *m, uint64_t sequence);

/* Nothing is ready beside a consumer that could take it; unless not all is synced: then what the
 * journal has may wait for it before it goes out for the first time. */
void model_quiet(struct model *m, bool is_synced);

/* Everything after this sequence never happened. */
void model_crashed(struct model *m, uint64_t durable);

/* The core holds exactly this in a queue. */
void model_holds(struct model *m, unsigned queue, const uint64_t *ids, size_t ids_len);

#endif
