/* Tables: how large those of peers may be. Headers and arguments are looked at by whatever routes,
 * compares and rewrites them, so what they cost is bounded where they come in; what the broker has
 * taken it can always read again, whatever the limits are later. */
#include "session/state.h"

#include "table.h"

#include <inttypes.h>

enum { FIELD_BYTES_MIN = 1, LEVEL_BYTES_MIN = 5 }; /* Of an array's elements: type, length. */

bool session_takes_table(const struct session *s, struct bytes table, const char *what,
			 struct refusal *refusal)
{
	const struct session_options *o = s->host->options;
	if (table.len / FIELD_BYTES_MIN <= o->table_fields_max &&
	    table.len / LEVEL_BYTES_MIN < o->table_depth_max)
		return true; /* There is no room for more in it: nearly always. */
	struct table_extent extent = table_measure(table);
	if (extent.fields > o->table_fields_max)
		return refuse(refusal, REPLY_PRECONDITION_FAILED,
			      "%s have %" PRIu64 " fields, more than table_fields_max (%u)", what,
			      extent.fields, o->table_fields_max);
	if (extent.depth > o->table_depth_max)
		return refuse(refusal, REPLY_PRECONDITION_FAILED,
			      "%s are %u levels deep, more than table_depth_max (%u)", what,
			      extent.depth, o->table_depth_max);
	return true;
}
