#include "publisher.h"

#include "handle.h"
#include "reply.h"
#include "table.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static struct slot *slot_at(const struct publisher *p, uint64_t position)
{
	return &p->slots[position & p->mask];
}

static struct publisher *publisher_of(struct channel *ch)
{
	return (struct publisher *)ch; /* Its first member. */
}

/* --- outcomes --- */

static void finish(struct publisher *p, struct slot *s, int result, uint16_t code, const char *text)
{
	assert(s->state == SLOT_WAITING || s->state == SLOT_SENT);
	s->state = SLOT_DONE;
	s->result = result;
	s->reply_code = code;
	s->next_done = NULL;
	*p->done_end = s;
	p->done_end = &s->next_done;
	if (s->waiter != NULL) {
		struct reason *r = &s->waiter->outcome;
		reason_set(r, result, "%s", text == NULL ? lev_result_text(result) : text);
		r->reply_code = code;
		s->waiter->is_done = true;
		s->waiter = NULL;
		handle_changed(p->user.lev);
	} else if (text != NULL && s->on_outcome != NULL) {
		s->text = strdup(text); /* Without memory there are fewer words. */
	}
}

/* What the broker's ack or nack means. A duplicate of what we have sent ourselves before is no
 * stranger's. */
static void answered(struct publisher *p, struct slot *s, bool is_nack)
{
	if (s->return_code == RETURN_CONFLICT)
		finish(p, s, LEV_CONFLICT, RETURN_CONFLICT, NULL);
	else if (is_nack)
		finish(p, s, LEV_REFUSED, 0,
		       "the broker refused it (basic.nack): a queue is full, or an internal error");
	else if (s->return_code == RETURN_DUPLICATE)
		finish(p, s, s->is_repeat ? LEV_OK : LEV_DUPLICATE, RETURN_DUPLICATE, NULL);
	else if (s->return_code != 0)
		finish(p, s, LEV_UNROUTABLE, s->return_code, NULL);
	else
		finish(p, s, LEV_OK, 0, NULL);
}

static void clear_slot(struct publisher *p, struct slot *s)
{
	struct content_block block = s->content;
	p->bytes -= content_bytes(&block);
	content_trim(&block);
	free(s->text);
	*s = (struct slot){ .content = block };
}

/* They have been reported. */
static void release(struct publisher *p, struct slot *done)
{
	while (done != NULL) {
		struct slot *next = done->next_done;
		clear_slot(p, done);
		done = next;
	}
	while (p->head != p->tail && slot_at(p, p->head)->state == SLOT_FREE)
		p->head++;
	if (p->next < p->head)
		p->next = p->head;
}

static void call_back(const struct slot *done)
{
	for (const struct slot *s = done; s != NULL; s = s->next_done) {
		struct lev_outcome o = { s->result, s->reply_code,
					 s->text != NULL ? s->text : lev_result_text(s->result) };
		if (s->on_outcome != NULL)
			s->on_outcome(s->arg, &o);
	}
}

static void report(struct user *user)
{
	struct publisher *p = publisher_of(&user->channel);
	struct slot *done = p->done_first;
	bool is_wanted = false;
	if (done == NULL)
		return;
	p->done_first = NULL;
	p->done_end = &p->done_first;
	for (const struct slot *s = done; s != NULL && !is_wanted; s = s->next_done)
		is_wanted = s->on_outcome != NULL;
	if (is_wanted) {
		handle_call_begin(user->lev);
		call_back(done);
		handle_call_end(user->lev);
	}
	release(p, done);
	handle_changed(user->lev);
}

/* --- from the broker --- */

static bool may_repeat(const struct publisher *p, const struct slot *s)
{
	return p->is_repeating || (p->is_idempotent && s->is_identified);
}

static void answer_tag(struct publisher *p, uint64_t tag, bool is_nack)
{
	struct slot *s = slot_at(p, p->positions[tag & p->mask]);
	if (s->state == SLOT_SENT && s->tag == tag)
		answered(p, s, is_nack);
}

