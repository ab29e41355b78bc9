/* Parameters: named values of JSON, of a virtual host or of all. Those of a few components mean
 * something: policies, operators' policies, limits. */
#include "manage/state.h"

#include "base/alloc.h"
#include "core/vhost/argument.h"
#include "table.h"

#include <stdlib.h>
#include <string.h>

enum { KEY_PART_MAX = 1024, DEFINITION_BYTES_MAX = 64 * 1024 };

static const char policy_component[] = "policy", operator_component[] = "operator_policy",
		  limits_component[] = "vhost-limits";

static bool is_policy(const char *component, bool *is_operator)
{
	*is_operator = strcmp(component, operator_component) == 0;
	return *is_operator || strcmp(component, policy_component) == 0;
}

/* --- keeping --- */

/* Policies are found by their virtual host: there may be thousands of those. */
static void link_policy(struct manage *m, struct parameter *p)
{
	bool is_operator;
	list_init(&p->in_policied);
	if (!is_policy(p->component, &is_operator))
		return;
	struct policied *of = map_get(&m->policied, bytes_str(p->vhost));
	if (of == NULL) {
		of = alloc_zeroed(sizeof *of);
		of->vhost = strdup(p->vhost);
		list_init(&of->all);
		map_put(&m->policied, bytes_str(of->vhost), of);
	}
	list_push_tail(&of->all, &p->in_policied);
}

static void unlink_policy(struct manage *m, struct parameter *p)
{
	struct policied *of = map_get(&m->policied, bytes_str(p->vhost));
	list_remove(&p->in_policied);
	if (of == NULL || !list_is_empty(&of->all))
		return;
	map_remove(&m->policied, bytes_str(of->vhost));
	free(of->vhost);
	free(of);
}

static struct bytes key_of(const char *vhost, const char *component, const char *name)
{
	const char *const parts[] = { vhost == NULL ? "" : vhost, component, name };
	size_t len = strlen(parts[0]) + strlen(component) + strlen(name) + 3;
	char *key = alloc_resize(NULL, len), *at = key;
	for (size_t i = 0; i < 3; i++)
		at = stpcpy(at, parts[i]) + 1;
	return bytes_of(key, len);
}

const struct parameter *parameter_find(const struct manage *m, const char *vhost,
				       const char *component, const char *name)
{
	struct bytes key = key_of(vhost, component, name);
	const struct parameter *p = map_get(&m->parameters, key);
	free((void *)key.data);
	return p;
}

static void put(struct manage *m, const char *vhost, const char *component, const char *name,
		json_t *value)
{
	struct bytes key = key_of(vhost, component, name);
	struct parameter *p = map_get(&m->parameters, key);
	if (p == NULL) {
		p = alloc_zeroed(sizeof *p);
		p->key = key;
		p->vhost = (char *)key.data;
		p->component = p->vhost + strlen(p->vhost) + 1;
		p->name = p->component + strlen(p->component) + 1;
		map_put(&m->parameters, p->key, p);
		link_policy(m, p);
	} else {
		free((void *)key.data);
	}
	/* Nobody else's, for questions and answers go to other threads. */
	value = json_deep_copy(value);
	json_decref(p->value);
	p->value = value;
	p->is_of_file = m->loading != 0;
	p->loading = m->loading;
}

static void drop(struct manage *m, struct parameter *p)
{
	unlink_policy(m, p);
	map_remove(&m->parameters, p->key);
	json_decref(p->value);
	free((void *)p->key.data);
	free(p);
}

void parameters_fini(struct manage *m)
{
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&m->parameters, &at)) != NULL; at--)
		drop(m, e->value);
	map_fini(&m->parameters);
	map_fini(&m->policied);
}

/* --- policies --- */

static const struct argument *find_key(const char *key)
{
	for (size_t i = 0; i < ARGUMENTS; i++)
		if (argument_table[i].policy != NULL && strcmp(argument_table[i].policy, key) == 0)
			return &argument_table[i];
	return NULL;
}

