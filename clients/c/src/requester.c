/* Request and response by direct reply-to: requests go out on the channel that consumes
 * amq.rabbitmq.reply-to, whose replies carry the request's number as correlation id. Requests are
 * in a ring by number; a reply finds its own whatever the order. */
#include "requester.h"

#include "handle.h"

#include <leveret/patterns.h>
#include <stdlib.h>

enum { CALLS_FIRST = 256, CALLS_MAX = 65536 };

static const char reply_queue[] = "amq.rabbitmq.reply-to";

struct waiting_call {
	bool is_done;
	int result;
	struct message *reply;
};

enum request_state { REQUEST_NONE, REQUEST_SENT, REQUEST_DONE };

struct request {
	enum request_state state;
	int result;
	uint64_t deadline;
	struct message *reply;
	lev_reply_fn *on_reply;
	void *arg;
	struct waiting_call *waiting; /* Instead of on_reply. */
};

struct requester {
	struct user user;
	struct request *ring;
	uint64_t mask;
	uint64_t head; /* The oldest that has not been reported. */
	uint64_t tail;
	uint64_t nearest; /* No deadline is before it. */
	bool is_consuming;
	bool has_done; /* Some are to be reported. */
};

static struct requester *requester_of(struct channel *ch)
{
	return (struct requester *)ch; /* Its first member. */
}

static struct request *request_at(const struct requester *r, uint64_t number)
{
	return &r->ring[number & r->mask];
}

static void advance_head(struct requester *r)
{
	while (r->head != r->tail && request_at(r, r->head)->state == REQUEST_NONE)
		r->head++;
}

/* Takes the reply over. */
static void finish(struct requester *r, struct request *q, int result, struct message *reply)
{
	if (q->waiting != NULL) {
		*q->waiting = (struct waiting_call){ true, result, reply };
		*q = (struct request){ .state = REQUEST_NONE };
		advance_head(r);
		handle_changed(r->user.lev);
		return;
	}
	q->state = REQUEST_DONE;
	q->result = result;
	q->reply = reply;
	r->has_done = true;
}

/* --- from the broker --- */

static void on_opened(struct channel *ch)
{
	struct method m = { .id = METHOD_basic_consume };
	m.basic_consume.queue = bytes_str(reply_queue);
	m.basic_consume.no_ack = true;
	channel_put(ch, &m);
}

static void on_method(struct channel *ch, const struct method *m)
{
	struct requester *r = requester_of(ch);
	if (m->id == METHOD_basic_consume_ok) {
		r->is_consuming = true;
		handle_changed(r->user.lev);
	} else if (m->id != METHOD_basic_cancel) {
		link_fail(ch->link, LEV_PROTOCOL,
			  "the broker broke the protocol: %s to a requester", method_name(m->id));
	}
}

/* A reply, or a request that nobody is there for. One that is too late finds nothing. */
static void on_content(struct channel *ch, struct incoming *in)
{
	struct requester *r = requester_of(ch);
	struct message *m = in->message;
	const char *id = m->of.properties.correlation_id;
	char *end = NULL;
	uint64_t number = id == NULL ? UINT64_MAX : strtoull(id, &end, 16);
	bool is_ours = id != NULL && *end == '\0' && number >= r->head && number < r->tail;
	struct request *q = is_ours ? request_at(r, number) : NULL;
	if (q == NULL || q->state != REQUEST_SENT) {
		message_destroy(m);
	} else if (in->method == METHOD_basic_return) {
		message_destroy(m);
		finish(r, q, LEV_NO_RESPONDER, NULL);
	} else {
		finish(r, q, LEV_OK, m);
	}
}

static void end_all(struct requester *r, int result)
{
	for (uint64_t i = r->head; i != r->tail; i++)
		if (request_at(r, i)->state == REQUEST_SENT)
			finish(r, request_at(r, i), result, NULL);
}

static void on_closed(struct channel *ch, const struct reason *why)
{
	struct requester *r = requester_of(ch);
	r->is_consuming = false;
	end_all(r, why->result == LEV_REFUSED ? LEV_REFUSED : LEV_UNKNOWN);
	if (ch->link->phase == LINK_OPEN &&
	    why->result == LEV_REFUSED) /* A request to an exchange that is not there, say. */
		channel_open(ch);
}

