/* What a struct lev_table is inside: the bytes of an AMQP table, owned if it was built, or a view
 * into a message. */
#ifndef LEV_CLIENT_TABLE_BUILD_H
#define LEV_CLIENT_TABLE_BUILD_H

#include "base/bytes.h"
#include "leveret/leveret.h"

struct lev_table {
	uint8_t *data;
	size_t len;
	size_t cap; /* 0: a view. */
	int failed; /* enum lev_result: what a setter met with. */
};

/* NULL: empty. */
static inline struct bytes table_bytes(const struct lev_table *table)
{
	return table == NULL ? bytes_of(NULL, 0) : bytes_of(table->data, table->len);
}

/* LEV_OK, or what went wrong while it was built, with the thread's reason. NULL is fine. */
int table_is_sound(const struct lev_table *table);

#endif
