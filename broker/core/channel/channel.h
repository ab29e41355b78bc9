/* Channel: a peer's conversation: what it consumes, has unacked, and publishes. It owns all three.
 */
#ifndef LEV_CORE_CHANNEL_CHANNEL_H
#define LEV_CORE_CHANNEL_CHANNEL_H

#include "core/dispatch/unacked.h"
#include "core/stats.h"

#include "base/bytes.h"
#include "base/list.h"
#include "base/map.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct claim;
struct connection;
struct core;
struct last_route;
struct pending_confirm;
struct pending_publish;
struct pending_settle;
struct properties;
struct refusal;

enum channel_mode { CHANNEL_PLAIN, CHANNEL_CONFIRM, CHANNEL_TX };

struct channel {
	struct core *core;
	struct connection *connection;
	void *owner;
	struct list in_connection;
	enum channel_mode mode;
	struct last_route *last_route; /* Owned; NULL: nothing has been published. */
	struct claim *claim;           /* Owned; NULL: there has not been any. */
	bool has_claim;                /* It is of the publish that is on its way. */
	struct map consumers;          /* tag -> struct consumer */
	struct list turns; /* The same: who took something last is last, if there is a limit. */
	struct bytes reply_token; /* Owned; direct reply-to is on if not empty. */
	struct bytes reply_tag;   /* Owned; its consumer. */
	struct deliveries deliveries;
	uint64_t last_tag;
	uint16_t prefetch;    /* Of each of its consumers. */
	uint16_t limit;       /* Of the whole channel; 0: none. */
	uint32_t limited_len; /* Unacked deliveries that count for it. */

	struct message_stats stats;
	bool has_taken_last; /* See inputs.h. */
	uint64_t returned;   /* Unroutable publishes that went back, */
	uint64_t dropped;    /* and that did not. */

	uint64_t published; /* Tag of the last publish in confirm mode. */
	uint64_t confirmed; /* Answered so far. */
	struct list in_confirming;
	struct pending_confirm *confirms; /* Ring, oldest first. */
	size_t confirms_cap;
	size_t confirms_first;
	size_t confirms_len;

	struct pending_publish *tx_publishes;
	size_t tx_publishes_len;
	size_t tx_publishes_cap;
	struct pending_settle *tx_settles;
	size_t tx_settles_len;
	size_t tx_settles_cap;
};

#endif
