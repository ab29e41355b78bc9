/* Broker: its turns, its checkpoints, its crashes and its starts. */
#ifndef LEV_TESTS_SIM_BROKER_H
#define LEV_TESTS_SIM_BROKER_H

#include "sim.h"

void broker_settle(
	struct sim *s); /* Syncs until nothing moves any more: then nothing may be left waiting. */
void broker_crash(struct sim *s);
void broker_shut(struct sim *s);

#endif
