/* Route: what can be asked: method and path, who may, and what does it. */
#ifndef LEV_API_ROUTE_H
#define LEV_API_ROUTE_H

#include "desk/desk.h"
#include "http/request.h"

#include <stdbool.h>
#include <stddef.h>

struct query;

enum right {
	RIGHT_NONE,       /* No login at all. */
	RIGHT_MANAGEMENT, /* Any of the four tags, */
	RIGHT_MONITORING, /* monitoring or administrator, */
	RIGHT_POLICY,     /* policymaker or administrator, */
	RIGHT_ADMIN,
};

enum vhost_right {
	VHOST_NONE,     /* The path names none. */
	VHOST_SEEN,     /* It must be there, and the user be permitted in it or see all. */
	VHOST_LISTED,   /* The same; monitoring sees all. */
	VHOST_USED,     /* The user must be permitted in it, administrators included. */
	VHOST_MESSAGED, /* The same; one that is not there is refused like that, too. */
	VHOST_NAMED,    /* It need not be there; who may everything else may this. */
};

struct route {
	enum http_method method;
	const char *path; /* Segments after /api; a star is any one. */
	enum right right;
	enum vhost_right vhost; /* Of the first star. */
	bool takes_bytes;       /* The body is no JSON, or not only. */
	/* The api's thread; before it is known who asks. False: refused. NULL: nothing. */
	bool (*prepare)(struct query *query);
	/* The loop's thread; NULL: nothing. With query->status set, it is refused. */
	enum desk_step (*step)(struct query *query);
	/* The api's thread; answers and frees the query. NULL: query_reply(). */
	void (*tell)(struct query *query);
};

/* NULL: there is none; *allowed, ORed bits of methods (1 << enum), says which there are of the
 * path; 0: no such path. names: what stands for the stars. */
const struct route *route_find(const struct http_request *request, struct bytes *names,
			       unsigned *allowed);

/* POST /login brings user and password in its body: they become the login of the query. */
void users_read_form_login(struct query *query);
/* The same of POST /leveret/session. */
void login_read_body(struct query *query);

/* Each ends with a path of NULL. */
extern const struct route object_routes[], message_routes[], connection_routes[], user_routes[],
	vhost_routes[], parameter_routes[], definition_routes[], node_routes[], peek_routes[],
	move_routes[], own_routes[], login_routes[];

#endif
