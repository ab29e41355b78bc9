#include "core/message/headers.h"

#include <stddef.h>

static const struct {
	const char *name;
	size_t len;
	size_t offset;
} known[] = {
#define HEADER(text, field)                                             \
	{                                                               \
		text, sizeof(text) - 1, offsetof(struct headers, field) \
	}
	HEADER("CC", cc),
	HEADER("BCC", bcc),
	HEADER("x-delay", delay),
	HEADER("x-idempotency-key", key),
	HEADER("x-deduplication-header", alias),
	HEADER("x-producer-id", producer),
	HEADER("x-producer-epoch", epoch),
	HEADER("x-producer-seq", sequence),
	HEADER("x-message-uid", uid),
	HEADER("x-original-uid", origin),
#undef HEADER
};

static struct table_value *field_of(struct headers *headers, struct bytes name)
{
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (name.len == known[i].len && memcmp(name.data, known[i].name, name.len) == 0)
			return (struct table_value *)(void *)((uint8_t *)headers + known[i].offset);
	return NULL;
}

bool header_is_for_broker(struct bytes name)
{
	return bytes_equal_str(name, "x-producer-id") || bytes_equal_str(name, "x-producer-seq") ||
	       bytes_equal_str(name, "x-producer-epoch");
}

const struct headers *headers_find(const struct properties *p, struct headers *room)
{
	static const struct headers none;
	struct table_value value, *field;
	struct bytes rest = p->headers, name;
	if ((p->flags & HAS_headers) == 0)
		return &none;
	*room = none;
	while (table_next(&rest, &name, &value))
		if ((field = field_of(room, name)) != NULL && !header_is_set(field))
			*field = value;
	return room;
}
