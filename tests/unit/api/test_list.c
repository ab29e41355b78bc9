#include "api/list.h"

#include "chance.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A request for a list, with its parameters, and the answer. */
struct asked {
	struct http_request request;
	struct query query;
};

static void add(struct asked *a, const char *name, const char *value)
{
	a->request.parameters[a->request.parameters_len++] =
		(struct http_pair){ bytes_str(name), bytes_str(value) };
}

/* "page=1&sort=name" without anything encoded. */
static struct asked *ask(const json_t *rows, const char *parameters)
{
	struct asked *a = calloc(1, sizeof *a);
	char *text = strdup(parameters), *rest = text;
	a->query.request = &a->request;
	for (char *one; (one = strsep(&rest, "&")) != NULL;) {
		char *value = one;
		strsep(&value, "=");
		if (*one != '\0')
			add(a, one, value == NULL ? "" : value);
	}
	list_fill_json(&a->query, json_deep_copy(rows), "name", true);
	free(text);
	return a;
}

static void end(struct asked *a)
{
	json_decref(a->query.answer);
	free(a);
}

static const json_t *items(const struct asked *a)
{
	const json_t *answer = a->query.answer;
	return json_is_array(answer) ? answer : json_object_get(answer, "items");
}

static json_t *rows_of(struct chance *c, size_t len)
{
	json_t *rows = json_array();
	for (size_t i = 0; i < len; i++) {
		char name[40];
		snprintf(name, sizeof name, "%c%c%zu", (int)('a' + chance(c, 3)),
			 (int)('A' + chance(c, 3)), i);
		json_t *row = json_pack("{s:s, s:s, s:{s:f}}", "vhost", chance(c, 2) ? "/" : "v",
					"name", name, "stats", "rate", (double)chance(c, 5));
		switch (chance(c, 5)) {
		case 0: break;
		case 1: json_object_set_new(row, "x", json_boolean(chance(c, 2))); break;
		case 2: json_object_set_new(row, "x", json_string(name)); break;
		case 3: json_object_set_new(row, "x", json_real((double)chance(c, 9) / 2)); break;
		default: json_object_set_new(row, "x", json_integer((json_int_t)chance(c, 4)));
		}
		json_array_append_new(rows, row);
	}
	return rows;
}

static const char *str(const json_t *row, const char *field)
{
	return json_string_value(json_object_get(row, field));
}

/* Missing, numbers, truths, texts. */
static int rank(const json_t *v)
{
	return v == NULL ? 0 : json_is_number(v) ? 1 : json_is_boolean(v) ? 2 : 3;
}

static int compare(const json_t *a, const json_t *b)
{
	const json_t *x = json_object_get(a, "x"), *y = json_object_get(b, "x");
	if (rank(x) != rank(y))
		return rank(x) - rank(y);
	if (rank(x) == 1 && json_number_value(x) != json_number_value(y))
		return json_number_value(x) < json_number_value(y) ? -1 : 1;
	if (rank(x) == 2 && json_is_true(x) != json_is_true(y))
		return json_is_true(y) ? -1 : 1;
	if (rank(x) == 3 && strcmp(json_string_value(x), json_string_value(y)) != 0)
		return strcmp(json_string_value(x), json_string_value(y));
	int vhost = strcmp(str(a, "vhost"), str(b, "vhost"));
	return vhost != 0 ? vhost : strcmp(str(a, "name"), str(b, "name"));
}

Test(list, is_in_order_and_backwards_the_reverse)
{
	struct chance c = chance_of_today();
	json_t *rows = rows_of(&c, 300);
	struct asked *there = ask(rows, "sort=x"), *back = ask(rows, "sort=x&sort_reverse=true");
	const json_t *all = items(there);
	cr_assert_eq(json_array_size(all), 300);
	for (size_t i = 0; i < 300; i++) {
		cr_assert(json_equal(json_array_get(all, i), json_array_get(items(back), 299 - i)));
		cr_assert(i == 0 || compare(json_array_get(all, i - 1), json_array_get(all, i)) < 0);
	}
	end(there);
	end(back);
	json_decref(rows);
}

