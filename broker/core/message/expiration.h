/* Expiration: the property of that name. */
#ifndef LEV_CORE_MESSAGE_EXPIRATION_H
#define LEV_CORE_MESSAGE_EXPIRATION_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

struct refusal;

/* False, and a refusal, if a property expiration is no number of milliseconds up to TIME_MAX_MS. */
bool expiration_check(struct bytes text, struct refusal *refusal);
/* Milliseconds; of one that has been checked. */
uint64_t expiration_ms(struct bytes text);

#endif
