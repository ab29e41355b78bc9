/* Dedup: how an exchange or a queue tells repeated publishes, as it is set. */
#ifndef LEV_CORE_DEDUP_DEDUP_H
#define LEV_CORE_DEDUP_DEDUP_H

#include <stdbool.h>
#include <stdint.h>

enum dedup_mode {
	DEDUP_UNSET,   /* An exchange: as DEDUP_WINDOW. A queue: it leaves it to the exchange. */
	DEDUP_WINDOW,  /* A key holds for a time from its first publish, */
	DEDUP_SLIDING, /* from its last one, */
	DEDUP_WHILE_QUEUED, /* or as long as its message is in the queue. */
};

struct dedup {
	enum dedup_mode mode;
	bool takes_alias;       /* x-deduplication-header is a key, too. */
	bool rejects_conflicts; /* Otherwise they count as duplicates. */
	uint64_t window_ms;     /* 0: the broker's. */
};

#endif
