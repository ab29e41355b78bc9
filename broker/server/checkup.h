/* Checkup: opens what a configuration names: certificates, definitions, log, data directory,
 * listeners. Leaves everything as it was: makes no file, keeps no socket, and does not disturb a
 * broker that runs with this configuration. For `leveretd --check-config`, which must run as the
 * broker's user to tell what that one may. */
#ifndef LEV_SERVER_CHECKUP_H
#define LEV_SERVER_CHECKUP_H

#include "server/config.h"

/* A mistake for each thing that cannot be used, with file and line of its key. */
void checkup_run(const struct config *config, struct mistakes *mistakes);

#endif
