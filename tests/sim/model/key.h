/* Key: what is known of idempotency keys, and which publishes they make duplicates. */
#ifndef LEV_TESTS_SIM_MODEL_KEY_H
#define LEV_TESTS_SIM_MODEL_KEY_H

#include "model.h"

/* What becomes of a publish with a key: false if it is a duplicate. What of the queues have it
 * already leaves the set; *needs is what its confirm must wait for, whatever else. */
bool model_key_is_new(struct model *m, struct model_publish *p, bool *is_remembered,
		      uint64_t *needs);
void model_key_remember(struct model *m, const struct model_publish *p, bool is_journaled,
			uint64_t sequence);
/* After what is left of the copies is known. */
void model_keys_crashed(struct model *m, uint64_t durable);

#endif
