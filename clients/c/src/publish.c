/* What programs call to publish. */
#include "handle.h"

struct room {
	const struct lev *lev;
	size_t body_len;
};

static bool has_room(const void *arg)
{
	const struct room *r = arg;
	return r->lev->is_stopping || publisher_has_room(&r->lev->publisher, r->body_len);
}

/* Takes it into a slot, waiting for room. The lock is held. */
static int add(struct lev *lev, const struct lev_publish *publish, struct slot **slot,
	       uint64_t deadline)
{
	struct room room = { lev, publish->body_len };
	if (!has_room(&room)) {
		if (deadline == LEV_NOW || handle_is_calling(lev))
			return fail_plainly(LEV_FULL);
		int rc = handle_wait(lev, has_room, &room, deadline);
		if (rc != LEV_OK)
			return rc;
	}
	if (lev->is_stopping)
		return handle_gone(lev);
	return publisher_add(&lev->publisher, publish, slot);
}

int lev_publish(struct lev *lev, const struct lev_publish *publish, lev_outcome_fn *on_outcome,
		void *arg, uint64_t deadline)
{
	if (lev == NULL)
		return handle_missing();
	struct slot *slot;
	handle_lock(lev);
	int rc = add(lev, publish, &slot, deadline);
	if (rc == LEV_OK) {
		slot->on_outcome = on_outcome;
		slot->arg = arg;
		publisher_pump(&lev->publisher);
		handle_wake(lev);
	}
	handle_unlock(lev);
	return rc;
}

static bool is_done(const void *arg)
{
	return ((const struct publish_waiter *)arg)->is_done;
}

int lev_publish_wait(struct lev *lev, const struct lev_publish *publish, uint64_t deadline)
{
	if (lev == NULL)
		return handle_missing();
	struct publish_waiter waiter = { .is_done = false };
	struct slot *slot;
	handle_lock(lev);
	int rc = handle_is_calling(lev) && !lev->is_forked
			 ? fail_plainly(LEV_IN_CALLBACK)
					: add(lev, publish, &slot, deadline);
	if (rc == LEV_OK) {
		slot->waiter = &waiter;
		publisher_pump(&lev->publisher);
		handle_wake(lev);
		handle_wait(lev, is_done, &waiter, deadline);
		if (!waiter.is_done)
			publisher_forget(&lev->publisher, slot, &waiter.outcome);
		rc = waiter.outcome.result < 0 ? fail_with(&waiter.outcome) : waiter.outcome.result;
	}
	handle_unlock(lev);
	return rc;
}

int lev_send(struct lev *lev, const char *exchange, const char *routing_key, const void *body,
	     size_t body_len, uint64_t deadline)
{
	struct lev_publish publish = {
		.exchange = exchange, .routing_key = routing_key, .body = body, .body_len = body_len
	};
	return lev_publish_wait(lev, &publish, deadline);
}

size_t lev_in_flight(struct lev *lev)
{
	if (lev == NULL)
		return 0;
	handle_lock(lev);
	size_t len = (size_t)(lev->publisher.tail - lev->publisher.head);
	handle_unlock(lev);
	return len;
}
