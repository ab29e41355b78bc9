/* Definitions: everything at once, in RabbitMQ's form, as it goes out. (import.c: as it comes in.)
 */
#include "manage/state.h"

#include <string.h>

static void add(json_t *out, const char *list, json_t *object)
{
	json_array_append_new(json_object_get(out, list), object);
}

static void export_user(json_t *out, const struct user *user)
{
	size_t at = 0;
	add(out, "users", user_json(user));
	for (const struct map_entry *e; (e = map_next(&user->grants, &at)) != NULL;) {
		const struct grant *grant = e->value;
		size_t slot = 0;
		if (grant->permission != NULL)
			add(out, "permissions", permission_json(user, grant));
		for (const struct map_entry *f; (f = map_next(&grant->topics, &slot)) != NULL;)
			add(out, "topic_permissions", topic_json(user, grant, f->value));
	}
}

static void export_parameter(json_t *out, const struct parameter *p)
{
	if (p->component[0] == '\0') {
		add(out, "global_parameters",
		    json_pack("{s:s, s:o}", "name", p->name, "value", json_deep_copy(p->value)));
	} else if (strcmp(p->component, "policy") == 0) {
		json_t *policy = json_deep_copy(p->value);
		json_object_set_new(policy, "vhost", json_string(p->vhost));
		json_object_set_new(policy, "name", json_string(p->name));
		add(out, "policies", policy);
	} else {
		add(out, "parameters",
		    json_pack("{s:s, s:s, s:s, s:o}", "vhost", p->vhost, "component", p->component,
			      "name", p->name, "value", json_deep_copy(p->value)));
	}
}

json_t *manage_export(struct manage *m, const char *vhost)
{
	static const char *const lists[] = { "vhosts",
					     "users",
					     "permissions",
					     "topic_permissions",
					     "global_parameters",
					     "parameters",
					     "policies",
					     "exchanges",
					     "queues",
					     "bindings" };
	json_t *out = json_pack("{s:s, s:s, s:s}", "rabbitmq_version", "3.10.8", "product_name",
				"Leveret", "product_version", LEV_VERSION);
	const struct user *user;
	size_t at = 0;
	for (size_t k = 0; k < sizeof lists / sizeof *lists; k++)
		json_object_set_new(out, lists[k], json_array());
	for (size_t slot = 0; vhost == NULL && (user = users_next(m->users, &slot)) != NULL;)
		export_user(out, user);
	for (const struct map_entry *e; (e = map_next(&m->parameters, &at)) != NULL;) {
		const struct parameter *p = e->value;
		if (vhost == NULL || strcmp(p->vhost, vhost) == 0)
			export_parameter(out, p);
	}
	for (struct vhost *v = NULL; (v = core_next_vhost(m->core, v)) != NULL;) {
		if (vhost != NULL && !bytes_equal_str(vhost_name(v), vhost))
			continue;
		if (vhost == NULL)
			add(out, "vhosts", vhost_json(v));
		objects_export(m, v, out);
	}
	return out;
}

/* --- commands --- */

static json_t *export_definitions(struct manage *m, const json_t *q, struct trouble *t)
{
	bool is_one = json_object_get(q, "vhost") != NULL;
	if (is_one && field_vhost(m, q, t) == NULL)
		return NULL;
	return json_pack("{s:o}", "definitions",
			 manage_export(m, is_one ? field_str(q, "vhost") : NULL));
}

const struct command definition_commands[] = {
	{ "export_definitions", export_definitions },
	{ NULL, NULL },
};
