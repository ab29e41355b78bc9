/* Definitions in a file, as RabbitMQ has them. For struct verb: run. */
#ifndef LEV_CTL_DEFINITIONS_H
#define LEV_CTL_DEFINITIONS_H

#include "ctl/options.h"

struct verb;

int definitions_export(const struct options *options, const struct verb *verb);
int definitions_import(const struct options *options, const struct verb *verb);

#endif
