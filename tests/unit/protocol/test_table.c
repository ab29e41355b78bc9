#include "table.h"

#include <criterion/criterion.h>

static struct bytes finish(uint8_t *buffer, const struct writer *w)
{
	cr_assert_not(w->failed);
	return bytes_of(buffer, (size_t)(w->at - buffer));
}

Test(table, what_is_written_is_found)
{
	uint8_t buffer[256];
	struct writer w = writer_of(buffer, sizeof buffer);
	struct table_value v;
	table_write_bool(&w, "yes", true);
	table_write_int(&w, "n", -5);
	table_write_str(&w, "s", bytes_str("text"));
	uint8_t *inner = table_begin(&w, "inner");
	table_write_long(&w, "long", INT64_MIN);
	table_end(&w, inner);
	struct bytes table = finish(buffer, &w);
	cr_assert(table_check(table));
	cr_assert(table_find(table, "n", &v) && v.type == 'I' && v.integer == -5);
	cr_assert(table_find(table, "yes", &v) && v.boolean);
	cr_assert(table_find(table, "s", &v) && bytes_equal_str(v.bytes, "text"));
	cr_assert(table_find(table, "inner", &v) && v.type == 'F');
	cr_assert(table_find(v.bytes, "long", &v) && v.integer == INT64_MIN);
	cr_assert_not(table_find(table, "missing", &v));
}

Test(table, every_type_has_its_value)
{
	static const struct {
		const char *wire;
		size_t len;
		char type;
		int64_t integer;
	} values[] = {
		{ "b\xff", 2, 'b', -1 },
		{ "B\xff", 2, 'B', 255 },
		{ "s\xff\xfe", 3, 's', -2 },
		{ "u\xff\xfe", 3, 'u', 65534 },
		{ "I\xff\xff\xff\xfd", 5, 'I', -3 },
		{ "i\xff\xff\xff\xfd", 5, 'i', 4294967293 },
		{ "l\0\0\0\0\0\0\1\0", 9, 'l', 256 },
		{ "T\0\0\0\0\0\0\0\7", 9, 'T', 7 },
	};
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		struct bytes rest = bytes_of(values[i].wire, values[i].len);
		struct table_value v;
		cr_assert(array_next(&rest, &v));
		cr_assert_eq(v.type, values[i].type);
		cr_assert_eq(v.integer, values[i].integer, "%c", v.type);
		cr_assert_eq(rest.len, 0);
	}
}

Test(table, malformed_ones_are_refused)
{
	static const struct {
		const char *wire;
		size_t len;
	} bad[] = {
		{ "\1a?", 3 },
		{ "\1aI\0\0\0", 6 },
		{ "\5a", 2 },
		{ "\1aS\0\0\0\5abc", 10 },
		{ "\1aF\0\0\0\2\1b", 9 },
		{ "\1a", 2 },
		{ "\1\xffV", 3 },
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		cr_assert_not(table_check(bytes_of(bad[i].wire, bad[i].len)), "%zu", i);
}

Test(table, depth_is_limited)
{
	for (unsigned depth = 1; depth <= TABLE_DEPTH_MAX + 1; depth++) {
		uint8_t buffer[512], *began[32];
		struct writer w = writer_of(buffer, sizeof buffer);
		for (unsigned i = 1; i < depth; i++)
			began[i] = table_begin(&w, "t");
		table_write_bool(&w, "x", true);
		for (unsigned i = depth - 1; i >= 1; i--)
			table_end(&w, began[i]);
		cr_assert_eq(table_check(finish(buffer, &w)), depth <= TABLE_DEPTH_MAX, "%u",
			     depth);
	}
}

Test(table, fields_are_limited)
{
	static uint8_t buffer[16384];
	for (unsigned n = TABLE_FIELDS_MAX; n <= TABLE_FIELDS_MAX + 1; n++) {
		struct writer w = writer_of(buffer, sizeof buffer);
		for (unsigned i = 0; i < n; i++)
			table_write_bool(&w, "f", true);
		cr_assert_eq(table_check(finish(buffer, &w)), n <= TABLE_FIELDS_MAX);
	}
}

Test(table, equality_looks_at_type_and_value_but_not_order)
{
	uint8_t x[64], y[64], z[64];
	struct writer a = writer_of(x, sizeof x), b = writer_of(y, sizeof y),
		      c = writer_of(z, sizeof z);
	table_write_int(&a, "one", 1);
	table_write_bool(&a, "two", true);
	table_write_bool(&b, "two", true);
	table_write_int(&b, "one", 1);
	table_write_bool(&c, "two", true);
	table_write_long(&c, "one", 1);
	cr_assert(tables_equal(finish(x, &a), finish(y, &b)));
	cr_assert_not(tables_equal(finish(x, &a), finish(z, &c)));
	cr_assert_not(tables_equal(finish(x, &a), bytes_of(x, 0)));
}
