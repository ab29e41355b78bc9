#include "manage/audit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIELD_MAX = 200, DEPTH_MAX = 16 };

bool audit_is_change(const json_t *question)
{
	static const char *const reads[] = { "list_", "export_", "environment", "figures",
					     "key",   "producer", "duplicates" };
	static const size_t prefixes = 2;
	const char *name = json_string_value(json_object_get(question, "command"));
	if (name == NULL)
		return false; /* It will be refused. */
	for (size_t i = 0; i < sizeof reads / sizeof *reads; i++)
		if (i < prefixes ? strncmp(name, reads[i], strlen(reads[i])) == 0
				 : strcmp(name, reads[i]) == 0)
			return false;
	return true;
}

/* Rather too much than too little. */
static bool is_secret(const char *name)
{
	static const char *const parts[] = { "pass", "secret", "token", "credential" };
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		if (strcasestr(name, parts[i]) != NULL)
			return true;
	return false;
}

/* "amqp://user:password@host": from the colon to the last at-sign before the path. */
static json_t *without_password(const char *text)
{
	const char *scheme = strstr(text, "://");
	if (scheme == NULL)
		return NULL;
	const char *from = scheme + 3, *end = from + strcspn(from, "/?# "), *at = NULL;
	for (const char *p = from; p < end; p++)
		at = *p == '@' ? p : at;
	const char *colon = at == NULL ? NULL : memchr(from, ':', (size_t)(at - from));
	if (colon == NULL)
		return NULL;
	return json_sprintf("%.*s:***%s", (int)(colon - text), text, at);
}

/* A copy that may be shown. What is nested too deep is none of ours. */
static json_t *shown(const json_t *value, int depth)
{
	const char *name;
	json_t *v, *copy;
	size_t i;
	if (depth == DEPTH_MAX)
		return json_string("...");
	if (json_is_string(value)) {
		copy = without_password(json_string_value(value));
		return copy != NULL ? copy : json_incref((json_t *)value);
	}
	if (json_is_array(value)) {
		copy = json_array();
		json_array_foreach(value, i, v) json_array_append_new(copy, shown(v, depth + 1));
		return copy;
	}
	if (!json_is_object(value))
		return json_incref((json_t *)value);
	copy = json_object();
	json_object_foreach((json_t *)value, name, v) json_object_set_new(
		copy, name, is_secret(name) ? json_string("***") : shown(v, depth + 1));
	return copy;
}

struct text {
	char *out;
	size_t len;
};

/* As much as there is room for. */
static void add(struct text *t, const char *text, size_t len)
{
	size_t room = AUDIT_TEXT_MAX - 1 - t->len;
	len = len < room ? len : room;
	memcpy(t->out + t->len, text, len);
	t->len += len;
	t->out[t->len] = '\0';
}

static void add_str(struct text *t, const char *text)
{
	add(t, text, strlen(text));
}

/* A large value is hardly a name: to copy and print all of it would take its time. */
static void add_field(struct text *t, const char *name, const json_t *value)
{
	bool is_large = (json_is_object(value) && json_object_size(value) > 32) ||
			(json_is_array(value) && json_array_size(value) > 32);
	bool is_definitions = strcmp(name, "definitions") == 0;
	json_t *copy = is_large || is_definitions ? json_string("...") : shown(value, 0);
	char *text = json_dumps(copy, JSON_COMPACT | JSON_ENCODE_ANY);
	size_t len = text == NULL ? 0 : strlen(text);
	add_str(t, t->len == 0 ? "" : ", ");
	add_str(t, name);
	add_str(t, " ");
	add(t, text, len < FIELD_MAX ? len : FIELD_MAX);
	add_str(t, len > FIELD_MAX ? "..." : "");
	free(text);
	json_decref(copy);
}

void audit_text(const json_t *question, const json_t *answer, char out[static AUDIT_TEXT_MAX])
{
	struct text t = { out, 0 };
	const char *name, *error = json_string_value(json_object_get(answer, "error"));
	json_t *value;
	out[0] = '\0';
	/* What came of it is first: nothing that is said before can push it out. */
	add_str(&t, answer == NULL ? "unknown" : error != NULL ? "refused: " : "done");
	if (error != NULL)
		add(&t, error, strlen(error) < FIELD_MAX ? strlen(error) : FIELD_MAX);
	json_object_foreach((json_t *)question, name, value)
	{
		if (strcmp(name, "command") == 0)
			continue;
		if (is_secret(name)) {
			add_str(&t, ", ");
			add_str(&t, name);
			add_str(&t, " ***");
		} else {
			add_field(&t, name, value);
		}
	}
}
