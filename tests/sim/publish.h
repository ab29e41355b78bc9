/* Publishing: of a message that is drawn, and goes where the model says it does. */
#ifndef LEV_TESTS_SIM_PUBLISH_H
#define LEV_TESTS_SIM_PUBLISH_H

#include "sim.h"

/* It gets an id. */
void publish_begin(struct sim *s, struct routed_publish *r);
/* Takes the reference. */
void publish_made(struct sim *s, unsigned channel, struct routed_publish *r, struct message *m);
void publish_one(struct sim *s, unsigned channel);
/* A persistent one to this queue, on channel 0. */
void publish_plain(struct sim *s, unsigned q, unsigned priority);
void publish_grouped(struct sim *s, unsigned q, unsigned group);
void publish_keyed(struct sim *s, unsigned q, unsigned key);
/* It is one now: it goes where the bindings lead at this moment. The sequence that whoever is told
 * of it waits for, at least; 0: none. */
uint64_t publish_done(struct sim *s, struct routed_publish *r, int channel);

#endif
