/* Messages of queues: looked at, moved, explained. For struct verb: run. */
#ifndef LEV_CTL_MESSAGES_H
#define LEV_CTL_MESSAGES_H

#include "ctl/options.h"

struct verb;

int messages_peek(const struct options *options, const struct verb *verb);
/* Back to where they died; with the command "to" where the options say. */
int messages_move(const struct options *options, const struct verb *verb);
int messages_explain(const struct options *options, const struct verb *verb);

#endif
