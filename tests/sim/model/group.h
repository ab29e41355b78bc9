/* Group: messages of one value of a header, which go to one consumer, in order. */
#ifndef LEV_TESTS_SIM_MODEL_GROUP_H
#define LEV_TESTS_SIM_MODEL_GROUP_H

#include "model.h"

/* Somebody has some of its group, by consuming or else: nobody else gets more of it. */
bool model_group_is_held(const struct model *m, const struct copy *c);
/* Nobody has, but perhaps this consumer: it may have it. */
bool model_group_is_open(const struct model *m, const struct copy *c, int consumer);

#endif
