/* Move: messages of a queue put elsewhere, dead letters above all: back to the queue where they
 * died, or to an exchange. Each is published and acked in one turn, which the journal has whole or
 * not at all; what no queue would take stays where it is. Properties stay, and so does the
 * message's uid: it is a copy that no key swallows. */
#include "api/dead.h"
#include "api/deed.h"

#include "core/inputs.h"
#include "core/view.h"

#include "base/alloc.h"
#include "manage/table_json.h"
#include "permit/permit.h"

#include <stdlib.h>
#include <string.h>

enum { A_STEP = 32, COUNT_MAX = 1000000 };

struct move {
	bool is_dry;
	bool is_to_source;
	struct bytes exchange; /* Views into the body. */
	struct bytes routing_key;
	bool has_routing_key;
	struct bytes reason;  /* Only those that died of it, */
	struct bytes died_in; /* or in this queue; empty: any. */
	uint64_t left;
	uint64_t from; /* Dry: the next position. */
	uint64_t seen;
	uint64_t moved;
	uint64_t refused; /* No queue took them, or the user may not. */
	uint64_t passed;  /* Not wanted, or without a source. */
};

/* --- what is asked --- */

static struct bytes text_of(const json_t *object, const char *name)
{
	const json_t *v = json_object_get(object, name);
	return json_is_string(v) ? bytes_of(json_string_value(v), json_string_length(v))
				 : bytes_of("", 0);
}

static bool prepare_move(struct query *c)
{
	struct move *m = alloc_zeroed(sizeof *m);
	const json_t *to = json_object_get(c->body, "to");
	const json_t *count = json_object_get(c->body, "count");
	c->prepared = m;
	c->free_prepared = free;
	m->is_to_source = to == NULL;
	if (to != NULL && !json_is_object(to))
		return query_bad(c, "to: an object with exchange and routing_key, or queue");
	if (json_object_get(to, "queue") != NULL) {
		m->routing_key = text_of(to, "queue");
		m->has_routing_key = true;
	} else if (to != NULL) {
		m->exchange = text_of(to, "exchange");
		m->routing_key = text_of(to, "routing_key");
		m->has_routing_key = json_object_get(to, "routing_key") != NULL;
	}
	if (m->exchange.len > UINT8_MAX || m->routing_key.len > UINT8_MAX)
		return query_bad(c, "a name has at most 255 bytes");
	m->reason = text_of(c->body, "reason");
	m->died_in = text_of(c->body, "died_in");
	if (count != NULL && (!json_is_integer(count) || json_integer_value(count) < 0))
		return query_bad(c, "count is a number of messages");
	m->left = count == NULL ? COUNT_MAX : (uint64_t)json_integer_value(count);
	return query_flag(c, "dry_run", &m->is_dry);
}

/* --- where a message is to go --- */

struct target {
	struct bytes exchange;
	struct bytes routing_key;
};

static bool find_target(const struct move *m, const struct message *message, struct target *t)
{
	struct death d;
	bool has_died = death_read(message_headers(message), &d);
	if ((m->reason.len > 0 && !(has_died && bytes_equal(m->reason, d.reason))) ||
	    (m->died_in.len > 0 && !(has_died && bytes_equal(m->died_in, d.queue))))
		return false;
	t->exchange = m->is_to_source ? bytes_of("", 0) : m->exchange;
	t->routing_key = m->is_to_source      ? d.queue
			 : m->has_routing_key ? m->routing_key
					      : message_routing_key(message);
	return !m->is_to_source || has_died;
}

static struct message *make_copy(struct deed *d, const struct message *old, const struct target *t,
				 struct properties *p)
{
	if (!properties_decode(p, message_properties(old)))
		return NULL;
	return message_remake(core_messages(d->query->api->options.core), old, t->exchange,
			      t->routing_key, p);
}

static void count_queue(void *arg, struct bytes queue)
{
	(void)queue;
	++*(size_t *)arg;
}

/* Whether some queue is there for it, and the user may. */
static bool would_go(struct deed *d, const struct message *copy, const struct properties *p,
		     const struct target *t)
{
	struct refusal refusal = { 0 };
	size_t queues = 0;
	return permit_publish(&d->access, d->vhost, t->exchange, t->routing_key, &refusal) &&
	       view_route(d->channel, copy, p, count_queue, &queues) && queues > 0;
}

/* Takes the reference. True: a queue has it. */
static bool publish_copy(struct deed *d, struct message *copy, const struct target *t)
{
	struct properties p;
	struct refusal refusal = { 0 };
	bool is_good = properties_decode(&p, message_properties(copy)) && would_go(d, copy, &p, t);
	if (!is_good) {
		message_unref(core_messages(d->query->api->options.core), copy);
		return false;
	}
	return core_publish(d->channel, copy, &p, false, &refusal) &&
	       channel_has_taken_last(d->channel);
}

