/* Say: what rabbitmqctl's commands print around their results: titles, and what was wrong. */
#ifndef LEV_CTL_SAY_H
#define LEV_CTL_SAY_H

#include "ctl/options.h"

struct verb;

/* Before a result, but for JSON and CSV, or -q. $1, $2, $3: arguments; $v: virtual host; $t: tags;
 * $p: priority; $P: pattern; $n: the node; $u: the user. */
void say_title(const struct options *options, const char *title);
/* What was done, unless -q. */
void say_done(const struct options *options, const char *text);
/* "Error:" and the text; returns the status. */
__attribute__((format(printf, 2, 3))) int say_error(int status, const char *format, ...);
/* The command line is wrong: why, what was given, and the usage. Returns the status. */
__attribute__((format(printf, 4, 5))) int say_wrong(const struct options *options,
						    const struct verb *verb, int status,
						    const char *format, ...);
void say_usage(const struct options *options, const struct verb *verb, bool is_error);
/* The name of the node, as the broker says it, or as it was given. */
const char *say_node(const struct options *options);

#endif
