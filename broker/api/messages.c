/* Messages: publishing, with the answer after the confirm; taking from a queue; a request and its
 * reply. */
#include "api/deed.h"
#include "api/payload.h"

#include "core/inputs.h"

#include "auth/users.h"
#include "base/alloc.h"
#include "manage/table_json.h"
#include "permit/permit.h"

#include <event2/event.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	GET_A_STEP = 32,
	GET_BYTES_MAX = 64 << 20, /* Of the bodies that one answer shows. */
	TIMEOUT_MS = 10000,
	TIMEOUT_MAX_MS = 300000,
};

/* "404 NOT_FOUND - no exchange ..." */
static void refuse_channel(struct query *c, const struct refusal *refusal)
{
	query_bad(c, "%u %s", refusal->code, refusal->text);
}

/* --- publishing --- */

static void free_payload(void *payload)
{
	payload_fini(payload);
	free(payload);
}

static bool prepare_publish(struct query *c)
{
	struct payload *p = alloc_zeroed(sizeof *p);
	struct bytes key = bytes_of("", 0);
	c->prepared = p;
	c->free_prepared = free_payload;
	http_header(c->request, "idempotency-key", &key);
	if (key.len > UINT8_MAX)
		return query_bad(c, "Idempotency-Key has at most 255 bytes");
	if (!payload_read(c, key, p))
		return false;
	if (p->body.len > c->api->options.message_bytes_max)
		return query_bad(c,
				 "406 PRECONDITION_FAILED - message size %zu is larger than "
				 "configured max size %llu",
				 p->body.len,
				 (unsigned long long)c->api->options.message_bytes_max);
	return true;
}

/* With a reply_to in place of its own, if that is not empty. */
static struct message *make_message(struct query *c, struct bytes reply_to,
				    struct properties *properties)
{
	const struct payload *p = c->prepared;
	struct message_pool *pool = core_messages(c->api->options.core);
	bool is_good = properties_decode(properties, p->properties);
	if (is_good && reply_to.len > 0) {
		properties->reply_to = reply_to;
		properties->flags |= HAS_reply_to;
	}
	size_t size = is_good ? properties_size(properties) : 0;
	uint8_t *wire = alloc_resize(NULL, size + 1);
	struct writer w = writer_of(wire, size);
	properties_encode(&w, properties);
	struct message *m = message_create(pool, query_exchange_name(c->names[1]), p->routing_key,
					   bytes_of(wire, size), p->body.len);
	free(wire);
	if (m != NULL && p->body.len > 0 && !message_append(pool, &m, p->body)) {
		message_unref(pool, m);
		m = NULL;
	}
	return m;
}

/* False: it has been refused. */
static bool publish(struct deed *d, struct bytes reply_to)
{
	struct query *c = d->query;
	const struct payload *p = c->prepared;
	struct properties properties;
	struct refusal refusal = { 0 };
	struct message *m;
	if (!permit_publish(&d->access, d->vhost, query_exchange_name(c->names[1]), p->routing_key,
			    &refusal)) {
		refuse_channel(c, &refusal);
		return false;
	}
	if ((m = make_message(c, reply_to, &properties)) == NULL)
		return query_refuse(c, 503, "no_memory", "there is no memory for the message");
	properties_decode(&properties, message_properties(m));
	if (core_publish(d->channel, m, &properties, true, &refusal))
		return true;
	refuse_channel(c, &refusal);
	return false;
}

static enum desk_step tell_published(struct deed *d)
{
	struct query *c = d->query;
	if (d->is_conflict && d->is_nack)
		query_refuse(c, 409, "conflict",
			     "something else has been published under this Idempotency-Key");
	else if (d->is_nack)
		query_refuse(c, 503, "refused", "a queue is full and refuses messages");
	else
		c->answer = json_pack("{s:b}", "routed", !d->is_returned);
	if (c->answer != NULL && d->is_duplicate)
		json_object_set_new(c->answer, "duplicate", json_true());
	if (c->answer != NULL && d->is_conflict)
		json_object_set_new(c->answer, "conflict", json_true());
	return DESK_DONE;
}

/* During an alarm no publish is taken. Over HTTP none waits either: who retries comes again. */
static bool is_blocked(struct query *c)
{
	struct api_node node;
	c->api->options.node_state(c->api->options.arg, &node);
	if (node.is_memory_alarm || node.is_disk_alarm)
		query_refuse(c, 503, "blocked", "the broker is short of %s and takes no messages",
			     node.is_memory_alarm ? "memory" : "disk space");
	return node.is_memory_alarm || node.is_disk_alarm;
}

