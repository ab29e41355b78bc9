/* Hash: exchanges that spread messages over their bindings by a hash. */
#ifndef LEV_CORE_EXCHANGE_HASH_H
#define LEV_CORE_EXCHANGE_HASH_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

struct binding;
struct exchange;
struct properties;
struct refusal;

/* The binding key is a weight. */
bool hash_check_key(const struct exchange *exchange, struct bytes routing_key,
		    struct refusal *refusal);
bool hash_check_arguments(struct bytes arguments, struct refusal *refusal);
/* What of the message decides, hashed. */
uint64_t hash_subject(const struct exchange *exchange, struct bytes routing_key,
		      const struct properties *properties, bool *depends_on_headers);
/* NULL: there are no bindings. */
struct binding *hash_choose(const struct exchange *exchange, uint64_t subject);

#endif