static bool write_array(struct writer *w, const char *key, const json_t *array)
{
	write_shortstr(w, bytes_str(key));
	write_u8(w, 'A');
	uint8_t *began = write_room(w, 4);
	for (size_t i = 0; i < json_array_size(array); i++) {
		const json_t *item = json_array_get(array, i);
		if (!json_is_integer(item) || json_integer_value(item) < 0)
			return false;
		write_u8(w, 'l');
		write_u64(w, (uint64_t)json_integer_value(item));
	}
	table_end(w, began);
	return true;
}

static bool write_number(struct writer *w, const char *key, const json_t *value)
{
	uint64_t bits;
	double real = json_number_value(value);
	memcpy(&bits, &real, sizeof bits);
	write_shortstr(w, bytes_str(key));
	write_u8(w, 'd');
	write_u64(w, bits);
	return json_is_number(value);
}

static bool write_field(struct writer *w, const struct argument *a, const json_t *value)
{
	const char *key = a->policy;
	if (argument_is_integer(a)) {
		table_write_long(w, key, json_integer_value(value));
		return json_is_integer(value) && json_integer_value(value) >= 0;
	}
	switch (a->value) {
	case VALUE_NUMBER: return write_number(w, key, value);
	case VALUE_SCHEDULE: return json_is_array(value) && write_array(w, key, value);
	case VALUE_FLAG:
		table_write_bool(w, key, json_is_true(value));
		return json_is_boolean(value);
	default:
		if (json_is_string(value))
			table_write_str(
				w, key,
				bytes_of(json_string_value(value), json_string_length(value)));
		return json_is_string(value);
	}
}

/* What RabbitMQ calls the value of a key, and which texts there are of it. Idle ones mean nothing
 * here, and are taken so that policies can be brought along. */
static const struct rule {
	const char *key;
	const char *what;  /* "... is not a valid maximum length" */
	const char *texts; /* "|one|another|"; NULL: any value of the right type. */
	bool is_idle;
} rules[] = {
	{ "max-length", "maximum length", NULL, false },
	{ "max-length-bytes", "maximum length in bytes", NULL, false },
	{ "message-ttl", "message TTL", NULL, false },
	{ "expires", "queue expiry", NULL, false },
	{ "dead-letter-exchange", "dead letter exchange name", NULL, false },
	{ "dead-letter-routing-key", "dead letter routing key", NULL, false },
	{ "overflow", "overflow value",
	  "|drop-head|reject-publish|reject-publish-dlx|drop-lowest-priority|", false },
	{ "queue-mode", "queue-mode value", "|default|lazy|", true },
	{ "queue-version", "queue-version value", "|1|2|", true },
	{ "alternate-exchange", "alternate exchange name", NULL, false },
	{ "delivery-limit", "delivery limit", NULL, false },
	{ "dead-letter-strategy", "dead letter strategy", "|at-most-once|at-least-once|", true },
	{ "queue-leader-locator", "queue leader locator value",
	  "|client-local|balanced|random|least-leaders|", true },
	{ "queue-master-locator", "queue-master-locator value", "|client-local|min-masters|random|",
	  true },
	{ "ha-mode", "ha-mode value", "|all|exactly|nodes|", true },
	{ "ha-params", "ha-params value", NULL, true },
	{ "ha-sync-mode", "ha-sync-mode value", "|manual|automatic|", true },
	{ "ha-sync-batch-size", "ha-sync-batch-size value", NULL, true },
	{ "ha-promote-on-shutdown", "ha-promote-on-shutdown value", "|always|when-synced|", true },
	{ "ha-promote-on-failure", "ha-promote-on-failure value", "|always|when-synced|", true },
	{ "max-in-memory-length", "maximum memory in length", NULL, true },
	{ "max-in-memory-bytes", "maximum memory in bytes", NULL, true },
	{ "max-age", "max age", NULL, true },
	{ "stream-max-segment-size-bytes", "segment size", NULL, true },
	{ "federation-upstream-set", "upstream set", NULL, true },
	{ "federation-upstream", "upstream", NULL, true },
};

