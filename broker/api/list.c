#include "api/list.h"

#include "api/sheet.h"
#include "base/alloc.h"

#include <ctype.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS_MAX = 64, PAGE_SIZE = 100, PAGE_SIZE_MAX = 500, MATCH_LIMIT = 10000 };

/* --- columns --- */

/* A path into objects: "message_stats.publish_details.rate". */
struct columns {
	struct bytes paths[COLUMNS_MAX];
	struct bytes roots[COLUMNS_MAX];
	size_t len;
	/* First characters of roots, a bit each: of ten thousand rows forty fields each are asked
	 * for, and few are wanted. */
	uint64_t firsts;
};

static uint64_t first_bit(char first)
{
	return UINT64_C(1) << ((unsigned char)first & 63);
}

static struct bytes root_of(struct bytes path)
{
	const uint8_t *dot = memchr(path.data, '.', path.len);
	return dot == NULL ? path : bytes_of(path.data, (size_t)(dot - path.data));
}

static void add_column(struct columns *columns, struct bytes path)
{
	if (path.len == 0 || columns->len == COLUMNS_MAX)
		return;
	columns->paths[columns->len] = path;
	columns->roots[columns->len++] = root_of(path);
	columns->firsts |= first_bit((char)path.data[0]);
}

static bool may_want(const struct columns *columns, const char *field)
{
	return (columns->firsts & first_bit(field[0])) != 0;
}

bool columns_want(const struct columns *columns, const char *field)
{
	if (columns == NULL)
		return true;
	for (size_t i = 0; may_want(columns, field) && i < columns->len; i++)
		if (bytes_equal_str(columns->roots[i], field))
			return true;
	return false;
}

static bool is_details_of(struct bytes name, const char *field)
{
	static const char suffix[] = "_details";
	size_t len = strlen(field);
	return name.len == len + sizeof suffix - 1 && memcmp(name.data, field, len) == 0 &&
	       memcmp(name.data + len, suffix, sizeof suffix - 1) == 0;
}

bool columns_want_details(const struct columns *columns, const char *field)
{
	if (columns == NULL)
		return true;
	for (size_t i = 0; may_want(columns, field) && i < columns->len; i++)
		if (is_details_of(columns->roots[i], field))
			return true;
	return false;
}

bool columns_want_inner(const struct columns *columns, const char *outer, const char *field)
{
	if (columns == NULL)
		return true;
	for (size_t i = 0; may_want(columns, outer) && i < columns->len; i++) {
		struct bytes path = columns->paths[i], root = columns->roots[i];
		if (!bytes_equal_str(root, outer))
			continue;
		if (path.len <= root.len + 1)
			return true;
		struct bytes inner =
			root_of(bytes_of(path.data + root.len + 1, path.len - root.len - 1));
		if (bytes_equal_str(inner, field) || is_details_of(inner, field))
			return true;
	}
	return false;
}

/* False: all are wanted. */
static bool read_columns(const struct query *c, struct columns *columns)
{
	struct bytes text;
	columns->len = 0;
	columns->firsts = 0;
	if (!http_parameter(c->request, "columns", &text))
		return false;
	while (text.len > 0) {
		const uint8_t *comma = memchr(text.data, ',', text.len);
		size_t len = comma == NULL ? text.len : (size_t)(comma - text.data);
		add_column(columns, bytes_of(text.data, len));
		size_t skip = comma == NULL ? len : len + 1;
		text = bytes_of(text.data + skip, text.len - skip);
	}
	return true;
}

/* The value at a path; names of arguments may have dots in them: the longest that is there counts.
 * NULL: there is none. Borrowed. */
static json_t *value_at(const json_t *object, struct bytes path)
{
	json_t *whole = json_object_getn(object, (const char *)path.data, path.len);
	if (whole != NULL || !json_is_object(object))
		return whole;
	for (size_t len = path.len; len-- > 0;) {
		if (path.data[len] != '.')
			continue;
		json_t *inner = json_object_getn(object, (const char *)path.data, len);
		if (inner != NULL)
			return value_at(inner, bytes_of(path.data + len + 1, path.len - len - 1));
	}
	return NULL;
}

