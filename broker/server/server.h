/* Server: the broker as a whole, and its one loop of turns. */
#ifndef LEV_SERVER_SERVER_H
#define LEV_SERVER_SERVER_H

#include "server/config.h"

/* Runs until SIGTERM or SIGINT. source: what SIGHUP loads again; borrowed. Returns the process's
 * exit status. */
int server_run(struct config *config, const struct config_source *source);

#endif
