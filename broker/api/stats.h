/* Statistics of objects as JSON: counters with the rates at which they grow. */
#ifndef LEV_API_STATS_H
#define LEV_API_STATS_H

#include "api/fields.h"

/* What is counted of an object, and how it is called. */
struct stat {
	const char *name;
	uint64_t value;
	bool is_gauge; /* It stands beside the counters, in the object itself. */
};

/* Names an object for rates: its kind, and what tells it from others of its kind. */
struct stat_key {
	char kind;
	struct bytes vhost;
	struct bytes name;
};

/* Gauges as name and name_details in the object, counters likewise in "message_stats", unless all
 * of them are 0. With lengths_age and lengths_incr, or msg_rates_age and msg_rates_incr, of the
 * request samples come with it. */
void stats_put(struct query *query, struct fields *fields, const struct stat_key *key,
	       const struct stat *stats, size_t len);

/* False, and a refusal: the parameters that ask for samples make no sense. */
bool stats_check(struct query *query);

/* Fills in those of struct message_stats; returns how many. */
enum { MESSAGE_STATS = 9 };
size_t stats_of_messages(const struct message_stats *stats, struct stat *out);

#endif
