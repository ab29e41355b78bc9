/* Fields: tables made of a fuzzer's bytes, of the names that the broker looks at and of every type,
 * so that the fuzzer need not find either. */
#ifndef LEV_FUZZ_FIELDS_H
#define LEV_FUZZ_FIELDS_H

#include "base/bytes.h"

/* Reads a few fields off r and writes them to room, as a table without its length. */
struct bytes fields_read(struct reader *r, uint8_t *room, size_t size);

#endif