Test(list, pages_are_the_list_in_pieces)
{
	struct chance c = chance_of_today();
	for (int round = 0; round < 30; round++) {
		size_t len = chance(&c, 120), size = 1 + chance(&c, 40), seen = 0;
		json_t *rows = rows_of(&c, len);
		struct asked *whole = ask(rows, "sort=stats.rate");
		for (size_t page = 1; page == 1 || (page - 1) * size < len; page++) {
			char text[100];
			snprintf(text, sizeof text, "sort=stats.rate&page=%zu&page_size=%zu", page, size);
			struct asked *part = ask(rows, text);
			for (size_t i = 0; i < json_array_size(items(part)); i++)
				cr_assert(json_equal(json_array_get(items(part), i),
						     json_array_get(items(whole), seen++)));
			const json_t *a = part->query.answer;
			cr_assert_eq(json_integer_value(json_object_get(a, "total_count")), len);
			cr_assert_eq(json_integer_value(json_object_get(a, "page_count")),
				     (len + size - 1) / size);
			cr_assert_eq(json_integer_value(json_object_get(a, "item_count")),
				     json_array_size(items(part)));
			end(part);
		}
		cr_assert_eq(seen, len);
		end(whole);
		json_decref(rows);
	}
}

Test(list, filters_by_a_part_of_the_name_or_by_a_pattern)
{
	struct chance c = chance_of_today();
	json_t *rows = rows_of(&c, 200), *row;
	size_t i, with_part = 0, with_pattern = 0;
	json_array_foreach(rows, i, row)
	{
		with_part += strcasestr(str(row, "name"), "Aa") != NULL;
		with_pattern += str(row, "name")[0] != 'b';
	}
	struct asked *part = ask(rows, "page=1&page_size=500&name=Aa");
	struct asked *pattern = ask(rows, "page=1&page_size=500&name=^[AC]&use_regex=true");
	cr_assert_eq(json_array_size(items(part)), with_part);
	cr_assert_eq(json_array_size(items(pattern)), with_pattern);
	json_array_foreach(items(part), i, row)
		cr_assert_not_null(strcasestr(str(row, "name"), "aa"));
	end(part);
	end(pattern);
	json_decref(rows);
}

static void check_refused(const json_t *rows, const char *parameters, const char *error)
{
	struct asked *a = ask(rows, parameters);
	cr_assert_null(a->query.answer, "%s", parameters);
	cr_assert_eq(a->query.status, 400, "%s", parameters);
	cr_assert_str_eq(a->query.error, error, "%s", parameters);
	end(a);
}

Test(list, refuses_pages_that_make_no_sense)
{
	struct chance c = chance_of_today();
	json_t *rows = rows_of(&c, 20);
	check_refused(rows, "page=0", "invalid_pagination_parameters");
	check_refused(rows, "page=1&page_size=501", "invalid_pagination_parameters");
	check_refused(rows, "page=1&page_size=0", "invalid_pagination_parameters");
	check_refused(rows, "page=-1", "invalid_pagination_parameters");
	check_refused(rows, "page=", "bad_request");
	check_refused(rows, "page=1x", "bad_request");
	check_refused(rows, "page= 1", "bad_request");
	check_refused(rows, "page=1&name=(&use_regex=true", "bad_request");
	check_refused(rows, "page=2", "page_out_of_range");
	check_refused(rows, "page=3&page_size=10", "page_out_of_range");
	check_refused(rows, "page=4611686018427387905&page_size=4", "page_out_of_range");
	check_refused(rows, "page=9223372036854775807&page_size=500", "page_out_of_range");
	json_decref(rows);
}

Test(list, refuses_a_pattern_that_tries_too_many_ways)
{
	json_t *rows = json_pack("[{s:s, s:s}]", "vhost", "/", "name",
				 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	check_refused(rows, "page=1&use_regex=true&name=(a|aa)+[bc]", "bad_request");
	json_decref(rows);
}

static void check_columns(const char *columns, const char *expected)
{
	json_t *rows = json_loads("[{\"name\":\"n\",\"a\":{\"b\":1,\"c\":2,\"d.e\":3},\"a.b\":4,"
				  "\"f\":[1]}]",
				  0, NULL);
	char text[100];
	snprintf(text, sizeof text, "columns=%s", columns);
	struct asked *a = ask(rows, text);
	json_t *want = json_loads(expected, 0, NULL);
	cr_assert(json_equal(json_array_get(items(a), 0), want), "%s: %s", columns,
		  json_dumps(items(a), 0));
	json_decref(want);
	json_decref(rows);
	end(a);
}

Test(list, shows_the_columns_that_are_wanted)
{
	check_columns("name", "{\"name\":\"n\"}");
	check_columns("name,f", "{\"name\":\"n\",\"f\":[1]}");
	check_columns("a.c", "{\"a\":{\"c\":2}}");
	check_columns("a.d.e", "{\"a\":{\"d.e\":3}}");
	check_columns("a.b", "{\"a.b\":4}");
	check_columns("a.c,a.d.e", "{\"a\":{\"c\":2,\"d.e\":3}}");
	check_columns("f.x,none,name.x,,", "{}");
	check_columns("", "{}");
}
