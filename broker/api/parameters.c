/* Policies, parameters of virtual hosts, and global ones. */
#include "api/list.h"

#include "core/admin.h"

#include "auth/users.h"
#include "manage/table_json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool is_text(const json_t *v, struct bytes text)
{
	return json_is_string(v) &&
	       bytes_equal(text, bytes_of(json_string_value(v), json_string_length(v)));
}

static void tell_rows(struct query *c)
{
	list_reply_rows(c, "name", false);
}

/* --- rows --- */

/* As they stand on their own: a policy's value beside its name. Takes the row. */
static json_t *policy_json(json_t *row)
{
	json_t *policy = json_pack("{s:O, s:O}", "vhost", json_object_get(row, "vhost"), "name",
				   json_object_get(row, "name"));
	json_object_update(policy, json_object_get(row, "value"));
	json_decref(row);
	return policy;
}

struct wanted {
	const char *command;           /* That lists them. */
	const struct bytes *vhost;     /* NULL: all that the user may see. */
	const struct bytes *component; /* NULL: any. */
	const struct bytes *name;      /* NULL: any. */
	bool are_policies;
};

static bool fits(const struct query *c, const json_t *row, const struct wanted *w)
{
	const json_t *vhost = json_object_get(row, "vhost");
	struct bytes in = bytes_of(json_string_value(vhost), json_string_length(vhost));
	bool is_global = in.len == 0;
	return (w->vhost == NULL ? is_global || query_may_see(c, in)
				 : bytes_equal(*w->vhost, in)) &&
	       (w->component == NULL ||
		is_text(json_object_get(row, "component"), *w->component)) &&
	       (w->name == NULL || is_text(json_object_get(row, "name"), *w->name));
}

static json_t *rows_of(struct query *c, const struct wanted *w)
{
	size_t i;
	json_t *row, *rows = json_array(), *q = json_pack("{s:s}", "command", w->command);
	if (w->name != NULL) /* So that no others are made. */
		json_object_set_new(q, "name", json_of_text(*w->name));
	json_t *answer = query_ask(c, q);
	json_array_foreach(json_object_get(answer, "rows"), i, row) if (fits(c, row, w))
		json_array_append_new(rows, w->are_policies ? policy_json(json_incref(row))
							    : json_incref(row));
	json_decref(answer);
	return rows;
}

/* The first row; false and 404: there is none. */
static bool keep_first(struct query *c, const struct wanted *w)
{
	json_t *rows = rows_of(c, w);
	c->answer = json_incref(json_array_get(rows, 0));
	json_decref(rows);
	return c->answer != NULL || query_not_found(c);
}

static bool is_there(struct query *c, const struct wanted *w)
{
	json_t *rows = rows_of(c, w);
	size_t len = json_array_size(rows);
	json_decref(rows);
	return len > 0;
}

/* --- policies: names are virtual host and policy --- */

static bool is_operator(const struct query *c)
{
	return strncmp(c->route->path, "operator-policies", 17) == 0;
}

static struct wanted wanted_policies(const struct query *c)
{
	struct wanted w = { .command = is_operator(c) ? "list_operator_policies" : "list_policies",
			    .are_policies = true };
	if (c->route->vhost != VHOST_NONE)
		w.vhost = &c->names[0];
	return w;
}

static enum desk_step list_policies(struct query *c)
{
	const struct wanted w = wanted_policies(c);
	c->answer = rows_of(c, &w);
	return DESK_DONE;
}

static enum desk_step get_policy(struct query *c)
{
	struct wanted w = wanted_policies(c);
	w.name = &c->names[1];
	keep_first(c, &w);
	return DESK_DONE;
}

static bool prepare_policy(struct query *c)
{
	static const char *const names[] = { "pattern", "definition", NULL };
	json_t *priority = json_object_get(c->body, "priority");
	if (!query_needs(c, names))
		return false;
	/* As RabbitMQ, which takes any number. */
	if (json_is_real(priority) && fabs(json_real_value(priority)) < 1e15)
		json_object_set_new(c->body, "priority",
				    json_integer((json_int_t)json_real_value(priority)));
	return true;
}

