/* Stamp: the first 16 bytes of a body, by which its consumer knows it. Same machine, hence the
 * machine's byte order. */
#ifndef LEV_BENCH_STAMP_H
#define LEV_BENCH_STAMP_H

#include <assert.h>
#include <stdint.h>

struct stamp {
	uint64_t due_ns; /* When it was to be sent; with a closed loop, when it was. */
	uint32_t stream; /* Which producing channel, of all. */
	uint32_t sequence;
};

enum { STAMP_BYTES = 16 };
static_assert(sizeof(struct stamp) == STAMP_BYTES, "the stamp has no padding");

#endif
