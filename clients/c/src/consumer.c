/* Consumer: a subscription with a channel of its own, made again on each connection. What has come
 * waits in its inbox for the program. */
#include "consumer.h"

#include "handle.h"
#include "reply.h"
#include "table.h"

#include <stdlib.h>

enum {
	PREFETCH = 100,
	INBOX_BYTES_MAX = 16 * 1024 * 1024, /* Of one without acks, whose messages nothing else
					       bounds: above, nothing more is read. */
};

enum tx_state { TX_IDLE, TX_ASKED, TX_ANSWERED };

struct lev_consumer {
	struct user user;
	struct settler settler;
	struct lev_consume options; /* With owned copies of: */
	char *queue;
	uint8_t *arguments;
	size_t arguments_len;
	struct message_queue inbox;
	size_t inbox_bytes;
	bool is_full;
	bool is_subscribed;
	bool is_restoring;
	uint64_t retry_ms; /* The broker still holds the last connection's; 0: it does not. */
	bool is_cancelled; /* By the program: what comes goes back. */
	bool is_doomed;    /* By the program in a callback: it goes with the next turn. */
	bool is_dead;      /* By the broker: `why`. */
	bool is_told;      /* And the program knows. */
	struct reason why;
	uint64_t lease_due_ms;
	enum tx_state tx;
	struct reason tx_result;
	uint16_t tx_returned; /* The code of a publish that came back; 0: none did. */
};

static struct lev_consumer *consumer_of(struct channel *ch)
{
	return (struct lev_consumer *)ch; /* Its first member. */
}

/* --- the inbox --- */

static void check_full(struct lev_consumer *c)
{
	bool is_full = c->options.is_no_ack && c->inbox_bytes > INBOX_BYTES_MAX && !c->is_cancelled;
	if (is_full == c->is_full)
		return;
	c->is_full = is_full;
	c->user.lev->full += is_full ? 1u : -1u;
	handle_wake(c->user.lev);
}

static struct message *take(struct lev_consumer *c)
{
	struct message *m = message_queue_pop(&c->inbox);
	if (m == NULL)
		return NULL;
	c->inbox_bytes -= m->of.body_len;
	check_full(c);
	settler_hold(&c->settler, m);
	return m;
}

/* Messages that nobody has seen go back where they came from. */
static void empty_inbox(struct lev_consumer *c)
{
	for (struct message *m; (m = message_queue_pop(&c->inbox)) != NULL;)
		settler_return(&c->settler, m);
	c->inbox_bytes = 0;
	check_full(c);
}

/* --- from the broker --- */

static void restored(struct lev_consumer *c)
{
	if (!c->is_restoring)
		return;
	c->is_restoring = false;
	handle_restored(c->user.lev);
}

static void die(struct lev_consumer *c, const struct reason *why)
{
	c->is_dead = true;
	c->why = *why;
	handle_changed(c->user.lev);
}

/* It was subscribed before, and may be again when the broker has let go of the last connection. */
static bool is_held(const struct lev_consumer *c, const struct reason *why)
{
	const struct lev *lev = c->user.lev;
	if (!c->is_restoring || c->is_cancelled || why->result != LEV_REFUSED)
		return false;
	if (why->reply_code == REPLY_NOT_FOUND)
		return control_is_owed(&lev->control, c->queue);
	return handle_is_held(lev, why->reply_code) &&
	       (c->options.is_exclusive || why->reply_code == REPLY_RESOURCE_LOCKED);
}

static void on_opened(struct channel *ch)
{
	struct lev_consumer *c = consumer_of(ch);
	struct method m = { .id = METHOD_basic_qos };
	settler_restart(&c->settler);
	if (c->is_cancelled) {
		channel_close(ch);
		return;
	}
	if (c->options.is_tx)
		channel_put(ch, &(struct method){ .id = METHOD_tx_select });
	m.basic_qos.prefetch_count = c->options.prefetch;
	if (!c->options.is_no_ack)
		channel_put(ch, &m);
	m = (struct method){ .id = METHOD_basic_consume };
	m.basic_consume.queue = bytes_str(c->queue);
	m.basic_consume.consumer_tag = bytes_str("leveret");
	m.basic_consume.no_ack = c->options.is_no_ack;
	m.basic_consume.exclusive = c->options.is_exclusive;
	m.basic_consume.arguments = bytes_of(c->arguments, c->arguments_len);
	channel_put(ch, &m);
}

