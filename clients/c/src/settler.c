#include "settler.h"

#include "handle.h"

#include <assert.h>
#include <stdlib.h>

void settler_init(struct settler *s, struct user *user, void (*released)(struct settler *s))
{
	*s = (struct settler){ .user = user, .lev = user->lev, .released = released };
	list_init(&s->messages);
}

void settler_restart(struct settler *s)
{
	s->acked = s->unsent = 0;
}

void settler_hold(struct settler *s, struct message *m)
{
	m->settler = s;
	m->taken_ms = s->lev->now_ms;
	list_push_tail(&s->messages, &m->in_settler);
	s->held++;
	s->lev->held++;
}

void settler_leave(struct settler *s)
{
	s->is_gone = true;
	if (s->held == 0)
		s->released(s);
}

static void let_go(struct settler *s, struct message *m)
{
	struct lev *lev = s->lev;
	list_remove(&m->in_settler);
	assert(s->held > 0 && lev->held > 0);
	lev->held--;
	if (--s->held == 0 && s->is_gone)
		s->released(s);
	else if (s->held == 0)
		handle_changed(lev); /* Somebody may wait for it: lev_cancel(). */
}

void settler_flush(struct settler *s)
{
	struct method m = { .id = METHOD_basic_ack };
	if (s->unsent == 0 || !channel_is_open(&s->user->channel))
		return;
	m.basic_ack.delivery_tag = s->unsent;
	m.basic_ack.multiple = true;
	s->unsent = 0;
	channel_put(&s->user->channel, &m);
}

static bool is_fresh(const struct settler *s, const struct message *m)
{
	return !s->is_gone && channel_is_open(&s->user->channel) &&
	       m->epoch == s->user->channel.epoch;
}

void settler_use(struct settler *s)
{
	s->is_stale |= s->is_used && s->used_epoch != s->user->channel.epoch;
	s->is_used = true;
	s->used_epoch = s->user->channel.epoch;
}

static void put_ack(struct settler *s, uint64_t tag)
{
	settler_use(s);
	if (tag == s->acked + 1) {
		s->acked = s->unsent = tag;
		return;
	}
	struct method m = { .id = METHOD_basic_ack };
	settler_flush(s);
	m.basic_ack.delivery_tag = tag;
	channel_put(&s->user->channel, &m);
}

static void put_nack(struct settler *s, uint64_t tag, bool is_requeue)
{
	struct method m = { .id = METHOD_basic_reject };
	settler_use(s);
	settler_flush(s);
	m.basic_reject.delivery_tag = tag;
	m.basic_reject.requeue = is_requeue;
	if (tag == s->acked + 1)
		s->acked = tag;
	channel_put(&s->user->channel, &m);
}

void settler_return(struct settler *s, struct message *m)
{
	if (is_fresh(s, m) && !s->needs_no_ack)
		put_nack(s, m->delivery_tag, true);
	message_destroy(m);
}

int settler_request(struct settler *s, const char *what, const struct message *m, uint64_t delay_ms)
{
	struct lev_table *headers = lev_table_create();
	if (headers == NULL)
		return LEV_NO_MEMORY;
	if (m != NULL)
		lev_table_set_int(headers, "x-delivery-tag", (int64_t)m->delivery_tag);
	if (delay_ms > 0)
		lev_table_set_int(headers, "x-delay", (int64_t)delay_ms);
	struct lev_properties properties = { .is_transient = true, .headers = headers };
	struct lev_publish publish = { .routing_key = what, .properties = &properties };
	settler_flush(s);
	int rc = handle_publish(s->user, &publish, &(struct content_extra){ 0 });
	lev_table_destroy(headers);
	return rc;
}

/* --- from the program --- */

static int stale(struct settler *s)
{
	s->is_stale = true;
	return fail_plainly(LEV_STALE);
}

enum verdict { ACK, REQUEUE, REJECT };

static int settle(struct lev_message *message, enum verdict verdict)
{
	if (message == NULL)
		return lev_fail(LEV_INVALID, "no message");
	struct message *m = (struct message *)message;
	struct settler *s = m->settler;
	int rc = LEV_OK;
	if (s == NULL) {
		message_destroy(m);
		return LEV_OK;
	}
	struct lev *lev = s->lev;
	handle_lock(lev);
	if (handle_is_gone(lev))
		rc = handle_gone(lev);
	else if (s->needs_no_ack)
		rc = LEV_OK;
	else if (!is_fresh(s, m))
		rc = stale(s);
	else if (verdict == ACK)
		put_ack(s, m->delivery_tag);
	else
		put_nack(s, m->delivery_tag, verdict == REQUEUE);
	handle_wake(lev);
	let_go(s, m);
	handle_unlock(lev);
	message_destroy(m);
	return rc;
}

int lev_ack(struct lev_message *message)
{
	return settle(message, ACK);
}

int lev_requeue(struct lev_message *message)
{
	return settle(message, REQUEUE);
}

int lev_reject(struct lev_message *message)
{
	return settle(message, REJECT);
}

void lev_message_free(struct lev_message *message)
{
	struct message *m = (struct message *)message;
	if (m != NULL && m->settler != NULL) {
		struct lev *lev = m->settler->lev;
		handle_lock(lev);
		let_go(m->settler, m);
		handle_unlock(lev);
	}
	message_destroy(m);
}

int lev_retry_after(struct lev_message *message, uint64_t ms)
{
	if (message == NULL)
		return lev_fail(LEV_INVALID, "no message");
	struct message *m = (struct message *)message;
	struct settler *s = m->settler;
	if (ms > INT32_MAX)
		return lev_fail(LEV_INVALID, "a rest of more than 24 days");
	if (s == NULL || s->needs_no_ack)
		return lev_fail(LEV_INVALID, "a message that needs no ack cannot come back");
	struct lev *lev = s->lev;
	int rc = LEV_OK;
	handle_lock(lev);
	if (handle_is_gone(lev))
		rc = handle_gone(lev);
	else if (!is_fresh(s, m))
		rc = stale(s);
	else if (!link_can(&lev->link, "retry_after"))
		rc = lev_fail(LEV_UNSUPPORTED, "this broker has no retry_after; use lev_requeue(), "
					       "or a queue with a time to live "
					       "that dead-letters back");
	else
		rc = settler_request(s, "amq.retry.after", m, ms);
	bool is_taken = rc == LEV_OK || rc == LEV_CLOSED || rc == LEV_FORKED ||
			rc == LEV_STALE;
	handle_wake(lev);
	if (is_taken)
		let_go(s, m);
	handle_unlock(lev);
	if (is_taken)
		message_destroy(m);
	return rc;
}
