/* Definitions: everything at once, in RabbitMQ's form. */
#include "manage/state.h"

#include <stdlib.h>
#include <string.h>

/* What a list of definitions is made of: checked, brought into force, and recorded (NULL: it
 * records itself). */
struct noun {
	const char *list;
	bool has_vhost;
	bool (*apply)(struct manage *m, json_t *o, bool is_check, struct trouble *t);
	void (*record)(struct manage *m, const json_t *o);
};

static bool apply_vhost(struct manage *m, json_t *o, bool is_check, struct trouble *t)
{
	return vhost_apply(m, o, is_check, t);
}

static bool apply_user(struct manage *m, json_t *o, bool is_check, struct trouble *t)
{
	return user_apply(m, o, is_check, t);
}

static void record_user(struct manage *m, const json_t *o)
{
	user_record(m, users_find(m->users, field_text(o, "name")));
}

static bool apply_permission(struct manage *m, json_t *o, bool is_check, struct trouble *t)
{
	return permission_apply(m, o, is_check, t);
}

static void record_permission(struct manage *m, const json_t *o)
{
	permission_record(m, users_find(m->users, field_text(o, "user")), field_text(o, "vhost"));
}

static bool apply_topic(struct manage *m, json_t *o, bool is_check, struct trouble *t)
{
	return topic_apply(m, o, is_check, t);
}

static void record_topic(struct manage *m, const json_t *o)
{
	topic_record(m, users_find(m->users, field_text(o, "user")), field_text(o, "vhost"),
		     field_text(o, "exchange"));
}

static bool apply_global(struct manage *m, json_t *o, bool is_check, struct trouble *t)
{
	return parameter_apply(m, NULL, "", field_str(o, "name"), json_object_get(o, "value"),
			       is_check, t);
}

static void record_global(struct manage *m, const json_t *o)
{
	parameter_record(m, NULL, "", field_str(o, "name"));
}

static bool apply_parameter(struct manage *m, json_t *o, bool is_check, struct trouble *t)
{
	return parameter_apply(m, field_str(o, "vhost"), field_str(o, "component"),
			       field_str(o, "name"), json_object_get(o, "value"), is_check, t);
}

static void record_parameter(struct manage *m, const json_t *o)
{
	parameter_record(m, field_str(o, "vhost"), field_str(o, "component"), field_str(o, "name"));
}

static bool apply_policy(struct manage *m, json_t *o, bool is_check, struct trouble *t)
{
	json_t *value = policy_value(o);
	bool is_good = parameter_apply(m, field_str(o, "vhost"), "policy", field_str(o, "name"),
				       value, is_check, t);
	json_decref(value);
	return is_good;
}

static void record_policy(struct manage *m, const json_t *o)
{
	parameter_record(m, field_str(o, "vhost"), "policy", field_str(o, "name"));
}

static bool apply_exchange(struct manage *m, json_t *o, bool is_check, struct trouble *t)
{
	return (is_check ? object_check : object_apply)(m, "exchanges", o, t);
}

static bool apply_queue(struct manage *m, json_t *o, bool is_check, struct trouble *t)
{
	return (is_check ? object_check : object_apply)(m, "queues", o, t);
}

static bool apply_binding(struct manage *m, json_t *o, bool is_check, struct trouble *t)
{
	return (is_check ? object_check : object_apply)(m, "bindings", o, t);
}

/* In the order in which one needs the other. */
static const struct noun nouns[] = {
	{ "vhosts", false, apply_vhost, NULL },
	{ "users", false, apply_user, record_user },
	{ "permissions", true, apply_permission, record_permission },
	{ "topic_permissions", true, apply_topic, record_topic },
	{ "global_parameters", false, apply_global, record_global },
	{ "parameters", true, apply_parameter, record_parameter },
	{ "policies", true, apply_policy, record_policy },
	{ "exchanges", true, apply_exchange, NULL },
	{ "queues", true, apply_queue, NULL },
	{ "bindings", true, apply_binding, NULL },
};

enum { NOUNS = sizeof nouns / sizeof *nouns };

/* --- import --- */

struct import {
	struct manage *m;
	const char *vhost; /* Of what says none. */
	json_t *report;
	json_t *vhosts;    /* Those that the definitions make, by name; */
	json_t *users;     /* likewise; */
	json_t *exchanges; /* and with their virtual hosts. */
	json_t *queues;
	struct trouble t;
};

static void report(struct import *i, const char *list, const char *kind, const json_t *object)
{
	const char *name = field_str(object, "name");
	if (name == NULL)
		name = field_str(object, "user");
	if (name == NULL)
		name = field_str(object, "destination");
	const char *vhost = field_str(object, "vhost");
	json_array_append_new(json_object_get(i->report, list),
			      json_sprintf("%s '%s'%s%s%s", kind, name == NULL ? "" : name,
					   vhost == NULL ? "" : " in vhost '",
					   vhost == NULL ? "" : vhost, vhost == NULL ? "" : "'"));
}

