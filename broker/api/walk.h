/* Walk of a list on the loop's thread: a step of a query that fills its sheet. */
#ifndef LEV_API_WALK_H
#define LEV_API_WALK_H

#include "api/query.h"
#include "api/sheet.h"

/* What of a list is wanted. Texts are valid as long as the query; NULL: any. */
struct walk_wanted {
	enum sheet_kind kind;
	const struct bytes *vhost;
	const struct bytes *source; /* Of bindings. */
	const struct bytes *destination;
	const bool *is_to_exchange;
	const struct bytes *queue;      /* Of consumers. */
	const struct bytes *connection; /* Of channels and connections: its name, */
	const struct bytes *user;       /* or its user. */
	const struct bytes *channel;    /* Of channels: "NAME (NUMBER)". */
	bool is_own; /* Of connections and channels: of the asking user, unless it sees all. */
};

/* One step: DESK_AGAIN until query->sheet is whole; begins when query->sheet is NULL. */
enum desk_step walk_step(struct query *query, const struct walk_wanted *wanted);

#endif