static const struct rule *find_rule(const char *key)
{
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
		if (strcmp(rules[i].key, key) == 0)
			return &rules[i];
	return NULL;
}

static bool is_allowed(const struct rule *rule, const json_t *value)
{
	char text[80] = "";
	if (rule->texts == NULL)
		return true;
	if (json_is_integer(value))
		snprintf(text, sizeof text, "|%" JSON_INTEGER_FORMAT "|",
			 json_integer_value(value));
	else if (json_is_string(value))
		snprintf(text, sizeof text, "|%.70s|", json_string_value(value));
	return text[0] != '\0' && strstr(rule->texts, text) != NULL;
}

/* Like write_field(); a queue that expires at once would not be one. */
static bool take_value(struct writer *w, const struct rule *rule, const struct argument *a,
		       const json_t *value)
{
	if (rule != NULL && !is_allowed(rule, value))
		return false;
	if (rule != NULL && rule->is_idle && a == NULL)
		return true;
	bool is_expiry = strcmp(a->policy, "expires") == 0;
	return write_field(w, a, value) && (!is_expiry || json_integer_value(value) > 0);
}

static bool bad_value(const struct rule *rule, const char *key, const json_t *value,
		      struct trouble *t)
{
	char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
	bool is_locator = strcmp(key, "queue-master-locator") == 0;
	if (rule == NULL)
		trouble(t, MANAGE_REFUSED, "%s is not a valid value of %s", text, key);
	else
		trouble(t, MANAGE_REFUSED, "%s %s %s", text,
			is_locator ? "invalid" : "is not a valid", rule->what);
	free(text);
	return false;
}

static bool unknown_key(const char *key, const json_t *value, struct trouble *t)
{
	char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
	trouble(t, MANAGE_REFUSED, "[{\"%s\",%s}] are not recognised policy settings", key, text);
	free(text);
	return false;
}

/* Values first: a text that says which is wrong helps more than one that says which is unknown. */
static bool read_definition(json_t *object, struct bytes *definition, struct trouble *t)
{
	uint8_t table[DEFINITION_BYTES_MAX];
	struct writer w = writer_of(table, sizeof table);
	const char *key;
	json_t *value;
	if (!json_is_object(object))
		return trouble(t, MANAGE_REFUSED, "definition should be an object");
	json_object_foreach(object, key, value)
	{
		const struct argument *a = find_key(key);
		const struct rule *rule = find_rule(key);
		if ((a != NULL || rule != NULL) && !take_value(&w, rule, a, value))
			return bad_value(rule, key, value, t);
	}
	json_object_foreach(object, key,
			    value) if (find_key(key) == NULL &&
				       find_rule(key) == NULL) return unknown_key(key, value, t);
	if (w.failed)
		return trouble(t, MANAGE_REFUSED, "the definition is too long");
	*definition = alloc_copy(bytes_of(table, (size_t)(w.at - table)));
	return true;
}

static bool read_applies(const json_t *object, enum policy_applies *applies)
{
	static const char *const names[] = { "all", "queues", "exchanges", "classic_queues",
					     "quorum_queues" };
	const json_t *value = json_object_get(object, "apply-to");
	*applies = POLICY_TO_ALL;
	if (value == NULL)
		return true;
	for (size_t i = 0; json_is_string(value) && i < sizeof names / sizeof *names; i++)
		if (strcmp(names[i], json_string_value(value)) == 0) {
			*applies = (enum policy_applies)i;
			return true;
		}
	return false;
}

static bool bad_part(const char *text, const json_t *value, const char *end, struct trouble *t)
{
	char *shown = value == NULL ? strdup("undefined")
				    : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
	trouble(t, MANAGE_REFUSED, "%s%s%s", text, shown, end);
	free(shown);
	return false;
}

