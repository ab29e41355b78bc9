/* Policies: operators set them while all goes on. */
#ifndef LEV_TESTS_SIM_POLICIES_H
#define LEV_TESTS_SIM_POLICIES_H

#include "sim.h"

void policies_load(struct sim *s); /* Those that there are, into a core that has just begun. */
/* Until all has been set to them, which takes some turns when nobody asks for more. */
void policies_settle(struct sim *s);

#endif
