#include "session/outbuf.h"

#include "base/alloc.h"

#include <assert.h>
#include <stdlib.h>

enum { FREE_MAX = 64 }; /* Blocks kept for later: 2 MiB. */

/* Either bytes of its own, [start, end) of data, or a stretch of a message. */
struct out_block {
	struct out_block *next;
	struct message *message; /* NULL: the bytes are in data. */
	const uint8_t *at;       /* First byte that waits. */
	const uint8_t *end;
	uint8_t data[];
};

void outbuf_pool_init(struct outbuf_pool *pool, struct message_pool *messages)
{
	*pool = (struct outbuf_pool){ .messages = messages };
}

void outbuf_pool_fini(struct outbuf_pool *pool)
{
	while (pool->free != NULL) {
		struct out_block *next = pool->free->next;
		free(pool->free);
		pool->free = next;
	}
}

static struct out_block *block_take(struct outbuf_pool *pool)
{
	struct out_block *b = pool->free;
	if (b != NULL) {
		pool->free = b->next;
		pool->free_len--;
	} else {
		b = alloc_resize(NULL, OUTBUF_BLOCK_BYTES);
	}
	pool->used_bytes += OUTBUF_BLOCK_BYTES;
	b->next = NULL;
	b->message = NULL;
	b->at = b->end = b->data;
	return b;
}

static void block_give(struct outbuf_pool *pool, struct out_block *b)
{
	if (b->message != NULL) {
		message_unref(pool->messages, b->message);
		free(b);
		return;
	}
	pool->used_bytes -= OUTBUF_BLOCK_BYTES;
	if (pool->free_len == FREE_MAX) {
		free(b);
	} else {
		b->next = pool->free;
		pool->free = b;
		pool->free_len++;
	}
}

void outbuf_init(struct outbuf *out, struct outbuf_pool *pool)
{
	*out = (struct outbuf){ .pool = pool };
}

void outbuf_fini(struct outbuf *out)
{
	while (out->head != NULL) {
		struct out_block *next = out->head->next;
		block_give(out->pool, out->head);
		out->head = next;
	}
	out->tail = NULL;
	out->len = 0;
}

static void append(struct outbuf *out, struct out_block *b)
{
	*(out->tail == NULL ? &out->head : &out->tail->next) = b;
	out->tail = b;
}

static size_t room_of(const struct out_block *b)
{
	if (b == NULL || b->message != NULL)
		return 0;
	return OUTBUF_BLOCK_BYTES - sizeof *b - (size_t)(b->end - b->data);
}

uint8_t *outbuf_room(struct outbuf *out, size_t len)
{
	assert(len <= OUTBUF_ROOM_MAX);
	if (room_of(out->tail) < len)
		append(out, block_take(out->pool));
	return (uint8_t *)out->tail->end;
}

void outbuf_commit(struct outbuf *out, size_t len)
{
	assert(len <= room_of(out->tail));
	out->tail->end += len;
	out->len += len;
}

void outbuf_copy(struct outbuf *out, struct bytes bytes)
{
	while (bytes.len > 0) {
		size_t part = bytes.len < OUTBUF_ROOM_MAX ? bytes.len : OUTBUF_ROOM_MAX;
		memcpy(outbuf_room(out, part), bytes.data, part);
		outbuf_commit(out, part);
		bytes = bytes_of(bytes.data + part, bytes.len - part);
	}
}

void outbuf_refer(struct outbuf *out, struct message *message, struct bytes bytes)
{
	struct out_block *b = alloc_resize(NULL, sizeof *b);
	*b = (struct out_block){ .message = message_ref(message),
				 .at = bytes.data,
				 .end = bytes.data + bytes.len };
	append(out, b);
	out->len += bytes.len;
}

int outbuf_iovec(const struct outbuf *out, struct iovec *iov, int iov_max)
{
	int n = 0;
	for (const struct out_block *b = out->head; b != NULL && n < iov_max; b = b->next)
		if (b->at != b->end)
			iov[n++] = (struct iovec){ (void *)b->at, (size_t)(b->end - b->at) };
	return n;
}

void outbuf_consume(struct outbuf *out, size_t len)
{
	assert(len <= out->len);
	out->len -= len;
	out->taken += len;
	while (out->head != NULL) {
		struct out_block *b = out->head;
		size_t part = (size_t)(b->end - b->at) < len ? (size_t)(b->end - b->at) : len;
		b->at += part;
		len -= part;
		if (b->at != b->end)
			return;
		out->head = b->next;
		if (out->head == NULL)
			out->tail = NULL;
		block_give(out->pool, b);
	}
}
