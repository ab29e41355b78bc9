/* Run: sets a scenario up, lets it go, watches it, and ends it. */
#ifndef LEV_BENCH_RUN_H
#define LEV_BENCH_RUN_H

#include "report.h"

/* Fills the report, which report_fini() frees. */
void run(const struct options *options, struct report *report);

#endif
