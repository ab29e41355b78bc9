/* Verify: reads the whole store before anything relies on it.
 *
 * LMDB trusts its pages: a damaged one may end the process with a signal, or hide what is behind
 * it. So a child process reads everything first. What happens to it is a finding. */
#ifndef LEV_STORAGE_VERIFY_H
#define LEV_STORAGE_VERIFY_H

#include "store.h"

struct verdict {
	uint64_t records;
	uint64_t damaged;        /* Values that fail their checksums, */
	uint64_t damaged_unread; /* and those of them that recovery does not read. */
};

/* 0: the store can be read; *verdict says how much of it is good. -1: it cannot, and why says what
 * happened. Nothing is changed. Nobody may have it open. One that is not there yet, or an empty
 * file, which LMDB makes anew, is good. */
int verify_store(const struct store_options *options, struct verdict *verdict, char *why,
		 size_t why_size);

/* 0, or -1 and the reason if only the log is there: the store has been lost, or was not copied with
 * it. Before the store is opened, which makes one. */
int verify_store_is_there(const char *dir, char *why, size_t why_size);

/* The same of the log, by what the store says of it; before the log is opened. */
int verify_log_is_there(const char *dir, struct store_checkpoint checkpoint, char *why,
			size_t why_size);

#endif
