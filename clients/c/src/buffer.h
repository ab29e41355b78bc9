/* Buffer: bytes that grow at the end and are taken from the front. Without memory it fails for
 * good: `failed` stays set, and what is appended is lost, so that a writer is checked once. Not
 * thread-safe. */
#ifndef LEV_CLIENT_BUFFER_H
#define LEV_CLIENT_BUFFER_H

#include "base/bytes.h"

struct buffer {
	uint8_t *data;
	size_t at; /* What is before it has been taken. */
	size_t len;
	size_t cap;
	bool failed;
};

void buffer_fini(struct buffer *b);

/* Forgets its contents and its failure; the memory stays, unless it is more than a quiet connection
 * needs. */
void buffer_clear(struct buffer *b);

/* Room for len more bytes at the end, NULL and failed without memory; buffer_commit() says how many
 * there are now. */
uint8_t *buffer_room(struct buffer *b, size_t len);

static inline void buffer_commit(struct buffer *b, size_t len)
{
	b->len += len;
}

static inline size_t buffer_left(const struct buffer *b)
{
	return b->len - b->at;
}

static inline struct bytes buffer_bytes(const struct buffer *b)
{
	return bytes_of(b->data + b->at, buffer_left(b));
}

static inline void buffer_take(struct buffer *b, size_t len)
{
	b->at += len;
}

#endif
