/* Import: definitions in RabbitMQ's form come in, a few objects at a time: a hundred thousand users
 * must not keep the loop from its work.
 *
 * First all are looked at, then all are brought into force; between the steps others may ask and
 * change things. A crash on the way leaves a part, of which the same import again makes the whole:
 * what is there already stays. */
#include "manage/state.h"

#include "base/alloc.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* --- nouns --- */

/* What a list of definitions is made of: checked, brought into force, and recorded (NULL: it
 * records itself). */
struct noun {
	const char *list;
	bool has_vhost;
	bool is_named_later; /* Others of the same definitions may name it before it is there. */
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

enum noun_index {
	VHOSTS,
	USERS,
	PERMISSIONS,
	TOPIC_PERMISSIONS,
	GLOBAL_PARAMETERS,
	PARAMETERS,
	POLICIES,
	EXCHANGES,
	QUEUES,
	BINDINGS,
	NOUNS
};

/* In the order in which one needs the other. */
static const struct noun nouns[NOUNS] = {
	[VHOSTS] = { "vhosts", false, true, apply_vhost, NULL },
	[USERS] = { "users", false, true, apply_user, record_user },
	[PERMISSIONS] = { "permissions", true, false, apply_permission, record_permission },
	[TOPIC_PERMISSIONS] = { "topic_permissions", true, false, apply_topic, record_topic },
	[GLOBAL_PARAMETERS] = { "global_parameters", false, false, apply_global, record_global },
	[PARAMETERS] = { "parameters", true, false, apply_parameter, record_parameter },
	[POLICIES] = { "policies", true, false, apply_policy, record_policy },
	[EXCHANGES] = { "exchanges", true, true, apply_exchange, NULL },
	[QUEUES] = { "queues", true, true, apply_queue, NULL },
	[BINDINGS] = { "bindings", true, false, apply_binding, NULL },
};

/* --- an import --- */

enum phase {
	PHASE_GATHER,   /* What there will be, by name. */
	PHASE_CHECK,    /* All that is said makes sense, and is in nobody's way. */
	PHASE_APPLY,    /* It comes into force. */
	PHASE_POLICIES, /* Those of one virtual host after the other; then on with PHASE_APPLY. */
	PHASE_DONE,
};

struct import {
	struct manage *m;
	struct list in_imports;
	json_t *definitions;
	char *vhost; /* Of what says none; NULL: it is refused. */
	bool is_dry;
	bool is_load; /* Of the file of the configuration. */
	manage_told *told;
	void *arg; /* NULL: nobody wants to know any more. */
	enum phase phase;
	size_t noun, at;      /* The object that is next. */
	json_t *names[NOUNS]; /* Objects: keys are the names that the definitions have. */
	json_t *late;         /* Virtual hosts whose policies have changed. */
	uint64_t loading;
	uint64_t awaited;
	json_t *report;
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

static json_t *object_at(const struct import *i)
{
	return json_array_get(json_object_get(i->definitions, nouns[i->noun].list), i->at);
}

/* --- what there will be --- */

/* A name, and with it the virtual host, if there is one: as a key, free() it. NULL: no name. */
static char *key_of(const char *vhost, const char *name)
{
	char *key = NULL;
	if (name == NULL || asprintf(&key, "%s\n%s", vhost == NULL ? "" : vhost, name) == -1)
		return NULL;
	return key;
}

static void gather_one(struct import *i, const json_t *o)
{
	const char *vhost = field_str(o, "vhost");
	char *key = key_of(!nouns[i->noun].has_vhost ? NULL
			   : vhost != NULL           ? vhost
						     : i->vhost,
			   field_str(o, "name"));
	if (i->names[i->noun] == NULL)
		i->names[i->noun] = json_object();
	if (key != NULL)
		json_object_set_new(i->names[i->noun], key, json_true());
	free(key);
}

static bool will_be(const struct import *i, enum noun_index noun, const char *vhost,
		    const char *name)
{
	char *key = key_of(vhost, name);
	bool is_there = key != NULL && json_object_get(i->names[noun], key) != NULL;
	free(key);
	return is_there;
}

/* A virtual host that is there or will have been made by then. */
static bool vhost_will_be(const struct import *i, const json_t *o)
{
	const char *name = field_str(o, "vhost");
	return name != NULL &&
	       (core_vhost(i->m->core, bytes_str(name)) != NULL || will_be(i, VHOSTS, NULL, name));
}

static bool user_will_be(const struct import *i, const json_t *o)
{
	const char *name = field_str(o, "user");
	return name != NULL &&
	       (users_find(i->m->users, bytes_str(name)) != NULL || will_be(i, USERS, NULL, name));
}

/* An end of a binding. */
static bool end_will_be(const struct import *i, const json_t *o, const char *field, bool is_queue)
{
	struct vhost *vhost = core_vhost(i->m->core, field_text(o, "vhost"));
	struct bytes name = field_text(o, field);
	bool is_there = vhost != NULL &&
			(is_queue ? vhost_has_queue(vhost, name) : vhost_has_exchange(vhost, name));
	return is_there || (!is_queue && bytes_has_prefix(name, "amq.")) ||
	       will_be(i, is_queue ? QUEUES : EXCHANGES, field_str(o, "vhost"),
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

/* --- checking --- */

static bool is_there_already(const struct import *i, const json_t *o)
{
	struct vhost *vhost = core_vhost(i->m->core, field_text(o, "vhost"));
	struct bytes name = field_text(o, "name");
	switch ((enum noun_index)i->noun) {
	case VHOSTS: return core_vhost(i->m->core, name) != NULL;
	case USERS: return users_find(i->m->users, name) != NULL;
	case QUEUES: return vhost != NULL && vhost_has_queue(vhost, name);
	case EXCHANGES: return vhost != NULL && vhost_has_exchange(vhost, name);
	default: return false;
	}
}

static bool check_names(struct import *i, json_t *o)
{
	const struct noun *noun = &nouns[i->noun];
	if (!json_is_object(o))
		return trouble(&i->t, MANAGE_DATA, "it is no object");
	if (noun->has_vhost && json_object_get(o, "vhost") == NULL && i->vhost != NULL)
		json_object_set_new(o, "vhost", json_string(i->vhost));
	if (noun->has_vhost && !vhost_will_be(i, o))
		return trouble(&i->t, MANAGE_DATA, "there is no vhost '%.*s'",
			       BYTES_ARG(field_text(o, "vhost")));
	bool is_of_user = i->noun == PERMISSIONS || i->noun == TOPIC_PERMISSIONS;
	if (is_of_user && !user_will_be(i, o))
		return trouble(&i->t, MANAGE_DATA, "there is no user '%.*s'",
			       BYTES_ARG(field_text(o, "user")));
	return true;
}

/* What is there is declared again, which changes nothing, or says what differs. */
static bool check_one(struct import *i, json_t *o)
{
	if (!check_names(i, o))
		return false;
	bool is_declared = i->noun == QUEUES || i->noun == EXCHANGES;
	bool is_old = is_there_already(i, o);
	bool is_good = nouns[i->noun].apply(i->m, o, !(is_declared && is_old), &i->t);
	bool is_conflict = is_declared && is_old && !is_good;
	if (i->noun == BINDINGS)
		is_good = is_good && are_ends_there(i, o);
	if (is_good || is_conflict)
		report(i,
		       is_conflict ? "conflicting"
		       : is_old    ? "changed"
				   : "created",
		       nouns[i->noun].list, o);
	return is_good || is_conflict;
}

/* --- bringing into force --- */

static bool apply_one(struct import *i, json_t *o)
{
	bool is_declared = i->noun == QUEUES || i->noun == EXCHANGES;
	if (is_declared && is_there_already(i, o))
		return true;
	if (nouns[i->noun].has_vhost && core_vhost(i->m->core, field_text(o, "vhost")) == NULL)
		return trouble(&i->t, MANAGE_DATA, "there is no vhost '%.*s'",
			       BYTES_ARG(field_text(o, "vhost")));
	users_trust(i->m->users, true); /* They have been checked. */
	bool is_good = nouns[i->noun].apply(i->m, o, false, &i->t);
	users_trust(i->m->users, false);
	if (is_good && nouns[i->noun].record != NULL)
		nouns[i->noun].record(i->m, o);
	uint64_t awaited = core_awaited(i->m->core);
	if (awaited > i->awaited)
		i->awaited = awaited;
	return is_good;
}

/* --- steps --- */

static void finish(struct import *i)
{
	if (i->t.status != 0) {
		json_object_set_new(i->report, "error", json_string(i->t.text));
		json_object_set_new(i->report, "status", json_integer(i->t.status));
	} else if (i->is_load) {
		i->m->late = NULL;
		parameters_drop_unloaded(i->m);
	}
	if (i->phase == PHASE_APPLY && !i->is_dry)
		i->m->options.changed(i->m->options.arg);
	i->phase = PHASE_DONE;
}

static void checked(struct import *i)
{
	const json_t *conflicts = json_object_get(i->report, "conflicting");
	if (json_array_size(conflicts) > 0)
		trouble(&i->t, MANAGE_EXISTS, "%s",
			json_string_value(json_array_get(conflicts, 0)));
	i->phase = PHASE_APPLY;
	if (i->t.status != 0 || i->is_dry) {
		i->phase = PHASE_CHECK; /* Nothing has been done. */
		finish(i);
	}
}

static void end_phase(struct import *i)
{
	i->noun = i->at = 0;
	switch (i->phase) {
	case PHASE_GATHER: i->phase = PHASE_CHECK; return;
	case PHASE_CHECK: checked(i); return;
	default: finish(i); return;
	}
}

/* An object has made trouble: say which. */
static void refuse_object(struct import *i)
{
	struct trouble inner = i->t;
	trouble(&i->t, inner.status, "%s[%zu]: %s%s", nouns[i->noun].list, i->at, inner.text,
		i->phase == PHASE_APPLY ? " (it has changed since it was looked at: what comes "
					  "before it holds)"
					: "");
	finish(i);
}

static void set_late_policies(struct import *i)
{
	void *first = json_object_iter(i->late);
	if (first == NULL) {
		i->phase = PHASE_APPLY;
		return;
	}
	char *vhost = strdup(json_object_iter_key(first));
	json_object_del(i->late, vhost);
	policies_set(i->m, vhost);
	free(vhost);
}

static void step(struct import *i)
{
	json_t *o = object_at(i);
	bool is_good = true;
	if (i->phase == PHASE_POLICIES) {
		set_late_policies(i);
		return;
	}
	if (o == NULL) {
		/* Before there are queues that policies would have to be put on one by one. */
		if (i->phase == PHASE_APPLY && i->noun == POLICIES)
			i->phase = PHASE_POLICIES;
		i->at = 0;
		if (++i->noun == NOUNS)
			end_phase(i);
		return;
	}
	switch (i->phase) {
	case PHASE_GATHER:
		if (nouns[i->noun].is_named_later)
			gather_one(i, o);
		else
			i->at = json_array_size(
				json_object_get(i->definitions, nouns[i->noun].list));
		break;
	case PHASE_CHECK: is_good = check_one(i, o); break;
	default: is_good = apply_one(i, o); break;
	}
	if (is_good)
		i->at++;
	else
		refuse_object(i);
}

static void work(struct import *i, size_t steps)
{
	struct manage *m = i->m;
	m->options.begin_turn(m->options.arg);
	m->loading = i->loading;
	m->late = i->late;
	m->kept.is_wanted = true;
	for (; steps > 0 && i->phase != PHASE_DONE; steps--)
		step(i);
	m->late = NULL;
	m->loading = 0;
	objects_rest(m);
}

/* --- life --- */

static void report_unknown(struct import *i)
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
	json_object_foreach(i->definitions, key, v)
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

static bool are_lists(struct import *i)
{
	if (!json_is_object(i->definitions))
		return trouble(&i->t, MANAGE_DATA, "definitions are no object");
	for (size_t k = 0; k < NOUNS; k++) {
		const json_t *list = json_object_get(i->definitions, nouns[k].list);
		if (list != NULL && !json_is_array(list))
			return trouble(&i->t, MANAGE_DATA, "%s is no list", nouns[k].list);
	}
	return true;
}

static struct import *import_create(struct manage *m, json_t *definitions, const char *vhost,
				    bool is_dry, bool is_load)
{
	struct import *i = alloc_zeroed(sizeof *i);
	i->m = m;
	list_init(&i->in_imports);
	i->definitions = definitions;
	i->vhost = vhost == NULL ? NULL : strdup(vhost);
	i->is_dry = is_dry;
	i->is_load = is_load;
	i->loading = is_load ? ++m->loading_last : 0;
	i->late = json_object();
	i->report = json_pack("{s:[], s:[], s:[], s:[]}", "created", "changed", "conflicting",
			      "ignored");
	if (are_lists(i))
		report_unknown(i);
	else
		finish(i);
	return i;
}

static void import_destroy(struct import *i)
{
	list_remove(&i->in_imports);
	for (size_t k = 0; k < NOUNS; k++)
		json_decref(i->names[k]);
	json_decref(i->late);
	json_decref(i->report);
	json_decref(i->definitions);
	free(i->vhost);
	free(i);
}

void imports_fini(struct manage *m)
{
	while (!list_is_empty(&m->imports))
		import_destroy(list_entry(m->imports.next, struct import, in_imports));
}

static json_t *import_at_once(struct manage *m, const json_t *definitions, const char *vhost,
			      bool is_dry, bool is_load)
{
	struct import *i = import_create(m, json_deep_copy(definitions), vhost, is_dry, is_load);
	while (i->phase != PHASE_DONE)
		work(i, SIZE_MAX);
	json_t *told = json_incref(i->report);
	import_destroy(i);
	return told;
}

json_t *manage_import(struct manage *m, const json_t *definitions, const char *vhost, bool is_dry)
{
	return import_at_once(m, definitions, vhost, is_dry, false);
}

json_t *manage_load(struct manage *m, const json_t *definitions)
{
	return import_at_once(m, definitions, "/", false, true);
}

/* --- in steps --- */

void manage_start_import(struct manage *m, const struct manage_import_options *options)
{
	struct import *i = import_create(m, options->definitions, options->vhost, options->is_dry,
					 options->is_load);
	i->told = options->told;
	i->arg = options->arg;
	list_push_tail(&m->imports, &i->in_imports);
}

void manage_forget_import(struct manage *m, const void *arg)
{
	list_each (node, &m->imports) {
		struct import *i = list_entry(node, struct import, in_imports);
		if (i->arg == arg)
			i->arg = NULL;
	}
}

bool manage_has_work(const struct manage *m)
{
	return !list_is_empty(&m->imports);
}

void manage_work(struct manage *m, size_t steps)
{
	assert(manage_has_work(m));
	struct import *i = list_entry(m->imports.next, struct import, in_imports);
	if (i->phase != PHASE_DONE)
		work(i, steps);
	if (i->phase != PHASE_DONE)
		return;
	json_t *told = json_incref(i->report), *definitions = json_incref(i->definitions);
	manage_told *tell = i->told;
	void *arg = i->arg;
	uint64_t awaited = core_is_durable(m->core, i->awaited) ? 0 : i->awaited;
	import_destroy(i);
	tell(arg, told, definitions, awaited);
}

static json_t *import_definitions(struct manage *m, const json_t *q, struct trouble *t)
{
	(void)t; /* The refusal is in the report. */
	return manage_import(m, json_object_get(q, "definitions"), field_str(q, "vhost"),
			     json_is_true(json_object_get(q, "dry_run")));
}

const struct command import_commands[] = {
	{ "import_definitions", import_definitions },
	{ NULL, NULL },
};
