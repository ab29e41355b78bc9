/* Lease: how long a delivery may be unsettled. */
#ifndef LEV_CORE_DISPATCH_LEASE_H
#define LEV_CORE_DISPATCH_LEASE_H

#include "core/time/timer.h"

#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>

struct channel;
struct core;
struct delivery;
struct properties;
struct refusal;

/* Deliveries that must be settled within the same time. */
struct lease {
	uint64_t ms;            /* NEVER: no lease. */
	struct list deliveries; /* By in_lease, the one that is due first is first. */
	struct timer timer;
};

void lease_init(struct lease *lease, uint64_t ms);
void lease_fini(struct core *core, struct lease *lease);
/* Of a queue, which may change: what has been delivered under it ends accordingly, NEVER: with
 * nobody asking. */
void lease_set(struct core *core, struct lease *lease, uint64_t ms);
void lease_begin(struct delivery *delivery);
void lease_end(struct delivery *delivery);
void lease_is_due(struct lease *lease);
/* A publish that is no message but asks for more time. */
bool lease_extend(struct channel *channel, const struct properties *properties,
		  struct refusal *refusal);

#endif
