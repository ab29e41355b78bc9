/* Topology: the exchange, queues and bindings of a run. */
#ifndef LEV_BENCH_TOPOLOGY_H
#define LEV_BENCH_TOPOLOGY_H

#include "options.h"
#include "peer.h"

/* Declares on channel 1 what the run needs, unless it is predeclared. */
void topology_declare(struct peer *peer, const struct options *options);

/* Deletes it again, unless it is to be kept. */
void topology_delete(struct peer *peer, const struct options *options);

/* How many messages the queues hold that are ready. */
uint64_t topology_ready(struct peer *peer, const struct options *options);

/* The headers that a headers exchange routes by; nothing for other types. */
void topology_write_headers(const struct options *options, struct writer *w);

#endif
