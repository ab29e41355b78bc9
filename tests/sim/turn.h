/* Turn: what lies between two syncs of the broker. What the core does in it is put before the
 * model. */
#ifndef LEV_TESTS_SIM_TURN_H
#define LEV_TESTS_SIM_TURN_H

#include "sim.h"

void turn_begin(struct sim *s);
void turn_drain(struct sim *s); /* Of effects. */
void turn_end(struct sim *s, bool is_checkpoint, bool is_taken);
void turn_sync(struct sim *s); /* Ends it, with all that the disk has taken synced. */
void turn_keep(struct sim *s); /* The checkpoint that was made reaches the store. */

#endif
