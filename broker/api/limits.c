#include "api/limits.h"

#include "manage/table_json.h"

#include <stdlib.h>

void limits_add(json_t *rows, const struct limits_kind *kind, struct bytes name, json_t *limits)
{
	if (json_object_size(limits) > 0)
		json_array_append_new(rows, json_pack("{s:o, s:O}", kind->owner, json_of_text(name),
						      "value", limits));
	json_decref(limits);
}

static bool is_limit(const struct limits_kind *kind, struct bytes name)
{
	for (size_t i = 0; i < LIMITS; i++)
		if (bytes_equal_str(name, kind->names[i]))
			return true;
	return false;
}

bool limits_prepare(struct query *c, const struct limits_kind *kind)
{
	static const char *const needed[] = { "value", NULL };
	const json_t *value = json_object_get(c->body, "value");
	if (!query_needs(c, needed))
		return false;
	char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
	if (!is_limit(kind, c->names[1]))
		query_bad(c, "%sUnrecognised terms [{\"%.*s\",%s}] in %s%s", kind->before,
			  BYTES_ARG(c->names[1]), text, kind->called, kind->after);
	else if (!json_is_integer(value))
		query_bad(c, "%s%.*s should be a number, actually was %s%s", kind->before,
			  BYTES_ARG(c->names[1]), text, kind->after);
	free(text);
	return c->status == 0;
}

void limits_change(json_t *limits, struct bytes name, json_t *value)
{
	if (value == NULL || json_integer_value(value) < 0)
		json_object_deln(limits, (const char *)name.data, name.len);
	else
		json_object_setn(limits, (const char *)name.data, name.len, value);
}
