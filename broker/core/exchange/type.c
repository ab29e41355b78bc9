/* The table of the types of exchanges. */
#include "core/exchange/type.h"
#include "core/exchange/exchange.h"

const struct exchange_operations *const exchange_types[EXCHANGE_TYPES] = {
	[EXCHANGE_DIRECT] = &direct_exchange,
	[EXCHANGE_FANOUT] = &fanout_exchange,
	[EXCHANGE_TOPIC] = &topic_exchange,
	[EXCHANGE_HEADERS] = &headers_exchange,
	[EXCHANGE_CONSISTENT_HASH] = &consistent_hash_exchange,
	[EXCHANGE_MODULUS_HASH] = &modulus_hash_exchange,
};

const char *exchange_type_name(enum exchange_type type)
{
	return exchange_types[type]->name;
}

bool exchange_type_find(struct bytes name, enum exchange_type *type)
{
	for (size_t i = 0; i < EXCHANGE_TYPES; i++)
		if (bytes_equal_str(name, exchange_types[i]->name)) {
			*type = (enum exchange_type)i;
			return true;
		}
	return false;
}
