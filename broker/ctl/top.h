/* Top: a live screen of the broker and its fullest queues. For struct verb: run. */
#ifndef LEV_CTL_TOP_H
#define LEV_CTL_TOP_H

#include "ctl/options.h"

struct verb;

int top_run(const struct options *options, const struct verb *verb);

#endif
