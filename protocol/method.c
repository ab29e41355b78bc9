#include "method.h"

/* Each method becomes three straight-line functions; the compiler sees them as if written by hand.
 */

#define OCTET(n)    m->n = read_u8(r);
#define SHORT(n)    m->n = read_u16(r);
#define LONG(n)     m->n = read_u32(r);
#define LONGLONG(n) m->n = read_u64(r);
#define SHORTSTR(n)              \
	m->n = read_shortstr(r); \
	is_utf8 &= bytes_is_utf8(m->n);
#define LONGSTR(n) m->n = read_longstr(r);
#define TABLE(n)   m->n = read_longstr(r);
#define BIT(n, i)                  \
	if ((i) == 0)              \
		bits = read_u8(r); \
	m->n = (bits >> (i)) & 1;
#define METHOD(symbol, name, class, method, content, fields)                   \
	static bool decode_##symbol(struct reader *r, struct amqp_##symbol *m) \
	{                                                                      \
		bool is_utf8 = true;                                           \
		uint8_t bits = 0;                                              \
		fields m->unused = 0;                                          \
		(void)bits;                                                    \
		(void)r;                                                       \
		return is_utf8;                                                \
	}
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

#define OCTET(n)    write_u8(w, m->n);
#define SHORT(n)    write_u16(w, m->n);
#define LONG(n)     write_u32(w, m->n);
#define LONGLONG(n) write_u64(w, m->n);
#define SHORTSTR(n) write_shortstr(w, m->n);
#define LONGSTR(n)  write_longstr(w, m->n);
#define TABLE(n)    write_longstr(w, m->n);
#define BIT(n, i)               \
	if ((i) == 0)           \
		write_u8(w, 0); \
	if (!w->failed && m->n) \
		w->at[-1] |= (uint8_t)(1u << (i));
#define METHOD(symbol, name, class, method, content, fields)                         \
	static void encode_##symbol(struct writer *w, const struct amqp_##symbol *m) \
	{                                                                            \
		(void)w;                                                             \
		(void)m;                                                             \
		fields                                                               \
	}
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

#define OCTET(n)    +1
#define SHORT(n)    +2
#define LONG(n)     +4
#define LONGLONG(n) +8
#define SHORTSTR(n) +1 + m->n.len
#define LONGSTR(n)  +4 + m->n.len
#define TABLE(n)    +4 + m->n.len
#define BIT(n, i)   +((i) == 0)
#define METHOD(symbol, name, class, method, content, fields)       \
	static size_t size_##symbol(const struct amqp_##symbol *m) \
	{                                                          \
		(void)m;                                           \
		return (size_t)4 fields;                           \
	}
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

int method_decode(struct method *out, struct bytes payload)
{
	struct reader r = reader_of(payload.data, payload.len);
	bool is_utf8 = false;
	out->id = read_u32(&r);
	switch (out->id) {
#define METHOD(symbol, name, class, method, content, fields) \
	case METHOD_##symbol:                                \
		is_utf8 = decode_##symbol(&r, &out->symbol); \
		break;
#include "methods.def"
#undef METHOD
	default: return r.failed ? METHOD_TRUNCATED : METHOD_UNKNOWN;
	}
	if (r.failed || reader_left(&r) > 0)
		return METHOD_TRUNCATED;
	return is_utf8 ? METHOD_OK : METHOD_NOT_UTF8;
}

size_t method_size(const struct method *m)
{
	switch (m->id) {
#define METHOD(symbol, name, class, method, content, fields) \
	case METHOD_##symbol:                                \
		return size_##symbol(&m->symbol);
#include "methods.def"
#undef METHOD
	default: return 0;
	}
}

void method_encode(struct writer *w, const struct method *m)
{
	write_u32(w, m->id);
	switch (m->id) {
#define METHOD(symbol, name, class, method, content, fields) \
	case METHOD_##symbol:                                \
		encode_##symbol(w, &m->symbol);              \
		return;
#include "methods.def"
#undef METHOD
	default: w->failed = true;
	}
}

const char *method_name(uint32_t id)
{
	switch (id) {
#define METHOD(symbol, name, class, method, content, fields) \
	case METHOD_##symbol:                                \
		return name;
#include "methods.def"
#undef METHOD
	default: return NULL;
	}
}

bool method_has_content(uint32_t id)
{
	switch (id) {
#define METHOD(symbol, name, class, method, content, fields) \
	case METHOD_##symbol:                                \
		return content;
#include "methods.def"
#undef METHOD
	default: return false;
	}
}
