/* Handles in loop mode, run by poll(2). */
#ifndef LEVERET_POLL_H
#define LEVERET_POLL_H

#include <leveret/leveret.h>
#include <poll.h>

/* Waits until one of up to 64 handles has something to do, or the deadline has come, and does it.
 * Callbacks are made from here. */
static inline void lev_poll(struct lev *const *levs, size_t len, uint64_t deadline)
{
	struct pollfd fds[64];
	uint64_t until = deadline, now = lev_now();
	for (size_t i = 0; i < len && i < 64; i++) {
		uint64_t due = lev_due(levs[i]);
		fds[i].fd = lev_fd(levs[i]);
		fds[i].events = lev_want(levs[i]);
		until = due < until ? due : until;
	}
	uint64_t ms = until <= now ? 0 : until - now;
	poll(fds, (nfds_t)(len < 64 ? len : 64), ms < 3600000 ? (int)ms : 3600000);
	for (size_t i = 0; i < len && i < 64; i++)
		lev_process(levs[i]);
}

#endif
