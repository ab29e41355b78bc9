#include "ctl/rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const json_t *cell(const json_t *row, const char *column)
{
	const json_t *v = json_object_get(row, column);
	return v != NULL ? v : json_object_get(json_object_get(row, "value"), column);
}

/* Tables of AMQP, which RabbitMQ prints in a way of its own. */
static bool is_table(const char *column)
{
	return strcmp(column, "arguments") == 0 || strcmp(column, "client_properties") == 0;
}

/* --- texts --- */

/* What would end a cell or a line, or move a terminal's cursor, is shown as what it is. */
static void put_text(FILE *out, const char *text)
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
	}
}

static bool is_list_of_texts(const json_t *v)
{
	size_t i;
	const json_t *item;
	json_array_foreach(v, i, item) if (!json_is_string(item)) return false;
	return json_is_array(v);
}

static void put_terms(FILE *out, const json_t *v);

static void put_term(FILE *out, const json_t *v)
{
	if (json_is_object(v) || json_is_array(v)) {
		put_terms(out, v);
	} else if (json_is_string(v)) {
		fprintf(out, json_string_length(v) == 0 ? "[]" : "\"%s\"", json_string_value(v));
	} else {
		char *text = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
		fputs(text, out);
		free(text);
	}
}

static void put_terms(FILE *out, const json_t *v)
{
	const char *name;
	json_t *item;
	size_t i, len = 0;
	putc('[', out);
	if (json_is_array(v)) {
		json_array_foreach(v, i, item)
		{
			fputs(i > 0 ? "," : "", out);
			put_term(out, item);
		}
	}
	json_object_foreach((json_t *)v, name, item)
	{
		fprintf(out, "%s{\"%s\",", len++ > 0 ? "," : "", name);
		put_term(out, item);
		putc('}', out);
	}
	putc(']', out);
}

/* The text of a value, which is the caller's. */
static char *text_of(const json_t *v, bool is_terms)
{
	char *text = NULL;
	size_t size, i;
	const json_t *item;
	FILE *out = open_memstream(&text, &size);
	if (out == NULL)
		abort();
	if (json_is_string(v)) {
		fputs(json_string_value(v), out);
	} else if (is_terms) {
		put_terms(out, v);
	} else if (is_list_of_texts(v)) {
		putc('[', out);
		json_array_foreach(v, i, item)
			fprintf(out, "%s%s", i > 0 ? ", " : "", json_string_value(item));
		putc(']', out);
	} else if (v != NULL && !json_is_null(v)) {
		char *json = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
		fputs(json, out);
		free(json);
	}
	fclose(out);
	return text;
}

static char *cell_text(const json_t *row, const char *column, const struct rows_options *o)
{
	const json_t *v = cell(row, column);
	return text_of(v, o->is_rabbitmqctl && is_table(column) && json_is_object(v));
}

/* --- tables and CSV --- */

static void put_quoted(const char *text)
{
	putchar('"');
	for (; *text != '\0'; text++)
		printf(*text == '"' ? "\"\"" : "%c", *text);
	putchar('"');
}

