/* Virtual hosts and their limits. */
#include "api/limits.h"
#include "api/list.h"

#include "core/admin.h"
#include "core/inputs.h"

#include "auth/users.h"
#include "manage/table_json.h"
#include "manage/user_fields.h"

#include <stdlib.h>
#include <string.h>

/* --- virtual hosts --- */

/* As RabbitMQ's: what was noted of it once more under metadata. Takes the row. */
static json_t *vhost_json(const struct query *c, json_t *row)
{
	json_t *metadata = json_object(), *type = json_object_get(row, "default_queue_type");
	json_object_set(metadata, "description", json_object_get(row, "description"));
	json_object_set(metadata, "tags", json_object_get(row, "tags"));
	if (type == NULL)
		json_object_set_new(row, "default_queue_type", json_string("undefined"));
	else
		json_object_set(metadata, "default_queue_type", type);
	json_object_set_new(row, "metadata", metadata);
	json_object_set_new(row, "cluster_state",
			    json_pack("{s:s}", c->api->options.node, "running"));
	json_object_del(row, "connections");
	return row;
}

/* Of one, if name is not NULL, or of all that the user may see. */
static json_t *rows_of(struct query *c, const struct bytes *name)
{
	size_t i;
	json_t *row, *rows = json_array(), *q = json_pack("{s:s}", "command", "list_vhosts");
	if (name != NULL)
		json_object_set_new(q, "name", json_of_text(*name));
	json_t *answer = query_ask(c, q);
	json_array_foreach(json_object_get(answer, "rows"), i, row)
	{
		const json_t *text = json_object_get(row, "name");
		struct bytes it = bytes_of(json_string_value(text), json_string_length(text));
		if (name == NULL ? query_may_see(c, it) : bytes_equal(*name, it))
			json_array_append_new(rows, vhost_json(c, json_incref(row)));
	}
	json_decref(answer);
	return rows;
}

static enum desk_step list_vhosts(struct query *c)
{
	c->answer = rows_of(c, NULL);
	return DESK_DONE;
}

static void tell_vhosts(struct query *c)
{
	list_reply_rows(c, "name", true);
}

static enum desk_step get_vhost(struct query *c)
{
	json_t *rows = rows_of(c, &c->names[0]);
	c->answer = json_incref(json_array_get(rows, 0));
	json_decref(rows);
	if (c->answer == NULL)
		query_not_found(c);
	return DESK_DONE;
}

/* "a,b , c" is three tags. */
static json_t *tags_of_text(const char *text)
{
	json_t *tags = json_array();
	while (*text != '\0') {
		size_t len = strcspn(text, ","), from = 0, until = len;
		while (from < until && text[from] == ' ')
			from++;
		while (until > from && text[until - 1] == ' ')
			until--;
		if (until > from)
			json_array_append_new(tags, json_stringn(text + from, until - from));
		text += len + (text[len] == ',');
	}
	return tags;
}

static bool prepare_vhost(struct query *c)
{
	static const char *const types[] = { "classic", "quorum", "undefined", NULL };
	const json_t *tags = json_object_get(c->body, "tags");
	const char *type = query_str(c, "default_queue_type");
	bool is_traced = false, is_known = type == NULL;
	if (c->names[0].len > UINT8_MAX)
		return query_bad(c, "a virtual host's name has at most 255 bytes");
	if (json_is_string(tags))
		json_object_set_new(c->body, "tags", tags_of_text(json_string_value(tags)));
	else if (tags != NULL && !json_is_array(tags))
		return query_bad(c, "tags: neither a list nor a string");
	if (json_object_get(c->body, "description") != NULL && query_str(c, "description") == NULL)
		return query_bad(c, "description: not a string");
	for (size_t i = 0; !is_known && types[i] != NULL; i++)
		is_known = strcmp(type, types[i]) == 0;
	if (!is_known)
		return query_bad(c, "default_queue_type: neither classic nor quorum");
	if (!query_flag(c, "tracing", &is_traced))
		return false;
	if (json_object_get(c->body, "tracing") != NULL)
		json_object_set_new(c->body, "tracing", json_boolean(is_traced));
	return true;
}

/* Whoever makes one may do all in it. */
static enum desk_step put_vhost(struct query *c)
{
	bool is_new = core_vhost(c->api->options.core, c->names[0]) == NULL;
	json_object_set_new(c->body, "command", json_string("add_vhost"));
	json_object_set_new(c->body, "name", json_of_text(c->names[0]));
	if (!query_do(c, json_incref(c->body)))
		return DESK_DONE;
	if (is_new)
		query_do(c, json_pack("{s:s, s:o, s:o, s:s, s:s, s:s}", "command",
				      "set_permissions", "vhost", json_of_text(c->names[0]), "user",
				      json_of_text(c->user->name), "configure", ".*", "write", ".*",
				      "read", ".*"));
	c->status = is_new ? 201 : 204;
	return DESK_DONE;
}