/* What the parts of *p own, policy_fini() gives up, after a failure, too. */
static bool read_policy(const char *name, const json_t *value, bool is_operator, struct policy *p,
			struct trouble *t)
{
	const json_t *pattern = json_object_get(value, "pattern");
	const json_t *priority = json_object_get(value, "priority");
	const json_t *applies = json_object_get(value, "apply-to");
	*p = (struct policy){ .is_operator = is_operator,
			      .priority = json_integer_value(priority) };
	if (!json_is_string(pattern))
		return bad_part("pattern should be a binary but was ", pattern, "", t);
	if (priority != NULL && !json_is_integer(priority))
		return bad_part("priority should be a number, actually was ", priority, "", t);
	if (!read_applies(value, &p->applies))
		return trouble(t, MANAGE_REFUSED,
			       "apply-to '%s' unrecognised; should be 'queues', 'classic_queues', "
			       "'quorum_queues', 'exchanges' or 'all'",
			       json_is_string(applies) ? json_string_value(applies) : "?");
	if (!read_definition(json_object_get(value, "definition"), &p->definition, t))
		return false;
	p->name = alloc_copy(bytes_str(name));
	p->pattern = alloc_copy(bytes_str(json_string_value(pattern)));
	return true;
}

static void policy_fini(struct policy *p)
{
	free((void *)p->name.data);
	free((void *)p->pattern.data);
	free((void *)p->definition.data);
}

void policies_set(struct manage *m, const char *vhost_name)
{
	struct vhost *vhost = m->is_recovering ? NULL : core_vhost(m->core, bytes_str(vhost_name));
	struct policied *of = map_get(&m->policied, bytes_str(vhost_name));
	struct policy *all = NULL;
	size_t len = 0, cap = 0, which;
	bool is_operator;
	struct trouble t = { 0 };
	char why[300];
	if (vhost == NULL)
		return;
	for (struct list *node = of == NULL ? NULL : of->all.next; node != NULL && node != &of->all;
	     node = node->next) {
		const struct parameter *p = list_entry(node, struct parameter, in_policied);
		is_policy(p->component, &is_operator);
		all = alloc_grow(all, &cap, len + 1, sizeof *all);
		if (read_policy(p->name, p->value, is_operator, &all[len], &t))
			len++;
		else
			policy_fini(&all[len]);
	}
	core_set_policies(vhost, all, len, &which, why, sizeof why);
	for (size_t i = 0; i < len; i++)
		policy_fini(&all[i]);
	free(all);
}

/* Or later, once, where many come. */
static void policies_changed(struct manage *m, const char *vhost)
{
	if (m->late == NULL)
		policies_set(m, vhost);
	else
		json_object_set_new(m->late, vhost, json_true());
}

void policies_recovered(struct manage *m)
{
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&m->policied, &at)) != NULL;)
		policies_set(m, ((const struct policied *)e->value)->vhost);
}

static bool check_policy(const char *name, const json_t *value, bool is_operator, struct trouble *t)
{
	struct policy p;
	char why[300] = "";
	bool is_good = read_policy(name, value, is_operator, &p, t);
	if (is_good && !core_pattern_check(p.pattern, why, sizeof why))
		is_good = trouble(t, MANAGE_REFUSED,
				  "pattern should be regular expression but is invalid: %s", why);
	policy_fini(&p);
	return is_good;
}

json_t *policy_value(const json_t *policy)
{
	json_t *value = json_object();
	static const char *const names[] = { "pattern", "definition", "priority", "apply-to" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		json_t *v = json_object_get(policy, names[i]);
		if (v != NULL)
			json_object_set(value, names[i], v);
	}
	if (json_object_get(value, "priority") == NULL)
		json_object_set_new(value, "priority", json_integer(0));
	if (json_object_get(value, "apply-to") == NULL)
		json_object_set_new(value, "apply-to", json_string("all"));
	return value;
}

/* --- limits --- */

