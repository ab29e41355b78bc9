/* Changes: keys of the store to be set or deleted, in order, on their way to the next checkpoint.
 * Memory only. */
#ifndef LEV_STORAGE_CHANGES_H
#define LEV_STORAGE_CHANGES_H

#include "base/bytes.h"

enum { CHANGES_KEY_MAX = 511 }; /* LMDB's limit. */

struct changes {
	uint8_t *data;
	size_t len;
	size_t cap;
};

enum change_kind {
	CHANGE_PUT,
	CHANGE_DELETE,
	CHANGE_DELETE_RANGE, /* From the key up to, and without, the value taken as a key. */
};

struct change {
	enum change_kind kind;
	struct bytes key;
	struct bytes value;
};

void changes_fini(struct changes *changes);

/* Empties it; its buffer is kept up to a megabyte. */
void changes_clear(struct changes *changes);

void changes_put(struct changes *changes, struct bytes key, struct bytes value);
void changes_delete(struct changes *changes, struct bytes key);
void changes_delete_range(struct changes *changes, struct bytes from, struct bytes until);

/* Iterates in order; start with *at = 0. Views are valid until the next put or delete. */
bool changes_next(const struct changes *changes, size_t *at, struct change *change);

#endif