static enum desk_step delete_vhost(struct query *c)
{
	if (core_vhost(c->api->options.core, c->names[0]) == NULL)
		query_not_found(c);
	else if (query_do(c, json_pack("{s:s, s:o}", "command", "delete_vhost", "name",
				       json_of_text(c->names[0]))))
		c->status = 204;
	return DESK_DONE;
}

/* There is one node, and whatever is there runs on it. */
static enum desk_step start_vhost(struct query *c)
{
	if (!bytes_equal_str(c->names[1], c->api->options.node))
		query_bad(c, "Request to node %.*s failed with nodedown", BYTES_ARG(c->names[1]));
	else if (core_vhost(c->api->options.core, c->names[0]) == NULL)
		query_bad(c, "there is no virtual host '%.*s'", BYTES_ARG(c->names[0]));
	else
		c->status = 204;
	return DESK_DONE;
}

/* --- limits --- */

static const struct limits_kind vhost_limits = { .owner = "vhost",
						 .names = { "max-connections", "max-queues" },
						 .called = "limits",
						 .before = "Validation failed\n\n",
						 .after = "\n" };

static json_t *limits_of(const struct vhost *vhost)
{
	struct vhost_settings s = vhost_settings(vhost);
	return limits_json(vhost_limits.names, s.connections_max, s.queues_max);
}

static void add_limits(json_t *rows, const struct vhost *vhost)
{
	limits_add(rows, &vhost_limits, vhost_name(vhost), limits_of(vhost));
}

static enum desk_step list_limits(struct query *c)
{
	c->answer = json_array();
	for (struct vhost *v = NULL; (v = core_next_vhost(c->api->options.core, v)) != NULL;)
		if (query_may_see(c, vhost_name(v)))
			add_limits(c->answer, v);
	return DESK_DONE;
}

static enum desk_step get_limits(struct query *c)
{
	const struct vhost *vhost = query_vhost(c);
	c->answer = json_array();
	if (vhost != NULL)
		add_limits(c->answer, vhost);
	return DESK_DONE;
}

static bool prepare_limit(struct query *c)
{
	return limits_prepare(c, &vhost_limits);
}

static enum desk_step set_limit(struct query *c, json_t *value)
{
	const struct vhost *vhost = query_vhost(c);
	if (vhost == NULL)
		return DESK_DONE;
	json_t *limits = limits_of(vhost);
	limits_change(limits, c->names[1], value);
	bool is_none = json_object_size(limits) == 0;
	json_t *q = json_pack("{s:s, s:o, s:o}", "command",
			      is_none ? "clear_vhost_limits" : "set_vhost_limits", "vhost",
			      json_of_text(c->names[0]), "limits", limits);
	if (is_none) { /* That there were none is fine. */
		json_decref(query_ask(c, q));
		c->status = 204;
	} else if (query_do(c, q)) {
		c->status = 204;
	}
	return DESK_DONE;
}

static enum desk_step put_limit(struct query *c)
{
	return set_limit(c, json_object_get(c->body, "value"));
}

static enum desk_step delete_limit(struct query *c)
{
	return set_limit(c, NULL);
}

#define ADMIN(method, path, vhost, prepare, step, tell)                      \
	{                                                                    \
		method, path, RIGHT_ADMIN, vhost, false, prepare, step, tell \
	}

const struct route vhost_routes[] = {
	{ HTTP_GET, "vhosts", RIGHT_MANAGEMENT, VHOST_NONE, false, NULL, list_vhosts, tell_vhosts },
	ADMIN(HTTP_GET, "vhosts/*", VHOST_NAMED, NULL, get_vhost, list_reply_answer),
	ADMIN(HTTP_PUT, "vhosts/*", VHOST_NAMED, prepare_vhost, put_vhost, NULL),
	ADMIN(HTTP_DELETE, "vhosts/*", VHOST_NAMED, NULL, delete_vhost, NULL),
	ADMIN(HTTP_POST, "vhosts/*/start/*", VHOST_NAMED, NULL, start_vhost, NULL),
	{ HTTP_GET, "vhost-limits", RIGHT_MANAGEMENT, VHOST_NONE, false, NULL, list_limits,
	  tell_vhosts },
	{ HTTP_GET, "vhost-limits/*", RIGHT_MANAGEMENT, VHOST_LISTED, false, NULL, get_limits,
	  tell_vhosts },
	ADMIN(HTTP_PUT, "vhost-limits/*/*", VHOST_SEEN, prepare_limit, put_limit, NULL),
	ADMIN(HTTP_DELETE, "vhost-limits/*/*", VHOST_SEEN, NULL, delete_limit, NULL),
	{ HTTP_GET, NULL, RIGHT_NONE, VHOST_NONE, false, NULL, NULL, NULL },
};