static void on_cancelled(struct lev_consumer *c)
{
	struct reason why;
	struct method ok = { .id = METHOD_basic_cancel_ok };
	ok.basic_cancel_ok.consumer_tag = bytes_str("leveret");
	channel_put(&c->user.channel, &ok);
	reason_set(&why, LEV_CLOSED,
		   "the broker has cancelled the consumer of queue '%s': it was deleted", c->queue);
	c->is_subscribed = false;
	die(c, &why);
}

static void tx_answered(struct lev_consumer *c, int result, const char *text)
{
	if (c->tx != TX_ASKED)
		return;
	c->tx = TX_ANSWERED;
	reason_set(&c->tx_result, result, "%s", text);
	handle_changed(c->user.lev);
}

static void on_method(struct channel *ch, const struct method *m)
{
	struct lev_consumer *c = consumer_of(ch);
	switch (m->id) {
	case METHOD_tx_select_ok:
	case METHOD_basic_qos_ok: break;
	case METHOD_basic_consume_ok:
		c->is_subscribed = true;
		restored(c);
		handle_changed(c->user.lev);
		break;
	case METHOD_basic_cancel_ok:
		c->is_subscribed = false;
		handle_changed(c->user.lev);
		break;
	case METHOD_basic_cancel: on_cancelled(c); break;
	case METHOD_tx_commit_ok: tx_answered(c, LEV_OK, ""); break;
	default:
		link_fail(ch->link, LEV_PROTOCOL, "the broker broke the protocol: %s to a consumer",
			  method_name(m->id));
	}
}

static void on_content(struct channel *ch, struct incoming *in)
{
	struct lev_consumer *c = consumer_of(ch);
	struct message *m = in->message;
	m->epoch = ch->epoch;
	if (in->method == METHOD_basic_return) {
		c->tx_returned = in->reply_code;
		message_destroy(m);
		return;
	}
	if (c->is_cancelled) {
		settler_return(&c->settler, m);
		return;
	}
	if (!c->options.is_no_ack && c->inbox.len >= c->options.prefetch) {
		message_destroy(m);
		link_fail(ch->link, LEV_PROTOCOL,
			  "the broker broke the protocol: more messages than the prefetch lets it");
		return;
	}
	message_queue_push(&c->inbox, m);
	c->inbox_bytes += m->of.body_len;
	check_full(c);
	handle_changed(c->user.lev);
}

static void on_closed(struct channel *ch, const struct reason *why)
{
	struct lev_consumer *c = consumer_of(ch);
	c->is_subscribed = false;
	if (!c->options.is_no_ack) /* The broker delivers them again. */
		empty_inbox(c);
	tx_answered(c, why->result == LEV_REFUSED ? LEV_REFUSED : LEV_UNKNOWN, why->text);
	if (is_held(c, why)) {
		c->retry_ms = c->user.lev->now_ms + HANDLE_HELD_MS;
		return;
	}
	if (why->result != LEV_DISCONNECTED && why->result != LEV_OK)
		die(c, why);
	restored(c);
	handle_changed(c->user.lev);
	if (why->result == LEV_OK && !c->is_cancelled &&
	    ch->link->phase == LINK_OPEN) /* Rolled back: begin anew. */
		channel_open(ch);
}

static const struct channel_ops channel_ops = { on_opened, on_method, on_content, on_closed };

/* --- as a user of the handle --- */

static void restore(struct user *user)
{
	struct lev_consumer *c = consumer_of(&user->channel);
	if (c->is_dead || c->is_cancelled || user->channel.state != CHANNEL_DOWN)
		return;
	c->is_restoring = true;
	c->retry_ms = 0;
	user->lev->restoring++;
	channel_open(&user->channel);
}

static void flush(struct user *user)
{
	settler_flush(&consumer_of(&user->channel)->settler);
}

static void released(struct settler *s)
{
	struct lev_consumer *c = consumer_of(&s->user->channel);
	free(c->queue);
	free(c->arguments);
	free(c);
}

static void leave(struct lev_consumer *c)
{
	c->is_cancelled = true;
	empty_inbox(c);
	restored(c);
	handle_remove(&c->user);
	settler_leave(&c->settler);
}

static void extend(struct lev_consumer *c, const struct message *m)
{
	settler_request(&c->settler, "amq.lease.extend", m,
			0); /* Without memory now, there is another time before the lease ends. */
}