static void on_answer(struct publisher *p, uint64_t tag, bool is_multiple, bool is_nack)
{
	if (tag == 0 && is_multiple)
		tag = p->tag_next - 1;
	if (tag >= p->tag_next || tag == 0) {
		link_fail(p->user.channel.link, LEV_PROTOCOL,
			  "the broker confirmed what was not published");
		return;
	}
	if (tag < p->tag_low)
		return;
	if (is_multiple) {
		while (p->tag_low <= tag)
			answer_tag(p, p->tag_low++, is_nack);
		return;
	}
	answer_tag(p, tag, is_nack);
	while (p->tag_low < p->tag_next) {
		struct slot *s = slot_at(p, p->positions[p->tag_low & p->mask]);
		if (s->state == SLOT_SENT && s->tag == p->tag_low)
			break;
		p->tag_low++;
	}
}

static void on_method(struct channel *ch, const struct method *m)
{
	struct publisher *p = publisher_of(ch);
	if (m->id == METHOD_basic_ack)
		on_answer(p, m->basic_ack.delivery_tag, m->basic_ack.multiple, false);
	else if (m->id == METHOD_basic_nack)
		on_answer(p, m->basic_nack.delivery_tag, m->basic_nack.multiple, true);
	else if (m->id != METHOD_confirm_select_ok)
		link_fail(ch->link, LEV_PROTOCOL,
			  "the broker broke the protocol: %s to a publisher", method_name(m->id));
}

static bool has_identity(const struct message *returned, const struct slot *s, const char *header)
{
	struct bytes raw;
	struct table_value v;
	return table_find(table_bytes(&returned->headers), header, &v) &&
	       content_find_header(&s->content, header, &raw) && bytes_equal(v.raw, raw);
}

/* Which publish came back? Duplicates and conflicts say it with their tag; what cannot be routed
 * has its own headers, and is otherwise the oldest that looks like it. */
static struct slot *find_returned(struct publisher *p, const struct incoming *in)
{
	const struct message *m = in->message;
	int64_t tag = lev_table_int(&m->headers, "x-publish-tag", 0);
	if (in->reply_code == RETURN_DUPLICATE || in->reply_code == RETURN_CONFLICT) {
		bool is_known = tag >= (int64_t)p->tag_low && tag < (int64_t)p->tag_next;
		return is_known ? slot_at(p, p->positions[(uint64_t)tag & p->mask]) : NULL;
	}
	struct slot *alike = NULL;
	for (uint64_t t = p->tag_low; t < p->tag_next; t++) {
		struct slot *s = slot_at(p, p->positions[t & p->mask]);
		if (s->state != SLOT_SENT || s->tag != t || !s->is_mandatory || s->return_code != 0)
			continue;
		if (has_identity(m, s, "x-producer-seq") || has_identity(m, s, "x-idempotency-key"))
			return s;
		if (alike == NULL && s->content.body_len == m->of.body_len &&
		    bytes_equal_str(content_exchange(&s->content), m->of.exchange))
			alike = s;
	}
	return alike;
}

static void on_content(struct channel *ch, struct incoming *in)
{
	struct publisher *p = publisher_of(ch);
	struct slot *s = in->method == METHOD_basic_return ? find_returned(p, in) : NULL;
	if (s != NULL && s->state == SLOT_SENT)
		s->return_code = in->reply_code;
	message_destroy(in->message);
}

/* --- the channel --- */

static void on_opened(struct channel *ch)
{
	struct publisher *p = publisher_of(ch);
	channel_put(ch, &(struct method){ .id = METHOD_confirm_select });
	p->tag_low = p->tag_next = 1;
	p->next = p->head;
	p->has_given_up = false;
	publisher_pump(p);
}

/* The one that the broker will not have, if it can be told: the only one, or the first one that
 * goes to the exchange which is named. */
static struct slot *find_culprit(struct publisher *p, const struct reason *why)
{
	struct slot *first = NULL;
	size_t len = 0;
	for (uint64_t i = p->head; i != p->tail; i++) {
		struct slot *s = slot_at(p, i);
		if (s->state != SLOT_SENT)
			continue;
		if (len++ == 0)
			first = s;
	}
	if (len == 0 || (len == 1 && !p->has_given_up))
		return first;
	if (p->is_idempotent || p->is_repeating)
		return NULL; /* They may all go again, which will tell. */
	for (uint64_t i = p->head; i != p->tail; i++) {
		struct slot *s = slot_at(p, i);
		char named[UINT8_MAX + 3];
		snprintf(named, sizeof named, "'%.*s'", BYTES_ARG(content_exchange(&s->content)));
		if (s->state == SLOT_SENT && strstr(why->text, named) != NULL)
			return s;
	}
	return NULL;
}

