/* Questions that RabbitMQ has no answer to: where would this go, may he, is this key known. */
#include "api/deed.h"
#include "api/payload.h"

#include "core/admin.h"
#include "core/inputs.h"
#include "core/view.h"

#include "auth/access.h"
#include "auth/users.h"
#include "manage/table_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct bytes parameter(const struct query *c, const char *name)
{
	struct bytes value = bytes_of("", 0);
	http_parameter(c->request, name, &value);
	return value;
}

/* --- where would this go? --- */

static void add_queue(void *arg, struct bytes queue)
{
	json_array_append_new(arg, json_of_text(queue));
}

/* headers: of the message, an object in the body. */
static enum desk_step explain_route(struct query *c)
{
	uint8_t table[65536], wire[66000];
	struct bytes key = parameter(c, "routing_key");
	const json_t *headers = json_object_get(c->body, "headers");
	struct writer w = writer_of(table, sizeof table);
	struct properties p = { 0 };
	struct deed *d = deed_begin(c);
	if (d == NULL)
		return DESK_DONE;
	if (key.len > UINT8_MAX || c->names[1].len > UINT8_MAX) {
		query_bad(c, "a name has at most 255 bytes");
		return DESK_DONE;
	}
	if (json_is_object(headers) && (!table_write_json(&w, headers) || w.failed)) {
		query_bad(c, "headers: too large, or too deep");
		return DESK_DONE;
	}
	p.headers = bytes_of(table, (size_t)(w.at - table));
	p.flags = p.headers.len > 0 ? HAS_headers : 0;
	struct writer encoded = writer_of(wire, sizeof wire);
	properties_encode(&encoded, &p);
	struct message_pool *pool = core_messages(c->api->options.core);
	struct message *m = message_create(pool, query_exchange_name(c->names[1]), key,
					   bytes_of(wire, (size_t)(encoded.at - wire)), 0);
	if (m == NULL) {
		query_refuse(c, 503, "no_memory", "there is no memory for a message");
		return DESK_DONE;
	}
	json_t *queues = json_array();
	bool is_there = properties_decode(&p, message_properties(m)) &&
			view_route(d->channel, m, &p, add_queue, queues);
	message_unref(pool, m);
	c->answer =
		json_pack("{s:b, s:o}", "routed", json_array_size(queues) > 0, "queues", queues);
	if (!is_there)
		query_not_found(c);
	return DESK_DONE;
}

/* --- may he? --- */

static enum desk_step explain_right(struct query *c)
{
	static const char *const rights[] = { "configure", "write", "read" };
	struct bytes name = parameter(c, "user"), vhost = parameter(c, "vhost");
	struct bytes right = parameter(c, "right"), object = parameter(c, "name");
	bool is_other = name.len > 0 && !bytes_equal(name, c->user->name);
	struct user *user = name.len == 0 ? c->user : users_find(c->api->options.users, name);
	int kind = -1;
	for (int i = 0; i < 3; i++)
		if (bytes_equal_str(right, rights[i]))
			kind = i;
	if (is_other && !user_has_tag(c->user, "administrator"))
		query_unauthorised(c, "Not administrator user");
	else if (user == NULL || core_vhost(c->api->options.core, vhost) == NULL)
		query_not_found(c);
	else if (kind < 0)
		query_bad(c, "right is one of configure, write, read");
	if (c->status != 0)
		return DESK_DONE;
	static const enum permission_kind kinds[] = { PERMISSION_CONFIGURE, PERMISSION_WRITE,
						      PERMISSION_READ };
	const struct grant *grant = user_grant(user, vhost);
	struct access access;
	access_init(&access, user, vhost, c->api->seed);
	bool is_allowed = grant != NULL && access_allows(&access, kinds[kind], object);
	access_fini(&access);
	struct bytes pattern = grant == NULL ? bytes_of("", 0)
					     : permission_pattern(grant->permission, kinds[kind]);
	c->answer = json_pack("{s:b, s:b, s:o}", "allowed", is_allowed, "permitted_in_vhost",
			      grant != NULL, "pattern",
			      grant == NULL ? json_null() : json_of_text(pattern));
	return DESK_DONE;
}

