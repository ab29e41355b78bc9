#include "table.h"

/* Bytes of a fixed-size value; -1 for those with a length, -2 for a type that does not exist. */
static int fixed_size(char type)
{
	switch (type) {
	case 'V': return 0;
	case 't':
	case 'b':
	case 'B': return 1;
	case 's':
	case 'u': return 2;
	case 'I':
	case 'i':
	case 'f': return 4;
	case 'D': return 5;
	case 'l':
	case 'L':
	case 'd':
	case 'T': return 8;
	case 'S':
	case 'x':
	case 'A':
	case 'F': return -1;
	default: return -2;
	}
}

static double real_of(uint64_t bits, bool is_double)
{
	if (is_double) {
		double d;
		memcpy(&d, &bits, sizeof d);
		return d;
	}
	float f;
	uint32_t half = (uint32_t)bits;
	memcpy(&f, &half, sizeof f);
	return (double)f;
}

static void read_value(struct reader *r, struct table_value *v)
{
	v->type = (char)read_u8(r);
	int size = fixed_size(v->type);
	if (r->failed || size == -2) {
		r->failed = true;
		return;
	}
	const uint8_t *start = r->at;
	if (size == -1)
		read_longstr(r);
	else
		read_raw(r, (size_t)size);
	if (r->failed)
		return;
	v->raw = bytes_of(start, (size_t)(r->at - start));
}

bool array_next(struct bytes *rest, struct table_value *value)
{
	if (rest->len == 0)
		return false;
	struct reader r = reader_of(rest->data, rest->len);
	read_value(&r, value);
	if (r.failed)
		return false;
	*rest = bytes_of(r.at, reader_left(&r));
	return true;
}

bool table_next(struct bytes *rest, struct bytes *name, struct table_value *value)
{
	if (rest->len == 0)
		return false;
	struct reader r = reader_of(rest->data, rest->len);
	*name = read_shortstr(&r);
	read_value(&r, value);
	if (r.failed)
		return false;
	*rest = bytes_of(r.at, reader_left(&r));
	return true;
}

static bool check(struct bytes rest, bool is_table, unsigned depth, struct table_extent *extent)
{
	if (depth > TABLE_DEPTH_MAX)
		return false;
	if (depth > extent->depth)
		extent->depth = depth;
	while (rest.len > 0) {
		struct bytes name = { NULL, 0 }, inner;
		struct table_value v;
		if (!(is_table ? table_next(&rest, &name, &v) : array_next(&rest, &v)))
			return false;
		extent->fields++;
		if (!bytes_is_utf8(name))
			return false;
		if (table_value_table(&v, &inner) && !check(inner, true, depth + 1, extent))
			return false;
		if (table_value_array(&v, &inner) && !check(inner, false, depth + 1, extent))
			return false;
	}
	return true;
}

bool table_check(struct bytes table)
{
	return check(table, true, 1, &(struct table_extent){ 0 });
}

struct table_extent table_measure(struct bytes table)
{
	struct table_extent extent = { 0 };
	check(table, true, 1, &extent);
	return extent;
}

bool table_find(struct bytes table, const char *name, struct table_value *value)
{
	struct bytes wanted = bytes_str(name);
	struct bytes found;
	struct table_value v;
	while (table_next(&table, &found, &v))
		if (bytes_equal(found, wanted)) {
			*value = v;
			return true;
		}
	return false;
}

/* --- what a value is --- */

bool table_value_is_integer(const struct table_value *value)
{
	return value->type != '\0' && strchr("bBsuIilL", value->type) != NULL;
}

bool table_value_bool(const struct table_value *value, bool *out)
{
	if (value->type != 't')
		return false;
	*out = value->raw.data[0] != 0;
	return true;
}

bool table_value_integer(const struct table_value *value, int64_t *out)
{
	const uint8_t *p = value->raw.data;
	switch (value->type) {
	case 'b': *out = (int8_t)p[0]; return true;
	case 'B': *out = p[0]; return true;
	case 's': *out = (int16_t)load_u16(p); return true;
	case 'u': *out = load_u16(p); return true;
	case 'I': *out = (int32_t)load_u32(p); return true;
	case 'i': *out = load_u32(p); return true;
	case 'l':
	case 'L': *out = (int64_t)load_u64(p); return true;
	default: return false;
	}
}

