#include "properties.h"

#include "table.h"

enum {
	KNOWN_FLAGS = 0
#define PROPERTY(name, bit, kind) | HAS_##name
#include "properties.def"
#undef PROPERTY
};

bool properties_decode(struct properties *out, struct bytes flags_and_properties)
{
	struct reader reader = reader_of(flags_and_properties.data, flags_and_properties.len);
	struct reader *r = &reader;
	memset(out, 0, sizeof *out);
	out->flags = read_u16(r);
	if (out->flags &
	    ~KNOWN_FLAGS) /* Bit 0 would announce a second flags word: class basic has none. */
		return false;
#define SHORTSTR(r) read_shortstr(r)
#define TABLE(r)    read_longstr(r)
#define OCTET(r)    read_u8(r)
#define LONGLONG(r) read_u64(r)
#define PROPERTY(name, bit, kind)    \
	if (out->flags & HAS_##name) \
		out->name = kind(r);
#include "properties.def"
#undef PROPERTY
#undef SHORTSTR
#undef TABLE
#undef OCTET
#undef LONGLONG
	return !r->failed && reader_left(r) == 0 &&
	       (!(out->flags & HAS_headers) || table_check(out->headers));
}

void properties_encode(struct writer *w, const struct properties *p)
{
	write_u16(w, p->flags);
#define SHORTSTR(w, v) write_shortstr(w, v)
#define TABLE(w, v)    write_longstr(w, v)
#define OCTET(w, v)    write_u8(w, v)
#define LONGLONG(w, v) write_u64(w, v)
#define PROPERTY(name, bit, kind)  \
	if (p->flags & HAS_##name) \
		kind(w, p->name);
#include "properties.def"
#undef PROPERTY
#undef SHORTSTR
#undef TABLE
#undef OCTET
#undef LONGLONG
}

size_t properties_size(const struct properties *p)
{
	size_t size = 2;
#define SHORTSTR(v) 1 + (v).len
#define TABLE(v)    4 + (v).len
#define OCTET(v)    sizeof(v)
#define LONGLONG(v) sizeof(v)
#define PROPERTY(name, bit, kind)  \
	if (p->flags & HAS_##name) \
		size += kind(p->name);
#include "properties.def"
#undef PROPERTY
#undef SHORTSTR
#undef TABLE
#undef OCTET
#undef LONGLONG
	return size;
}