/* A name, and with it the virtual host, if there is one: as a key, free() it. NULL: no name. */
static char *key_of(const char *vhost, const char *name)
{
	char *key = NULL;
	if (name == NULL || asprintf(&key, "%s\n%s", vhost == NULL ? "" : vhost, name) == -1)
		return NULL;
	return key;
}

/* The names in a list, as keys of an object. */
static json_t *names_in(const struct import *i, const json_t *list, bool have_vhosts)
{
	json_t *names = json_object();
	size_t at;
	const json_t *o;
	json_array_foreach(list, at, o)
	{
		const char *vhost = field_str(o, "vhost");
		char *key = key_of(!have_vhosts    ? NULL
				   : vhost != NULL ? vhost
						   : i->vhost,
				   field_str(o, "name"));
		if (key != NULL)
			json_object_set_new(names, key, json_true());
		free(key);
	}
	return names;
}

static bool is_among(const json_t *names, const char *vhost, const char *name)
{
	char *key = key_of(vhost, name);
	bool is_there = key != NULL && json_object_get(names, key) != NULL;
	free(key);
	return is_there;
}

/* A virtual host that is there or will have been made by then. */
static bool vhost_will_be(const struct import *i, const json_t *o)
{
	const char *name = field_str(o, "vhost");
	return name != NULL &&
	       (core_vhost(i->m->core, bytes_str(name)) != NULL || is_among(i->vhosts, NULL, name));
}

static bool user_will_be(const struct import *i, const json_t *o)
{
	const char *name = field_str(o, "user");
	return name != NULL &&
	       (users_find(i->m->users, bytes_str(name)) != NULL || is_among(i->users, NULL, name));
}

/* An end of a binding. */
static bool end_will_be(const struct import *i, const json_t *o, const char *field, bool is_queue)
{
	struct vhost *vhost = core_vhost(i->m->core, field_text(o, "vhost"));
	struct bytes name = field_text(o, field);
	bool is_there = vhost != NULL &&
			(is_queue ? vhost_has_queue(vhost, name) : vhost_has_exchange(vhost, name));
	return is_there || (!is_queue && bytes_has_prefix(name, "amq.")) ||
	       is_among(is_queue ? i->queues : i->exchanges, field_str(o, "vhost"),
			field_str(o, field));
}

static bool are_ends_there(struct import *i, const json_t *o)
{
	bool is_to_exchange = bytes_equal_str(field_text(o, "destination_type"), "exchange");
	if (!end_will_be(i, o, "source", false))
		return trouble(&i->t, MANAGE_DATA, "there is no exchange '%.*s'",
			       BYTES_ARG(field_text(o, "source")));
	return end_will_be(i, o, "destination", !is_to_exchange) ||
	       trouble(&i->t, MANAGE_DATA, "there is no %s '%.*s'",
		       is_to_exchange ? "exchange" : "queue",
		       BYTES_ARG(field_text(o, "destination")));
}

static bool check_one(struct import *i, const struct noun *noun, json_t *o)
{
	if (!json_is_object(o))
		return trouble(&i->t, MANAGE_DATA, "it is no object");
	if (noun->has_vhost && json_object_get(o, "vhost") == NULL && i->vhost != NULL)
		json_object_set_new(o, "vhost", json_string(i->vhost));
	if (noun->has_vhost && !vhost_will_be(i, o))
		return trouble(&i->t, MANAGE_DATA, "there is no vhost '%.*s'",
			       BYTES_ARG(field_text(o, "vhost")));
	bool is_of_user = strstr(noun->list, "permissions") != NULL;
	if (is_of_user && !user_will_be(i, o))
		return trouble(&i->t, MANAGE_DATA, "there is no user '%.*s'",
			       BYTES_ARG(field_text(o, "user")));
	return noun->apply(i->m, o, true, &i->t) &&
	       (strcmp(noun->list, "bindings") != 0 || are_ends_there(i, o));
}

/* What is there already: the same, or in the way. */
static bool find_existing(struct import *i, const char *list, const json_t *o, bool *is_new)
{
	struct vhost *vhost = core_vhost(i->m->core, field_text(o, "vhost"));
	struct bytes name = field_text(o, "name");
	*is_new = true;
	if (strcmp(list, "vhosts") == 0)
		*is_new = core_vhost(i->m->core, name) == NULL;
	else if (strcmp(list, "users") == 0)
		*is_new = users_find(i->m->users, name) == NULL;
	else if (strcmp(list, "queues") == 0)
		*is_new = vhost == NULL || !vhost_has_queue(vhost, name);
	else if (strcmp(list, "exchanges") == 0)
		*is_new = vhost == NULL || !vhost_has_exchange(vhost, name);
	bool is_object = strcmp(list, "queues") == 0 || strcmp(list, "exchanges") == 0;
	/* Declaring it again changes nothing, or says what differs. */
	return *is_new || !is_object || object_apply(i->m, list, o, &i->t);
}

