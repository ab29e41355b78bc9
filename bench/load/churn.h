/* Churn: connections, channels, queues or bindings that come and go, one after the other in each of
 * several threads. A pair of opening and closing, or declaring and deleting, counts as one; its
 * round trips are what is timed. */
#ifndef LEV_BENCH_CHURN_H
#define LEV_BENCH_CHURN_H

#include "worker.h"

struct churner;

struct churner *churner_create(struct control *control, uint32_t index);
void churner_start(struct churner *churner); /* It waits for control->start_ns. */
void churner_join(struct churner *churner);
struct stats *churner_stats(struct churner *churner);
void churner_destroy(struct churner *churner);

#endif
