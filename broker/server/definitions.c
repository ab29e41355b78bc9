#include "server/definitions.h"

#include "manage/manage.h"
#include "server/log.h"

#include <jansson.h>
#include <stdio.h>

static void tell(const char *path, const json_t *report, const char *list, enum log_level level)
{
	size_t i;
	const json_t *text;
	json_array_foreach(json_object_get(report, list), i, text) log_line(
		level, "load_definitions = %s: %s: %s", path, list, json_string_value(text));
}

bool definitions_load(struct manage *manage, const char *path, char *why, size_t why_size)
{
	json_error_t error;
	json_t *root = path[0] == '\0' ? json_object()
				       : json_load_file(path, JSON_REJECT_DUPLICATES, &error);
	if (root == NULL) {
		snprintf(why, why_size, "load_definitions = %s: line %d, column %d: %s", path,
			 error.line, error.column, error.text);
		return false;
	}
	json_t *report = manage_load(manage, root);
	const char *refused = json_string_value(json_object_get(report, "error"));
	json_int_t status = json_integer_value(json_object_get(report, "status"));
	tell(path, report, "ignored", LOG_WARNING);
	tell(path, report, "conflicting", LOG_ERROR);
	if (refused != NULL)
		snprintf(why, why_size, "load_definitions = %s: %s", path, refused);
	json_decref(report);
	json_decref(root);
	return refused == NULL || status == MANAGE_EXISTS;
}
