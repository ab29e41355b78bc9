/* Io: threads that move and encrypt the bytes of connections, so that parsing and deciding have the
 * loop's thread to themselves.
 *
 * What the loop asks for is gathered during a turn and handed over by io_kick(); what happened
 * comes back through a descriptor that becomes readable, and io_take() hands it out, on the loop's
 * thread. Each way is a list behind a mutex that is held to swap it.
 *
 * Reading goes by credit: a thread has IO_CREDITS buffers of a connection out at most, and reads on
 * when one is given back. Of writes there is one at a time: the bytes stay where they are,
 * untouched, until it is said that they have been written. */
#ifndef LEV_NET_IO_H
#define LEV_NET_IO_H

#include "net/transport.h"

#include <stdint.h>

enum {
	IO_CREDITS = 2,
	IO_BUFFER_BYTES = 64 * 1024,
	IO_HEADROOM =
		4 * 1024, /* Before the data: for what was left over from the buffer before. */
	IO_IOV_MAX = 64,
};

/* What was read. From io_events.input() until io_give_back() the loop's. */
struct io_buffer {
	struct io_buffer *next; /* For whoever has it. */
	size_t len;
	uint8_t bytes[IO_HEADROOM + IO_BUFFER_BYTES]; /* The data begins at IO_HEADROOM. */
};

struct io;
struct io_conn;

struct io_events {
	void (*input)(void *conn, struct io_buffer *buffer);
	void (*written)(void *conn, size_t bytes); /* All of what io_write() was given. */
	void (*closed)(void *conn);   /* The peer has ended, or the connection failed: io_close()
					 should follow. */
	void (*released)(void *conn); /* After io_close(): the last that is heard of it. */
};

/* A thread. NULL with errno if that cannot be. */
struct io *io_create(const struct io_events *events);

/* Ends the thread; its connections are closed, nothing is heard of them any more, and what was
 * being written may be freed. */
void io_destroy(struct io *io);

/* Readable when there is something for io_take(). */
int io_fd(const struct io *io);
void io_take(struct io *io);

/* What was asked for since the last time reaches the thread. */
void io_kick(struct io *io);

/* transport_why() of it. From io_events.closed() until io_close(). */
bool io_why(const struct io_conn *conn, char *out, size_t size);

/* Takes over the transport. conn is what events are told. */
struct io_conn *io_add(struct io *io, const struct transport *transport, void *conn);

void io_write(struct io_conn *conn, const struct iovec *iov, int iov_len); /* At most IO_IOV_MAX. */
void io_give_back(struct io_conn *conn, struct io_buffer *buffer);
void io_end(struct io_conn *conn); /* Nothing more will be written; what still comes is dropped. */
void io_close(struct io_conn *conn); /* Not to be used any more. */

#endif