static void validation_failed(struct query *c)
{
	char text[QUERY_REASON_MAX];
	if (c->status != 400)
		return;
	snprintf(text, sizeof text, "%s", c->reason);
	snprintf(c->reason, sizeof c->reason, "Validation failed\n\n%.*s\n",
		 (int)sizeof c->reason - 30, text);
}

static enum desk_step put_policy(struct query *c)
{
	struct wanted w = wanted_policies(c);
	w.name = &c->names[1];
	bool was_there = is_there(c, &w);
	json_object_set_new(c->body, "command",
			    json_string(is_operator(c) ? "set_operator_policy" : "set_policy"));
	json_object_set_new(c->body, "vhost", json_of_text(c->names[0]));
	json_object_set_new(c->body, "name", json_of_text(c->names[1]));
	if (query_do(c, json_incref(c->body)))
		c->status = was_there ? 204 : 201;
	else
		validation_failed(c);
	return DESK_DONE;
}

static enum desk_step delete_policy(struct query *c)
{
	struct wanted w = wanted_policies(c);
	w.name = &c->names[1];
	if (!is_there(c, &w))
		query_not_found(c);
	else if (query_do(c, json_pack("{s:s, s:o, s:o}", "command",
				       is_operator(c) ? "clear_operator_policy" : "clear_policy",
				       "vhost", json_of_text(c->names[0]), "name",
				       json_of_text(c->names[1]))))
		c->status = 204;
	return DESK_DONE;
}

/* --- parameters: names are component, virtual host and parameter --- */

static struct bytes parameter_vhost(const struct query *c)
{
	return c->names[1];
}

/* The virtual host is the second name here, so that it is looked at here, too. */
static bool admit_parameter(struct query *c)
{
	struct bytes vhost = parameter_vhost(c);
	bool is_change = c->route->method == HTTP_PUT;
	if (!user_has_tag(c->user, "administrator") && user_grant(c->user, vhost) == NULL)
		return query_unauthorised(c, "User not authorised to access object");
	if (core_vhost(c->api->options.core, vhost) != NULL)
		return true;
	return is_change ? query_refuse(c, 404, "not_found", "vhost_not_found")
			 : query_not_found(c);
}

/* An operator's policies are among them, the others are not. */
static void keep_parameters(struct query *c, struct wanted w)
{
	w.command = "list_parameters";
	c->answer = rows_of(c, &w);
	w.command = "list_operator_policies";
	json_t *operators = rows_of(c, &w);
	json_array_extend(c->answer, operators);
	json_decref(operators);
}

static enum desk_step list_parameters(struct query *c)
{
	keep_parameters(c, (struct wanted){ .name = NULL });
	return DESK_DONE;
}

static enum desk_step list_component(struct query *c)
{
	keep_parameters(c, (struct wanted){ .component = &c->names[0] });
	return DESK_DONE;
}

static enum desk_step list_component_of(struct query *c)
{
	if (admit_parameter(c))
		keep_parameters(
			c, (struct wanted){ .component = &c->names[0], .vhost = &c->names[1] });
	return DESK_DONE;
}

static struct wanted one_parameter(const struct query *c)
{
	return (struct wanted){ .command = "list_parameters",
				.component = &c->names[0],
				.vhost = &c->names[1],
				.name = &c->names[2] };
}

static enum desk_step get_parameter(struct query *c)
{
	const struct wanted w = one_parameter(c);
	if (admit_parameter(c))
		keep_first(c, &w);
	return DESK_DONE;
}

static bool is_policy_component(struct bytes component)
{
	return bytes_equal_str(component, "policy") ||
	       bytes_equal_str(component, "operator_policy");
}

static bool prepare_parameter(struct query *c)
{
	static const char *const names[] = { "value", NULL };
	if (is_policy_component(c->names[0]))
		return query_bad(c, "policies may not be set using this method");
	return query_needs(c, names);
}