/* --- keys and producers --- */

static enum desk_step look_up_key(struct query *c)
{
	struct vhost *vhost = query_vhost(c);
	struct key_found found;
	char print[17];
	const struct key_wanted wanted = { .exchange =
						   query_exchange_name(parameter(c, "exchange")),
					   .routing_key = parameter(c, "routing_key"),
					   .queue = parameter(c, "queue"),
					   .key = parameter(c, "key") };
	if (vhost == NULL)
		return DESK_DONE;
	if (wanted.key.len == 0 || wanted.key.len > UINT8_MAX || wanted.exchange.len > UINT8_MAX ||
	    wanted.routing_key.len > UINT8_MAX || wanted.queue.len > UINT8_MAX)
		query_bad(c, "key is needed, of 1 to 255 bytes, and exchange and routing_key, or "
			     "queue");
	else if (core_keys_are_loading(c->api->options.core))
		query_refuse(c, 503, "loading", "the keys are still being loaded: try again");
	else if (!core_key_find(vhost, &wanted, &found))
		query_not_found(c);
	if (c->status != 0)
		return DESK_DONE;
	if (c->route->method == HTTP_DELETE) {
		core_key_forget(vhost, &wanted);
		query_audit(c,
			    json_pack("{s:s, s:o, s:o, s:o, s:o, s:o}", "command", "forget-key",
				      "vhost", json_of_text(c->names[0]), "key",
				      json_of_text(wanted.key), "exchange",
				      json_of_text(wanted.exchange), "routing_key",
				      json_of_text(wanted.routing_key), "queue",
				      json_of_text(wanted.queue)),
			    NULL);
		query_await(c, core_awaited(c->api->options.core));
		c->status = 204;
		return DESK_DONE;
	}
	snprintf(print, sizeof print, "%016" PRIx64, found.print);
	c->answer = json_pack("{s:I, s:s, s:b, s:b}", "published_ms", (json_int_t)found.time_ms,
			      "body_fingerprint", print, "transient", found.is_transient,
			      "while_queued", found.is_while_queued);
	return DESK_DONE;
}

static enum desk_step look_up_producer(struct query *c)
{
	const struct vhost *vhost = query_vhost(c);
	struct producer_found found;
	if (vhost != NULL && !core_producer_find(vhost, c->names[1], &found))
		query_not_found(c);
	if (vhost == NULL || c->status != 0)
		return DESK_DONE;
	c->answer = json_pack("{s:I, s:I}", "epoch", (json_int_t)found.epoch, "sequence",
			      (json_int_t)found.sequence);
	return DESK_DONE;
}

const struct route own_routes[] = {
	{ HTTP_GET, "leveret/route/*/*", RIGHT_MANAGEMENT, VHOST_SEEN, false, NULL, explain_route,
	  NULL },
	{ HTTP_POST, "leveret/route/*/*", RIGHT_MANAGEMENT, VHOST_SEEN, false, NULL, explain_route,
	  NULL },
	{ HTTP_GET, "leveret/may", RIGHT_MANAGEMENT, VHOST_NONE, false, NULL, explain_right, NULL },
	{ HTTP_GET, "leveret/keys/*", RIGHT_MANAGEMENT, VHOST_USED, false, NULL, look_up_key,
	  NULL },
	{ HTTP_DELETE, "leveret/keys/*", RIGHT_ADMIN, VHOST_USED, false, NULL, look_up_key, NULL },
	{ HTTP_GET, "leveret/producers/*/*", RIGHT_MANAGEMENT, VHOST_USED, false, NULL,
	  look_up_producer, NULL },
	{ HTTP_GET, NULL, RIGHT_NONE, VHOST_NONE, false, NULL, NULL, NULL },
};
