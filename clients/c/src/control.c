#include "control.h"

#include "frame.h"
#include "handle.h"

#include <stdlib.h>

enum { RECORDS_MAX = 10000 };

struct record {
	struct list node;
	size_t len;
	bool is_owed;
	char queue[UINT8_MAX + 1];
	uint8_t payload[]; /* A method. */
};

static struct control *control_of(struct channel *ch)
{
	return (struct control *)ch; /* Its first member. */
}

/* --- calls --- */

static void pump(struct control *c)
{
	if (c->is_asking || c->replaying != NULL || list_is_empty(&c->calls) ||
	    !channel_is_open(&c->user.channel))
		return;
	c->current = list_entry(c->calls.next, struct call, node);
	c->is_asking = true;
	c->is_unacked = c->current->request->id == METHOD_basic_get &&
			!c->current->request->basic_get.no_ack;
	settler_flush(&c->settler);
	channel_put(&c->user.channel, c->current->request);
}

static void finish(struct control *c, struct call *call, const struct reason *why)
{
	list_remove(&call->node);
	call->is_done = true;
	if (why != NULL)
		call->why = *why;
	if (c->current == call)
		c->current = NULL;
	handle_changed(c->user.lev);
}

/* The answer to what is being asked; to nobody if the caller has left. */
static void answered(struct control *c, const struct reason *why)
{
	struct call *call = c->current;
	c->is_asking = false;
	if (call != NULL)
		finish(c, call, why);
	pump(c);
}

static bool is_answer(const struct control *c, const struct method *m)
{
	if (!c->is_asking)
		return false;
	return c->current == NULL || m->id == c->current->reply ||
	       (m->id == METHOD_basic_get_empty && c->current->reply == METHOD_basic_get_ok);
}

static void replay(struct control *c);

static void on_method(struct channel *ch, const struct method *m)
{
	struct control *c = control_of(ch);
	struct call *call = c->current;
	if (c->replaying != NULL) {
		list_entry(c->replaying, struct record, node)->is_owed = false;
		c->replaying = c->replaying->next;
		replay(c);
		return;
	}
	if (!is_answer(c, m)) {
		link_fail(ch->link, LEV_PROTOCOL, "the broker broke the protocol: %s, unasked",
			  method_name(m->id));
		return;
	}
	if (call != NULL && m->id == METHOD_queue_declare_ok) {
		call->messages = m->queue_declare_ok.message_count;
		call->consumers = m->queue_declare_ok.consumer_count;
	} else if (call != NULL && m->id == METHOD_queue_delete_ok) {
		call->messages = m->queue_delete_ok.message_count;
	} else if (call != NULL && m->id == METHOD_queue_purge_ok) {
		call->messages = m->queue_purge_ok.message_count;
	}
	answered(c, NULL);
}

static void on_content(struct channel *ch, struct incoming *in)
{
	struct control *c = control_of(ch);
	struct message *m = in->message;
	if (in->method != METHOD_basic_get_ok || !c->is_asking ||
	    (c->current != NULL && c->current->reply != METHOD_basic_get_ok)) {
		message_destroy(m);
		link_fail(ch->link, LEV_PROTOCOL,
			  "the broker broke the protocol: a message, unasked");
		return;
	}
	m->epoch = ch->epoch;
	if (c->current == NULL && c->is_unacked) {
		settler_return(&c->settler, m);
	} else if (c->current == NULL) {
		message_destroy(m);
	} else {
		settler_hold(&c->settler, m);
		c->current->message = m;
	}
	answered(c, NULL);
}

/* --- the channel --- */

/* When a connection begins, all that is not owed; later what is. */
static void replay(struct control *c)
{
	bool is_late = c->user.lev->is_set_up;
	while (c->replaying != &c->records &&
	       list_entry(c->replaying, struct record, node)->is_owed != is_late)
		c->replaying = c->replaying->next;
	if (c->replaying == &c->records) {
		c->replaying = NULL;
		if (c->is_eager && !is_late)
			handle_set_up(c->user.lev);
		pump(c);
		return;
	}
	const struct record *r = list_entry(c->replaying, struct record, node);
	link_put_frame(c->user.channel.link, FRAME_METHOD, c->user.channel.number,
		       bytes_of(r->payload, r->len));
}