/* What was sent after the culprit was not looked at. What was sent before it may have been stored.
 */
static void settle_lost(struct publisher *p, const struct slot *culprit, const struct reason *why)
{
	bool is_after = false;
	for (uint64_t i = p->head; i != p->tail; i++) {
		struct slot *s = slot_at(p, i);
		is_after |= s == culprit;
		if (s->state != SLOT_SENT)
			continue;
		if (s == culprit) {
			finish(p, s, LEV_REFUSED, why->reply_code, why->text);
		} else if (is_after || may_repeat(p, s)) {
			s->state = SLOT_WAITING;
			s->was_sent = !is_after;
		} else {
			finish(p, s, LEV_UNKNOWN, 0, why->text);
		}
	}
}

/* A channel.close, or a connection.close that may be for what a publish did: if it cannot be told
 * which, they go one by one from here on. */
static void on_closed(struct channel *ch, const struct reason *why)
{
	struct publisher *p = publisher_of(ch);
	if (why->result == LEV_FULL) {
		link_fail(ch->link, LEV_FULL, "%s", why->text);
		return;
	}
	bool is_ours = why->result == LEV_REFUSED, is_careful = p->next <= p->careful_until;
	bool is_refusal = is_ours || ch->link->failed_method == METHOD_basic_publish;
	struct slot *culprit = is_ours || (is_refusal && is_careful) ? find_culprit(p, why) : NULL;
	uint64_t sent_until = p->next;
	settle_lost(p, culprit, why);
	p->next = p->head;
	if (is_refusal && culprit == NULL && sent_until > p->careful_until)
		p->careful_until = sent_until;
	if (ch->link->phase == LINK_OPEN)
		channel_open(ch);
}

static const struct channel_ops channel_ops = { on_opened, on_method, on_content, on_closed };

static void restore(struct user *user)
{
	channel_open(&user->channel);
}

static void flush(struct user *user)
{
	publisher_pump(publisher_of(&user->channel));
}

static void tick(struct user *user, uint64_t now_ms);

static uint64_t due(const struct user *user)
{
	return ((const struct publisher *)user)->nearest;
}

static void stop(struct user *user);

static void end(struct user *user)
{
	(void)user; /* Part of the handle, and idle by now. */
}

static const struct user_ops user_ops = { restore, flush, tick, due, report, stop, end };

int publisher_init(struct publisher *p, struct lev *lev, uint32_t window, size_t window_bytes)
{
	uint64_t size = 1;
	while (size < window)
		size *= 2;
	*p = (struct publisher){ .mask = size - 1,
				 .window = window,
				 .window_bytes = window_bytes,
				 .tag_low = 1,
				 .tag_next = 1,
				 .sequence = 1 };
	channel_init(&p->user.channel, &lev->link, &channel_ops);
	handle_add(lev, &p->user, &user_ops);
	p->done_end = &p->done_first;
	p->nearest = LEV_NEVER;
	p->slots = calloc(size, sizeof *p->slots);
	p->positions = calloc(size, sizeof *p->positions);
	return p->slots == NULL || p->positions == NULL ? LEV_NO_MEMORY : LEV_OK;
}

void publisher_fini(struct publisher *p)
{
	for (uint64_t i = 0; p->slots != NULL && i <= p->mask; i++) {
		content_fini(&p->slots[i].content);
		free(p->slots[i].text);
	}
	free(p->slots);
	free(p->positions);
}

/* --- from the user --- */

bool publisher_has_room(const struct publisher *p, size_t body_len)
{
	uint64_t len = p->tail - p->head;
	return len < p->window && (len == 0 || p->bytes + body_len <= p->window_bytes);
}

