/* Limits: those of users and of virtual hosts, which are asked for and set in the same way. */
#ifndef LEV_API_LIMITS_H
#define LEV_API_LIMITS_H

#include "api/query.h"

enum { LIMITS = 2 };

struct limits_kind {
	const char *owner; /* The field of a row that says whose they are. */
	const char *names[LIMITS];
	const char *called; /* All of them, in refusals, which RabbitMQ puts */
	const char *before; /* behind this, */
	const char *after;  /* and this behind them. */
};

/* Adds {owner: name, "value": limits}, unless there are none; takes limits. */
void limits_add(json_t *rows, const struct limits_kind *kind, struct bytes name, json_t *limits);
/* A route's: the body's value is right for the limit that names[1] says. False: refused. */
bool limits_prepare(struct query *query, const struct limits_kind *kind);
/* Sets one; value NULL or negative: it goes. */
void limits_change(json_t *limits, struct bytes name, json_t *value);

#endif
