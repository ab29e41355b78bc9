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
