/* Consumer: a connection that receives and acknowledges, at once or at its own pace. */
#ifndef LEV_BENCH_CONSUMER_H
#define LEV_BENCH_CONSUMER_H

#include "verify.h"
#include "worker.h"

struct consumer;

/* The index-th of a run's consumers. Connects, opens its channels and consumes; verify may be NULL.
 */
struct consumer *consumer_create(const struct options *options, uint32_t index,
				 struct verify *verify);
void consumer_destroy(struct consumer *consumer); /* After its worker. */
struct link *consumer_link(struct consumer *consumer);

#endif
