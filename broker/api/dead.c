#include "api/dead.h"

#include "table.h"

bool death_read(struct bytes headers, struct death *d)
{
	struct bytes all, entry;
	struct table_value first;
	*d = (struct death){ bytes_of("", 0), bytes_of("", 0), bytes_of("", 0) };
	if (!table_check(headers) || !table_find_array(headers, "x-death", &all) ||
	    !array_next(&all, &first) || !table_value_table(&first, &entry) ||
	    !table_find_string(entry, "queue", &d->queue))
		return false;
	bool has_reason = table_find_string(entry, "reason", &d->reason);
	bool has_exchange = table_find_string(entry, "exchange", &d->exchange);
	return has_reason || has_exchange || d->queue.len > 0;
}
