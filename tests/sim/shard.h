/* Shard: the broker in its turns, on a platter, with the driver of every broker (broker/turn). What
 * the core does in a turn is put before the model. */
#ifndef LEV_TESTS_SIM_SHARD_H
#define LEV_TESTS_SIM_SHARD_H

#include "sim.h"

void shard_init(struct sim *s); /* With the core that there is now. */
void shard_begin(struct sim *s);
void shard_drain(struct sim *s); /* Of effects. */
void shard_end(struct sim *s, bool is_checkpoint, bool is_taken);
void shard_sync(struct sim *s); /* Ends it, with all that the disk has taken synced. */
void shard_keep(struct sim *s); /* The checkpoint that was made reaches the store. */

#endif