/* A lease runs for what is held and for what waits in the inbox. */
static void extend_all(struct lev_consumer *c, uint64_t now_ms)
{
	if (c->options.lease_max_ms == 0) {
		extend(c, NULL);
		return;
	}
	for (const struct message *m = c->inbox.first; m != NULL; m = m->next)
		extend(c, m);
	list_each (node, &c->settler.messages) {
		const struct message *m = list_entry(node, struct message, in_settler);
		if (m->epoch == c->user.channel.epoch &&
		    now_ms - m->taken_ms < c->options.lease_max_ms)
			extend(c, m);
	}
}

static void tick(struct user *user, uint64_t now_ms)
{
	struct lev_consumer *c = consumer_of(&user->channel);
	if (c->is_doomed) {
		leave(c);
		return;
	}
	if (c->retry_ms != 0 && now_ms >= c->retry_ms && handle_is_up(user->lev)) {
		c->retry_ms = 0;
		channel_open(&user->channel);
	}
	if (c->options.lease_ms == 0 || now_ms < c->lease_due_ms)
		return;
	c->lease_due_ms = now_ms + c->options.lease_ms / 3;
	bool is_any = c->settler.held > 0 || c->inbox.first != NULL;
	if (is_any && channel_is_open(&user->channel) && !c->options.is_tx &&
	    link_can(&user->lev->link, "lease_extend"))
		extend_all(c, now_ms);
}

static uint64_t due(const struct user *user)
{
	const struct lev_consumer *c = (const struct lev_consumer *)user;
	uint64_t lease = c->options.lease_ms == 0 ? LEV_NEVER : c->lease_due_ms;
	uint64_t retry = c->retry_ms == 0 || !handle_is_up(user->lev) ? LEV_NEVER : c->retry_ms;
	return c->is_doomed ? LEV_NOW : retry < lease ? retry : lease;
}

static void report(struct user *user)
{
	struct lev_consumer *c = consumer_of(&user->channel);
	struct lev *lev = user->lev;
	if (c->options.on_message == NULL && c->options.on_cancelled == NULL)
		return;
	while (c->options.on_message != NULL && !c->is_cancelled) {
		struct message *m = take(c);
		if (m == NULL)
			break;
		handle_call_begin(lev);
		c->options.on_message(c->options.arg, &m->of);
		handle_call_end(lev);
	}
	if (c->is_dead && !c->is_told && !c->is_cancelled && c->options.on_cancelled != NULL) {
		struct reason why = c->why;
		c->is_told = true;
		handle_call_begin(lev);
		c->options.on_cancelled(c->options.arg, why.text);
		handle_call_end(lev);
	}
}

static void end(struct user *user)
{
	struct lev_consumer *c = consumer_of(&user->channel);
	c->is_cancelled = true;
	for (struct message *m; (m = message_queue_pop(&c->inbox)) != NULL;)
		message_destroy(m);
	settler_leave(&c->settler);
}

static const struct user_ops user_ops = { restore, flush, tick, due, report, NULL, end };

/* --- from the program --- */

static int copy_arguments(struct lev_consumer *c, const struct lev_consume *o)
{
	struct bytes given = table_bytes(o->arguments);
	size_t need = given.len + 64;
	int rc = table_is_sound(o->arguments);
	if (rc != LEV_OK)
		return rc;
	if (o->lease_ms > INT64_MAX)
		return lev_fail(LEV_INVALID, "lease_ms is too large");
	c->arguments = malloc(need);
	if (c->arguments == NULL)
		return fail_plainly(LEV_NO_MEMORY);
	struct writer w = writer_of(c->arguments, need);
	write_bytes(&w, given);
	if (o->priority != 0)
		table_write_int(&w, "x-priority", o->priority);
	if (o->lease_ms != 0)
		table_write_long(&w, "x-consumer-timeout", (int64_t)o->lease_ms);
	c->arguments_len = (size_t)(w.at - c->arguments);
	return LEV_OK;
}