static enum desk_step put_parameter(struct query *c)
{
	const struct wanted w = one_parameter(c);
	if (!admit_parameter(c))
		return DESK_DONE;
	bool was_there = is_there(c, &w);
	bool is_limits = bytes_equal_str(c->names[0], "vhost-limits");
	if (query_do(c, json_pack("{s:s, s:o, s:o, s:o, s:O}", "command", "set_parameter",
				  "component", json_of_text(c->names[0]), "vhost",
				  json_of_text(c->names[1]), "name", json_of_text(c->names[2]),
				  "value", json_object_get(c->body, "value"))))
		c->status = was_there || is_limits ? 204 : 201;
	else
		validation_failed(c);
	return DESK_DONE;
}

static enum desk_step delete_parameter(struct query *c)
{
	const struct wanted w = one_parameter(c);
	if (!admit_parameter(c))
		return DESK_DONE;
	if (!is_there(c, &w))
		query_not_found(c);
	else if (query_do(c,
			  json_pack("{s:s, s:o, s:o, s:o}", "command", "clear_parameter",
				    "component", json_of_text(c->names[0]), "vhost",
				    json_of_text(c->names[1]), "name", json_of_text(c->names[2]))))
		c->status = 204;
	return DESK_DONE;
}

/* --- global ones --- */

static json_t *global_rows(struct query *c, const struct bytes *name)
{
	const struct wanted w = { .command = "list_global_parameters", .name = name };
	json_t *rows = rows_of(c, &w), *row;
	size_t i;
	json_array_foreach(rows, i, row)
	{
		json_object_del(row, "vhost");
		json_object_del(row, "component");
	}
	return rows;
}

static enum desk_step list_globals(struct query *c)
{
	static const struct bytes cluster_name = { (const uint8_t *)"cluster_name", 12 };
	c->answer = global_rows(c, NULL);
	json_t *said = global_rows(c, &cluster_name);
	if (json_array_size(said) == 0)
		json_array_append_new(c->answer, json_pack("{s:s, s:s}", "name", "cluster_name",
							   "value", c->api->options.cluster_name));
	json_decref(said);
	return DESK_DONE;
}

static enum desk_step get_global(struct query *c)
{
	json_t *rows = global_rows(c, &c->names[0]);
	c->answer = json_incref(json_array_get(rows, 0));
	json_decref(rows);
	if (c->answer == NULL && bytes_equal_str(c->names[0], "cluster_name"))
		c->answer = json_pack("{s:s, s:s}", "name", "cluster_name", "value",
				      c->api->options.cluster_name);
	if (c->answer == NULL)
		query_not_found(c);
	return DESK_DONE;
}

static enum desk_step put_global(struct query *c)
{
	json_t *rows = global_rows(c, &c->names[0]);
	bool was_there = json_array_size(rows) > 0;
	json_decref(rows);
	if (query_do(c, json_pack("{s:s, s:o, s:O}", "command", "set_global_parameter", "name",
				  json_of_text(c->names[0]), "value",
				  json_object_get(c->body, "value"))))
		c->status = was_there ? 204 : 201;
	return DESK_DONE;
}

static enum desk_step delete_global(struct query *c)
{
	json_t *rows = global_rows(c, &c->names[0]);
	bool is_there_now = json_array_size(rows) > 0;
	json_decref(rows);
	if (!is_there_now)
		query_not_found(c);
	else if (query_do(c, json_pack("{s:s, s:o}", "command", "clear_global_parameter", "name",
				       json_of_text(c->names[0]))))
		c->status = 204;
	return DESK_DONE;
}

static bool prepare_value(struct query *c)
{
	static const char *const names[] = { "value", NULL };
	return query_needs(c, names);
}

/* --- the cluster's name is one of them --- */

