#include "table_build.h"

#include "reason.h"
#include "table.h"

#include <stdio.h>
#include <stdlib.h>

enum { TABLE_BYTES_MAX = 64 * 1024, FIELD_OVERHEAD = 16 };

struct lev_table *lev_table_create(void)
{
	struct lev_table *t = calloc(1, sizeof *t);
	if (t == NULL)
		fail_plainly(LEV_NO_MEMORY);
	return t;
}

void lev_table_destroy(struct lev_table *t)
{
	if (t != NULL)
		free(t->data);
	free(t);
}

int table_is_sound(const struct lev_table *t)
{
	if (t == NULL || t->failed == LEV_OK)
		return LEV_OK;
	return lev_fail(t->failed, "a table has a name or value that is too long, no UTF-8, or "
				   "there was no memory for it");
}

/* A table without the field `name`, and with room for it. */
static bool prepare(struct lev_table *t, const char *name, size_t value_len, struct writer *w)
{
	size_t name_len = t == NULL ? 0 : strlen(name), need;
	if (t == NULL || t->failed != LEV_OK)
		return false;
	need = t->len + name_len + value_len + FIELD_OVERHEAD;
	if (name_len > UINT8_MAX || need > TABLE_BYTES_MAX || !bytes_is_utf8(bytes_str(name))) {
		t->failed = LEV_INVALID;
		return false;
	}
	uint8_t *data = malloc(need);
	if (data == NULL) {
		t->failed = LEV_NO_MEMORY;
		return false;
	}
	*w = writer_of(data, need);
	table_write_without(w, table_bytes(t), name);
	free(t->data);
	t->data = data;
	t->cap = need;
	return true;
}

static void finish(struct lev_table *t, const struct writer *w)
{
	t->len = (size_t)(w->at - t->data);
	if (w->failed)
		t->failed = LEV_INVALID;
}

void lev_table_set_str(struct lev_table *t, const char *name, const char *value)
{
	struct writer w;
	if (!prepare(t, name, strlen(value), &w))
		return;
	table_write_str(&w, name, bytes_str(value));
	finish(t, &w);
}

void lev_table_set_int(struct lev_table *t, const char *name, int64_t value)
{
	struct writer w;
	if (!prepare(t, name, sizeof value, &w))
		return;
	if (value >= INT32_MIN && value <= INT32_MAX)
		table_write_int(&w, name, (int32_t)value);
	else
		table_write_long(&w, name, value);
	finish(t, &w);
}

void lev_table_set_bool(struct lev_table *t, const char *name, bool value)
{
	struct writer w;
	if (!prepare(t, name, 1, &w))
		return;
	table_write_bool(&w, name, value);
	finish(t, &w);
}

/* --- reading --- */

static void fill(struct lev_field *f, struct bytes name, const struct table_value *v)
{
	*f = (struct lev_field){ .name = (const char *)name.data,
				 .name_len = name.len,
				 .type = '?' };
	struct bytes contents = { NULL, 0 };
	bool flag;
	if (table_value_integer(v, &f->integer)) {
		f->type = 'I';
	} else if (table_value_bool(v, &flag)) {
		f->type = 'B';
		f->integer = flag;
	} else if (table_value_time(v, &f->integer)) {
		f->type = 'T';
	} else if (table_value_real(v, &f->real)) {
		f->type = 'D';
	} else if (table_value_string(v, &contents) || table_value_binary(v, &contents) ||
		   table_value_table(v, &contents) || table_value_array(v, &contents) ||
		   v->type == 'V') {
		f->type = v->type;
		f->string = (const char *)contents.data;
		f->string_len = contents.len;
	}
}

bool lev_table_find(const struct lev_table *t, const char *name, struct lev_field *f)
{
	struct table_value v;
	if (!table_find(table_bytes(t), name, &v))
		return false;
	fill(f, bytes_str(name), &v);
	return true;
}

/* The next one in the contents of a table or an array. */
static bool next_in(struct bytes all, bool is_array, size_t *at, struct lev_field *f)
{
	struct bytes rest, name = { NULL, 0 };
	struct table_value v;
	if (*at >= all.len)
		return false;
	rest = bytes_of(all.data + *at, all.len - *at);
	if (!(is_array ? array_next(&rest, &v) : table_next(&rest, &name, &v)))
		return false;
	*at = all.len - rest.len;
	fill(f, name, &v);
	return true;
}

bool lev_table_next(const struct lev_table *t, size_t *at, struct lev_field *f)
{
	return next_in(table_bytes(t), false, at, f);
}

bool lev_field_next(const struct lev_field *outer, size_t *at, struct lev_field *f)
{
	struct lev_field in = *outer; /* It may be the same. */
	if (in.type != 'F' && in.type != 'A')
		return false;
	return next_in(bytes_of(in.string, in.string_len), in.type == 'A', at, f);
}

int64_t lev_table_int(const struct lev_table *t, const char *name, int64_t otherwise)
{
	struct lev_field f;
	return lev_table_find(t, name, &f) && (f.type == 'I' || f.type == 'B' || f.type == 'T')
		       ? f.integer
		       : otherwise;
}

bool lev_table_str(const struct lev_table *t, const char *name, char *value, size_t size)
{
	struct lev_field f;
	if (!lev_table_find(t, name, &f) || f.type != 'S')
		return false;
	snprintf(value, size, "%.*s", (int)f.string_len, f.string);
	return true;
}