static int create(struct lev *lev, const struct lev_consume *o, struct lev_consumer **out)
{
	if (o->queue == NULL || content_check_name("queue", o->queue) != LEV_OK)
		return lev_fail(LEV_INVALID, "a consumer needs the name of a queue");
	if (o->is_tx && o->is_no_ack)
		return lev_fail(LEV_INVALID, "a transaction without acks");
	struct lev_consumer *c = calloc(1, sizeof *c);
	if (c == NULL)
		return fail_plainly(LEV_NO_MEMORY);
	int rc = copy_arguments(c, o);
	c->queue = rc == LEV_OK ? strdup(o->queue) : NULL;
	if (c->queue == NULL) {
		free(c->arguments);
		free(c);
		return rc == LEV_OK ? fail_plainly(LEV_NO_MEMORY) : rc;
	}
	c->options = *o;
	if (c->options.prefetch == 0)
		c->options.prefetch = PREFETCH;
	c->user.lev = lev;
	message_queue_init(&c->inbox);
	channel_init(&c->user.channel, &lev->link, &channel_ops);
	settler_init(&c->settler, &c->user, released);
	c->settler.needs_no_ack = o->is_no_ack;
	*out = c;
	return LEV_OK;
}

static bool is_decided(const void *arg)
{
	const struct lev_consumer *c = arg;
	return c->is_subscribed || c->is_dead;
}

/* Waits until nobody calls it back: only then may it be freed. */
static bool is_quiet(const void *arg)
{
	const struct lev_consumer *c = arg;
	return c->user.lev->reporting != &c->user;
}

static void remove_now(struct lev_consumer *c)
{
	c->is_cancelled = true;
	handle_wait(c->user.lev, is_quiet, c, LEV_NEVER);
	leave(c);
}

int lev_consume(struct lev *lev, const struct lev_consume *o, struct lev_consumer **out,
		uint64_t deadline)
{
	if (lev == NULL)
		return handle_missing();
	struct lev_consumer *c = NULL;
	int rc = create(lev, o, &c);
	if (rc != LEV_OK)
		return rc;
	handle_lock(lev);
	if (lev->is_stopping || handle_is_calling(lev)) {
		rc = lev->is_stopping ? handle_gone(lev) : fail_plainly(LEV_IN_CALLBACK);
		released(&c->settler);
		handle_unlock(lev);
		return rc;
	}
	handle_add(lev, &c->user, &user_ops);
	if (handle_is_up(lev))
		channel_open(&c->user.channel);
	handle_wake(lev);
	rc = handle_wait(lev, is_decided, c, deadline);
	if (rc == LEV_OK && c->is_dead)
		rc = fail_with(&c->why);
	if (rc == LEV_OK)
		*out = c;
	else
		remove_now(c);
	handle_unlock(lev);
	return rc;
}

static bool has_next(const void *arg)
{
	const struct lev_consumer *c = arg;
	return c->inbox.first != NULL || c->is_dead || c->is_cancelled;
}

int lev_next(struct lev_consumer *c, struct lev_message **out, uint64_t deadline)
{
	if (c == NULL)
		return handle_missing();
	struct lev *lev = c->user.lev;
	handle_lock(lev);
	int rc = handle_wait(lev, has_next, c, deadline);
	struct message *m = rc == LEV_OK ? take(c) : NULL;
	if (m != NULL)
		*out = &m->of;
	else if (rc == LEV_OK)
		rc = lev_fail(LEV_CLOSED, "%s",
			      c->is_dead ? c->why.text : lev_result_text(LEV_CLOSED));
	handle_unlock(lev);
	return rc;
}

static bool is_unsubscribed(const void *arg)
{
	return !((const struct lev_consumer *)arg)->is_subscribed;
}

static bool is_settled(const void *arg)
{
	const struct lev_consumer *c = arg;
	return c->settler.held == 0 || !channel_is_open(&c->user.channel);
}

void consumer_unsubscribe(struct lev_consumer *c)
{
	struct method m = { .id = METHOD_basic_cancel };
	m.basic_cancel.consumer_tag = bytes_str("leveret");
	bool was_cancelled = c->is_cancelled;
	c->is_cancelled = true;
	empty_inbox(c);
	handle_changed(c->user.lev); /* Whoever is in lev_next(). */
	if (c->is_subscribed && !was_cancelled && channel_is_open(&c->user.channel)) {
		settler_flush(&c->settler);
		channel_put(&c->user.channel, &m);
	}
	handle_wake(c->user.lev);
}

void consumer_give_up(struct lev_consumer *c)
{
	settler_flush(&c->settler);
	channel_close(&c->user.channel);
	handle_wake(c->user.lev);
}

int consumer_check(struct lev_consumer *c)
{
	if (c->user.lev->is_forked)
		return handle_gone(c->user.lev);
	return c->is_dead ? lev_fail(LEV_CLOSED, "%s", c->why.text) : LEV_OK;
}

