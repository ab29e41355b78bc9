/* Payload: messages as JSON and back. */
#ifndef LEV_API_PAYLOAD_H
#define LEV_API_PAYLOAD_H

#include "base/bytes.h"
#include "properties.h"

#include <jansson.h>
#include <stdbool.h>

struct query;

/* A message that is to be published, taken from a body. */
struct payload {
	struct bytes properties; /* Flags and properties; owned, as all here. */
	struct bytes body;
	struct bytes routing_key;
};

/* "properties", "routing_key", "payload" and "payload_encoding" of the query's body. key: an
 * idempotency key that goes into the headers; empty: none. False, and a refusal. */
bool payload_read(struct query *query, struct bytes key, struct payload *payload);
void payload_fini(struct payload *payload);

/* Of encoded properties. */
json_t *payload_properties(struct bytes properties);
/* Adds "payload" and "payload_encoding" to an object: as text if it is UTF-8 and is_auto. */
void payload_put(json_t *object, struct bytes body, bool is_auto);

#endif
