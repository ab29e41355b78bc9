/* Fetch: management over HTTP as leveretctl asks for it: through the socket in the data directory, as
 * the operator, or from a host, as a user. */
#ifndef LEV_CTL_FETCH_H
#define LEV_CTL_FETCH_H

#include "ctl/options.h"

#include <jansson.h>

/* format: the path, "/api/queues/%s"; what a %s stands for is escaped. */
struct fetch {
	const char *method;
	const char *path; /* With a query; escaped already. */
	const json_t *body; /* Borrowed; NULL: none. */
};

/* The reply, which is the caller's; *status: of HTTP; 0, and errno: nobody answers. NULL with a
 * status: there is no body, or it is no JSON. */
json_t *fetch(const struct options *options, const struct fetch *wanted, int *status);
/* A GET that is to be answered by 200. NULL: it was not, as has been told; *status: of this program. */
json_t *fetch_or_tell(const struct options *options, const char *path, int *status);
/* The same with any request. */
json_t *fetch_told(const struct options *options, const struct fetch *wanted, int *status);

/* Appends text to a path, escaped. */
void fetch_escape(char *path, size_t size, const char *text);

#endif