static void move_one(struct deed *d, struct move *m, const struct effect *effect)
{
	struct target t;
	struct properties p;
	struct refusal refusal = { 0 };
	uint64_t tag = effect->deliver.delivery_tag;
	m->seen++;
	if (!find_target(m, effect->deliver.message, &t)) {
		m->passed++;
		return;
	}
	struct message *copy = make_copy(d, effect->deliver.message, &t, &p);
	if (copy == NULL || !publish_copy(d, copy, &t)) {
		m->refused++;
		return;
	}
	if (core_ack(d->channel, tag, false, &refusal))
		m->moved++;
	d->published++;
}

/* --- steps --- */

static json_t *report(const struct move *m)
{
	return json_pack("{s:I, s:I, s:I, s:I}", "seen", (json_int_t)m->seen,
			 m->is_dry ? "would_move" : "moved", (json_int_t)m->moved, "refused",
			 (json_int_t)m->refused, "passed_over", (json_int_t)m->passed);
}

/* What stayed goes back to its place when the channel closes. */
static enum desk_step finish(struct query *c, const struct deed *d, const struct move *m)
{
	if (d->confirmed < d->published)
		return DESK_LATER;
	c->answer = report(m);
	query_audit(c,
		    json_pack("{s:s, s:o, s:o, s:O, s:I}", "command", "move", "vhost",
			      json_of_text(c->names[0]), "queue", json_of_text(c->names[1]),
			      "asked", c->body, "moved", (json_int_t)m->moved),
		    NULL);
	return DESK_DONE;
}

static enum desk_step move_some(struct query *c, struct deed *d, struct move *m)
{
	struct effect effect;
	struct refusal refusal = { 0 };
	uint64_t messages;
	for (int i = 0; i < A_STEP && m->left > 0; i++, m->left--) {
		switch (core_get(d->channel, c->names[1], false, &effect, &messages, &refusal)) {
		case GET_OK: move_one(d, m, &effect); break;
		case GET_EMPTY: m->left = 1; break;
		case GET_LATER: return DESK_AGAIN;
		case GET_REFUSED: query_refuse_by(c, &refusal); return DESK_DONE;
		}
	}
	return DESK_AGAIN;
}

static void look_at(struct deed *d, struct move *m, const struct message_info *i)
{
	const struct api_options *o = &d->query->api->options;
	struct message *read =
		i->message != NULL ? NULL
				   : o->read_message(o->arg, i->location, i->queue_id, i->position);
	const struct message *message = i->message != NULL ? i->message : read;
	struct target t;
	struct properties p;
	if (message == NULL)
		return;
	m->seen++;
	m->left--;
	struct message *copy = find_target(m, message, &t) ? make_copy(d, message, &t, &p) : NULL;
	if (copy == NULL)
		m->passed++;
	else if (properties_decode(&p, message_properties(copy)) && would_go(d, copy, &p, &t))
		m->moved++;
	else
		m->refused++;
	if (copy != NULL)
		message_unref(core_messages(o->core), copy);
	if (read != NULL)
		message_unref(core_messages(o->core), read);
}

static enum desk_step look_at_some(struct query *c, struct deed *d, struct move *m)
{
	struct message_info infos[A_STEP];
	uint64_t hidden;
	size_t len = view_messages(d->vhost, c->names[1], m->from, infos, A_STEP, &hidden);
	for (size_t i = 0; i < len && m->left > 0; i++) {
		m->from = infos[i].position + 1;
		if (infos[i].place == MESSAGE_READY)
			look_at(d, m, &infos[i]);
	}
	if (len == A_STEP && m->left > 0)
		return DESK_AGAIN;
	c->answer = report(m);
	json_object_set_new(c->answer, "not_looked_at", json_integer((json_int_t)hidden));
	return DESK_DONE;
}

/* What comes meanwhile, a moved one that ends up here again above all, is not gone through. False:
 * there is no such queue. */
static bool bound(struct move *m, const struct vhost *vhost, struct bytes queue)
{
	struct queue_info info;
	if (!view_queue(vhost, queue, &info))
		return false;
	if (m->left > info.ready)
		m->left = info.ready;
	return true;
}

static enum desk_step step_move(struct query *c)
{
	struct move *m = c->prepared;
	struct deed *d = c->state;
	struct refusal refusal = { 0 };
	if (d == NULL) {
		if ((d = deed_begin(c)) == NULL)
			return DESK_DONE;
		core_confirm_select(d->channel);
		if (!bound(m, d->vhost, c->names[1])) {
			query_not_found(c);
			return DESK_DONE;
		}
	}
	if (!permit_read(&d->access, c->names[1], &refusal)) {
		query_unauthorised(c, refusal.text);
		return DESK_DONE;
	}
	if (m->is_dry)
		return look_at_some(c, d, m);
	return m->left == 0 ? finish(c, d, m) : move_some(c, d, m);
}

const struct route move_routes[] = {
	{ HTTP_POST, "leveret/queues/*/*/move", RIGHT_MANAGEMENT, VHOST_MESSAGED, false,
	  prepare_move, step_move, NULL },
	{ HTTP_GET, NULL, RIGHT_NONE, VHOST_NONE, false, NULL, NULL, NULL },
};
