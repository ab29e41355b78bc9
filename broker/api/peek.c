/* Peek: messages of a queue looked at where they are, ready, unacked or waiting; nothing of them
 * changes. */
#include "api/dead.h"
#include "api/deed.h"
#include "api/payload.h"

#include "core/inputs.h"
#include "core/view.h"

#include "auth/access.h"
#include "base/alloc.h"
#include "manage/table_json.h"
#include "net/net.h"
#include "permit/permit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { A_STEP = 32, COUNT = 10, COUNT_MAX = 1000, BYTES_MAX = 64 << 20, TRUNCATE = 50000 };

static const char *const places[] = { "ready", "waiting", "held", "dying", "unacked" };

struct peek {
	uint64_t from;
	uint64_t left;
	size_t truncate;
	uint64_t bytes;
	int place; /* -1: any. */
	bool is_auto;
};

static bool read_number(struct query *c, const char *name, uint64_t *n)
{
	struct bytes text;
	char digits[24], *end;
	if (!http_parameter(c->request, name, &text))
		return true;
	if (text.len == 0 || text.len >= sizeof digits || text.data[0] < '0' || text.data[0] > '9')
		return query_bad(c, "%s is no number", name);
	memcpy(digits, text.data, text.len);
	digits[text.len] = '\0';
	*n = strtoull(digits, &end, 10);
	return *end == '\0' || query_bad(c, "%s is no number", name);
}

static bool prepare_peek(struct query *c)
{
	struct peek *p = alloc_zeroed(sizeof *p);
	struct bytes text;
	uint64_t truncate = TRUNCATE;
	c->prepared = p;
	c->free_prepared = free;
	p->left = COUNT;
	p->place = -1;
	p->is_auto =
		!http_parameter(c->request, "encoding", &text) || !bytes_equal_str(text, "base64");
	if (!read_number(c, "from", &p->from) || !read_number(c, "count", &p->left) ||
	    !read_number(c, "truncate", &truncate))
		return false;
	p->truncate = truncate;
	if (p->left > COUNT_MAX)
		return query_bad(c, "count is at most %d", COUNT_MAX);
	if (!http_parameter(c->request, "state", &text))
		return true;
	for (int i = 0; i < 5; i++)
		if (bytes_equal_str(text, places[i]))
			p->place = i;
	return p->place >= 0 ||
	       query_bad(c, "state is one of ready, waiting, held, dying, unacked");
}

static void put_unacked(struct query *c, json_t *one, const struct message_info *i)
{
	uint16_t number;
	char name[300];
	json_object_set_new(one, "consumer_tag", json_of_text(i->tag));
	json_object_set_new(one, "delivery_tag", json_integer((json_int_t)i->delivery_tag));
	if (deed_is_owner(c->api, i->owner) || i->owner == NULL)
		return;
	struct session *session = session_of_channel(i->owner, &number);
	snprintf(name, sizeof name, "%s (%u)", session_connection_name(session), number);
	json_object_set_new(one, "channel", json_string(name));
}

static json_t *message_json(struct query *c, const struct message_info *i, const struct message *m,
			    struct peek *p)
{
	struct death death;
	struct bytes body = message_body(m), shown = body;
	if (shown.len > p->truncate)
		shown.len = p->truncate;
	p->bytes += shown.len;
	json_t *one = json_pack("{s:I, s:s, s:b, s:I, s:o, s:o, s:I, s:I, s:o}", "position",
				(json_int_t)i->position, "state", places[i->place], "redelivered",
				i->is_delivered, "failed_deliveries", (json_int_t)i->failed,
				"exchange", json_of_text(message_exchange(m)), "routing_key",
				json_of_text(message_routing_key(m)), "published_ms",
				(json_int_t)m->time_ms, "payload_bytes", (json_int_t)body.len,
				"properties", payload_properties(message_properties(m)));
	payload_put(one, shown, p->is_auto);
	if (m->expires_ms != 0)
		json_object_set_new(one, "expires_ms", json_integer((json_int_t)m->expires_ms));
	if (i->place == MESSAGE_WAITING)
		json_object_set_new(one, "ready_ms", json_integer((json_int_t)i->until_ms));
	if (i->place == MESSAGE_UNACKED)
		put_unacked(c, one, i);
	if (death_read(message_headers(m), &death))
		json_object_set_new(one, "died",
				    json_pack("{s:o, s:o}", "queue", json_of_text(death.queue),
					      "reason", json_of_text(death.reason)));
	return one;
}

/* Those that are on disk are read; what is damaged there is left out, and has been said. */
static void add(struct query *c, json_t *messages, const struct message_info *i, struct peek *p)
{
	const struct api_options *o = &c->api->options;
	struct message *read =
		i->message != NULL ? NULL
				   : o->read_message(o->arg, i->location, i->queue_id, i->position);
	const struct message *m = i->message != NULL ? i->message : read;
	if (m == NULL)
		return;
	json_array_append_new(messages, message_json(c, i, m, p));
	p->left--;
	if (read != NULL)
		message_unref(core_messages(o->core), read);
}

static bool may_read(struct query *c, const struct vhost *vhost)
{
	struct access access;
	struct refusal refusal = { 0 };
	access_init(&access, c->user, vhost_name(vhost), c->api->seed);
	bool is_permitted = permit_read(&access, c->names[1], &refusal);
	access_fini(&access);
	if (!is_permitted)
		query_unauthorised(c, refusal.text);
	return is_permitted;
}

static enum desk_step peek(struct query *c)
{
	struct peek *p = c->prepared;
	struct message_info infos[A_STEP];
	const struct vhost *vhost = query_vhost(c);
	uint64_t hidden;
	if (vhost == NULL || !may_read(c, vhost))
		return DESK_DONE;
	if (!vhost_has_queue(vhost, c->names[1])) {
		query_not_found(c);
		return DESK_DONE;
	}
	size_t len = view_messages(vhost, c->names[1], p->from, infos, A_STEP, &hidden);
	if (c->answer == NULL)
		c->answer = json_pack("{s:[], s:n}", "messages", "next");
	json_t *messages = json_object_get(c->answer, "messages");
	json_object_set_new(c->answer, "not_shown", json_integer((json_int_t)hidden));
	for (size_t i = 0; i < len && p->left > 0 && p->bytes < BYTES_MAX; i++) {
		p->from = infos[i].position + 1;
		if (p->place < 0 || infos[i].place == (enum message_place)p->place)
			add(c, messages, &infos[i], p);
	}
	bool is_end = len < A_STEP && (len == 0 || p->from > infos[len - 1].position);
	json_object_set_new(c->answer, "next",
			    is_end ? json_null() : json_integer((json_int_t)p->from));
	return is_end || p->left == 0 || p->bytes >= BYTES_MAX ? DESK_DONE : DESK_AGAIN;
}

const struct route peek_routes[] = {
	{ HTTP_GET, "leveret/queues/*/*/messages", RIGHT_MANAGEMENT, VHOST_USED, false,
	  prepare_peek, peek, NULL },
	{ HTTP_GET, NULL, RIGHT_NONE, VHOST_NONE, false, NULL, NULL, NULL },
};