static bool read_limits(const json_t *value, struct vhost_settings *settings, struct trouble *t)
{
	const char *key;
	json_t *v;
	if (!json_is_object(value))
		return trouble(t, MANAGE_REFUSED, "limits are no object");
	settings->queues_max = settings->connections_max = -1;
	json_object_foreach((json_t *)value, key, v)
	{
		bool is_queues = strcmp(key, "max-queues") == 0;
		if (!is_queues && strcmp(key, "max-connections") != 0)
			return trouble(t, MANAGE_REFUSED, "unrecognised limit '%s'", key);
		if (!json_is_integer(v))
			return trouble(t, MANAGE_REFUSED, "%s should be a number", key);
		*(is_queues ? &settings->queues_max : &settings->connections_max) =
			json_integer_value(v);
	}
	return true;
}

static void set_limits(struct manage *m, const char *vhost_name,
		       const struct vhost_settings *limits)
{
	struct vhost *vhost = core_vhost(m->core, bytes_str(vhost_name));
	if (vhost == NULL)
		return;
	struct vhost_settings settings = vhost_settings(vhost);
	if (settings.queues_max == limits->queues_max &&
	    settings.connections_max == limits->connections_max)
		return;
	settings.queues_max = limits->queues_max;
	settings.connections_max = limits->connections_max;
	m->options.begin_turn(m->options.arg);
	core_vhost_set(vhost, &settings);
}

/* --- all of them --- */

static bool check_value(const char *component, const char *name, const json_t *value,
			struct vhost_settings *limits, struct trouble *t)
{
	bool is_operator;
	if (is_policy(component, &is_operator))
		return check_policy(name, value, is_operator, t);
	if (strcmp(component, limits_component) == 0)
		return read_limits(value, limits, t);
	return true;
}

bool parameter_apply(struct manage *m, const char *vhost, const char *component, const char *name,
		     json_t *value, bool is_check, struct trouble *t)
{
	struct vhost_settings limits = { 0 };
	bool is_operator;
	if (name == NULL || name[0] == '\0' || strlen(name) > KEY_PART_MAX || component == NULL ||
	    strlen(component) > KEY_PART_MAX || value == NULL)
		return trouble(t, MANAGE_DATA, "a parameter has a component, a name and a value");
	if (!check_value(component, name, value, &limits, t))
		return false;
	/* Older releases took those. */
	if (!m->is_recovering && is_policy(component, &is_operator) &&
	    json_object_size(json_object_get(value, "definition")) == 0)
		return trouble(t, MANAGE_REFUSED, "no policy provided");
	if (is_check)
		return true;
	put(m, vhost, component, name, value);
	if (is_policy(component, &is_operator))
		policies_changed(m, vhost);
	if (strcmp(component, limits_component) == 0)
		set_limits(m, vhost, &limits);
	return true;
}

void parameter_record(struct manage *m, const char *vhost, const char *component, const char *name)
{
	const struct parameter *p = parameter_find(m, vhost, component, name);
	struct bytes names[] = { bytes_str(vhost == NULL ? "" : vhost), bytes_str(component),
				 bytes_str(name) };
	enum document kind = vhost == NULL ? DOCUMENT_GLOBAL : DOCUMENT_PARAMETER;
	if (p == NULL) {
		document_delete(m, kind, names, 3);
		return;
	}
	json_t *json = vhost == NULL
			       ? json_pack("{s:s, s:O}", "name", name, "value", p->value)
			       : json_pack("{s:s, s:s, s:s, s:O}", "vhost", vhost, "component",
					   component, "name", name, "value", p->value);
	if (p->is_of_file)
		json_object_set_new(json, "of_file", json_true());
	document_put(m, kind, names, 3, json);
	json_decref(json);
}

bool parameter_clear(struct manage *m, const char *vhost, const char *component, const char *name)
{
	bool is_operator;
	static const struct vhost_settings none = { .queues_max = -1, .connections_max = -1 };
	struct parameter *p = (struct parameter *)parameter_find(m, vhost, component, name);
	if (p == NULL)
		return false;
	drop(m, p);
	parameter_record(m, vhost, component, name);
	if (is_policy(component, &is_operator))
		policies_changed(m, vhost);
	if (strcmp(component, limits_component) == 0)
		set_limits(m, vhost, &none);
	return true;
}