bool table_value_time(const struct table_value *value, int64_t *out)
{
	if (value->type != 'T')
		return false;
	*out = (int64_t)load_u64(value->raw.data);
	return true;
}

bool table_value_real(const struct table_value *value, double *out)
{
	if (value->type != 'f' && value->type != 'd')
		return false;
	*out = value->type == 'd' ? real_of(load_u64(value->raw.data), true)
				  : real_of(load_u32(value->raw.data), false);
	return true;
}

bool table_value_number(const struct table_value *value, double *out)
{
	int64_t integer;
	if (!table_value_integer(value, &integer))
		return table_value_real(value, out);
	*out = (double)integer;
	return true;
}

/* What follows the length of S x A F. */
static bool contents(const struct table_value *value, char type, struct bytes *out)
{
	if (value->type != type)
		return false;
	*out = bytes_of(value->raw.data + 4, value->raw.len - 4);
	return true;
}

bool table_value_string(const struct table_value *value, struct bytes *out)
{
	return contents(value, 'S', out);
}

bool table_value_binary(const struct table_value *value, struct bytes *out)
{
	return contents(value, 'x', out);
}

bool table_value_table(const struct table_value *value, struct bytes *out)
{
	return contents(value, 'F', out);
}

bool table_value_array(const struct table_value *value, struct bytes *out)
{
	return contents(value, 'A', out);
}

bool table_value_is_text(const struct table_value *value, const char *text)
{
	struct bytes bytes;
	return table_value_string(value, &bytes) && bytes_equal_str(bytes, text);
}

/* --- a field and what it is --- */

bool table_find_bool(struct bytes table, const char *name, bool *out)
{
	struct table_value v;
	return table_find(table, name, &v) && table_value_bool(&v, out);
}

bool table_find_integer(struct bytes table, const char *name, int64_t *out)
{
	struct table_value v;
	return table_find(table, name, &v) && table_value_integer(&v, out);
}

bool table_find_string(struct bytes table, const char *name, struct bytes *out)
{
	struct table_value v;
	return table_find(table, name, &v) && table_value_string(&v, out);
}

bool table_find_table(struct bytes table, const char *name, struct bytes *out)
{
	struct table_value v;
	return table_find(table, name, &v) && table_value_table(&v, out);
}

bool table_find_array(struct bytes table, const char *name, struct bytes *out)
{
	struct table_value v;
	return table_find(table, name, &v) && table_value_array(&v, out);
}

/* --- comparing --- */

bool table_value_equal(const struct table_value *a, const struct table_value *b)
{
	return a->type == b->type && bytes_equal(a->raw, b->raw);
}

/* Of a timestamp, which has no sign, only half are integers that others can be equal to. */
static bool is_counted(const struct table_value *v)
{
	int64_t time;
	return table_value_is_integer(v) || (table_value_time(v, &time) && time >= 0);
}

char table_value_class(const struct table_value *v)
{
	switch (v->type) {
	case 'f': return 'd';
	case 'x': return 'S';
	default: return is_counted(v) ? 'i' : v->type;
	}
}

struct bytes table_value_worth(const struct table_value *v, uint8_t room[TABLE_WORTH_BYTES])
{
	int64_t integer;
	double real;
	bool flag;
	struct bytes text;
	if (table_value_string(v, &text) || table_value_binary(v, &text))
		return text;
	if (table_value_integer(v, &integer) || table_value_time(v, &integer)) {
		store_u64(room, (uint64_t)integer);
		return bytes_of(room, sizeof(uint64_t));
	}
	if (table_value_real(v, &real)) {
		uint64_t bits;
		real = real == 0 ? 0 : real; /* There is a negative zero as well. */
		memcpy(&bits, &real, sizeof bits);
		store_u64(room, bits);
		return bytes_of(room, sizeof bits);
	}
	if (table_value_bool(v, &flag)) { /* Anything but 0 is true. */
		room[0] = flag;
		return bytes_of(room, 1);
	}
	return v->raw;
}

