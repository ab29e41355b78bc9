/* Clock: what leaves queues by itself, for its time is over or there is too much. */
#ifndef LEV_TESTS_SIM_MODEL_CLOCK_H
#define LEV_TESTS_SIM_MODEL_CLOCK_H

#include "model.h"

void clock_leave(struct model *m, struct copy *c, uint64_t sequence); /* It is due. */
/* Dead letters that this makes come after those that were there, and are looked at as well. */
void clock_expire(struct model *m, unsigned queue, uint64_t now_ms, uint64_t sequence);
struct copy *clock_head(struct model *m, unsigned queue);
bool clock_is_over(const struct model *m, unsigned queue);
/* What is due elsewhere may have come here, and make it too much. */
void clock_let_in(struct model *m, unsigned queue, uint64_t sequence);
/* Heads leave while there are too many, up to this one; false: it need not leave. */
bool clock_drop(struct model *m, const struct copy *c, uint64_t sequence);

#endif
