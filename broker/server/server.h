/* Server: the broker as a whole, and its one loop of turns. */
#ifndef LEV_SERVER_SERVER_H
#define LEV_SERVER_SERVER_H

#include "server/config.h"

/* Runs until SIGTERM or SIGINT. config_path: what SIGHUP reads again, NULL: no file. Returns the process's exit status. */
int server_run(struct config *config, const char *config_path);

#endif
