/* Match: which bindings of a headers exchange a message meets.
 *
 * Both sides are kept by name, a binding's arguments from the time it is made and a message's
 * headers for the time it is routed. So a binding costs as many searches as it has arguments,
 * whatever the message brings, and of a name that is there several times the first is compared with
 * the first, the second with the second, as RabbitMQ does. */
#include "core/exchange/match.h"
#include "core/exchange/binding.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

enum { FEW = 24 }; /* Are sorted where they stand. */

static int compare_names(struct bytes a, struct bytes b)
{
	size_t len = a.len < b.len ? a.len : b.len;
	int order = len == 0 ? 0 : memcmp(a.data, b.data, len);
	return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* Names that are equal are views into one table: their places are their order. */
static int compare_fields(const void *a, const void *b)
{
	const struct field *f = a, *g = b;
	int order = compare_names(f->name, g->name);
	return order != 0 ? order : (f->name.data > g->name.data) - (f->name.data < g->name.data);
}

static void sort(struct fields *fields)
{
	if (fields->len > FEW) {
		qsort(fields->items, fields->len, sizeof *fields->items, compare_fields);
		return;
	}
	for (size_t i = 1; i < fields->len; i++) {
		struct field f = fields->items[i];
		size_t at = i;
		for (; at > 0 && compare_fields(&fields->items[at - 1], &f) > 0; at--)
			fields->items[at] = fields->items[at - 1];
		fields->items[at] = f;
	}
}

static struct field *add(struct fields *fields)
{
	fields->items =
		alloc_grow(fields->items, &fields->cap, fields->len + 1, sizeof *fields->items);
	return &fields->items[fields->len++];
}

bool headers_match_parse(struct bytes arguments, enum headers_match *match)
{
	static const char *const names[] = {
		[MATCH_ALL] = "all",
		[MATCH_ANY] = "any",
		[MATCH_ALL_WITH_X] = "all-with-x",
		[MATCH_ANY_WITH_X] = "any-with-x",
	};
	struct table_value value;
	*match = MATCH_ALL;
	if (!table_find(arguments, "x-match", &value))
		return true;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (table_value_is_text(&value, names[i])) {
			*match = (enum headers_match)i;
			return true;
		}
	return false;
}

void match_read(struct fields *fields, struct bytes table)
{
	struct field f;
	fields->len = 0;
	while (table_next(&table, &f.name, &f.value))
		*add(fields) = f;
	sort(fields);
}

void match_bind(struct binding *b)
{
	bool with_x = b->match == MATCH_ALL_WITH_X || b->match == MATCH_ANY_WITH_X;
	struct bytes rest = b->arguments;
	struct field f;
	while (table_next(&rest, &f.name, &f.value))
		if (!bytes_equal_str(f.name, "x-match") &&
		    (with_x || !bytes_has_prefix(f.name, "x-")))
			*add(&b->wanted) = f;
	sort(&b->wanted);
}

/* The first field from `at` on whose name is not before this one. */
static size_t search(const struct fields *fields, size_t at, struct bytes name)
{
	size_t end = fields->len;
	while (at < end) {
		size_t middle = at + (end - at) / 2;
		if (compare_names(fields->items[middle].name, name) < 0)
			at = middle + 1;
		else
			end = middle;
	}
	return at;
}

/* A void argument asks for the header, whatever it is. */
static bool accepts(const struct table_value *wanted, const struct table_value *found)
{
	return wanted->type == 'V' || table_value_matches(wanted, found);
}

bool match_is_any(const struct binding *b)
{
	return b->match == MATCH_ANY || b->match == MATCH_ANY_WITH_X;
}

bool match_all(const struct binding *b, const struct fields *headers)
{
	size_t at = 0;
	if (b->wanted.len > headers->len)
		return false;
	for (size_t i = 0; i < b->wanted.len; i++) {
		const struct field *wanted = &b->wanted.items[i];
		at = search(headers, at, wanted->name);
		const struct field *found = at < headers->len ? &headers->items[at] : NULL;
		if (found == NULL || !bytes_equal(found->name, wanted->name) ||
		    !accepts(&wanted->value, &found->value))
			return false;
		at++;
	}
	return true;
}
