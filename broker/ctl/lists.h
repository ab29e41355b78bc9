/* Lists of what there is: the columns of rabbitmqctl, from what management says of objects. */
#ifndef LEV_CTL_LISTS_H
#define LEV_CTL_LISTS_H

#include "ctl/options.h"

#include <jansson.h>

struct verb;

/* For struct verb: run. */
int lists_run(const struct options *options, const struct verb *verb);
/* Prints rows by the verb's columns, or those that are arguments from argv[from] on; they are
 * known to be good. */
void lists_print(const struct options *options, const struct verb *verb, const json_t *rows,
		 int from);
/* False: a column is none, as has been told. */
bool lists_check_columns(const struct options *options, const struct verb *verb, int from);

#endif
