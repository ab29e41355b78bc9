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
	struct bytes text, within;
	int64_t n;
	bool flag;
	struct table_value v;
	table_write_bool(&w, "yes", true);
	table_write_int(&w, "n", -5);
	table_write_str(&w, "s", bytes_str("text"));
	uint8_t *inner = table_begin(&w, "inner");
	table_write_long(&w, "long", INT64_MIN);
	table_end(&w, inner);
	struct bytes table = finish(buffer, &w);
	cr_assert(table_check(table));
	cr_assert(table_find_integer(table, "n", &n) && n == -5);
	cr_assert(table_find_bool(table, "yes", &flag) && flag);
	cr_assert(table_find_string(table, "s", &text) && bytes_equal_str(text, "text"));
	cr_assert(table_find_table(table, "inner", &within));
	cr_assert(table_find_integer(within, "long", &n) && n == INT64_MIN);
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
		int64_t n = 0;
		cr_assert(array_next(&rest, &v));
		cr_assert_eq(v.type, values[i].type);
		cr_assert(table_value_integer(&v, &n) || table_value_time(&v, &n));
		cr_assert_eq(n, values[i].integer, "%c", v.type);
		cr_assert_eq(rest.len, 0);
	}
}

/* One value of each type, as the contents of an array. */
static const char one_of_each[] = "t\1"
				  "b\1"
				  "B\1"
				  "s\0\1"
				  "u\0\1"
				  "I\0\0\0\1"
				  "i\0\0\0\1"
				  "l\0\0\0\0\0\0\0\1"
				  "L\0\0\0\0\0\0\0\1"
				  "f\0\0\0\0"
				  "d\0\0\0\0\0\0\0\0"
				  "D\0\0\0\0\1"
				  "T\0\0\0\0\0\0\0\1"
				  "S\0\0\0\1a"
				  "x\0\0\0\1a"
				  "A\0\0\0\1V"
				  "F\0\0\0\3\1aV"
				  "V";

static void expect(bool is_answered, const char *types, char type)
{
	cr_assert_eq(is_answered, strchr(types, type) != NULL, "%s of %c", types, type);
}

/* Which types each accessor answers for; of the others it says so and leaves the result alone. */
Test(table, a_value_is_had_only_as_what_it_is)
{
	struct bytes rest = bytes_of(one_of_each, sizeof one_of_each - 1);
	struct table_value v;
	size_t types = 0;
	for (; array_next(&rest, &v); types++) {
		bool flag = false;
		int64_t n = 77, time = 77;
		double real = 77, number = 77;
		struct bytes text = { NULL, 77 }, binary = text, table = text, array = text;
		expect(table_value_bool(&v, &flag), "t", v.type);
		expect(table_value_integer(&v, &n), "bBsuIilL", v.type);
		expect(table_value_is_integer(&v), "bBsuIilL", v.type);
		expect(table_value_time(&v, &time), "T", v.type);
		expect(table_value_real(&v, &real), "fd", v.type);
		expect(table_value_number(&v, &number), "bBsuIilLfd", v.type);
		expect(table_value_string(&v, &text), "S", v.type);
		expect(table_value_is_text(&v, "a"), "S", v.type);
		expect(table_value_binary(&v, &binary), "x", v.type);
		expect(table_value_table(&v, &table), "F", v.type);
		expect(table_value_array(&v, &array), "A", v.type);
		expect(flag, "t", v.type);
		expect(n == 1, "bBsuIilL", v.type);
		expect(time == 1, "T", v.type);
		expect(real == 0, "fd", v.type);
		expect(number != 77, "bBsuIilLfd", v.type);
		expect(text.len == 1, "S", v.type);
		expect(binary.len == 1, "x", v.type);
		expect(table.len == 3, "F", v.type);
		expect(array.len == 1, "A", v.type);
	}
	cr_assert_eq(types, 18);
	cr_assert_eq(rest.len, 0);
}

Test(table, a_field_is_found_only_as_what_it_is)
{
	uint8_t buffer[64];
	struct writer w = writer_of(buffer, sizeof buffer);
	struct bytes text = { NULL, 77 };
	int64_t n = 77;
	bool flag = false;
	table_write_int(&w, "a", 1);
	table_write_str(&w, "a", bytes_str("the second of a name"));
	table_write_str(&w, "b", bytes_str("text"));
	struct bytes table = finish(buffer, &w);
	cr_assert_not(table_find_string(table, "a", &text));
	cr_assert_not(table_find_array(table, "a", &text));
	cr_assert_not(table_find_table(table, "b", &text));
	cr_assert_not(table_find_bool(table, "a", &flag));
	cr_assert_not(table_find_integer(table, "b", &n));
	cr_assert_not(table_find_integer(table, "none", &n));
	cr_assert(text.len == 77 && n == 77);
	cr_assert(table_find_integer(table, "a", &n) && n == 1);
	cr_assert(table_find_string(table, "b", &text) && bytes_equal_str(text, "text"));
}

