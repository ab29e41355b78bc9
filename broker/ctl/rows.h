/* Rows: what a list says, as rabbitmqctl prints it: columns between tabs, or JSON, or CSV. */
#ifndef LEV_CTL_ROWS_H
#define LEV_CTL_ROWS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum rows_format { ROWS_TABLE, ROWS_JSON, ROWS_CSV };

struct rows_options {
	enum rows_format format;
	bool has_header;
	const char *const *columns;
	size_t columns_len;
};

/* rows: an array of objects. A column is a member of it, or of its member "value". */
void rows_print(const json_t *rows, const struct rows_options *options);

#endif
