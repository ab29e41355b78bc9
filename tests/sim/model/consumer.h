/* Consumer: who may have a queue's next message. */
#ifndef LEV_TESTS_SIM_MODEL_CONSUMER_H
#define LEV_TESTS_SIM_MODEL_CONSUMER_H

#include "model.h"

bool model_has_credit(const struct model_consumer *c);
bool model_may_take(const struct model_consumer *c);
/* And nobody with a higher priority may. */
bool model_is_its_turn(const struct model *m, const struct model_consumer *c);

#endif
