#include "changes.h"

#include "base/alloc.h"

#include <assert.h>
#include <stdlib.h>

enum { KEPT_BYTES = 1 << 20 };

struct change_head {
	uint32_t value_len;
	uint16_t key_len;
	uint16_t kind;
};

void changes_fini(struct changes *changes)
{
	free(changes->data);
	*changes = (struct changes){ 0 };
}

void changes_clear(struct changes *changes)
{
	if (changes->cap > KEPT_BYTES)
		changes_fini(changes);
	changes->len = 0;
}

static void add(struct changes *changes, struct bytes key, struct bytes value,
		enum change_kind kind)
{
	assert(key.len > 0 && key.len <= CHANGES_KEY_MAX && value.len <= UINT32_MAX);
	struct change_head head = { (uint32_t)value.len, (uint16_t)key.len, (uint16_t)kind };
	size_t size = sizeof head + key.len + value.len;
	changes->data = alloc_grow(changes->data, &changes->cap, changes->len + size, 1);
	struct writer w = writer_of(changes->data + changes->len, size);
	write_raw(&w, &head, sizeof head);
	write_bytes(&w, key);
	write_bytes(&w, value);
	changes->len += size;
}

void changes_put(struct changes *changes, struct bytes key, struct bytes value)
{
	add(changes, key, value, CHANGE_PUT);
}

void changes_delete(struct changes *changes, struct bytes key)
{
	add(changes, key, (struct bytes){ NULL, 0 }, CHANGE_DELETE);
}

void changes_delete_range(struct changes *changes, struct bytes from, struct bytes until)
{
	add(changes, from, until, CHANGE_DELETE_RANGE);
}

bool changes_next(const struct changes *changes, size_t *at, struct change *change)
{
	struct change_head head;
	if (*at == changes->len)
		return false;
	memcpy(&head, changes->data + *at, sizeof head);
	const uint8_t *key = changes->data + *at + sizeof head;
	change->kind = (enum change_kind)head.kind;
	change->key = bytes_of(key, head.key_len);
	change->value = bytes_of(key + head.key_len, head.value_len);
	*at += sizeof head + head.key_len + head.value_len;
	return true;
}
