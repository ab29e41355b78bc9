/* Stats: what became of messages, counted where it happens: of a queue, a channel, and all of the
 * broker since its start. */
#ifndef LEV_CORE_STATS_H
#define LEV_CORE_STATS_H

#include <stdint.h>

struct message_stats {
	uint64_t published;        /* A queue: put into it; otherwise: by publishers. */
	uint64_t delivered;        /* To consumers that ack, */
	uint64_t delivered_no_ack; /* and to those that do not. */
	uint64_t got;              /* With basic.get, likewise. */
	uint64_t got_no_ack;
	uint64_t get_empty; /* There was nothing to get. */
	uint64_t redelivered;
	uint64_t acked;
};

#endif
