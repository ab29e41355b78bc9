/* Properties: the content header of class basic, as views into the frame it came in.
 *
 *   content header payload: | class 2 | weight 2 | body size 8 | flags 2 | properties ... |
 *
 * No allocation, no state; safe from any thread. */
#ifndef LEV_PROTOCOL_PROPERTIES_H
#define LEV_PROTOCOL_PROPERTIES_H

#include "base/bytes.h"

enum {
#define PROPERTY(name, bit, kind) HAS_##name = 1 << bit,
#include "properties.def"
#undef PROPERTY
};

enum {
	CLASS_BASIC = 60,
	CONTENT_FLAGS_AT = 12, /* Offset of the flags in a content header. */
	DELIVERY_MODE_TRANSIENT = 1,
	DELIVERY_MODE_PERSISTENT = 2,
};

struct properties {
	uint16_t flags; /* HAS_...: a field is meaningful only if its flag is set; without it, it is
			   zero. */
#define SHORTSTR(name)            struct bytes name;
#define TABLE(name)               struct bytes name;
#define OCTET(name)               uint8_t name;
#define LONGLONG(name)            uint64_t name;
#define PROPERTY(name, bit, kind) kind(name)
#include "properties.def"
#undef PROPERTY
#undef SHORTSTR
#undef TABLE
#undef OCTET
#undef LONGLONG
};

/* Decodes the flags and properties that follow a content header's body size. False if they are
 * malformed: cut short, followed by more bytes, with a bad table, or with a flag that the class
 * does not have. How large a table may be is not looked at. */
bool properties_decode(struct properties *out, struct bytes flags_and_properties);

/* Writes flags and properties; the bytes decode to the same again. */
void properties_encode(struct writer *w, const struct properties *p);

/* Bytes that properties_encode() will write. */
size_t properties_size(const struct properties *p);

#endif
