/* Settle: acks, rejects, requeues, and what comes back of a channel. */
#ifndef LEV_CORE_CHANNEL_SETTLE_H
#define LEV_CORE_CHANNEL_SETTLE_H

#include "core/dispatch/unacked.h"

#include <stdbool.h>
#include <stdint.h>

struct channel;
struct delivery;
struct properties;
struct refusal;

/* rest_ms, of a requeue: how long it is to rest; 0: as its queue has it. */
void delivery_settle(struct channel *channel, struct delivery *delivery, enum settlement how,
		     uint64_t rest_ms);
/* Everything that the channel has unacked goes back. */
void deliveries_requeue(struct channel *channel);
/* Headers x-delivery-tag and x-delay: that message goes back, and rests for so long. */
bool channel_retry_after(struct channel *channel, const struct properties *properties,
			 struct refusal *refusal);

#endif