/* Sets it in another object, under the same path, if it is there. */
static void copy_at(json_t *to, const json_t *from, struct bytes path)
{
	for (size_t len = path.len;; len--) {
		if (len == path.len || path.data[len] == '.') {
			json_t *v = json_object_getn(from, (const char *)path.data, len);
			if (v != NULL && len == path.len) {
				json_object_setn(to, (const char *)path.data, len, v);
				return;
			}
			if (v != NULL) {
				struct bytes rest =
					bytes_of(path.data + len + 1, path.len - len - 1);
				if (value_at(v, rest) == NULL)
					return;
				json_t *inner = json_object_getn(to, (const char *)path.data, len);
				if (!json_is_object(inner)) {
					inner = json_object();
					json_object_setn_new(to, (const char *)path.data, len,
							     inner);
				}
				copy_at(inner, v, rest);
				return;
			}
		}
		if (len == 0)
			return;
	}
}

/* Takes the object. columns NULL: all of it. */
static json_t *cut(json_t *object, const struct columns *columns)
{
	if (columns == NULL)
		return object;
	json_t *left = json_object();
	for (size_t i = 0; i < columns->len; i++)
		copy_at(left, object, columns->paths[i]);
	json_decref(object);
	return left;
}

/* --- order --- */

static int kind_rank(const json_t *v)
{
	return v == NULL || json_is_null(v) ? 0
	       : json_is_number(v)          ? 1
	       : json_is_boolean(v)         ? 2
					    : 3;
}

static int compare_numbers(const json_t *a, const json_t *b)
{
	if (json_is_integer(a) && json_is_integer(b)) {
		json_int_t x = json_integer_value(a), y = json_integer_value(b);
		return x < y ? -1 : x > y;
	}
	double x = json_number_value(a), y = json_number_value(b);
	return x < y ? -1 : x > y;
}

static int compare_texts(const json_t *a, const json_t *b)
{
	struct bytes x = bytes_of(json_string_value(a), json_string_length(a));
	struct bytes y = bytes_of(json_string_value(b), json_string_length(b));
	int c = memcmp(x.data, y.data, x.len < y.len ? x.len : y.len);
	return c != 0 ? c : x.len < y.len ? -1 : x.len > y.len;
}

/* What is missing comes first, then numbers, truths, texts; all else is alike. */
static int compare_values(const json_t *a, const json_t *b)
{
	int x = kind_rank(a), y = kind_rank(b);
	if (x != y)
		return x < y ? -1 : 1;
	switch (x) {
	case 1: return compare_numbers(a, b);
	case 2: return json_is_true(a) - json_is_true(b);
	case 3: return json_is_string(a) && json_is_string(b) ? compare_texts(a, b) : 0;
	default: return 0;
	}
}

/* A row on its way: what it is ordered by, and where it comes from. */
struct ordered {
	json_t *keys[3]; /* What was asked for, virtual host and name. Owned. */
	size_t at;
};

static int compare_rows(const void *a, const void *b)
{
	const struct ordered *x = a, *y = b;
	for (size_t i = 0; i < 3; i++) {
		int c = compare_values(x->keys[i], y->keys[i]);
		if (c != 0)
			return c;
	}
	return x->at < y->at ? -1 : x->at > y->at;
}

/* --- pages --- */

struct page {
	bool is_wanted;
	long number;
	long size;
	pcre2_code *pattern; /* Owned; NULL: none. */
	struct bytes part;   /* Of the name, any case; empty: any. */
};

static bool read_number(const struct query *c, const char *name, long *n)
{
	struct bytes text;
	char digits[20];
	char *end;
	if (!http_parameter(c->request, name, &text))
		return true;
	if (text.len == 0 || text.len >= sizeof digits)
		return false;
	memcpy(digits, text.data, text.len);
	digits[text.len] = '\0';
	*n = strtol(digits, &end, 10);
	return *end == '\0' && !isspace((unsigned char)digits[0]);
}

