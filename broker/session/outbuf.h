/* Outbuf: bytes on their way to a peer, as a chain of blocks and of references to large message
 * bodies.
 *
 * Frames are written straight into a block, so a delivery costs one copy; bodies above
 * OUTBUF_COPY_MAX are not copied at all. An empty outbuf holds no memory: blocks come from and
 * return to a pool that all connections share. Not thread-safe. */
#ifndef LEV_SESSION_OUTBUF_H
#define LEV_SESSION_OUTBUF_H

#include "core/message/message.h"

#include <sys/uio.h>

enum {
	OUTBUF_BLOCK_BYTES = 32 * 1024,
	OUTBUF_COPY_MAX = 8 * 1024,
	OUTBUF_ROOM_MAX = 16 * 1024, /* What outbuf_room() gives at most. */
};

struct out_block;

struct outbuf_pool {
	struct out_block *free;
	size_t free_len;
	size_t used_bytes;             /* Of blocks that hold something. */
	struct message_pool *messages; /* Borrowed. */
};

void outbuf_pool_init(struct outbuf_pool *pool, struct message_pool *messages);
void outbuf_pool_fini(struct outbuf_pool *pool);

struct outbuf {
	struct outbuf_pool *pool;
	struct out_block *head;
	struct out_block *tail;
	size_t len;     /* Bytes that wait. */
	uint64_t taken; /* Bytes that do not any more. */
};

void outbuf_init(struct outbuf *out, struct outbuf_pool *pool);
void outbuf_fini(struct outbuf *out);

/* Room for at most len bytes, len <= OUTBUF_ROOM_MAX; outbuf_commit() says how many were written.
 */
uint8_t *outbuf_room(struct outbuf *out, size_t len);
void outbuf_commit(struct outbuf *out, size_t len);

/* Copies bytes of any number. */
void outbuf_copy(struct outbuf *out, struct bytes bytes);

/* Adds bytes of a message's body without copying them; takes a reference of its own. */
void outbuf_refer(struct outbuf *out, struct message *message, struct bytes bytes);

/* Describes what waits, in order; returns the number of entries used. */
int outbuf_iovec(const struct outbuf *out, struct iovec *iov, int iov_max);

/* The first len bytes have been sent. */
void outbuf_consume(struct outbuf *out, size_t len);

#endif
