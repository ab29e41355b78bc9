/* Ranges: stretches of positions that a turn has changed. */
#ifndef LEV_CORE_LINE_RANGES_H
#define LEV_CORE_LINE_RANGES_H

#include <stddef.h>
#include <stdint.h>

struct range;

struct ranges {
	struct range *items;
	size_t len;
	size_t cap;
};

void ranges_add(struct ranges *ranges, uint64_t position, uint64_t len);

#endif