static enum desk_step step_publish(struct query *c)
{
	const struct payload *p = c->prepared;
	struct deed *d = c->state;
	if (d != NULL)
		return d->is_confirmed ? tell_published(d) : DESK_LATER;
	if (core_publish_waits(c->api->options.core, p->properties))
		return DESK_AGAIN;
	if (is_blocked(c) || (d = deed_begin(c)) == NULL)
		return DESK_DONE;
	core_confirm_select(d->channel);
	return publish(d, bytes_of("", 0)) ? DESK_LATER : DESK_DONE;
}

/* --- a request, and the reply to it --- */

static const char reply_to[] = "amq.rabbitmq.reply-to";

struct request {
	struct query *query;
	struct event *timeout; /* Owned. */
	bool is_late;
};

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct request *r = arg;
	(void)fd;
	(void)what;
	r->is_late = true;
	desk_wake(r->query->api->desk, &r->query->job);
}

static long timeout_ms(const struct query *c)
{
	struct bytes text;
	char digits[12] = "";
	if (http_parameter(c->request, "timeout", &text) && text.len < sizeof digits)
		memcpy(digits, text.data, text.len);
	long ms = strtol(digits, NULL, 10);
	return ms <= 0 ? TIMEOUT_MS : ms > TIMEOUT_MAX_MS ? TIMEOUT_MAX_MS : ms;
}

static void end_request(struct query *c)
{
	struct request *r = c->waiting;
	if (r->timeout != NULL)
		event_free(r->timeout);
	free(r);
	c->waiting = NULL;
}

static bool begin_request(struct query *c, struct deed *d)
{
	const struct consume consume = { .queue = bytes_str(reply_to),
					 .tag = bytes_str("reply"),
					 .is_no_ack = true };
	struct refusal refusal = { 0 };
	if (!core_consume(d->channel, &consume, &refusal)) {
		refuse_channel(c, &refusal);
		return false;
	}
	long ms = timeout_ms(c);
	struct timeval wait = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
	struct request *r = alloc_zeroed(sizeof *r);
	r->query = c;
	c->waiting = r;
	c->end_waiting = end_request;
	r->timeout = event_new(c->api->options.loop, -1, EV_TIMEOUT, on_timeout, r);
	if (r->timeout == NULL || event_add(r->timeout, &wait) != 0)
		return query_refuse(c, 503, "no_memory", "there is no memory for a timer");
	return publish(d, bytes_str(reply_to));
}

static enum desk_step step_request(struct query *c)
{
	const struct payload *p = c->prepared;
	struct deed *d = c->state;
	const struct request *r = c->waiting;
	if (d == NULL) {
		if (core_publish_waits(c->api->options.core, p->properties))
			return DESK_AGAIN;
		d = is_blocked(c) ? NULL : deed_begin(c);
		return d != NULL && begin_request(c, d) ? DESK_LATER : DESK_DONE;
	}
	if (d->reply != NULL)
		c->answer = json_incref(d->reply);
	else if (d->is_returned)
		query_refuse(c, 503, "nobody_there", "no queue takes the request");
	else if (r->is_late)
		query_refuse(c, 504, "timeout", "no reply came in time");
	else
		return DESK_LATER;
	return DESK_DONE;
}

/* --- getting --- */

enum ackmode { ACK_REQUEUE, ACK, REJECT_REQUEUE, REJECT };

struct getting {
	enum ackmode mode;
	bool is_auto;
	long count; /* -1: all there are. */
	long truncate;
	long left;
	uint64_t bytes;
	uint64_t last_tag;
};

/* Text is taken for a number, and a fraction cut off. */
static bool read_integer(struct query *c, const char *name, long *out)
{
	const json_t *v = json_object_get(c->body, name);
	const char *text = json_string_value(v);
	char *end = NULL;
	if (json_is_number(v) && fabs(json_number_value(v)) < 1e15) {
		*out = (long)json_number_value(v);
		return true;
	}
	if (text != NULL && text[0] != '\0')
		*out = strtol(text, &end, 10);
	if (end != NULL && *end == '\0')
		return true;
	c->details = json_pack("[s, O]", "not_integer", v);
	return query_bad(c, "%s", name);
}

static bool read_ackmode(struct query *c, enum ackmode *mode)
{
	static const char *const names[] = { "ack_requeue_true", "ack_requeue_false",
					     "reject_requeue_true", "reject_requeue_false" };
	const char *text = query_str(c, "ackmode");
	for (size_t i = 0; text != NULL && i < 4; i++)
		if (strcmp(text, names[i]) == 0) {
			*mode = (enum ackmode)i;
			return true;
		}
	return query_bad(c,
			 "ackmode is ack_requeue_true, ack_requeue_false, reject_requeue_true or "
			 "reject_requeue_false");
}

