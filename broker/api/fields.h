/* Fields: objects of replies, of which only the wanted ones are made. */
#ifndef LEV_API_FIELDS_H
#define LEV_API_FIELDS_H

#include "api/list.h"
#include "core/stats.h"
#include "manage/table_json.h"

#include <jansson.h>

struct fields {
	json_t *object;
	const struct columns *columns;
};

/* The value is made only if the field is wanted. */
#define FIELD(fields, name, value)                                                  \
	do {                                                                        \
		if (columns_want((fields)->columns, name))                          \
			json_object_set_new_nocheck((fields)->object, name, value); \
	} while (0)

#define FIELD_INT(fields, name, value)  FIELD(fields, name, json_integer((json_int_t)(value)))
#define FIELD_BOOL(fields, name, value) FIELD(fields, name, json_boolean(value))
#define FIELD_TEXT(fields, name, value) FIELD(fields, name, json_of_text(value))
#define FIELD_STR(fields, name, value)  FIELD(fields, name, json_string(value))

/* null, if it is empty. */
static inline json_t *fields_text_or_null(struct bytes text)
{
	return text.len == 0 ? json_null() : json_of_text(text);
}

#endif
