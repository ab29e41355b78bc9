/* Diagnostics: one archive for a bug report: versions, configuration, figures, lists, the last lines
 * of the log; secrets taken out. For struct verb: run. */
#ifndef LEV_CTL_DIAGNOSTICS_H
#define LEV_CTL_DIAGNOSTICS_H

#include "ctl/options.h"

struct verb;

int diagnostics_run(const struct options *options, const struct verb *verb);

#endif
