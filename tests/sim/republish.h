/* Republishing: what was delivered is published again with all its headers, as forwarders, shovels
 * and replays do it. It is a new message, and once more it is a duplicate of that. */
#ifndef LEV_TESTS_SIM_REPUBLISH_H
#define LEV_TESTS_SIM_REPUBLISH_H

#include "sim.h"

/* It has been delivered, and the model has heard its story (told). */
void republish_keep(struct sim *s, const struct message *m, struct bytes headers);

#endif