/* The first parameter after slot *at that is to go. NULL: no more. */
static struct parameter *next_unloaded(const struct manage *m, size_t *at)
{
	for (const struct map_entry *e; (e = map_next(&m->parameters, at)) != NULL;) {
		struct parameter *p = e->value;
		if (p->is_of_file && p->loading != m->loading)
			return p;
	}
	return NULL;
}

void parameters_drop_unloaded(struct manage *m)
{
	struct parameter *p;
	for (size_t at = 0; (p = next_unloaded(m, &at)) != NULL; at--) {
		char *vhost = p->component[0] == '\0' ? NULL : strdup(p->vhost);
		char *component = strdup(p->component), *name = strdup(p->name);
		parameter_clear(m, vhost, component, name);
		free(vhost);
		free(component);
		free(name);
	}
}

void parameters_drop_vhost(struct manage *m, const char *vhost)
{
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&m->parameters, &at)) != NULL;) {
		struct parameter *p = e->value;
		if (strcmp(p->vhost, vhost) != 0 || p->component[0] == '\0')
			continue;
		struct bytes names[] = { bytes_str(p->vhost), bytes_str(p->component),
					 bytes_str(p->name) };
		document_delete(m, DOCUMENT_PARAMETER, names, 3);
		drop(m, p);
		at--;
	}
}

/* --- commands --- */

static json_t *set_one(struct manage *m, const json_t *q, const char *component, json_t *value,
		       struct trouble *t)
{
	const char *name =
		strcmp(component, limits_component) == 0 ? "limits" : field_str(q, "name");
	struct vhost *vhost = field_vhost(m, q, t);
	const char *vhost_name = field_str(q, "vhost") == NULL ? "/" : field_str(q, "vhost");
	if (vhost == NULL)
		return NULL;
	m->options.begin_turn(m->options.arg);
	if (!parameter_apply(m, vhost_name, component, name, value, false, t))
		return NULL;
	parameter_record(m, vhost_name, component, name);
	return json_object();
}

static json_t *clear_one(struct manage *m, const json_t *q, const char *component, const char *name,
			 struct trouble *t)
{
	const char *vhost_name = field_str(q, "vhost") == NULL ? "/" : field_str(q, "vhost");
	m->options.begin_turn(m->options.arg);
	if (name != NULL && component != NULL && parameter_clear(m, vhost_name, component, name))
		return json_object();
	trouble(t, MANAGE_REFUSED, "Parameter does not exist");
	return NULL;
}

static json_t *set_policy_of(struct manage *m, const json_t *q, const char *component,
			     struct trouble *t)
{
	json_t *value = policy_value(q);
	json_t *a = set_one(m, q, component, value, t);
	json_decref(value);
	return a;
}

static json_t *set_policy(struct manage *m, const json_t *q, struct trouble *t)
{
	return set_policy_of(m, q, policy_component, t);
}

static json_t *set_operator_policy(struct manage *m, const json_t *q, struct trouble *t)
{
	return set_policy_of(m, q, operator_component, t);
}

static json_t *clear_policy(struct manage *m, const json_t *q, struct trouble *t)
{
	return clear_one(m, q, policy_component, field_str(q, "name"), t);
}

static json_t *clear_operator_policy(struct manage *m, const json_t *q, struct trouble *t)
{
	return clear_one(m, q, operator_component, field_str(q, "name"), t);
}

static json_t *set_vhost_limits(struct manage *m, const json_t *q, struct trouble *t)
{
	return set_one(m, q, limits_component, json_object_get(q, "limits"), t);
}

static json_t *clear_vhost_limits(struct manage *m, const json_t *q, struct trouble *t)
{
	return clear_one(m, q, limits_component, "limits", t);
}