bool table_value_equivalent(const struct table_value *a, const struct table_value *b)
{
	uint8_t room_a[TABLE_WORTH_BYTES], room_b[TABLE_WORTH_BYTES];
	return table_value_class(a) == table_value_class(b) &&
	       bytes_equal(table_value_worth(a, room_a), table_value_worth(b, room_b));
}

/* Exactly: a large integer is not what it would be rounded to. */
static bool equal_numbers(const struct table_value *integer, const struct table_value *real)
{
	int64_t i;
	double r;
	if (table_value_class(integer) != 'i' || !table_value_real(real, &r) ||
	    !(r >= -0x1p63 && r < 0x1p63))
		return false;
	return (table_value_integer(integer, &i) || table_value_time(integer, &i)) &&
	       i == (int64_t)r && (double)i == r;
}

bool table_value_matches(const struct table_value *a, const struct table_value *b)
{
	return table_value_equivalent(a, b) || equal_numbers(a, b) || equal_numbers(b, a);
}

const char *table_type_name(char type)
{
	switch (type) {
	case 't': return "bool";
	case 'b': return "byte";
	case 'B': return "unsignedbyte";
	case 's': return "short";
	case 'u': return "unsignedshort";
	case 'I': return "signedint";
	case 'i': return "unsignedint";
	case 'l':
	case 'L': return "long";
	case 'f': return "float";
	case 'd': return "double";
	case 'D': return "decimal";
	case 'T': return "timestamp";
	case 'S': return "longstr";
	case 'x': return "binary";
	case 'A': return "array";
	case 'F': return "table";
	case 'V': return "void";
	default: return "unknown";
	}
}

static size_t count_equal(struct bytes a, struct bytes b, size_t *fields)
{
	size_t equal = 0;
	struct bytes name, other;
	struct table_value va, vb;
	for (*fields = 0; table_next(&a, &name, &va); ++*fields) {
		for (struct bytes rest = b; table_next(&rest, &other, &vb);)
			if (bytes_equal(name, other)) {
				equal += table_value_equal(&va, &vb);
				break;
			}
	}
	return equal;
}

bool tables_equal(struct bytes a, struct bytes b)
{
	size_t in_a, in_b;
	return bytes_equal(a, b) || (count_equal(a, b, &in_a) == in_a &&
				     count_equal(b, a, &in_b) == in_b && in_a == in_b);
}

/* --- writing --- */

static void write_name(struct writer *w, const char *name, char type)
{
	write_shortstr(w, bytes_str(name));
	write_u8(w, (uint8_t)type);
}

void table_write_bool(struct writer *w, const char *name, bool value)
{
	write_name(w, name, 't');
	write_u8(w, value);
}

void table_write_int(struct writer *w, const char *name, int32_t value)
{
	write_name(w, name, 'I');
	write_u32(w, (uint32_t)value);
}

void table_write_long(struct writer *w, const char *name, int64_t value)
{
	write_name(w, name, 'l');
	write_u64(w, (uint64_t)value);
}

void table_write_str(struct writer *w, const char *name, struct bytes value)
{
	write_name(w, name, 'S');
	write_longstr(w, value);
}

void table_write_value(struct writer *w, struct bytes name, const struct table_value *value)
{
	write_shortstr(w, name);
	write_u8(w, (uint8_t)value->type);
	write_bytes(w, value->raw);
}

void table_write_without(struct writer *w, struct bytes table, const char *name)
{
	struct bytes found;
	struct table_value value;
	while (table_next(&table, &found, &value))
		if (!bytes_equal_str(found, name))
			table_write_value(w, found, &value);
}

uint8_t *table_begin(struct writer *w, const char *name)
{
	write_name(w, name, 'F');
	return write_room(w, 4);
}

void table_end(struct writer *w, uint8_t *began)
{
	if (!w->failed)
		store_u32(began, (uint32_t)(w->at - began - 4));
}
