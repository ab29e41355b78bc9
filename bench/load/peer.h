/* Peer: one AMQP connection of the load tool. Blocking while it is set up, non-blocking while it
 * works.
 *
 * Everything the broker refuses ends the tool with the broker's own words. One thread at a time. */
#ifndef LEV_BENCH_PEER_H
#define LEV_BENCH_PEER_H

#include "frame.h"
#include "method.h"
#include "target.h"

#include <sys/types.h>

struct ssl_st;

struct peer {
	const struct target *target; /* Borrowed. */
	int fd;
	struct ssl_st *ssl; /* NULL: plain. */
	uint32_t frame_max;
	uint8_t *in; /* Owned: what has come while setting up. */
	size_t in_len;
	size_t in_cap;
	size_t answer_len; /* Of in: the last answer, which the next call drops. */
};

/* What the broker said of itself when the first connection was made. */
struct broker_name {
	char product[64];
	char version[64];
};

/* Connects, logs in and opens the virtual host. name may be NULL. */
void peer_open(struct peer *p, const struct target *target, uint32_t frame_max,
	       struct broker_name *name);

/* Says good-bye, if that can be done at once, and closes. */
void peer_close(struct peer *p);

/* Sends a method and waits for its answer, which must be reply_id; other methods and heartbeats are
 * passed over. Views in *reply hold until the next call. reply may be NULL. */
void peer_call(struct peer *p, uint16_t channel, const struct method *m, uint32_t reply_id,
	       struct method *reply);
void peer_open_channel(struct peer *p, uint16_t channel);

/* A frame with this method; returns its size. at has room for METHOD_ROOM bytes, unless its strings
 * are long. */
enum { METHOD_ROOM = 1024 };
size_t peer_put_method(uint8_t *at, uint16_t channel, const struct method *m);
void peer_send(struct peer *p, const void *data, size_t len); /* Blocking. */

/* From here on peer_read() and peer_write() do not wait. What has come already is handed out first.
 */
void peer_set_nonblocking(struct peer *p);

enum { PEER_WAIT = 0, PEER_CLOSED = -1 };
ssize_t peer_read(struct peer *p, void *buffer, size_t len);
ssize_t peer_write(struct peer *p, const void *data, size_t len);

/* Ends the tool if the method is channel.close or connection.close. */
void peer_check(const struct peer *p, const struct method *m);
_Noreturn void peer_lost(const struct peer *p);

#endif
