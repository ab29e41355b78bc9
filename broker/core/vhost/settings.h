/* Settings: what a queue or an exchange goes by, its arguments and policies taken together. */
#ifndef LEV_CORE_VHOST_SETTINGS_H
#define LEV_CORE_VHOST_SETTINGS_H

#include "core/dedup/dedup.h"

#include "core/vhost/argument.h"

#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct core;
struct table_value;
struct dedup;
struct exchange;
struct queue;

/* Ten years, as in RabbitMQ: the longest time to live, of messages and of queues. */
#define TIME_MAX_MS UINT64_C(315360000000)

enum overflow { OVERFLOW_DROP_HEAD, OVERFLOW_REJECT, OVERFLOW_REJECT_DLX, OVERFLOW_DROP_LOWEST };

enum { RETRY_STEPS_MAX = 32 };

/* How long a message that failed waits before it is delivered again. */
struct retry {
	uint64_t initial_ms; /* 0: it does not wait. */
	uint64_t max_ms;
	double multiplier;
	double jitter;    /* Part of the wait by which it may be shorter or longer, 0 to 1. */
	size_t steps_len; /* An explicit schedule; 0: none. The last one holds for all after it. */
	uint64_t steps_ms[RETRY_STEPS_MAX];
};

/* What a queue goes by: its arguments and the policies that match it, taken together (settings.c).
 * NEVER: no limit. */
struct settings {
	uint64_t ttl_ms;
	uint64_t expires_ms;
	uint64_t length_max;
	uint64_t bytes_max;
	uint64_t delivery_limit; /* With more failed deliveries than this a message is
				    dead-lettered. */
	uint64_t lease_ms;       /* How long a consumer may have a message unacked. */
	enum overflow overflow;
	bool has_dead_letter_exchange;
	bool has_dead_letter_key;
	bool is_single_active;
	bool is_counting;                  /* Tells consumers how often a message was delivered. */
	int max_priority;                  /* -1: priorities do not count. */
	struct bytes dead_letter_exchange; /* Views into the queue's arguments or a policy. */
	struct bytes dead_letter_key;
	struct dedup dedup;
	struct bytes
		group_header; /* Names the header whose value is a message's group; empty: none. */
	struct retry retry;
};

/* Where settings come from: keys in a policy are those of arguments without "x-". */
struct sources {
	struct bytes arguments;
	struct bytes policy;
	struct bytes operator_policy;
};

/* The value of an argument of which the first holds that is there. False: there is none. */
bool settings_find(const struct sources *sources, enum argument_id argument,
		   struct table_value *value);
/* What a queue is to go by, but for dedup. Views into the sources. */
struct settings settings_of(const struct sources *sources);
/* What a queue or an exchange makes of keys. takes_alias: its type says so. */
struct dedup settings_dedup(const struct sources *sources, bool is_queue, bool takes_alias);
/* Sets it, and keeps count of those who take the alias. */
void dedup_set(struct core *core, struct dedup *dedup, struct dedup new);
/* They are going: nothing counts them any more. */
void dedup_forget(struct core *core, struct dedup *dedup);
/* How long a message waits after its count-th failed delivery; 0: not at all. */
uint64_t queue_backoff_ms(const struct queue *queue, uint64_t position, uint32_t count);

#endif