/* A queue, and its bindings, behind all others. */
static void postpone(struct control *c, const struct record *refused)
{
	char queue[sizeof refused->queue];
	struct list *last = c->records.prev;
	memcpy(queue, refused->queue, sizeof queue);
	for (struct list *node = c->records.next, *next;; node = next) {
		struct record *r = list_entry(node, struct record, node);
		bool is_last = node == last;
		next = node->next;
		if (strcmp(r->queue, queue) == 0) {
			r->is_owed = true;
			list_remove(node);
			list_push_tail(&c->records, node);
		}
		if (is_last)
			break;
	}
	c->owed_ms = c->user.lev->now_ms + HANDLE_HELD_MS;
}

static void tick(struct user *user, uint64_t now_ms)
{
	struct control *c = control_of(&user->channel);
	if (c->owed_ms == 0 || now_ms < c->owed_ms || c->replaying != NULL || c->is_asking ||
	    !user->lev->is_set_up || !channel_is_open(&user->channel))
		return;
	c->owed_ms = 0;
	c->replaying = c->records.next;
	replay(c);
}

static uint64_t due(const struct user *user)
{
	const struct control *c = (const struct control *)user;
	bool may_be = c->owed_ms != 0 && user->lev->is_set_up &&
		      channel_is_open(&user->channel) && !c->is_asking;
	return may_be ? c->owed_ms : LEV_NEVER;
}

static void on_opened(struct channel *ch)
{
	struct control *c = control_of(ch);
	settler_restart(&c->settler);
	if (!c->is_eager ||
	    c->user.lev->is_set_up) { /* Lost to a refusal: what was declared is there. */
		pump(c);
		return;
	}
	c->replaying = c->records.next;
	replay(c);
}

static void end_calls(struct control *c, const struct reason *why)
{
	list_each (node, &c->calls)
		finish(c, list_entry(node, struct call, node), why);
}

/* Another connection, another try. */
static void forgive(struct control *c)
{
	list_each (node, &c->records)
		list_entry(node, struct record, node)->is_owed = false;
	c->owed_ms = 0;
}

/* Not yet, or not any more: that is the consumers' to notice. */
static void refused(struct control *c, struct record *r, const struct reason *why)
{
	struct lev *lev = c->user.lev;
	if (handle_is_held(lev, why->reply_code)) {
		postpone(c, r);
		return;
	}
	if (r->is_owed)
		c->owed_ms = lev->now_ms; /* For the rest of its kind. */
	list_remove(&r->node);
	free(r);
}

static void on_closed(struct channel *ch, const struct reason *why)
{
	struct control *c = control_of(ch);
	if (why->result == LEV_FULL) { /* There was none for it. Without this one nothing works. */
		end_calls(c, why);
		if (c->is_eager)
			link_fail(ch->link, LEV_FULL, "%s", why->text);
		return;
	}
	struct list *replaying = c->replaying;
	c->replaying = NULL;
	if (why->result != LEV_REFUSED)
		forgive(c);
	else if (replaying != NULL)
		refused(c, list_entry(replaying, struct record, node), why);
	bool is_blamed = c->current != NULL && ch->link->failed_method == c->current->request->id;
	if (why->result == LEV_REFUSED) {
		answered(c, why);
	} else if (is_blamed) {
		struct reason refused = *why;
		refused.result = LEV_REFUSED;
		answered(c, &refused);
	} else {
		c->is_asking = false;
		c->current = NULL;
	}
	if (ch->link->phase == LINK_OPEN && (c->is_eager || !list_is_empty(&c->calls)))
		channel_open(ch);
}

static const struct channel_ops channel_ops = { on_opened, on_method, on_content, on_closed };

static void restore(struct user *user)
{
	struct control *c = control_of(&user->channel);
	if (user->channel.state == CHANNEL_DOWN && (c->is_eager || !list_is_empty(&c->calls)))
		channel_open(&user->channel);
}

static void flush(struct user *user)
{
	settler_flush(&control_of(&user->channel)->settler);
}

