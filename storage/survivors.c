#include "survivors.h"

#include "base/alloc.h"
#include "store.h"

#include <stdlib.h>

enum { PART_BYTES = 64 << 10 };

static void put_part(struct survivors *s)
{
	uint8_t key[9];
	if (s->len == 0)
		return;
	key[0] = STORE_KEY_SURVIVORS;
	store_u64(key + 1, s->first_at);
	changes_put(s->changes, bytes_of(key, sizeof key), bytes_of(s->data, s->len));
	s->len = 0;
}

void survivors_add(struct survivors *s, uint64_t at, struct bytes entry)
{
	size_t size = sizeof at + (size_t)align_up(entry.len, ENTRY_ALIGN);
	if (s->len + size > PART_BYTES)
		put_part(s);
	if (s->len == 0)
		s->first_at = at;
	s->data = alloc_grow(s->data, &s->cap, s->len + size, 1);
	memset(s->data + s->len, 0, size);
	memcpy(s->data + s->len, &at, sizeof at);
	memcpy(s->data + s->len + sizeof at, entry.data, entry.len);
	s->len += size;
}

void survivors_finish(struct survivors *s)
{
	put_part(s);
	free(s->data);
	*s = (struct survivors){ .changes = s->changes };
}

struct bytes survivors_bytes(struct bytes part, uint64_t at)
{
	size_t offset = 0;
	while (part.len - offset >= sizeof at + ENTRY_HEAD_BYTES) {
		uint64_t entry_at;
		const uint8_t *start = part.data + offset + sizeof at;
		size_t left = part.len - offset - sizeof at;
		uint32_t len = entry_length(start);
		memcpy(&entry_at, part.data + offset, sizeof entry_at);
		if (len == 0 || len > left)
			break;
		if (entry_at == at)
			return bytes_of(start, len);
		size_t size = sizeof at + (size_t)align_up(len, ENTRY_ALIGN);
		if (size > part.len - offset)
			break;
		offset += size;
	}
	return bytes_of(NULL, 0);
}

bool survivors_find(struct bytes part, uint64_t at, struct entry *entry)
{
	uint32_t next;
	struct bytes bytes = survivors_bytes(part, at);
	return bytes.len > 0 && entry_read(bytes, at, 0, entry, &next) == ENTRY_OK;
}