static enum desk_step get_cluster_name(struct query *c)
{
	static const struct bytes name = { (const uint8_t *)"cluster_name", 12 };
	json_t *rows = global_rows(c, &name);
	json_t *value = json_object_get(json_array_get(rows, 0), "value");
	c->answer = json_is_string(value)
			    ? json_pack("{s:O}", "name", value)
			    : json_pack("{s:s}", "name", c->api->options.cluster_name);
	json_decref(rows);
	return DESK_DONE;
}

static bool prepare_cluster_name(struct query *c)
{
	static const char *const names[] = { "name", NULL };
	return query_needs(c, names) &&
	       (query_str(c, "name") != NULL || query_bad(c, "name: not a string"));
}

static enum desk_step put_cluster_name(struct query *c)
{
	if (query_do(c, json_pack("{s:s, s:s, s:s}", "command", "set_global_parameter", "name",
				  "cluster_name", "value", query_str(c, "name"))))
		c->status = 204;
	return DESK_DONE;
}

#define POLICY(method, path, vhost, prepare, step, tell)                      \
	{                                                                     \
		method, path, RIGHT_POLICY, vhost, false, prepare, step, tell \
	}
#define ANY(path, vhost, step, tell)                                             \
	{                                                                        \
		HTTP_GET, path, RIGHT_MANAGEMENT, vhost, false, NULL, step, tell \
	}
#define ADMIN(method, path, vhost, prepare, step)                            \
	{                                                                    \
		method, path, RIGHT_ADMIN, vhost, false, prepare, step, NULL \
	}

const struct route parameter_routes[] = {
	ANY("policies", VHOST_NONE, list_policies, tell_rows),
	ANY("policies/*", VHOST_SEEN, list_policies, tell_rows),
	ANY("policies/*/*", VHOST_SEEN, get_policy, list_reply_answer),
	POLICY(HTTP_PUT, "policies/*/*", VHOST_SEEN, prepare_policy, put_policy, NULL),
	POLICY(HTTP_DELETE, "policies/*/*", VHOST_SEEN, NULL, delete_policy, NULL),
	ANY("operator-policies", VHOST_NONE, list_policies, tell_rows),
	ANY("operator-policies/*", VHOST_SEEN, list_policies, tell_rows),
	ANY("operator-policies/*/*", VHOST_SEEN, get_policy, list_reply_answer),
	ADMIN(HTTP_PUT, "operator-policies/*/*", VHOST_SEEN, prepare_policy, put_policy),
	ADMIN(HTTP_DELETE, "operator-policies/*/*", VHOST_SEEN, NULL, delete_policy),
	POLICY(HTTP_GET, "parameters", VHOST_NONE, NULL, list_parameters, tell_rows),
	POLICY(HTTP_GET, "parameters/*", VHOST_NONE, NULL, list_component, tell_rows),
	POLICY(HTTP_GET, "parameters/*/*", VHOST_NONE, NULL, list_component_of, tell_rows),
	POLICY(HTTP_GET, "parameters/*/*/*", VHOST_NONE, NULL, get_parameter, list_reply_answer),
	POLICY(HTTP_PUT, "parameters/*/*/*", VHOST_NONE, prepare_parameter, put_parameter, NULL),
	POLICY(HTTP_DELETE, "parameters/*/*/*", VHOST_NONE, NULL, delete_parameter, NULL),
	POLICY(HTTP_GET, "global-parameters", VHOST_NONE, NULL, list_globals, tell_rows),
	POLICY(HTTP_GET, "global-parameters/*", VHOST_NONE, NULL, get_global, list_reply_answer),
	POLICY(HTTP_PUT, "global-parameters/*", VHOST_NONE, prepare_value, put_global, NULL),
	POLICY(HTTP_DELETE, "global-parameters/*", VHOST_NONE, NULL, delete_global, NULL),
	ANY("cluster-name", VHOST_NONE, get_cluster_name, NULL),
	ADMIN(HTTP_PUT, "cluster-name", VHOST_NONE, prepare_cluster_name, put_cluster_name),
	{ HTTP_GET, NULL, RIGHT_NONE, VHOST_NONE, false, NULL, NULL, NULL },
};
