/* Producer: a publisher that numbers what it publishes, and which numbers have been. */
#ifndef LEV_TESTS_SIM_MODEL_PRODUCER_H
#define LEV_TESTS_SIM_MODEL_PRODUCER_H

#include "model.h"

/* *needs: what the confirm of the second must wait for. */
bool model_producer_has_sent(const struct model *m, const struct model_publish *p, uint64_t *needs);
void model_producer_remember(struct model *m, const struct model_publish *p, bool is_journaled,
			     uint64_t sequence);
/* Of what was not on disk nothing is left; of what need not be, anything may be. */
void model_producer_crashed(struct model_producer *r, uint64_t durable);

#endif
