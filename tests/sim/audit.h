/* Audit: the core holds exactly what the model does, in places that the space has counted. */
#ifndef LEV_TESTS_SIM_AUDIT_H
#define LEV_TESTS_SIM_AUDIT_H

#include "sim.h"

void audit_all(struct sim *s);

#endif
