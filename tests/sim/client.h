/* Clients: what they ask for, other than publishing. */
#ifndef LEV_TESTS_SIM_CLIENT_H
#define LEV_TESTS_SIM_CLIENT_H

#include "sim.h"

void client_start(struct sim *s, unsigned channel);
/* Channels that the broker has closed are opened again. */
void client_closed(struct sim *s);
void client_purge(struct sim *s, unsigned q);
void client_get(struct sim *s, unsigned q, unsigned channel, bool is_no_ack);

#endif
