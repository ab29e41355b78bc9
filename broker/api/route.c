#include "api/route.h"

#include <string.h>

static const struct route *const tables[] = {
	object_routes, message_routes,   connection_routes, user_routes,
	vhost_routes,  parameter_routes, definition_routes, node_routes,
	peek_routes,   move_routes,      own_routes,        login_routes,
};

/* The segments after "api" against a path. */
static bool matches(const struct http_request *r, const char *path, struct bytes *names)
{
	size_t stars = 0;
	for (size_t i = 1; i < r->segments_len; i++) {
		size_t len = strcspn(path, "/");
		if (len == 0)
			return false;
		if (len == 1 && path[0] == '*')
			names[stars++] = r->segments[i];
		else if (!bytes_equal(r->segments[i], bytes_of(path, len)))
			return false;
		path += len;
		path += *path == '/';
	}
	return *path == '\0';
}

const struct route *route_find(const struct http_request *r, struct bytes *names, unsigned *allowed)
{
	enum http_method method = r->method == HTTP_HEAD ? HTTP_GET : r->method;
	*allowed = 0;
	if (r->segments_len == 0 || !bytes_equal_str(r->segments[0], "api"))
		return NULL;
	for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
		for (const struct route *one = tables[i]; one->path != NULL; one++) {
			if (!matches(r, one->path, names))
				continue;
			if (one->method == method)
				return one;
			*allowed |= 1U << one->method;
		}
	return NULL;
}
