/* Fetch: reads single messages back from the log. It reads ahead of whoever goes through the log in
 * order, in ever longer stretches, and little for whoever does not. Not thread-safe. */
#ifndef LEV_STORAGE_FETCH_H
#define LEV_STORAGE_FETCH_H

#include "logfile.h"

struct fetch {
	uint8_t *buffer;
	size_t cap;
	uint64_t at; /* What of the log is in the buffer. */
	size_t len;
	size_t stretch; /* Bytes to read at once. */
};

void fetch_init(struct fetch *fetch);
void fetch_fini(struct fetch *fetch);

/* The entry at an address, which must be durable; end_at is where what is durable ends. Views are
 * valid until the next call. False if it is not there or damaged. */
bool fetch_entry(struct fetch *fetch, const struct logfile *log, struct space *space, uint64_t at,
		 uint64_t end_at, struct entry *entry);

#endif