static bool read_filter(struct query *c, struct page *p)
{
	int error;
	PCRE2_SIZE at;
	http_parameter(c->request, "name", &p->part);
	if (p->part.len == 0 || !query_parameter_is_true(c, "use_regex"))
		return true;
	p->pattern = pcre2_compile(p->part.data, p->part.len, PCRE2_CASELESS, &error, &at, NULL);
	return p->pattern != NULL;
}

static bool read_page(struct query *c, struct page *p)
{
	struct bytes text;
	*p = (struct page){ .number = 1, .size = PAGE_SIZE, .part = bytes_of("", 0) };
	p->is_wanted = http_parameter(c->request, "page", &text);
	if (!p->is_wanted)
		return true;
	if (!read_number(c, "page", &p->number) || !read_number(c, "page_size", &p->size) ||
	    !read_filter(c, p))
		return query_bad(c, "Pagination parameters are invalid");
	if (p->number < 1 || p->size < 1 || p->size > PAGE_SIZE_MAX)
		return query_refuse(c, 400, "invalid_pagination_parameters",
				    "Invalid pagination parameters: page number %ld, page size %ld",
				    p->number, p->size);
	return true;
}

static bool has_part(struct bytes text, struct bytes part)
{
	for (size_t at = 0; at + part.len <= text.len; at++)
		if (strncasecmp((const char *)text.data + at, (const char *)part.data, part.len) ==
		    0)
			return true;
	return false;
}

/* What a pattern is matched with. */
struct matcher {
	pcre2_match_data *room;
	pcre2_match_context *limits;
	bool is_exhausted; /* It tries too many ways. */
};

static bool matches(const struct page *p, struct matcher *m, const json_t *name)
{
	struct bytes text = bytes_of(json_string_value(name), json_string_length(name));
	if (p->part.len == 0)
		return true;
	if (!json_is_string(name))
		return false;
	if (p->pattern == NULL)
		return has_part(text, p->part);
	int n = pcre2_match(p->pattern, text.data, text.len, 0, 0, m->room, m->limits);
	m->is_exhausted |= n < 0 && n != PCRE2_ERROR_NOMATCH;
	return n >= 0;
}

/* --- lists --- */

/* Where rows come from: a sheet, or an array. */
struct rows {
	struct query *query;
	list_make *make;
	json_t *array;
	size_t len;
};

static json_t *make_row(const struct rows *r, size_t at, const struct columns *columns)
{
	return r->make != NULL ? r->make(r->query, sheet_row(r->query->sheet, at), columns)
			       : json_incref(json_array_get(r->array, at));
}

static void drop_order(struct ordered *all, size_t len)
{
	for (size_t i = 0; i < len; i++)
		for (size_t k = 0; k < 3; k++)
			json_decref(all[i].keys[k]);
	free(all);
}

/* Keeps those whose name fits; each with what it is ordered by. False: the pattern is refused. */
static bool order(const struct rows *r, const struct page *p, struct bytes sort, const char *name,
		  struct ordered *out, size_t *len)
{
	const struct bytes paths[] = { bytes_str("vhost"), bytes_str(name), sort };
	struct columns keys = { .len = 0 };
	struct matcher m = { .limits = pcre2_match_context_create(NULL) };
	if (p->pattern != NULL)
		m.room = pcre2_match_data_create_from_pattern(p->pattern, NULL);
	pcre2_set_match_limit(m.limits, MATCH_LIMIT);
	for (size_t i = 0; i < 3; i++)
		add_column(&keys, paths[i]);
	*len = 0;
	for (size_t i = 0; i < r->len && !m.is_exhausted; i++) {
		json_t *row = make_row(r, i, &keys);
		json_t *text = value_at(row, paths[1]);
		if (matches(p, &m, text))
			out[(*len)++] = (struct ordered){
				{ sort.len == 0 ? NULL : json_incref(value_at(row, sort)),
				  json_incref(value_at(row, paths[0])), json_incref(text) },
				i
			};
		json_decref(row);
	}
	pcre2_match_context_free(m.limits);
	pcre2_match_data_free(m.room);
	if (m.is_exhausted)
		return query_bad(r->query, "the regular expression tries too many ways");
	qsort(out, *len, sizeof *out, compare_rows);
	return true;
}

