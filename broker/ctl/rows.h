/* Rows: lists as rabbitmqctl prints them. */
#ifndef LEV_CTL_ROWS_H
#define LEV_CTL_ROWS_H

#include "ctl/options.h"

#include <jansson.h>

struct rows_options {
	enum rows_format format;
	bool has_header;
	bool is_rabbitmqctl; /* Tables of AMQP are [{"x",1}], as JSON [["x","signedint",1]]; otherwise
				objects. */
	const char *const *columns; /* In this order, whatever else rows have. */
	size_t columns_len;
};

/* rows: an array of objects. The header comes only if there is a row, as in RabbitMQ. */
void rows_print(const json_t *rows, const struct rows_options *options);

#endif
