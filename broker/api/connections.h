/* Connections, channels and consumers: what others tell of them. */
#ifndef LEV_API_CONNECTIONS_H
#define LEV_API_CONNECTIONS_H

#include "api/fields.h"

/* A list_make of rows of SHEET_CONSUMERS. */
json_t *consumer_json(struct query *query, const void *row, const struct columns *columns);

#endif