int publisher_add(struct publisher *p, const struct lev_publish *publish, struct slot **out)
{
	struct slot *s = slot_at(p, p->tail);
	bool is_own = publish->sequence == 0;
	if (!is_own && !p->is_identified)
		return lev_fail(LEV_INVALID, "a sequence, but the handle is anonymous");
	if (is_own && p->is_named && publish->key == NULL)
		return lev_fail(LEV_INVALID, "a handle with a producer_id needs a sequence, or a "
					     "key, with each publish");
	struct content_extra extra = {
		.is_mandatory = !publish->is_optional,
		.has_sequence = p->is_identified && (publish->key == NULL || !is_own),
		.producer_id = p->producer_id,
		.epoch = p->epoch,
		.sequence = is_own ? p->sequence : publish->sequence,
	};
	int rc = content_encode(&s->content, publish, &extra);
	if (rc != LEV_OK)
		return rc;
	if (s->content.header_len > LINK_FRAME_MAX / 2) {
		content_fini(&s->content);
		return lev_fail(LEV_INVALID, "headers are too large");
	}
	p->sequence += extra.has_sequence && is_own;
	p->bytes += content_bytes(&s->content);
	s->state = SLOT_WAITING;
	s->is_identified = extra.has_sequence || publish->key != NULL;
	s->deadline = publish->deadline == 0 ? LEV_NEVER : publish->deadline;
	s->is_mandatory = !publish->is_optional;
	if (s->deadline < p->nearest)
		p->nearest = s->deadline;
	p->tail++;
	*out = s;
	return LEV_OK;
}

static void send_slot(struct publisher *p, struct slot *s, uint64_t position)
{
	struct content c = content_of(&s->content);
	if (c.header.len > p->user.channel.link->frame_max - 8) {
		finish(p, s, LEV_REFUSED, 0, "its headers are larger than this broker's frames");
		return;
	}
	s->is_repeat = s->was_sent;
	s->was_sent = true;
	s->state = SLOT_SENT;
	s->return_code = 0;
	s->tag = p->tag_next++;
	p->positions[s->tag & p->mask] = position;
	link_put_content(p->user.channel.link, p->user.channel.number, &c);
}

void publisher_pump(struct publisher *p)
{
	struct link *link = p->user.channel.link;
	if (!channel_is_open(&p->user.channel) || link->is_blocked)
		return;
	while (p->next != p->tail && link->phase == LINK_OPEN &&
	       buffer_left(&link->out) < HANDLE_OUT_BYTES_MAX) {
		struct slot *s = slot_at(p, p->next);
		if (p->next < p->careful_until && p->tag_low < p->tag_next)
			break; /* One by one. */
		if (s->state == SLOT_WAITING)
			send_slot(p, s, p->next);
		p->next++;
	}
}

/* --- ends --- */

/* An outcome that does not wait for the broker. Its answer, if it comes after all, finds no slot
 * with its tag. */
static int give_up(struct publisher *p, struct slot *s)
{
	int result = s->was_sent ? LEV_UNKNOWN : LEV_NOT_SENT;
	p->has_given_up |= s->state == SLOT_SENT;
	finish(p, s, result, 0, NULL);
	return result;
}

static void tick(struct user *user, uint64_t now_ms)
{
	struct publisher *p = publisher_of(&user->channel);
	if (now_ms < p->nearest)
		return;
	p->nearest = LEV_NEVER;
	for (uint64_t i = p->head; i != p->tail; i++) {
		struct slot *s = slot_at(p, i);
		if (s->state != SLOT_WAITING && s->state != SLOT_SENT)
			continue;
		if (s->deadline <= now_ms)
			give_up(p, s);
		else if (s->deadline < p->nearest)
			p->nearest = s->deadline;
	}
}

void publisher_forget(struct publisher *p, struct slot *s, struct reason *outcome)
{
	s->waiter = NULL;
	int result = give_up(p, s);
	reason_set(outcome, result, "%s", lev_result_text(result));
}

static void stop(struct user *user)
{
	struct publisher *p = publisher_of(&user->channel);
	for (uint64_t i = p->head; i != p->tail; i++) {
		struct slot *s = slot_at(p, i);
		if (s->state == SLOT_WAITING || s->state == SLOT_SENT)
			give_up(p, s);
	}
}
