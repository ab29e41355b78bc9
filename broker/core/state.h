/* State: what all of the core shares. Nothing outside core/ includes this, but for tests of what
 * cannot be seen from there.
 *
 * Ownership: core owns vhosts and connections; a vhost its exchanges and queues; an exchange the
 * bindings that leave it; a queue its ready messages; a connection its channels; a channel its
 * consumers and unacked deliveries. */
#ifndef LEV_CORE_STATE_H
#define LEV_CORE_STATE_H

#include "core/admin.h"
#include "core/check/check.h"
#include "core/core.h"
#include "core/dedup/identity.h"
#include "core/dedup/keylog.h"
#include "core/dedup/keys.h"
#include "core/dedup/producer.h"
#include "core/effect.h"
#include "core/exchange/route.h"
#include "core/line/shelf.h"
#include "core/message/message.h"
#include "core/residence/paging.h"
#include "core/stats.h"
#include "core/time/timer.h"
#include "core/topology/apply.h"
#include "core/vhost/policy.h"
#include "core/vhost/vhost.h"

#include "base/bytes.h"
#include "base/list.h"
#include "base/map.h"
#include "base/siphash.h"
#include "base/walk.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct batch;
struct journal_index;
struct queue;

/* What all queues together hold. */
struct lines {
	uint64_t in_fifos;
	uint64_t fifo_bytes;
	struct shelf_totals shelves;
	uint64_t unacked;
};

struct core {
	struct core_options options;
	struct message_pool messages;
	struct vhosts vhosts;
	struct list connections;
	struct list closed;   /* Connections whose exclusive queues go little by little. */
	uint32_t closed_work; /* How many of those may still go in this turn. */
	struct list queues;
	struct list exchanges;
	struct applying applying;
	struct map queues_by_id; /* Durable ones; the key is the queue's own id field. */
	struct map replies;      /* Direct reply-to: token -> struct channel */
	struct batch *batch;     /* Of this turn; NULL between turns. */
	uint64_t now_ms;
	uint64_t durable; /* Sequence. */
	uint64_t removed; /* The sequence that has the last removal of a definition. */
	uint64_t awaited; /* See core_awaited(). */
	struct router router;
	struct effect_ring effects;
	struct list dirty;     /* Queues. */
	struct list loading;   /* Queues. */
	struct list changed;   /* Queues. */
	struct list stale;     /* Queues. */
	struct list saving;    /* Queues. */
	struct list parked;    /* Queues whose next messages are in the middle of their fifo, and
				  wanted. */
	struct list doomed;    /* struct doomed. */
	struct list throttled; /* Connections. */
	struct list late;      /* Queues whose tending goes on in the next turn. */
	struct timers timers;
	struct keys keys;
	struct untold untold;
	struct key_log key_log;
	struct map key_queues; /* Transient queues that keys refer to. */
	struct producers producers;
	struct siphash_key secret;
	uint64_t key_seed;    /* Names of keys are hashed with it: that of the first process. */
	uint64_t alias_users; /* Exchanges and queues that take x-deduplication-header as a key; one
				 more while policies are being applied. */
	uint64_t uid_last;
	uint64_t serial_last; /* Of queues. */
	uint32_t tendable;    /* How many messages may still leave by themselves in this turn. */
	uint64_t *survey;     /* Sorted locations of delivered messages, one for each place, see
				 survey.c. */
	size_t survey_len;
	size_t survey_cap;
	uint32_t doomed_work;   /* Chunks of it that may still be read in this turn. */
	struct queue *indexing; /* The answer to EFFECT_INDEX is for this queue; NULL: for the first
				   of doomed. */
	uint32_t *orphans;      /* Ids of queues whose records are to be deleted: they were deleted
				   shortly before a crash. */
	size_t orphans_len;
	size_t orphans_cap;
	uint32_t generation;        /* Of this process. */
	uint32_t volatile_id_first; /* Those up to here are of older processes. */
	uint32_t volatile_id_last;
	const struct journal_index *index; /* During recovery. */
	struct list granting;              /* Queues. */
	struct list loose;                 /* Queues. */
	struct list confirming;     /* Channels with pending confirms that wait for the journal. */
	struct list confirmable;    /* Channels with pending confirms to be looked at. */
	struct list cancelling;     /* struct cancellation, in order of sequence. */
	struct message *handed_out; /* Of the effect handed out last: one reference, or NULL. */
	struct list *evict_queue;   /* Where paging goes on. */
	enum paging paging;
	bool is_behind_clock; /* More timers are due than a turn may run. */
	bool is_ending;       /* core_destroy(): nothing moves any more. */
	bool is_overdue;      /* See core_is_overdue(). */
	bool is_resting; /* Nothing has been published between the last two calls of core_rest(). */
	uint64_t published_before;
	uint32_t queue_id_last;
	uint64_t binding_id_last;
	uint64_t exchanges_len;
	uint64_t queues_len;
	uint64_t bindings_len;
	uint64_t reply_last;
	struct bytes cancelled_tag;  /* Owned: of the EFFECT_CANCELLED handed out last. */
	struct list walks;           /* struct walk. */
	struct lines lines;          /* Totals. */
	struct message_stats stats;  /* Likewise. */
	struct core_figures figures; /* Only the running totals. */
	struct check check;
};

#endif
