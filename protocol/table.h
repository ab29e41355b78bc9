/* Table: AMQP field tables and arrays in RabbitMQ's dialect, read and written in place.
 *
 * A table is kept as the bytes it came in, without its length prefix. table_check() validates one
 * whole, nested ones included; after that, iterating over it cannot fail. Nothing allocates.
 * Thread-safe: no state.
 *
 *   t bool   b int8   B uint8   s int16   u uint16   I int32   i uint32   l,L int64   f float   d double
 *   D decimal   T timestamp   S long string   x byte array   A array   F table   V void */
#ifndef LEV_PROTOCOL_TABLE_H
#define LEV_PROTOCOL_TABLE_H

#include "base/bytes.h"

/* No table is deeper, whoever made it: its readers may recurse. How large a peer's may be is the
 * session's business. */
enum { TABLE_DEPTH_MAX = 1024 };

/* A value as it stands on the wire. What it means is had from the accessors below only, and each of
 * them asks for the type first: a peer chooses the type of every field, so nothing may be taken for
 * what it ought to be. */
struct table_value {
	char type;
	struct bytes raw; /* The encoded value without its type: what equality compares. */
};

#define MUST_ASK __attribute__((warn_unused_result))

/* True if table is well-formed, no deeper than the limit above, and its names are at most 255 bytes
 * of UTF-8. */
bool table_check(struct bytes table);

/* How large a table is, which has been checked. */
struct table_extent {
	uint64_t fields; /* And elements of arrays, all levels together. */
	unsigned depth;  /* 1: nothing is nested. */
};
struct table_extent table_measure(struct bytes table);

/* Takes the next field off the front of *rest. False at the end, or where the rest is malformed. */
bool table_next(struct bytes *rest, struct bytes *name, struct table_value *value);

/* The same for the contents of an array. */
bool array_next(struct bytes *rest, struct table_value *value);

/* Finds a field by name; the first one if it is there twice. *value is as it was if there is none.
 */
MUST_ASK bool table_find(struct bytes table, const char *name, struct table_value *value);

/* --- what a value is: false, and *out as it was, if it is of another type --- */

MUST_ASK bool table_value_bool(const struct table_value *value, bool *out);       /* t */
MUST_ASK bool table_value_integer(const struct table_value *value, int64_t *out); /* bBsuIilL */
MUST_ASK bool table_value_time(const struct table_value *value, int64_t *out);    /* T */
MUST_ASK bool table_value_real(const struct table_value *value, double *out);     /* f d */
MUST_ASK bool table_value_number(const struct table_value *value, double *out);   /* any of both */
MUST_ASK bool table_value_string(const struct table_value *value, struct bytes *out); /* S */
MUST_ASK bool table_value_binary(const struct table_value *value, struct bytes *out); /* x */

/* The contents, for table_next() and array_next(). */
MUST_ASK bool table_value_table(const struct table_value *value, struct bytes *out); /* F */
MUST_ASK bool table_value_array(const struct table_value *value, struct bytes *out); /* A */

/* b B s u I i l L. */
bool table_value_is_integer(const struct table_value *value);

/* Is it a string, and this one? */
bool table_value_is_text(const struct table_value *value, const char *text);

/* --- a field and what it is at once: false, and *out as it was, if it is absent or of another
 * type. Of a name that is there twice, the first is meant, whatever the type of the second. --- */

MUST_ASK bool table_find_bool(struct bytes table, const char *name, bool *out);
MUST_ASK bool table_find_integer(struct bytes table, const char *name, int64_t *out);
MUST_ASK bool table_find_string(struct bytes table, const char *name, struct bytes *out);
MUST_ASK bool table_find_table(struct bytes table, const char *name, struct bytes *out);
MUST_ASK bool table_find_array(struct bytes table, const char *name, struct bytes *out);

/* Same type and same value. */
bool table_value_equal(const struct table_value *a, const struct table_value *b);

/* What a value is, whatever the width in which a client writes it: 'i' any integer and a timestamp,
 * 'd' any floating-point number, 'S' a string and a byte array; others are what their type is. */
char table_value_class(const struct table_value *value);

enum { TABLE_WORTH_BYTES = 8 };

/* What the value is worth: equal for values of one class that are equal, whatever their types, and
 * different for others of it. A view into the value or `room`. */
struct bytes table_value_worth(const struct table_value *value, uint8_t room[TABLE_WORTH_BYTES]);

/* The same class and the same worth: 5 is 5 in any integer type, but neither "5" nor 5.0. */
bool table_value_equivalent(const struct table_value *a, const struct table_value *b);

/* As above, but an integer may be equal to a floating-point number. */
bool table_value_matches(const struct table_value *a, const struct table_value *b);

/* RabbitMQ's name of a type, as its error texts have it: "signedint", "longstr"; "unknown" for a
 * type that is none. */
const char *table_type_name(char type);

/* True if both tables have the same fields with equal values, whatever their order. Takes
 * time with the square of their size. */
bool tables_equal(struct bytes a, struct bytes b);

/* --- writing: fields one after the other; nest with table_begin() and table_end() --- */

void table_write_bool(struct writer *w, const char *name, bool value);
void table_write_int(struct writer *w, const char *name, int32_t value);
void table_write_long(struct writer *w, const char *name, int64_t value);
void table_write_str(struct writer *w, const char *name, struct bytes value);

/* Any value as it was read. */
void table_write_value(struct writer *w, struct bytes name, const struct table_value *value);

/* All fields of a table but those of one name. */
void table_write_without(struct writer *w, struct bytes table, const char *name);

/* Begins a nested table; the result goes to table_end(), which fills in its length. */
uint8_t *table_begin(struct writer *w, const char *name);
void table_end(struct writer *w, uint8_t *began);

#endif