static const struct channel_ops channel_ops = { on_opened, on_method, on_content, on_closed };

/* --- as a user of the handle --- */

static void restore(struct user *user)
{
	channel_open(&user->channel);
}

static void tick(struct user *user, uint64_t now_ms)
{
	struct requester *r = requester_of(&user->channel);
	if (now_ms < r->nearest)
		return;
	r->nearest = LEV_NEVER;
	for (uint64_t i = r->head; i != r->tail; i++) {
		struct request *q = request_at(r, i);
		if (q->state != REQUEST_SENT)
			continue;
		if (q->deadline <= now_ms)
			finish(r, q, LEV_TIMEOUT, NULL);
		else if (q->deadline < r->nearest)
			r->nearest = q->deadline;
	}
}

static uint64_t due(const struct user *user)
{
	return ((const struct requester *)user)->nearest;
}

/* The ring may grow, and other requests end, while the program is called. */
static void report(struct user *user)
{
	struct requester *r = requester_of(&user->channel);
	if (!r->has_done)
		return;
	r->has_done = false;
	for (uint64_t i = r->head; i < r->tail; i++) {
		struct request *q = request_at(r, i), done = *q;
		if (q->state != REQUEST_DONE)
			continue;
		*q = (struct request){ .state = REQUEST_NONE };
		handle_call_begin(user->lev);
		done.on_reply(done.arg, done.result, done.reply == NULL ? NULL : &done.reply->of);
		handle_call_end(user->lev);
	}
	advance_head(r);
	handle_changed(user->lev);
}

static void end(struct user *user)
{
	requester_destroy(requester_of(&user->channel));
}

void requester_destroy(struct requester *r)
{
	if (r == NULL)
		return;
	free(r->ring);
	free(r);
}

/* The last that a handle hears of it: whoever has asked is told. */
static void stop_all(struct user *user)
{
	end_all(requester_of(&user->channel), LEV_CLOSED);
}

static const struct user_ops user_ops = {
	.restore = restore, .tick = tick, .due = due, .report = report, .stop = stop_all, .end = end
};

/* --- from the program --- */

static int make(struct lev *lev)
{
	if (lev->requester != NULL)
		return LEV_OK;
	struct requester *r = calloc(1, sizeof *r);
	struct request *ring = calloc(CALLS_FIRST, sizeof *ring);
	if (r == NULL || ring == NULL) {
		free(r);
		free(ring);
		return fail_plainly(LEV_NO_MEMORY);
	}
	r->ring = ring;
	r->mask = CALLS_FIRST - 1;
	r->nearest = LEV_NEVER;
	channel_init(&r->user.channel, &lev->link, &channel_ops);
	handle_add(lev, &r->user, &user_ops);
	lev->requester = r;
	if (handle_is_up(lev))
		channel_open(&r->user.channel);
	handle_wake(lev);
	return LEV_OK;
}

static int grow(struct requester *r)
{
	uint64_t mask = r->mask * 2 + 1;
	if (r->tail - r->head <= r->mask)
		return LEV_OK;
	if (mask >= CALLS_MAX)
		return lev_fail(LEV_FULL, "%d requests are in flight", CALLS_MAX);
	struct request *ring = calloc(mask + 1, sizeof *ring);
	if (ring == NULL)
		return fail_plainly(LEV_NO_MEMORY);
	for (uint64_t i = r->head; i != r->tail; i++)
		ring[i & mask] = *request_at(r, i);
	free(r->ring);
	r->ring = ring;
	r->mask = mask;
	return LEV_OK;
}

static int send_request(struct requester *r, const struct lev_publish *publish, uint64_t deadline)
{
	char id[24];
	uint64_t now = lev_now();
	struct lev_properties transient = { .is_transient = true };
	struct lev_publish request = *publish;
	struct content_extra extra = { .is_mandatory = true,
				       .correlation_id = id,
				       .reply_to = reply_queue };
	if (request.properties == NULL)
		request.properties = &transient;
	if (deadline <= now)
		return fail_plainly(LEV_TIMEOUT);
	if (deadline != LEV_NEVER)
		extra.expiration_ms = deadline - now;
	content_digits(id, r->tail, 16);
	int rc = grow(r);
	if (rc == LEV_OK)
		rc = handle_publish(&r->user, &request, &extra);
	return rc;
}

