/* Model: what clients may expect of the broker, kept in the plainest way there is, and nothing of how the core does it.
 *
 * It is told what was asked of the core and what the core did, and says when that was wrong by ending the program with the
 * seed and step to replay. Time is counted in journal sequences: what happened in a turn is on disk once its sequence is. */
#ifndef LEV_TESTS_SIM_MODEL_H
#define LEV_TESTS_SIM_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	MODEL_QUEUES = 4,
	MODEL_CONSUMERS = 6,
	MODEL_CHANNELS = 3,
	MODEL_COPIES_MAX = 8192, /* Of messages in queues, in one life. */
};

enum { NOT_YET = 0 };

/* What is rejected in one queue goes to the other. */
enum { MODEL_DEAD_FROM = 2, MODEL_DEAD_TO = 0 };

/* One message in one queue. */
struct copy {
	uint64_t id;
	unsigned queue;
	bool is_journaled;
	bool is_there; /* Ready or unacked. */
	bool is_unacked;
	unsigned channel; /* That holds it, if unacked. */
	int consumer;     /* -1: by get. */
	uint64_t tag;
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
};

struct model {
	uint64_t seed;
	uint64_t step;
	bool is_durable[MODEL_QUEUES];
	struct model_consumer consumers[MODEL_CONSUMERS];
	struct copy copies[MODEL_COPIES_MAX]; /* In order of arrival: the order in which they leave. */
	size_t copies_len;
	/* Publishes on confirm channels, in order of tag from 1: the sequence that the confirm must wait for; 0: none. */
	uint64_t needs[MODEL_CHANNELS][MODEL_COPIES_MAX];
	uint64_t published[MODEL_CHANNELS];
	uint64_t confirmed[MODEL_CHANNELS];
	uint64_t deliveries;
	uint64_t confirms;
};

#define MODEL_CHECK(m, what)                            \
	do {                                            \
		if (!(what))                            \
			model_fail(m, #what, __func__); \
	} while (0)

_Noreturn void model_fail(const struct model *m, const char *what, const char *where);

/* --- what was asked --- */

/* queues: a set of bits. */
void model_published(struct model *m, uint64_t id, unsigned queues, bool is_persistent, uint64_t sequence);
void model_confirm_wanted(struct model *m, unsigned channel, unsigned queues, bool is_persistent, uint64_t sequence);
enum model_settlement { ACKED, REJECTED, REQUEUED };
void model_settled(struct model *m, unsigned channel, uint64_t tag, bool is_multiple, enum model_settlement how,
		   uint64_t sequence);
void model_purged(struct model *m, unsigned queue, uint64_t messages, uint64_t sequence);
void model_queue_deleted(struct model *m, unsigned queue, uint64_t sequence);
void model_consumer_gone(struct model *m, unsigned consumer);
void model_channel_gone(struct model *m, unsigned channel);

/* --- what the core did --- */

void model_delivered(struct model *m, unsigned queue, unsigned channel, int consumer, uint64_t tag, uint64_t id, bool is_no_ack,
		     bool is_redelivered, uint64_t sequence);
void model_got_nothing(struct model *m, unsigned queue);
void model_confirmed(struct model *m, unsigned channel, uint64_t tag, uint64_t durable);

/* Nothing is ready beside a consumer that could take it; unless not all is synced: then what the journal has may wait for it
 * before it goes out for the first time. */
void model_quiet(struct model *m, bool is_synced);

/* Everything after this sequence never happened. */
void model_crashed(struct model *m, uint64_t durable);

/* The core holds exactly this in a queue. */
void model_holds(struct model *m, unsigned queue, const uint64_t *ids, size_t ids_len);

#endif