static bool check_all(struct import *i, const json_t *definitions)
{
	size_t at;
	json_t *o;
	for (const struct noun *noun = nouns; noun < nouns + NOUNS; noun++)
		json_array_foreach(json_object_get(definitions, noun->list), at, o)
		{
			bool is_new = false;
			if (!check_one(i, noun, o)) {
				struct trouble inner = i->t;
				return trouble(&i->t, inner.status, "%s[%zu]: %s", noun->list, at,
					       inner.text);
			}
			bool is_fine = find_existing(i, noun->list, o, &is_new);
			report(i,
			       !is_fine ? "conflicting"
			       : is_new ? "created"
					: "changed",
			       noun->list, o);
		}
	return true;
}

static bool apply_all(struct import *i, const json_t *definitions)
{
	size_t at;
	json_t *o;
	for (const struct noun *noun = nouns; noun < nouns + NOUNS; noun++)
		json_array_foreach(json_object_get(definitions, noun->list), at, o)
		{
			if (!noun->apply(i->m, o, false, &i->t))
				return false;
			if (noun->record != NULL)
				noun->record(i->m, o);
		}
	return true;
}

static void report_unknown(struct import *i, const json_t *definitions)
{
	static const char *const fine[] = { "rabbit_version",
					    "rabbitmq_version",
					    "product_name",
					    "product_version",
					    "rabbitmq_definition_format",
					    "original_vhost_name",
					    "original_cluster_name",
					    "explanation",
					    "metadata" };
	const char *key;
	json_t *v;
	json_object_foreach((json_t *)definitions, key, v)
	{
		bool is_known = false;
		for (size_t k = 0; k < NOUNS; k++)
			is_known |= strcmp(key, nouns[k].list) == 0;
		for (size_t k = 0; k < sizeof fine / sizeof *fine; k++)
			is_known |= strcmp(key, fine[k]) == 0;
		if (!is_known)
			json_array_append_new(json_object_get(i->report, "ignored"),
					      json_string(key));
	}
}

json_t *manage_import(struct manage *m, const json_t *definitions, const char *vhost, bool is_dry)
{
	json_t *copy = json_deep_copy(definitions);
	struct import i = { .m = m, .vhost = vhost };
	i.report = json_pack("{s:[], s:[], s:[], s:[]}", "created", "changed", "conflicting",
			     "ignored");
	i.vhosts = names_in(&i, json_object_get(definitions, "vhosts"), false);
	i.users = names_in(&i, json_object_get(definitions, "users"), false);
	i.exchanges = names_in(&i, json_object_get(definitions, "exchanges"), true);
	i.queues = names_in(&i, json_object_get(definitions, "queues"), true);
	bool is_good = json_is_object(definitions) ||
		       trouble(&i.t, MANAGE_DATA, "definitions are no object");
	for (size_t k = 0; is_good && k < NOUNS; k++) {
		const json_t *list = json_object_get(definitions, nouns[k].list);
		if (list != NULL && !json_is_array(list))
			is_good = trouble(&i.t, MANAGE_DATA, "%s is no list", nouns[k].list);
	}
	if (is_good)
		report_unknown(&i, copy);
	m->options.begin_turn(m->options.arg);
	is_good = is_good && check_all(&i, copy);
	bool is_free = json_array_size(json_object_get(i.report, "conflicting")) == 0;
	if (is_good && !is_free)
		is_good = trouble(&i.t, MANAGE_EXISTS, "%s",
				  json_string_value(json_array_get(
					  json_object_get(i.report, "conflicting"), 0)));
	if (is_good && !is_dry) {
		is_good = apply_all(&i, copy);
		m->options.changed(m->options.arg);
	}
	if (!is_good) {
		json_object_set_new(i.report, "error", json_string(i.t.text));
		json_object_set_new(i.report, "status", json_integer(i.t.status));
	}
	json_decref(copy);
	json_decref(i.vhosts);
	json_decref(i.users);
	json_decref(i.exchanges);
	json_decref(i.queues);
	return i.report;
}

json_t *manage_load(struct manage *m, const json_t *definitions)
{
	m->loading = ++m->loading_last;
	json_t *report = manage_import(m, definitions, "/", false);
	if (json_object_get(report, "error") == NULL)
		parameters_drop_unloaded(m);
	m->loading = 0;
	return report;
}

/* --- export --- */

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
	json_t *out = json_pack("{s:s, s:s, s:s}", "rabbitmq_version", "3.10.8", "product_name",
				"Leveret", "product_version", LEV_VERSION);
	const struct user *user;
	size_t at = 0;
	for (size_t k = 0; k < NOUNS; k++)
		json_object_set_new(out, nouns[k].list, json_array());
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

/* The refusal is in the report. */
static json_t *import_definitions(struct manage *m, const json_t *q, struct trouble *t)
{
	(void)t;
	return manage_import(m, json_object_get(q, "definitions"), field_str(q, "vhost"),
			     json_is_true(json_object_get(q, "dry_run")));
}

const struct command definition_commands[] = {
	{ "export_definitions", export_definitions },
	{ "import_definitions", import_definitions },
	{ NULL, NULL },
};