/* What was found before is not what is found now: a reader that does not look at the answer has
 * nothing to take for it. */
Test(table, what_is_not_there_changes_nothing)
{
	uint8_t buffer[64];
	struct writer w = writer_of(buffer, sizeof buffer);
	struct table_value v = { .type = 'V' };
	table_write_int(&w, "last", 1);
	cr_assert_not(table_find(finish(buffer, &w), "first", &v));
	cr_assert_eq(v.type, 'V');
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

Test(table, depth_is_limited_and_measured)
{
	static uint8_t buffer[8 * (TABLE_DEPTH_MAX + 1)], *began[TABLE_DEPTH_MAX + 2];
	for (unsigned depth = 1; depth <= TABLE_DEPTH_MAX + 1; depth++) {
		struct writer w = writer_of(buffer, sizeof buffer);
		for (unsigned i = 1; i < depth; i++)
			began[i] = table_begin(&w, "t");
		table_write_bool(&w, "x", true);
		for (unsigned i = depth - 1; i >= 1; i--)
			table_end(&w, began[i]);
		struct bytes table = finish(buffer, &w);
		cr_assert_eq(table_check(table), depth <= TABLE_DEPTH_MAX, "%u", depth);
		if (depth > TABLE_DEPTH_MAX)
			continue;
		struct table_extent extent = table_measure(table);
		cr_assert_eq(extent.depth, depth);
		cr_assert_eq(extent.fields, depth);
	}
}

Test(table, values_are_equal_whatever_their_types)
{
	static const struct {
		const char *a;
		size_t a_len;
		const char *b;
		size_t b_len;
		bool is_equivalent;
		bool matches;
	} pairs[] = {
#define PAIR(a, b, equivalent, match) { a, sizeof a - 1, b, sizeof b - 1, equivalent, match }
		PAIR("b\5", "l\0\0\0\0\0\0\0\5", true, true),
		PAIR("b\xff", "L\xff\xff\xff\xff\xff\xff\xff\xff", true, true),
		PAIR("b\xff", "T\xff\xff\xff\xff\xff\xff\xff\xff", false, false),
		PAIR("B\5", "T\0\0\0\0\0\0\0\5", true, true),
		PAIR("b\5", "b\6", false, false),
		PAIR("B\1", "f\x3f\x80\0\0", false, true),
		PAIR("d\x3f\xf0\0\0\0\0\0\0", "f\x3f\x80\0\0", true, true),
		PAIR("d\x80\0\0\0\0\0\0\0", "d\0\0\0\0\0\0\0\0", true, true),
		PAIR("d\x43\x40\0\0\0\0\0\0", "l\0\x20\0\0\0\0\0\1", false, false),
		PAIR("d\x43\x40\0\0\0\0\0\0", "l\0\x20\0\0\0\0\0\0", false, true),
		PAIR("d\x7f\xf0\0\0\0\0\0\0", "l\x7f\xff\xff\xff\xff\xff\xff\xff", false, false),
		PAIR("t\1", "t\2", true, true),
		PAIR("t\1", "b\1", false, false),
		PAIR("S\0\0\0\1a", "x\0\0\0\1a", true, true),
		PAIR("S\0\0\0\1"
		     "5",
		     "b\5", false, false),
		PAIR("I"
		     "abcd",
		     "S\0\0\0\4abcd", false, false),
		PAIR("V", "S\0\0\0\0", false, false),
		PAIR("D\0\0\0\0\1", "b\1", false, false),
		PAIR("A\0\0\0\2b\1", "A\0\0\0\2B\1", false, false),
#undef PAIR
	};
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		struct bytes a = bytes_of(pairs[i].a, pairs[i].a_len);
		struct bytes b = bytes_of(pairs[i].b, pairs[i].b_len);
		struct table_value va, vb;
		cr_assert(array_next(&a, &va) && array_next(&b, &vb));
		cr_expect_eq(table_value_equivalent(&va, &vb), pairs[i].is_equivalent, "%zu", i);
		cr_expect_eq(table_value_equivalent(&vb, &va), pairs[i].is_equivalent, "%zu", i);
		cr_expect_eq(table_value_matches(&va, &vb), pairs[i].matches, "%zu", i);
		cr_expect_eq(table_value_matches(&vb, &va), pairs[i].matches, "%zu", i);
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
