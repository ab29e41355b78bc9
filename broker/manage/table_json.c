#include "manage/table_json.h"

#include "base/alloc.h"
#include "table.h"

#include <stdlib.h>
#include <string.h>

enum { TABLE_DEPTH = 16 };

json_t *json_of_text(struct bytes b)
{
	json_t *text = json_stringn(b.len == 0 ? "" : (const char *)b.data, b.len);
	if (text != NULL)
		return text;
	char *shown = alloc_resize(NULL, b.len + 1);
	for (size_t i = 0; i < b.len; i++)
		shown[i] = b.data[i] < 0x80 ? (char)b.data[i] : '?';
	text = json_stringn(shown, b.len);
	free(shown);
	return text;
}

/* --- tables as JSON --- */

static json_t *json_of_value(const struct table_value *v);

static json_t *json_of_array(struct bytes rest)
{
	json_t *array = json_array();
	struct table_value v;
	while (array_next(&rest, &v))
		json_array_append_new(array, json_of_value(&v));
	return array;
}

json_t *table_json(struct bytes table)
{
	json_t *object = json_object();
	struct bytes rest = table, name;
	struct table_value v;
	char key[UINT8_MAX + 1];
	while (table_next(&rest, &name, &v)) {
		memcpy(key, name.data, name.len);
		key[name.len] = '\0';
		json_object_set_new(object, key, json_of_value(&v));
	}
	return object;
}

static json_t *json_of_value(const struct table_value *v)
{
	int64_t n;
	double real;
	bool is_true;
	struct bytes inner;
	if (table_value_integer(v, &n) || table_value_time(v, &n))
		return json_integer(n);
	if (table_value_real(v, &real))
		return json_real(real);
	if (table_value_bool(v, &is_true))
		return json_boolean(is_true);
	if (table_value_string(v, &inner) || table_value_binary(v, &inner))
		return json_of_text(inner);
	if (table_value_table(v, &inner))
		return table_json(inner);
	if (table_value_array(v, &inner))
		return json_of_array(inner);
	return json_null();
}

/* --- and back --- */

static bool write_value(struct writer *w, const json_t *v, unsigned depth);

static bool write_fields(struct writer *w, const json_t *object, unsigned depth)
{
	const char *key;
	json_t *v;
	json_object_foreach((json_t *)object, key, v)
	{
		if (strlen(key) > UINT8_MAX)
			return false;
		write_shortstr(w, bytes_str(key));
		if (!write_value(w, v, depth))
			return false;
	}
	return true;
}

static bool write_nested(struct writer *w, const json_t *v, unsigned depth)
{
	bool is_good = depth < TABLE_DEPTH;
	write_u8(w, json_is_array(v) ? 'A' : 'F');
	uint8_t *began = write_room(w, 4);
	if (began == NULL)
		return false;
	for (size_t i = 0; is_good && i < json_array_size(v); i++)
		is_good = write_value(w, json_array_get(v, i), depth + 1);
	if (is_good && json_is_object(v))
		is_good = write_fields(w, v, depth + 1);
	table_end(w, began);
	return is_good;
}

static bool write_value(struct writer *w, const json_t *v, unsigned depth)
{
	uint64_t bits;
	double real;
	switch (json_typeof(v)) {
	case JSON_OBJECT:
	case JSON_ARRAY: return write_nested(w, v, depth);
	case JSON_STRING:
		write_u8(w, 'S');
		write_u32(w, (uint32_t)json_string_length(v));
		write_bytes(w, bytes_of(json_string_value(v), json_string_length(v)));
		break;
	case JSON_INTEGER:
		write_u8(w, 'l');
		write_u64(w, (uint64_t)json_integer_value(v));
		break;
	case JSON_REAL:
		real = json_real_value(v);
		memcpy(&bits, &real, sizeof bits);
		write_u8(w, 'd');
		write_u64(w, bits);
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		write_u8(w, 't');
		write_u8(w, json_is_true(v));
		break;
	case JSON_NULL: write_u8(w, 'V'); break;
	}
	return true;
}

bool table_write_json(struct writer *w, const json_t *object)
{
	return write_fields(w, object, 1);
}