static json_t *set_parameter(struct manage *m, const json_t *q, struct trouble *t)
{
	const char *component = field_str(q, "component");
	if (component == NULL || component[0] == '\0') {
		trouble(t, MANAGE_DATA, "a parameter has a component");
		return NULL;
	}
	return set_one(m, q, component, json_object_get(q, "value"), t);
}

static json_t *clear_parameter(struct manage *m, const json_t *q, struct trouble *t)
{
	return clear_one(m, q, field_str(q, "component"), field_str(q, "name"), t);
}

static json_t *set_global_parameter(struct manage *m, const json_t *q, struct trouble *t)
{
	const char *name = field_str(q, "name");
	if (!parameter_apply(m, NULL, "", name, json_object_get(q, "value"), false, t))
		return NULL;
	parameter_record(m, NULL, "", name);
	return json_object();
}

static json_t *clear_global_parameter(struct manage *m, const json_t *q, struct trouble *t)
{
	const char *name = field_str(q, "name");
	if (name != NULL && parameter_clear(m, NULL, "", name))
		return json_object();
	trouble(t, MANAGE_REFUSED, "Parameter does not exist");
	return NULL;
}

/* component NULL: all of virtual hosts; "": global ones. With "vhost" those of one, with "name"
 * those that are called so. */
static json_t *list(struct manage *m, const json_t *q, const char *component, struct trouble *t)
{
	const char *vhost = field_str(q, "vhost"), *name = field_str(q, "name");
	bool is_operator;
	if (vhost != NULL && field_vhost(m, q, t) == NULL)
		return NULL;
	json_t *rows = json_array();
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&m->parameters, &at)) != NULL;) {
		const struct parameter *p = e->value;
		bool is_wanted = component != NULL ? strcmp(p->component, component) == 0
						   : p->component[0] != '\0' &&
							     !is_policy(p->component, &is_operator);
		if (is_wanted && (vhost == NULL || strcmp(vhost, p->vhost) == 0) &&
		    (name == NULL || strcmp(name, p->name) == 0))
			json_array_append_new(rows,
					      json_pack("{s:s, s:s, s:s, s:o}", "vhost", p->vhost,
							"component", p->component, "name", p->name,
							"value", json_deep_copy(p->value)));
	}
	return json_pack("{s:o}", "rows", rows);
}

static json_t *list_policies(struct manage *m, const json_t *q, struct trouble *t)
{
	return list(m, q, policy_component, t);
}

static json_t *list_operator_policies(struct manage *m, const json_t *q, struct trouble *t)
{
	return list(m, q, operator_component, t);
}

static json_t *list_vhost_limits(struct manage *m, const json_t *q, struct trouble *t)
{
	return list(m, q, limits_component, t);
}

static json_t *list_parameters(struct manage *m, const json_t *q, struct trouble *t)
{
	return list(m, q, NULL, t);
}

static json_t *list_global_parameters(struct manage *m, const json_t *q, struct trouble *t)
{
	json_t *of_none = json_pack("{s:O*}", "name", json_object_get(q, "name"));
	json_t *a = list(m, of_none, "", t);
	json_decref(of_none);
	return a;
}

const struct command parameter_commands[] = {
	{ "set_policy", set_policy },
	{ "clear_policy", clear_policy },
	{ "list_policies", list_policies },
	{ "set_operator_policy", set_operator_policy },
	{ "clear_operator_policy", clear_operator_policy },
	{ "list_operator_policies", list_operator_policies },
	{ "set_vhost_limits", set_vhost_limits },
	{ "clear_vhost_limits", clear_vhost_limits },
	{ "list_vhost_limits", list_vhost_limits },
	{ "set_parameter", set_parameter },
	{ "clear_parameter", clear_parameter },
	{ "list_parameters", list_parameters },
	{ "set_global_parameter", set_global_parameter },
	{ "clear_global_parameter", clear_global_parameter },
	{ "list_global_parameters", list_global_parameters },
	{ NULL, NULL },
};
