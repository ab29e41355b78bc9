/* Copy: one message in one queue, how it comes and how it leaves. */
#ifndef LEV_TESTS_SIM_MODEL_COPY_H
#define LEV_TESTS_SIM_MODEL_COPY_H

#include "model.h"

/* It is the last of its queue. */
struct copy *copy_add(struct model *m, uint64_t id, unsigned queue, bool is_persistent,
		      uint64_t sequence);
void copy_set_due(const struct model *m, struct copy *c); /* By its own time and its queue's. */
void copy_release(struct model *m, struct copy *c);       /* Nobody holds it any more. */
void copy_remove(struct copy *c, uint64_t sequence);
/* It goes where its queue sends its dead letters. */
void copy_die(struct model *m, struct copy *c, enum model_reason reason, bool is_floating,
	      uint64_t sequence);
unsigned copy_priority(unsigned queue, const struct copy *c);
bool copy_is_ready(const struct copy *c, unsigned queue);
/* At this very moment an expired one may have left or not, and a waiting one may have come back or
 * not. */
bool copy_may_be_ready(const struct model *m, const struct copy *c);
bool copy_must_be_ready(const struct model *m, const struct copy *c);
bool copy_is_due(const struct model *m, const struct copy *c);

#endif
