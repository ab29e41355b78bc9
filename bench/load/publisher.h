/* Publisher: a connection that sends, as fast as it can or at a rate, within a window of confirms
 * or without. */
#ifndef LEV_BENCH_PUBLISHER_H
#define LEV_BENCH_PUBLISHER_H

#include "worker.h"

struct publisher;

/* The index-th of a run's producers. Connects and opens its channels. */
struct publisher *publisher_create(const struct options *options, uint32_t index);
void publisher_destroy(struct publisher *publisher); /* After its worker. */
struct link *publisher_link(struct publisher *publisher);

/* The queue (its index) that a producing channel sends to, if options_routes_by_queue(). */
uint32_t publisher_queue(const struct options *options, uint32_t stream);

/* How many messages of one of its channels must have arrived: confirmed ones, or with no confirms,
 * sent ones. Call when its worker has ended. */
uint64_t publisher_owed(const struct publisher *publisher, uint32_t channel);

#endif