static void print_separated(const json_t *row, const struct rows_options *o)
{
	bool is_csv = o->format == ROWS_CSV;
	for (size_t i = 0; i < o->columns_len; i++) {
		char *text = cell_text(row, o->columns[i], o);
		fputs(i == 0 ? "" : is_csv ? "," : "\t", stdout);
		if (is_csv)
			put_quoted(text);
		else
			put_text(stdout, text);
		free(text);
	}
	putchar('\n');
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

/* --- JSON --- */

static json_t *typed(const json_t *v);

/* {"x": 1} -> [["x", "signedint", 1]] */
static json_t *typed_table(const json_t *table)
{
	const char *name;
	json_t *v, *all = json_array();
	json_object_foreach((json_t *)table, name, v)
	{
		json_int_t n = json_integer_value(v);
		const char *type = json_is_string(v)    ? "longstr"
				   : json_is_boolean(v) ? "bool"
				   : json_is_object(v)  ? "table"
				   : json_is_array(v)   ? "array"
				   : json_is_real(v)    ? "double"
				   : json_is_null(v)    ? "void"
				   : n == (int)n        ? "signedint"
							: "long";
		json_array_append_new(all, json_pack("[s, s, o]", name, type, typed(v)));
	}
	return all;
}

static json_t *typed(const json_t *v)
{
	return json_is_object(v) ? typed_table(v) : json_incref((json_t *)v);
}

/* Definitions and values are texts that hold JSON, as scripts expect. */
static json_t *for_json(const char *column, const json_t *v, const struct rows_options *o)
{
	bool is_text = strcmp(column, "definition") == 0 || strcmp(column, "value") == 0;
	if (v == NULL || json_is_null(v))
		return json_string("");
	if (o->is_rabbitmqctl && is_table(column))
		return typed(v);
	if (!is_text)
		return json_incref((json_t *)v);
	char *text = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
	json_t *quoted = json_string(text);
	free(text);
	return quoted;
}

static void print_json(const json_t *row, bool is_first, const struct rows_options *o)
{
	json_t *picked = json_object();
	for (size_t i = 0; i < o->columns_len; i++)
		json_object_set_new(picked, o->columns[i],
				    for_json(o->columns[i], cell(row, o->columns[i]), o));
	char *text = json_dumps(picked, JSON_COMPACT | JSON_PRESERVE_ORDER);
	printf("%s%s\n", is_first ? "" : ",", text);
	free(text);
	json_decref(picked);
}

/* --- tables with lines --- */

/* Characters, not bytes; wide ones count as one. */
static size_t width_of(const char *text)
{
	size_t width = 0;
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;
		width += (c & 0xc0) == 0x80        ? 0
			 : c == '\t' || c == '\n'  ? 2
			 : c < ' ' || c == 0x7f ? 4
						   : 1;
	}
	return width;
}

static void print_line(const size_t *widths, size_t len, const char *const marks[3])
{
	for (size_t i = 0; i < len; i++) {
		fputs(marks[i > 0], stdout);
		for (size_t k = 0; k < widths[i] + 2; k++)
			fputs("─", stdout);
	}
	puts(marks[2]);
}

static void print_cell(const char *text, size_t width)
{
	fputs("│ ", stdout);
	put_text(stdout, text);
	printf("%*s ", (int)(width - width_of(text)), "");
}

static size_t column_width(const json_t *rows, const char *column, const struct rows_options *o)
{
	size_t i, width = width_of(column);
	const json_t *row;
	json_array_foreach(rows, i, row)
	{
		char *text = cell_text(row, column, o);
		if (width_of(text) > width)
			width = width_of(text);
		free(text);
	}
	return width;
}

static void print_pretty(const json_t *rows, const struct rows_options *o)
{
	static const char *const top[] = { "┌", "┬", "┐" }, *const middle[] = { "├", "┼", "┤" },
				 *const bottom[] = { "└", "┴", "┘" };
	size_t i, *widths = calloc(o->columns_len + 1, sizeof *widths);
	const json_t *row;
	if (widths == NULL)
		abort();
	for (size_t c = 0; c < o->columns_len; c++)
		widths[c] = column_width(rows, o->columns[c], o);
	print_line(widths, o->columns_len, top);
	for (size_t c = 0; o->has_header && c < o->columns_len; c++)
		print_cell(o->columns[c], widths[c]);
	if (o->has_header)
		puts("│");
	json_array_foreach(rows, i, row)
	{
		if (i > 0 || o->has_header)
			print_line(widths, o->columns_len, middle);
		for (size_t c = 0; c < o->columns_len; c++) {
			char *text = cell_text(row, o->columns[c], o);
			print_cell(text, widths[c]);
			free(text);
		}
		puts("│");
	}
	print_line(widths, o->columns_len, bottom);
	free(widths);
}

void rows_print(const json_t *rows, const struct rows_options *o)
{
	size_t i;
	const json_t *row;
	if (o->format == ROWS_PRETTY) {
		if (json_array_size(rows) > 0)
			print_pretty(rows, o);
		return;
	}
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