static json_t *page_json(const struct page *p, size_t filtered, size_t total, json_t *items)
{
	size_t size = (size_t)p->size;
	return json_pack("{s:I, s:I, s:o, s:I, s:I, s:I, s:I}", "filtered_count",
			 (json_int_t)filtered, "item_count", (json_int_t)json_array_size(items),
			 "items", items, "page", (json_int_t)p->number, "page_count",
			 (json_int_t)((filtered + size - 1) / size), "page_size", (json_int_t)size,
			 "total_count", (json_int_t)total);
}

/* Makes those that are shown, and no others. */
static void show(const struct rows *r, const struct page *p, const struct ordered *all, size_t len,
		 bool is_backwards)
{
	struct columns room, *columns = read_columns(r->query, &room) ? &room : NULL;
	/* Beyond the end is beyond it, whatever the number. */
	size_t before = p->is_wanted ? (size_t)p->number - 1 : 0, size = (size_t)p->size;
	size_t from = before == 0 ? 0 : before > len / size ? len : before * size;
	size_t until = p->is_wanted ? from + size : len;
	r->query->samples = 0;
	if (p->is_wanted && from >= len && p->number > 1) {
		query_refuse(r->query, 400, "page_out_of_range",
			     "Page out of range, page: %ld page size: %ld, len: %zu", p->number,
			     p->size, len);
		return;
	}
	json_t *items = json_array();
	for (size_t i = from; i < until && i < len; i++)
		json_array_append_new(
			items,
			cut(make_row(r, all[is_backwards ? len - 1 - i : i].at, columns), columns));
	r->query->answer = p->is_wanted ? page_json(p, len, r->len, items) : items;
}

/* Takes the array, if there is one. */
static void fill(struct rows *r, const char *name, bool has_pages)
{
	struct query *c = r->query;
	struct page page = { .part = bytes_of("", 0) };
	struct bytes sort = bytes_of("", 0);
	size_t len = 0;
	http_parameter(c->request, "sort", &sort);
	struct ordered *all = alloc_zeroed((r->len + 1) * sizeof *all);
	if ((!has_pages || read_page(c, &page)) && order(r, &page, sort, name, all, &len))
		show(r, &page, all, len, query_parameter_is_true(c, "sort_reverse"));
	drop_order(all, len);
	pcre2_code_free(page.pattern);
	json_decref(r->array);
}

void list_fill(struct query *c, list_make *make, const char *name)
{
	struct rows r = { .query = c, .make = make, .len = sheet_len(c->sheet) };
	fill(&r, name, true);
}

void list_fill_json(struct query *c, json_t *rows, const char *name, bool has_pages)
{
	struct rows r = { .query = c, .array = rows, .len = json_array_size(rows) };
	fill(&r, name, has_pages);
}

void list_reply(struct query *c, list_make *make, const char *name)
{
	list_fill(c, make, name);
	query_reply(c);
}

void list_reply_json(struct query *c, json_t *rows, const char *name, bool has_pages)
{
	list_fill_json(c, rows, name, has_pages);
	query_reply(c);
}

void list_reply_object(struct query *c, json_t *object)
{
	struct columns room;
	c->answer = cut(object, read_columns(c, &room) ? &room : NULL);
	query_reply(c);
}

static json_t *take_answer(struct query *c)
{
	json_t *answer = c->answer;
	c->answer = NULL;
	return answer;
}

void list_reply_rows(struct query *c, const char *name, bool has_pages)
{
	list_reply_json(c, take_answer(c), name, has_pages);
}

void list_reply_answer(struct query *c)
{
	list_reply_object(c, take_answer(c));
}
