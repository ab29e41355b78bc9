/* Totals: the broker as a whole, as far as the user may see it, summed in steps. */
#ifndef LEV_API_TOTALS_H
#define LEV_API_TOTALS_H

#include "api/query.h"
#include "core/admin.h"

struct totals {
	struct query *query;
	struct view *view; /* NULL: none is under way. */
	struct api_node node;
	struct core_figures figures;
	struct message_stats stats;
	uint64_t ready;
	uint64_t ready_bytes;
	uint64_t unacked;
	uint64_t queues;
	uint64_t exchanges;
	uint64_t channels;
	uint64_t consumers;
	uint64_t connections;
	/* After totals_look_at_process(). */
	uint64_t open_files;
	uint64_t resident_bytes;
};

/* A step of the query: DESK_AGAIN until query->prepared is whole. */
enum desk_step totals_step(struct query *query);
/* The api's thread: it reads files of the system. */
void totals_look_at_process(struct totals *totals);

#endif
