#include "ctl/rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const json_t *cell(const json_t *row, const char *column)
{
	const json_t *v = json_object_get(row, column);
	return v != NULL ? v : json_object_get(json_object_get(row, "value"), column);
}

/* What would end a cell or a line, or move a terminal's cursor, is shown as what it is. */
static void put_text(FILE *out, const char *text, const char *doubled)
{
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;
		if (c == '\t')
			fputs("\\t", out);
		else if (c == '\n')
			fputs("\\n", out);
		else if (c < ' ' || c == 0x7f)
			fprintf(out, "\\x%02x", c);
		else
			putc(c, out);
		if (doubled != NULL && c == (unsigned char)*doubled)
			putc(c, out);
	}
}

/* Names in a row: "[a, b]". */
static bool is_list_of_texts(const json_t *v)
{
	size_t i;
	const json_t *item;
	json_array_foreach(v, i, item) if (!json_is_string(item)) return false;
	return json_is_array(v);
}

static void put_value(FILE *out, const json_t *v, const char *doubled)
{
	size_t i;
	const json_t *item;
	if (json_is_string(v)) {
		put_text(out, json_string_value(v), doubled);
	} else if (is_list_of_texts(v)) {
		putc('[', out);
		json_array_foreach(v, i, item)
		{
			fputs(i > 0 ? ", " : "", out);
			put_text(out, json_string_value(item), doubled);
		}
		putc(']', out);
	} else if (v != NULL && !json_is_null(v)) {
		char *text = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
		put_text(out, text, doubled);
		free(text);
	}
}

static void print_separated(const json_t *row, const struct rows_options *o)
{
	bool is_csv = o->format == ROWS_CSV;
	for (size_t i = 0; i < o->columns_len; i++) {
		fputs(i == 0 ? "" : is_csv ? "," : "\t", stdout);
		const json_t *v = cell(row, o->columns[i]);
		bool is_quoted = is_csv && !json_is_number(v);
		fputs(is_quoted ? "\"" : "", stdout);
		put_value(stdout, v, is_csv ? "\"" : NULL);
		fputs(is_quoted ? "\"" : "", stdout);
	}
	putchar('\n');
}

/* Definitions and values are texts that hold JSON, as scripts expect. */
static json_t *for_json(const char *column, const json_t *v)
{
	bool is_text = strcmp(column, "definition") == 0 || strcmp(column, "value") == 0;
	if (v == NULL)
		return json_string("");
	if (!is_text)
		return json_incref((json_t *)v);
	char *text = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
	json_t *quoted = json_string(text);
	free(text);
	return quoted;
}

static void print_json(const json_t *row, bool is_first, const struct rows_options *o)
{
	json_t *picked = json_object();
	for (size_t i = 0; i < o->columns_len; i++)
		json_object_set_new(picked, o->columns[i],
				    for_json(o->columns[i], cell(row, o->columns[i])));
	char *text = json_dumps(picked, JSON_COMPACT | JSON_PRESERVE_ORDER);
	printf("%s%s\n", is_first ? "" : ",", text);
	free(text);
	json_decref(picked);
}

static void print_header(const struct rows_options *o)
{
	bool is_csv = o->format == ROWS_CSV;
	for (size_t i = 0; i < o->columns_len; i++)
		printf(is_csv ? "%s\"%s\"" : "%s%s",
		       i == 0   ? ""
		       : is_csv ? ","
				: "\t",
		       o->columns[i]);
	putchar('\n');
}

void rows_print(const json_t *rows, const struct rows_options *o)
{
	size_t i;
	const json_t *row;
	bool is_json = o->format == ROWS_JSON;
	if (is_json)
		puts("[");
	else if (o->has_header && json_array_size(rows) > 0)
		print_header(o);
	json_array_foreach(rows, i, row)
	{
		if (is_json)
			print_json(row, i == 0, o);
		else
			print_separated(row, o);
	}
	if (is_json)
		puts("]");
}