static int request(struct lev *lev, const struct lev_publish *publish, const struct request *as,
		   uint64_t deadline)
{
	struct requester *r = lev->requester;
	if (!r->is_consuming)
		return lev_fail(LEV_DISCONNECTED, "there is no connection");
	int rc = send_request(r, publish, deadline);
	if (rc != LEV_OK)
		return rc;
	*request_at(r, r->tail++) = *as;
	if (deadline < r->nearest)
		r->nearest = deadline;
	return LEV_OK;
}

static bool is_consuming(const void *arg)
{
	const struct lev *lev = arg;
	return lev->is_stopping || lev->requester->is_consuming;
}

/* The requester is there, and has its channel. */
static int prepare(struct lev *lev, uint64_t deadline)
{
	if (lev->is_stopping)
		return handle_gone(lev);
	int rc = make(lev);
	if (rc != LEV_OK || handle_is_calling(lev))
		return rc;
	rc = handle_wait(lev, is_consuming, lev, deadline);
	return rc == LEV_OK && lev->is_stopping ? fail_plainly(LEV_CLOSED) : rc;
}

int lev_request_async(struct lev *lev, const struct lev_publish *publish, lev_reply_fn *on_reply,
		      void *arg, uint64_t deadline)
{
	if (lev == NULL)
		return handle_missing();
	struct request as = {
		.state = REQUEST_SENT, .deadline = deadline, .on_reply = on_reply, .arg = arg
	};
	handle_lock(lev);
	int rc = prepare(lev, deadline);
	if (rc == LEV_OK)
		rc = request(lev, publish, &as, deadline);
	handle_unlock(lev);
	return rc;
}

static bool is_done(const void *arg)
{
	return ((const struct waiting_call *)arg)->is_done;
}

/* The handle is being closed under the caller. */
static void abandon(struct requester *r, uint64_t number, struct waiting_call *call)
{
	*request_at(r, number) = (struct request){ .state = REQUEST_NONE };
	advance_head(r);
	call->result = LEV_CLOSED;
}

int lev_request(struct lev *lev, const struct lev_publish *publish, struct lev_message **reply,
		uint64_t deadline)
{
	if (lev == NULL)
		return handle_missing();
	struct waiting_call call = { .is_done = false };
	struct request as = { .state = REQUEST_SENT, .deadline = deadline, .waiting = &call };
	handle_lock(lev);
	int rc = handle_is_calling(lev) ? fail_plainly(LEV_IN_CALLBACK) : prepare(lev, deadline);
	if (rc == LEV_OK)
		rc = request(lev, publish, &as, deadline);
	if (rc == LEV_OK) {
		uint64_t number = lev->requester->tail - 1;
		handle_wait(lev, is_done, &call, LEV_NEVER); /* The requester keeps the deadline. */
		if (!call.is_done)
			abandon(lev->requester, number, &call);
		rc = call.result == LEV_OK ? LEV_OK : fail_plainly(call.result);
	}
	if (rc == LEV_OK)
		*reply = &call.reply->of;
	handle_unlock(lev);
	return rc;
}

int lev_reply(const struct lev_message *message, const void *body, size_t body_len,
	      const struct lev_properties *properties)
{
	if (message == NULL)
		return lev_fail(LEV_INVALID, "no message");
	const struct message *m = (const struct message *)message;
	struct settler *s = m->settler;
	struct lev_properties transient = { .is_transient = true };
	int rc;
	struct lev_publish reply = {
		.routing_key = message->properties.reply_to,
		.body = body,
		.body_len = body_len,
		.properties = properties == NULL ? &transient : properties,
	};
	struct content_extra extra = { .correlation_id = message->properties.correlation_id };
	if (s == NULL || message->properties.reply_to == NULL)
		return lev_fail(LEV_INVALID, "the message says nowhere where to answer");
	handle_lock(s->lev);
	settler_flush(s);
	if (handle_is_gone(s->lev))
		rc = handle_gone(s->lev);
	else if (s->is_gone || !channel_is_open(&s->user->channel) ||
		 m->epoch != s->user->channel.epoch)
		rc = fail_plainly(LEV_STALE);
	else
		rc = handle_publish(s->user, &reply, &extra);
	handle_unlock(s->lev);
	return rc;
}
