/* Ranges: stretches of positions that a turn has changed. */
#include "core/line/ranges.h"

#include "base/alloc.h"
#include "batch.h"

void ranges_add(struct ranges *ranges, uint64_t position, uint64_t len)
{
	struct range *last = ranges->len == 0 ? NULL : &ranges->items[ranges->len - 1];
	if (last != NULL && last->start + last->len == position) {
		last->len += len;
		return;
	}
	ranges->items =
		alloc_grow(ranges->items, &ranges->cap, ranges->len + 1, sizeof *ranges->items);
	ranges->items[ranges->len++] = (struct range){ position, len };
}
