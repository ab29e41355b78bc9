/* Diskless: a shard with a number in place of a disk. For scripts, the fuzzer and the mock broker,
 * which bring their own clients; guest logs in with the password guest, from the loopback.
 *
 *   diskless_begin(d);  ...inputs...  diskless_end(d);   a turn
 *   diskless_sync(d);                                    what has been decided is durable, from
 *                                                        the next turn on
 */
#ifndef LEV_TURN_DISKLESS_H
#define LEV_TURN_DISKLESS_H

#include "session/session.h"
#include "turn/turn.h"

struct diskless {
	struct core *core;
	struct turn turn;
	uint64_t effects; /* Handed to sessions in this turn. */
	struct space space;
	struct changes changes;
	struct batch batch;
	uint64_t sequence; /* Of the batch. */
	uint64_t submitted;
	uint64_t durable;
	struct outbuf_pool outbufs;
	struct session_options options;
	struct session_host host; /* now_ms is the owner's to set. */
};

/* limits.space is set here. The options are a client's of today, and may be changed before the
 * first session. */
void diskless_init(struct diskless *d, const struct core_options *limits, const char *product);
void diskless_fini(struct diskless *d); /* When its sessions have been destroyed. */

void diskless_begin(struct diskless *d);
bool diskless_end(struct diskless *d); /* True: something was handed to sessions. */
void diskless_sync(struct diskless *d);

#endif
