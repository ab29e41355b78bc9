/* A broker for unit tests: the real one's core and protocol, in this process, without disk or data
 * directory, on a port of the loopback. It forgets everything when it is stopped. Any AMQP 0-9-1
 * client can talk to it; user and password are guest.
 *
 *	struct lev_mock *mock;
 *	lev_mock_start(&mock);
 *	lev_connect(&lev, lev_mock_uri(mock), lev_in(1000));
 *	...
 *	lev_mock_stop(mock);
 *
 * It has a thread of its own. All functions can be called from any thread. Link with -lleveret-mock
 * (pkg-config leveret-mock). */
#ifndef LEVERET_MOCK_H
#define LEVERET_MOCK_H

#include <leveret/leveret.h>

#ifdef __cplusplus
extern "C" {
#endif

struct lev_mock;

/* LEV_OK or LEV_SYSTEM: no socket or thread. Without memory it aborts, as the broker does. */
LEV_EXPORT int lev_mock_start(struct lev_mock **out);
LEV_EXPORT void lev_mock_stop(struct lev_mock *mock); /* NULL is fine. */

/* "amqp://127.0.0.1:40123". Valid as long as the mock. */
LEV_EXPORT const char *lev_mock_uri(const struct lev_mock *mock);

/* Its clock goes on by so much, and what was due in between happens: times to live, delays,
 * retries, leases, heartbeats. It goes on by itself as well, in real time. */
LEV_EXPORT void lev_mock_advance(struct lev_mock *mock, uint64_t ms);

/* While its disk is stuck nothing durable is confirmed. */
LEV_EXPORT void lev_mock_stick_disk(struct lev_mock *mock, bool is_stuck);

/* Cuts all connections, without a word; the next ones are welcome, or refused while is_down. */
LEV_EXPORT void lev_mock_cut(struct lev_mock *mock, bool is_down);

/* connection.blocked for all publishers, with this reason; NULL: unblocked. */
LEV_EXPORT void lev_mock_block(struct lev_mock *mock, const char *reason);

/* It takes this many bytes more from each connection and then cuts it, for once: a publish may have
 * arrived, and its confirm not; 0: no longer. */
LEV_EXPORT void lev_mock_cut_after(struct lev_mock *mock, size_t bytes);

#ifdef __cplusplus
}
#endif
#endif
