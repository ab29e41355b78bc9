/* A handle in loop mode, run by libevent 2.
 *
 *	struct lev_on_event on_event;
 *	lev_on_event_begin(&on_event, lev, base);
 *	event_base_dispatch(base);
 *	lev_on_event_end(&on_event);		before lev_close()
 *
 * After calls that are made elsewhere than in the library's callbacks - a publish in some other
 * event, say - lev_on_event_touch() looks at what the handle wants now. */
#ifndef LEVERET_EVENT_H
#define LEVERET_EVENT_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <leveret/leveret.h>
#include <poll.h>

struct lev_on_event {
	struct lev *lev;
	struct event_base *base;
	struct event event;
};

static inline void lev_on_event_run(evutil_socket_t fd, short what, void *arg);

static inline void lev_on_event_touch(struct lev_on_event *o)
{
	uint64_t due = lev_due(o->lev), now = lev_now(),
		 ms = due <= now            ? 0
		      : due - now < 3600000 ? due - now
					    : 3600000;
	struct timeval wait = { (time_t)(ms / 1000), (suseconds_t)(ms % 1000) * 1000 };
	short want = lev_want(o->lev);
	event_del(&o->event);
	event_assign(&o->event, o->base, lev_fd(o->lev),
		     (short)((want & POLLIN ? EV_READ : 0) | (want & POLLOUT ? EV_WRITE : 0)),
		     lev_on_event_run, o);
	event_add(&o->event, &wait);
}

static inline void lev_on_event_run(evutil_socket_t fd, short what, void *arg)
{
	struct lev_on_event *o = (struct lev_on_event *)arg;
	(void)fd;
	(void)what;
	lev_process(o->lev);
	lev_on_event_touch(o);
}

static inline void lev_on_event_begin(struct lev_on_event *o, struct lev *lev,
				      struct event_base *base)
{
	o->lev = lev;
	o->base = base;
	event_assign(&o->event, base, -1, 0, lev_on_event_run, o);
	lev_on_event_touch(o);
}

static inline void lev_on_event_end(struct lev_on_event *o)
{
	event_del(&o->event);
}

#endif
