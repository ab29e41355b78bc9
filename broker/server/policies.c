#include "core/admin.h"
#include "core/vhost/argument.h"

#include "server/policies.h"

#include "base/alloc.h"
#include "table.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFINITION_BYTES_MAX = 64 * 1024 };

struct reading {
	struct policy *policies;
	size_t len;
	size_t cap;
	char *why;
	size_t why_size;
};

static bool wrong(struct reading *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool wrong(struct reading *r, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(r->why, r->why_size, format, args);
	va_end(args);
	return false;
}

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

static bool read_definition(struct reading *r, const char *name, json_t *object,
			    struct bytes *definition)
{
	uint8_t table[DEFINITION_BYTES_MAX];
	struct writer w = writer_of(table, sizeof table);
	const char *key;
	json_t *value;
	if (!json_is_object(object))
		return wrong(r, "policy '%s': 'definition' is no object", name);
	json_object_foreach(object, key, value)
	{
		const struct argument *a = find_key(key);
		if (a == NULL)
			return wrong(r, "policy '%s': '%s' is not known", name, key);
		if (!write_field(&w, a, value))
			return wrong(r, "policy '%s': the value of '%s' is not of the right type",
				     name, key);
	}
	if (w.failed)
		return wrong(r, "policy '%s': its definition is too long", name);
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

/* outer has name and vhost, inner the rest: the same object but for operator policies. */
static bool read_policy(struct reading *r, const json_t *outer, const json_t *inner,
			bool is_operator)
{
	const char *name = json_string_value(json_object_get(outer, "name"));
	const char *vhost = json_string_value(json_object_get(outer, "vhost"));
	const char *pattern = json_string_value(json_object_get(inner, "pattern"));
	const json_t *priority = json_object_get(inner, "priority");
	struct policy p = { .is_operator = is_operator, .priority = json_integer_value(priority) };
	if (name == NULL || pattern == NULL)
		return wrong(r, "a policy has no 'name' or no 'pattern'");
	if (vhost != NULL && strcmp(vhost, "/") != 0)
		return true; /* There is but one virtual host yet. */
	if (priority != NULL && !json_is_integer(priority))
		return wrong(r, "policy '%s': 'priority' is no integer", name);
	if (!read_applies(inner, &p.applies))
		return wrong(r,
			     "policy '%s': 'apply-to' is none of all, queues, exchanges, "
			     "classic_queues, quorum_queues",
			     name);
	if (!read_definition(r, name, json_object_get(inner, "definition"), &p.definition))
		return false;
	p.name = alloc_copy(bytes_str(name));
	p.pattern = alloc_copy(bytes_str(pattern));
	r->policies = alloc_grow(r->policies, &r->cap, r->len + 1, sizeof *r->policies);
	r->policies[r->len++] = p;
	return true;
}

static bool read_all(struct reading *r, const json_t *root)
{
	size_t i;
	json_t *item;
	if (!json_is_object(root))
		return wrong(r, "it is no object");
	json_array_foreach(json_object_get(root, "policies"), i,
			   item) if (!read_policy(r, item, item, false)) return false;
	json_array_foreach(json_object_get(root, "parameters"), i, item)
	{
		const char *component = json_string_value(json_object_get(item, "component"));
		if (component != NULL && strcmp(component, "operator_policy") == 0 &&
		    !read_policy(r, item, json_object_get(item, "value"), true))
			return false;
	}
	return true;
}

static void reading_free(struct reading *r)
{
	for (size_t i = 0; i < r->len; i++) {
		free((void *)r->policies[i].name.data);
		free((void *)r->policies[i].pattern.data);
		free((void *)r->policies[i].definition.data);
	}
	free(r->policies);
}

static bool read_file(struct reading *r, const char *path)
{
	json_error_t error;
	if (path[0] == '\0')
		return true;
	json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
	if (root == NULL)
		return wrong(r, "line %d, column %d: %s", error.line, error.column, error.text);
	bool is_good = read_all(r, root);
	json_decref(root);
	return is_good;
}

bool policies_load(struct core *core, const char *path, char *why, size_t why_size)
{
	char text[400] = "";
	struct reading r = { .why = text, .why_size = sizeof text };
	size_t which;
	bool is_good = read_file(&r, path) &&
		       core_set_policies(core_vhost(core, bytes_str("/")), r.policies, r.len,
					 &which, text, sizeof text);
	if (!is_good)
		snprintf(why, why_size, "load_definitions = %s: %s", path, text);
	reading_free(&r);
	return is_good;
}
