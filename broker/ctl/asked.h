/* Asked: verbs that are a question to the broker, through its socket for questions. All are for struct
 * verb: run. */
#ifndef LEV_CTL_ASKED_H
#define LEV_CTL_ASKED_H

#include "ctl/options.h"

#include <jansson.h>

struct verb;

int asked_run(const struct options *options, const struct verb *verb);
int asked_with_password(const struct options *options, const struct verb *verb);
int asked_authenticate(const struct options *options, const struct verb *verb);
int asked_limits(const struct options *options, const struct verb *verb);
int asked_clear_limits(const struct options *options, const struct verb *verb);
int asked_user_limits(const struct options *options, const struct verb *verb);
int asked_delete_queue(const struct options *options, const struct verb *verb);
int asked_close_all(const struct options *options, const struct verb *verb);
int asked_clear_topic(const struct options *options, const struct verb *verb);
int asked_cluster_name(const struct options *options, const struct verb *verb);

/* Asks, and takes the question. NULL, and *status: it was refused, or nobody answers; that has been
 * told. */
json_t *asked(const struct options *options, json_t *question, int *status);

#endif