int lev_cancel(struct lev_consumer *c, uint64_t deadline)
{
	if (c == NULL)
		return LEV_OK;
	struct lev *lev = c->user.lev;
	int rc = LEV_OK;
	if (lev->is_forked)
		return handle_gone(lev);
	handle_lock(lev);
	consumer_unsubscribe(c);
	if (handle_is_calling(lev)) {
		settler_flush(&c->settler);
		c->is_doomed = true;
	} else {
		rc = handle_wait(lev, is_unsubscribed, c, deadline);
		if (rc == LEV_OK)
			rc = handle_wait(lev, is_settled, c, deadline);
		settler_flush(&c->settler);
		remove_now(c);
	}
	handle_wake(lev);
	handle_unlock(lev);
	return rc;
}

/* --- transactions --- */

int lev_tx_publish(struct lev_consumer *c, const struct lev_publish *publish)
{
	if (c == NULL)
		return handle_missing();
	struct lev *lev = c->user.lev;
	struct content_extra extra = { .is_mandatory = !publish->is_optional };
	int rc;
	if (!c->options.is_tx)
		return lev_fail(LEV_INVALID, "the consumer is not transactional");
	handle_lock(lev);
	settler_use(&c->settler);
	settler_flush(&c->settler);
	if (handle_is_gone(lev))
		rc = handle_gone(lev);
	else if (c->settler.is_stale || !channel_is_open(&c->user.channel))
		rc = fail_plainly(LEV_STALE);
	else
		rc = handle_publish(&c->user, publish, &extra);
	handle_unlock(lev);
	return rc;
}

static bool is_answered(const void *arg)
{
	return ((const struct lev_consumer *)arg)->tx == TX_ANSWERED;
}

static void clear_tx(struct lev_consumer *c)
{
	c->tx = TX_IDLE;
	c->tx_returned = 0;
	c->settler.is_used = c->settler.is_stale = false;
}

static bool is_lost(const struct lev_consumer *c)
{
	const struct settler *s = &c->settler;
	return s->is_stale || !channel_is_open(&c->user.channel) ||
	       (s->is_used && s->used_epoch != c->user.channel.epoch);
}

/* What nobody has committed goes back with its channel; the consumer begins anew on another one. */
static void roll_back(struct lev_consumer *c)
{
	channel_close(&c->user.channel);
	handle_wake(c->user.lev);
}

static int commit(struct lev_consumer *c, uint64_t deadline)
{
	c->tx = TX_ASKED;
	settler_flush(&c->settler);
	channel_put(&c->user.channel, &(struct method){ .id = METHOD_tx_commit });
	handle_wake(c->user.lev);
	if (handle_wait(c->user.lev, is_answered, c, deadline) != LEV_OK) {
		roll_back(c); /* Its answer would be taken for the next one's. */
		return fail_plainly(LEV_UNKNOWN);
	}
	if (c->tx_result.result != LEV_OK)
		return fail_with(&c->tx_result);
	if (c->tx_returned != 0)
		return lev_fail(LEV_UNROUTABLE,
				"committed, but no queue takes a message of it (%u)",
				c->tx_returned);
	return LEV_OK;
}

int lev_commit(struct lev_consumer *c, uint64_t deadline)
{
	if (c == NULL)
		return handle_missing();
	struct lev *lev = c->user.lev;
	int rc;
	if (!c->options.is_tx)
		return lev_fail(LEV_INVALID, "the consumer is not transactional");
	handle_lock(lev);
	if (handle_is_gone(lev)) {
		rc = handle_gone(lev);
	} else if (handle_is_calling(lev)) {
		rc = fail_plainly(LEV_IN_CALLBACK);
	} else if (is_lost(c)) {
		roll_back(c);
		rc = fail_plainly(LEV_STALE);
	} else {
		rc = commit(c, deadline);
	}
	if (rc != LEV_IN_CALLBACK)
		clear_tx(c);
	handle_unlock(lev);
	return rc;
}

int lev_rollback(struct lev_consumer *c)
{
	if (c == NULL)
		return handle_missing();
	if (!c->options.is_tx)
		return lev_fail(LEV_INVALID, "the consumer is not transactional");
	if (c->user.lev->is_forked)
		return handle_gone(c->user.lev);
	handle_lock(c->user.lev);
	roll_back(c);
	clear_tx(c);
	handle_unlock(c->user.lev);
	return LEV_OK;
}
