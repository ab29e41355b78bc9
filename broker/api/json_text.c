#include "api/json_text.h"

#include <stdbool.h>

/* In containers each value follows a bracket or a comma. In a text that is no JSON it may be any
 * number. */
static size_t count_values(struct bytes text)
{
	size_t count = 1;
	bool is_string = false;
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.data[i];
		if (is_string && c == '\\')
			i++;
		else if (c == '"')
			is_string = !is_string;
		else if (!is_string && (c == ',' || c == '[' || c == '{'))
			count++;
	}
	return count;
}

json_t *json_text_load(struct bytes text, size_t values_max)
{
	if (text.len == 0 || count_values(text) > values_max)
		return NULL;
	return json_loadb((const char *)text.data, text.len, JSON_DECODE_ANY, NULL);
}

bool json_has_null(const json_t *v)
{
	const char *key;
	json_t *inner;
	size_t i;
	json_object_foreach((json_t *)v, key, inner) if (json_has_null(inner)) return true;
	json_array_foreach(v, i, inner) if (json_has_null(inner)) return true;
	return json_is_null(v);
}
