#include "buffer.h"

#include <stdlib.h>

enum { KEPT_BYTES = 1024 * 1024, FIRST_BYTES = 4096 };

void buffer_fini(struct buffer *b)
{
	free(b->data);
	*b = (struct buffer){ 0 };
}

void buffer_clear(struct buffer *b)
{
	if (b->cap > KEPT_BYTES)
		buffer_fini(b);
	b->at = b->len = 0;
	b->failed = false;
}

uint8_t *buffer_room(struct buffer *b, size_t len)
{
	if (b->failed)
		return NULL;
	if (b->at == b->len)
		b->at = b->len = 0;
	if (b->cap - b->len >= len && b->data != NULL)
		return b->data + b->len;
	if (b->at > 0) {
		memmove(b->data, b->data + b->at, b->len - b->at);
		b->len -= b->at;
		b->at = 0;
	}
	if (b->cap - b->len >= len && b->data != NULL)
		return b->data + b->len;
	size_t cap = b->cap < FIRST_BYTES ? FIRST_BYTES : b->cap;
	while (cap - b->len < len)
		cap *= 2;
	uint8_t *data = realloc(b->data, cap);
	if (data == NULL) {
		b->failed = true;
		return NULL;
	}
	b->data = data;
	b->cap = cap;
	return data + b->len;
}