static bool prepare_get(struct query *c)
{
	static const char *const names[] = { "ackmode", "count", "encoding", NULL };
	struct getting *g = alloc_zeroed(sizeof *g);
	const char *encoding = query_str(c, "encoding");
	c->prepared = g;
	c->free_prepared = free;
	g->truncate = -1;
	if (!query_needs(c, names) || !read_integer(c, "count", &g->count) ||
	    !read_ackmode(c, &g->mode))
		return false;
	if (json_object_get(c->body, "truncate") != NULL &&
	    (!read_integer(c, "truncate", &g->truncate) ||
	     (g->truncate < 0 && !query_bad(c, "truncate is not negative"))))
		return false;
	g->is_auto = encoding != NULL && strcmp(encoding, "auto") == 0;
	if (!g->is_auto && (encoding == NULL || strcmp(encoding, "base64") != 0))
		return query_bad(c, "Unsupported encoding. Please use auto or base64.");
	g->left = g->count;
	return true;
}

static void show(struct query *c, struct getting *g, const struct effect *effect, uint64_t messages)
{
	const struct message *m = effect->deliver.message;
	struct bytes body = message_body(m), shown = body;
	if (g->truncate >= 0 && shown.len > (size_t)g->truncate)
		shown.len = (size_t)g->truncate;
	json_t *one = json_pack("{s:I, s:b, s:o, s:o, s:I, s:o}", "payload_bytes",
				(json_int_t)body.len, "redelivered", effect->deliver.is_redelivered,
				"exchange", json_of_text(message_exchange(m)), "routing_key",
				json_of_text(message_routing_key(m)), "message_count",
				(json_int_t)messages, "properties",
				payload_properties(message_properties(m)));
	payload_put(one, shown, g->is_auto);
	json_array_append_new(c->answer, one);
	g->bytes += shown.len;
	g->last_tag = effect->deliver.delivery_tag;
}

static enum desk_step settle(struct query *c, const struct deed *d, const struct getting *g)
{
	struct refusal refusal = { 0 };
	bool is_good = true;
	if (g->last_tag == 0)
		return DESK_DONE;
	if (g->mode == ACK)
		is_good = core_ack(d->channel, g->last_tag, true, &refusal);
	else
		is_good = core_reject(d->channel, g->last_tag, true, g->mode != REJECT, &refusal);
	if (!is_good)
		refuse_channel(c, &refusal);
	return DESK_DONE;
}

static void refuse_get(struct query *c, const struct refusal *refusal)
{
	if (refusal->code == REPLY_NOT_FOUND)
		query_refuse(c, 404, "not_found", "%s", refusal->text);
	else if (refusal->code == REPLY_ACCESS_REFUSED)
		query_unauthorised(c, refusal->text);
	else
		query_refuse_by(c, refusal);
}

/* Later: what must be read from the disk before is on its way. */
static enum desk_step step_get(struct query *c)
{
	struct getting *g = c->prepared;
	struct deed *d = c->state == NULL ? deed_begin(c) : c->state;
	struct refusal refusal = { 0 };
	if (d == NULL)
		return DESK_DONE;
	if (c->answer == NULL)
		c->answer = json_array();
	if (!permit_read(&d->access, c->names[1], &refusal)) {
		refuse_get(c, &refusal);
		return DESK_DONE;
	}
	for (int i = 0; i < GET_A_STEP; i++) {
		struct effect effect;
		uint64_t messages;
		if (g->left == 0 || g->bytes > GET_BYTES_MAX)
			return settle(c, d, g);
		switch (core_get(d->channel, c->names[1], false, &effect, &messages, &refusal)) {
		case GET_OK: show(c, g, &effect, messages); break;
		case GET_EMPTY: return settle(c, d, g);
		case GET_LATER: return DESK_AGAIN;
		case GET_REFUSED: refuse_get(c, &refusal); return DESK_DONE;
		}
		g->left -= g->left > 0;
	}
	return DESK_AGAIN;
}

#define POST(path, prepare, step)                                                             \
	{                                                                                     \
		HTTP_POST, path, RIGHT_MANAGEMENT, VHOST_MESSAGED, false, prepare, step, NULL \
	}

const struct route message_routes[] = {
	POST("exchanges/*/*/publish", prepare_publish, step_publish),
	POST("queues/*/*/get", prepare_get, step_get),
	POST("leveret/request/*/*", prepare_publish, step_request),
	{ HTTP_GET, NULL, RIGHT_NONE, VHOST_NONE, false, NULL, NULL, NULL },
};
