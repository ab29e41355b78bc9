/* Survivors: what lives of a slot whose place in the file has been given back, as parts in the
 * store.
 *
 *   part   | (at 8 | entry, padded to 8)* |        key: the address of its first entry
 *
 * Addresses are those that the entries had in the log, so nothing that refers to them has to
 * change. */
#ifndef LEV_STORAGE_SURVIVORS_H
#define LEV_STORAGE_SURVIVORS_H

#include "changes.h"
#include "segment.h"

struct survivors {
	struct changes *changes; /* Where finished parts go. */
	uint64_t first_at;
	uint8_t *data;
	size_t len;
	size_t cap;
};

/* Adds a copy of an entry, its bytes unpadded; in order of address. */
void survivors_add(struct survivors *survivors, uint64_t at, struct bytes entry);

/* Puts what has been gathered and frees the memory. */
void survivors_finish(struct survivors *survivors);

/* The bytes of the entry with this address, damaged or not; empty if it is not in the part. */
struct bytes survivors_bytes(struct bytes part, uint64_t at);

/* The entry with this address; false if it is not in the part or is damaged. */
bool survivors_find(struct bytes part, uint64_t at, struct entry *entry);

#endif