static void end(struct user *user)
{
	struct control *c = control_of(&user->channel);
	struct reason why;
	reason_set(&why, LEV_CLOSED, "%s", lev_result_text(LEV_CLOSED));
	end_calls(c, &why);
	list_each (node, &c->records) {
		list_remove(node);
		free(list_entry(node, struct record, node));
	}
}

static const struct user_ops user_ops = {
	.restore = restore, .flush = flush, .tick = tick, .due = due, .end = end
};

static void released(struct settler *s)
{
	(void)s; /* Part of the handle. */
}

void control_init(struct control *c, struct lev *lev, bool is_eager)
{
	*c = (struct control){ .is_eager = is_eager };
	channel_init(&c->user.channel, &lev->link, &channel_ops);
	list_init(&c->calls);
	list_init(&c->records);
	handle_add(lev, &c->user, &user_ops);
	settler_init(&c->settler, &c->user, released);
}

static bool is_done(const void *arg)
{
	return ((const struct call *)arg)->is_done;
}

int control_call(struct control *c, struct call *call, uint64_t deadline)
{
	struct lev *lev = c->user.lev;
	call->is_done = false;
	call->message = NULL;
	call->why = (struct reason){ .result = LEV_OK };
	if (lev->is_stopping)
		return handle_gone(lev);
	if (handle_is_calling(lev))
		return fail_plainly(LEV_IN_CALLBACK);
	list_push_tail(&c->calls, &call->node);
	if (handle_is_up(lev) && c->user.channel.state == CHANNEL_DOWN)
		channel_open(&c->user.channel);
	pump(c);
	handle_wake(lev);
	int rc = handle_wait(lev, is_done, call, deadline);
	if (call->is_done)
		return call->why.result == LEV_OK ? LEV_OK : fail_with(&call->why);
	list_remove(&call->node); /* An answer that comes after all is nobody's. */
	if (c->current == call)
		c->current = NULL;
	return rc;
}

/* --- records --- */

static struct record *find(const struct control *c, struct bytes payload)
{
	list_each (node, &c->records) {
		struct record *r = list_entry(node, struct record, node);
		if (bytes_equal(bytes_of(r->payload, r->len), payload))
			return r;
	}
	return NULL;
}

static struct record *record_of(const struct method *request)
{
	size_t len = method_size(request);
	struct record *r = calloc(1, sizeof *r + len);
	if (r == NULL)
		return NULL;
	struct writer w = writer_of(r->payload, len);
	method_encode(&w, request);
	r->len = len;
	return r;
}

int control_record(struct control *c, const struct method *request, const char *queue)
{
	size_t records = 0;
	list_each (node, &c->records)
		records++;
	if (records >= RECORDS_MAX)
		return lev_fail(LEV_FULL, "too many declarations that hold for one connection");
	struct record *r = record_of(request);
	if (r == NULL)
		return fail_plainly(LEV_NO_MEMORY);
	memcpy(r->queue, queue, strlen(queue) + 1);
	if (find(c, bytes_of(r->payload, r->len)) == NULL)
		list_push_tail(&c->records, &r->node);
	else
		free(r);
	return LEV_OK;
}

static void drop(struct control *c, struct record *r)
{
	if (c->replaying == &r->node)
		return; /* It is being declared at this moment; its turn to go comes with the
			   channel. */
	list_remove(&r->node);
	free(r);
}

void control_unrecord(struct control *c, const struct method *request)
{
	struct record *like = record_of(request);
	struct record *r = like == NULL ? NULL : find(c, bytes_of(like->payload, like->len));
	if (r != NULL)
		drop(c, r);
	free(like);
}

bool control_is_owed(const struct control *c, const char *queue)
{
	list_each (node, &c->records) {
		const struct record *r = list_entry(node, struct record, node);
		if (r->is_owed && strcmp(r->queue, queue) == 0)
			return true;
	}
	return false;
}

bool control_has_records(const struct control *c, const char *queue)
{
	list_each (node, &c->records)
		if (strcmp(list_entry(node, struct record, node)->queue, queue) == 0)
			return true;
	return false;
}

void control_forget(struct control *c, const char *queue)
{
	list_each (node, &c->records) {
		struct record *r = list_entry(node, struct record, node);
		if (strcmp(r->queue, queue) == 0)
			drop(c, r);
	}
}
