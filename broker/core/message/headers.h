/* Headers: those of a publish that the broker goes by, found in one pass over the table. */
#ifndef LEV_CORE_HEADERS_H
#define LEV_CORE_HEADERS_H

#include "properties.h"
#include "table.h"

struct headers {
	struct table_value cc;
	struct table_value bcc;
	struct table_value delay;    /* x-delay */
	struct table_value key;      /* x-idempotency-key */
	struct table_value alias;    /* x-deduplication-header */
	struct table_value producer; /* x-producer-id */
	struct table_value epoch;    /* x-producer-epoch */
	struct table_value sequence; /* x-producer-seq */
	struct table_value uid;      /* x-message-uid */
	struct table_value origin;   /* x-original-uid */
};

/* Of one that is not there, the type is 0; of one that is there twice, the first counts. */
static inline bool header_is_set(const struct table_value *header)
{
	return header->type != 0;
}

/* A publisher's number: x-producer-id, -epoch, -seq. Consumers do not get it. */
bool header_is_for_broker(struct bytes name);

/* Fills `room` and returns it, or returns headers of which none is set. Views into the properties.
 */
const struct headers *headers_find(const struct properties *properties, struct headers *room);

#endif
