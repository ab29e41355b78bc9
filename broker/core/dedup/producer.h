/* Producer: publishers with a name, and which of their sequence numbers have been seen. */
#ifndef LEV_CORE_DEDUP_PRODUCER_H
#define LEV_CORE_DEDUP_PRODUCER_H

#include "core/dedup/identity.h"

#include "base/bytes.h"
#include "base/list.h"
#include "base/map.h"

#include <stdbool.h>
#include <stdint.h>

struct claim;
struct core;
struct message;
struct refusal;
struct vhost;

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
/* name: producer_name(). */
struct producer *producer_find(const struct core *core, struct bytes name);
/* False, and a refusal, if the producer has been replaced by a newer one or the sequence is too old
 * to be told. */
bool producer_check(struct core *core, const struct claim *claim, struct refusal *refusal);
struct judgement producer_judge(const struct core *core, const struct claim *claim);
void producer_remember(struct core *core, const struct claim *claim, bool is_in_journal);
/* A message that tells where a producer stands, one reference; NULL: it is not known. */
struct message *producer_report(const struct vhost *vhost, struct bytes name);
void producers_end(struct core *core);
void producers_save(struct core *core);
void producers_on_record(struct core *core, struct bytes key, struct bytes value);

#endif
