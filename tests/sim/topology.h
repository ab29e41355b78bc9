/* Topology: queues, exchanges and bindings, and how they change under load. */
#ifndef LEV_TESTS_SIM_TOPOLOGY_H
#define LEV_TESTS_SIM_TOPOLOGY_H

#include "sim.h"

extern const char *const exchange_names[X_LEN];

const char *topology_key(struct sim *s); /* A routing key, any of those that bindings may fit. */
void topology_queue(struct sim *s, unsigned q);
void topology_fanout(struct sim *s, unsigned q); /* Binds it, if it is one that is fanned. */
void topology_exchange(struct sim *s, enum routing_exchange x);
/* Those that were deleted have not come back, all others are there; and then those are as well. */
void topology_exchanges_recovered(struct sim *s);

#endif
