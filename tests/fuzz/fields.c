#include "fields.h"

#include "table.h"

static const char *const names[] = {
#define FIELD(name) name,
#include "fields.def"
#undef FIELD
	"other",
	"m",
};

enum { NAMES = sizeof names / sizeof *names, DEPTH_MAX = 4 };

static void write_fields(struct writer *w, struct reader *r, bool is_table, unsigned depth);

/* Of texts, those that mean something are as good as any. */
static void write_text(struct writer *w, struct reader *r)
{
	static const char *const texts[] = { "",       "q1",         "q2",     "dead",
					     "x1",     "expired",    "maxlen", "rejected",
					     "any",    "all-with-x", "topic",  "sliding",
					     "direct", "headers" };
	uint8_t which = read_u8(r);
	write_longstr(w, which < 200 ? bytes_str(texts[which % 14]) : read_bytes(r, which & 15));
}

static void write_nested(struct writer *w, struct reader *r, bool is_table, unsigned depth)
{
	uint8_t *began = write_room(w, 4);
	if (depth < DEPTH_MAX)
		write_fields(w, r, is_table, depth + 1);
	table_end(w, began);
}

static void write_any(struct writer *w, struct reader *r, unsigned depth)
{
	static const char types[] = "tbBsuIilLfdDTSxAFVSFAl";
	static const uint8_t sizes[] = { 1, 1, 1, 2, 2, 4, 4, 8, 8, 4, 8, 5, 8 };
	uint8_t which = read_u8(r) % (sizeof types - 1);
	char type = types[which];
	write_u8(w, (uint8_t)type);
	if (type == 'S' || type == 'x')
		write_text(w, r);
	else if (type == 'A' || type == 'F')
		write_nested(w, r, type == 'F', depth);
	else if (type == 'l' && read_u8(r) < 200) /* Small ones, mostly. */
		write_u64(w, read_u8(r));
	else if (type != 'V')
		for (unsigned i = type == 'l' ? 8 : sizes[which]; i > 0; i--)
			write_u8(w, read_u8(r));
}

static void write_fields(struct writer *w, struct reader *r, bool is_table, unsigned depth)
{
	for (unsigned left = read_u8(r) & 3; left > 0; left--) {
		if (is_table)
			write_shortstr(w, bytes_str(names[read_u8(r) % NAMES]));
		write_any(w, r, depth);
	}
}

struct bytes fields_read(struct reader *r, uint8_t *room, size_t size)
{
	struct writer w = writer_of(room, size);
	write_fields(&w, r, true, 0);
	return bytes_of(room, w.failed ? 0 : (size_t)(w.at - room));
}
