/* Method: the structs of all AMQP methods, their decoder and encoder, made from methods.def.
 *
 * Decoding is zero-copy: strings and tables are views into the frame's payload and valid as long as
 * it is. Nothing allocates. Tables are only delimited here; table_check() validates what is inside.
 * Thread-safe: no state. */
#ifndef LEV_PROTOCOL_METHOD_H
#define LEV_PROTOCOL_METHOD_H

#include "base/bytes.h"

#define METHOD_ID(class, method) ((uint32_t)(class) << 16 | (method))

/* METHOD_queue_declare and so on: the class in the upper half, the method in the lower. */
enum method_id {
#define METHOD(symbol, name, class, method, content, fields) \
	METHOD_##symbol = METHOD_ID(class, method),
#include "methods.def"
#undef METHOD
};

/* struct queue_declare and so on are named struct amqp_queue_declare. An empty method still has one
 * byte, as C wants. */
#define OCTET(n)    uint8_t n;
#define SHORT(n)    uint16_t n;
#define LONG(n)     uint32_t n;
#define LONGLONG(n) uint64_t n;
#define SHORTSTR(n) struct bytes n;
#define LONGSTR(n)  struct bytes n;
#define TABLE(n)    struct bytes n; /* Without its length prefix. */
#define BIT(n, i)   bool n;
#define METHOD(symbol, name, class, method, content, fields) \
	struct amqp_##symbol {                               \
		fields uint8_t unused;                       \
	};
#include "methods.def"
#undef METHOD
#undef OCTET
#undef SHORT
#undef LONG
#undef LONGLONG
#undef SHORTSTR
#undef LONGSTR
#undef TABLE
#undef BIT

struct method {
	uint32_t id; /* enum method_id. */
	union {
#define METHOD(symbol, name, class, method, content, fields) struct amqp_##symbol symbol;
#include "methods.def"
#undef METHOD
	};
};

enum method_error {
	METHOD_OK = 0,
	METHOD_UNKNOWN = -1,   /* No such class or method. */
	METHOD_TRUNCATED = -2, /* The arguments end early, or bytes are left after them. */
	METHOD_NOT_UTF8 = -3,  /* A short string is not well-formed UTF-8. */
};

/* Decodes a method frame's payload. On failure only out->id is set, where it could be read. */
int method_decode(struct method *out, struct bytes payload);

/* Bytes that method_encode() will write. */
size_t method_size(const struct method *m);

/* Writes class, method and arguments: a method frame's payload. Fails the writer if there is too
 * little room, or if a short string is over 255 bytes. */
void method_encode(struct writer *w, const struct method *m);

/* "queue.declare"; NULL if there is no such method. */
const char *method_name(uint32_t id);

/* True if a content header and body follow it. */
bool method_has_content(uint32_t id);

#endif
