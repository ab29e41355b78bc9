/* Connections, channels and consumers. */
#include "api/connections.h"

#include "api/stats.h"
#include "api/walk.h"

#include "auth/users.h"
#include "net/net.h"
#include "table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- names: "127.0.0.1:40000 -> 127.0.0.1:5672" --- */

/* Of a side of the name: host and port. */
static void put_address(struct fields *f, struct bytes side, const char *host, const char *port)
{
	size_t at = side.len;
	while (at > 0 && side.data[at - 1] != ':')
		at--;
	FIELD_TEXT(f, host, bytes_of(side.data, at == 0 ? side.len : at - 1));
	int number = 0;
	for (size_t i = at; at > 0 && i < side.len; i++)
		number = number * 10 + (side.data[i] - '0');
	FIELD_INT(f, port, number);
}

static void split_name(struct bytes name, struct bytes *peer, struct bytes *own)
{
	static const char arrow[] = " -> ";
	const uint8_t *at = memmem(name.data, name.len, arrow, sizeof arrow - 1);
	size_t len = at == NULL ? name.len : (size_t)(at - name.data);
	size_t skip = at == NULL ? name.len : len + sizeof arrow - 1;
	*peer = bytes_of(name.data, len);
	*own = bytes_of(name.data + skip, name.len - skip);
}

/* --- as JSON --- */

static json_t *connection_json(struct query *c, const void *from, const struct columns *columns)
{
	const struct connection_row *row = from;
	const struct session_info *s = &row->i;
	struct fields f = { json_object(), columns };
	struct bytes peer, own, given;
	split_name(row->name, &peer, &own);
	put_address(&f, peer, "peer_host", "peer_port");
	put_address(&f, own, "host", "port");
	FIELD_TEXT(&f, "name", row->name);
	FIELD_TEXT(&f, "user", s->user);
	FIELD_TEXT(&f, "user_who_performed_action", s->user);
	FIELD_TEXT(&f, "vhost", s->vhost);
	FIELD_STR(&f, "node", c->api->options.node);
	FIELD_STR(&f, "state", s->state);
	FIELD_STR(&f, "type", "network");
	FIELD_STR(&f, "protocol", "AMQP 0-9-1");
	FIELD_STR(&f, "auth_mechanism", s->mechanism);
	FIELD_INT(&f, "channels", s->channels);
	FIELD_INT(&f, "channel_max", s->channel_max);
	FIELD_INT(&f, "frame_max", s->frame_max);
	FIELD_INT(&f, "timeout", s->heartbeat_s);
	FIELD_INT(&f, "connected_at", s->connected_ms);
	FIELD_INT(&f, "recv_cnt", s->reads);
	FIELD_INT(&f, "send_cnt", s->writes);
	FIELD_INT(&f, "send_pend", s->unsent_bytes);
	FIELD_BOOL(&f, "ssl", s->is_tls);
	FIELD(&f, "ssl_protocol", json_null());
	FIELD(&f, "ssl_cipher", json_null());
	FIELD(&f, "ssl_hash", json_null());
	FIELD(&f, "ssl_key_exchange", json_null());
	FIELD(&f, "peer_cert_subject", json_null());
	FIELD(&f, "peer_cert_issuer", json_null());
	FIELD(&f, "peer_cert_validity", json_null());
	FIELD(&f, "client_properties", table_json(s->client_properties));
	if (table_find_string(s->client_properties, "connection_name", &given))
		FIELD_TEXT(&f, "user_provided_name", given);
	const struct stat stats[] = { { "recv_oct", s->read_bytes, true },
				      { "send_oct", s->written_bytes, true } };
	const struct stat_key key = { 'c', bytes_of("", 0), row->name };
	stats_put(c, &f, &key, stats, 2);
	return f.object;
}

static json_t *channel_name(struct bytes connection, uint16_t number)
{
	char text[300];
	snprintf(text, sizeof text, "%.*s (%u)", BYTES_ARG(connection), number);
	return json_string(text);
}

static json_t *connection_details(struct bytes connection)
{
	struct fields f = { json_object(), NULL };
	struct bytes peer, own;
	split_name(connection, &peer, &own);
	put_address(&f, peer, "peer_host", "peer_port");
	FIELD_TEXT(&f, "name", connection);
	return f.object;
}

static json_t *channel_details(const struct query *c, const struct consumer_row *row)
{
	struct fields f = { connection_details(row->connection), NULL };
	FIELD(&f, "name", channel_name(row->connection, row->number));
	FIELD_TEXT(&f, "connection_name", row->connection);
	FIELD_INT(&f, "number", row->number);
	FIELD_STR(&f, "node", c->api->options.node);
	FIELD_TEXT(&f, "user", row->user);
	return f.object;
}

static json_t *channel_json(struct query *c, const void *from, const struct columns *columns)
{
	const struct channel_row *row = from;
	const struct channel_info *i = &row->i;
	struct fields f = { json_object(), columns };
	char name[300];
	FIELD(&f, "name", channel_name(row->connection, row->number));
	FIELD_INT(&f, "number", row->number);
	FIELD_TEXT(&f, "user", i->user);
	FIELD_TEXT(&f, "user_who_performed_action", i->user);
	FIELD_TEXT(&f, "vhost", i->vhost);
	FIELD_STR(&f, "node", c->api->options.node);
	FIELD_STR(&f, "state", "running");
	FIELD(&f, "connection_details", connection_details(row->connection));
	FIELD_BOOL(&f, "confirm", i->is_confirm);
	FIELD_BOOL(&f, "transactional", i->is_tx);
	FIELD_INT(&f, "prefetch_count", i->prefetch);
	FIELD_INT(&f, "global_prefetch_count", i->global_prefetch);
	FIELD_INT(&f, "consumer_count", i->consumers);
	FIELD_INT(&f, "messages_unacknowledged", i->unacked);
	FIELD_INT(&f, "messages_unconfirmed", i->unconfirmed);
	FIELD_INT(&f, "messages_uncommitted", i->uncommitted);
	FIELD_INT(&f, "acks_uncommitted", i->uncommitted_acks);
	struct stat stats[MESSAGE_STATS + 3];
	size_t len = stats_of_messages(&i->stats, stats);
	stats[len++] = (struct stat){ "confirm", i->confirmed, false };
	stats[len++] = (struct stat){ "return_unroutable", i->returned, false };
	stats[len++] = (struct stat){ "drop_unroutable", i->dropped, false };
	snprintf(name, sizeof name, "%.*s (%u)", BYTES_ARG(row->connection), row->number);
	const struct stat_key key = { 'h', bytes_of("", 0), bytes_str(name) };
	stats_put(c, &f, &key, stats, len);
	return f.object;
}

json_t *consumer_json(struct query *c, const void *from, const struct columns *columns)
{
	const struct consumer_row *row = from;
	const struct consumer_info *i = &row->i;
	struct fields f = { json_object(), columns };
	FIELD_TEXT(&f, "consumer_tag", i->tag);
	FIELD(&f, "queue",
	      json_pack("{s:o, s:o}", "name", json_of_text(i->queue), "vhost",
			json_of_text(i->vhost)));
	FIELD(&f, "channel_details", channel_details(c, row));
	FIELD_BOOL(&f, "ack_required", !i->is_no_ack);
	FIELD_BOOL(&f, "exclusive", i->is_exclusive);
	FIELD_BOOL(&f, "active", i->is_active);
	FIELD_STR(&f, "activity_status",
		  i->is_single   ? "single_active"
		  : i->is_active ? "up"
				 : "waiting");
	FIELD_INT(&f, "prefetch_count", i->prefetch);
	FIELD_INT(&f, "messages_unacknowledged", i->unacked);
	FIELD_INT(&f, "priority", i->priority);
	FIELD(&f, "arguments", table_json(i->arguments));
	return f.object;
}

/* --- lists --- */

static enum desk_step walk(struct query *c, enum sheet_kind kind, const struct bytes *connection)
{
	const struct walk_wanted wanted = {
		.kind = kind,
		.vhost = c->route->vhost == VHOST_NONE ? NULL : &c->names[0],
		.connection = connection,
		.is_own = true,
	};
	return walk_step(c, &wanted);
}

static enum desk_step list_connections(struct query *c)
{
	return walk(c, SHEET_CONNECTIONS, NULL);
}

static void tell_connections(struct query *c)
{
	list_reply(c, connection_json, "name");
}

static enum desk_step list_channels(struct query *c)
{
	return walk(c, SHEET_CHANNELS, NULL);
}

static void tell_channels(struct query *c)
{
	list_reply(c, channel_json, "name");
}

static enum desk_step list_consumers(struct query *c)
{
	return walk(c, SHEET_CONSUMERS, NULL);
}

/* Anybody may ask of a virtual host that is not his, and sees nothing. */
static enum desk_step list_consumers_of(struct query *c)
{
	const struct walk_wanted wanted = { .kind = SHEET_CONSUMERS, .vhost = &c->names[0] };
	if (core_vhost(c->api->options.core, c->names[0]) == NULL) {
		query_not_found(c);
		return DESK_DONE;
	}
	return walk_step(c, &wanted);
}

static void tell_consumers(struct query *c)
{
	list_reply(c, consumer_json, "consumer_tag");
}

/* --- one --- */

static enum desk_step get_connection(struct query *c)
{
	enum desk_step step = walk(c, SHEET_CONNECTIONS, &c->names[0]);
	if (step == DESK_DONE && sheet_len(c->sheet) == 0)
		query_not_found(c);
	return step;
}

static void tell_connection(struct query *c)
{
	list_reply_object(c, connection_json(c, sheet_row(c->sheet, 0), NULL));
}

static enum desk_step channels_of_connection(struct query *c)
{
	if (c->one == NULL) {
		enum desk_step step = get_connection(c);
		if (step == DESK_AGAIN || c->status >= 400)
			return step;
		c->one = c->sheet;
		c->sheet = NULL;
	}
	return walk(c, SHEET_CHANNELS, &c->names[0]);
}

static enum desk_step get_channel(struct query *c)
{
	const struct walk_wanted wanted = { .kind = SHEET_CHANNELS,
					    .channel = &c->names[0],
					    .is_own = true };
	const struct walk_wanted consumers = { .kind = SHEET_CONSUMERS };
	if (c->one == NULL) {
		enum desk_step step = walk_step(c, &wanted);
		if (step == DESK_AGAIN)
			return step;
		if (sheet_len(c->sheet) == 0) {
			query_not_found(c);
			return DESK_DONE;
		}
		c->one = c->sheet;
		c->sheet = NULL;
	}
	return walk_step(c, &consumers);
}

static void tell_channel(struct query *c)
{
	const struct channel_row *channel = sheet_row(c->one, 0);
	json_t *json = channel_json(c, channel, NULL), *consumers = json_array();
	for (size_t i = 0; i < sheet_len(c->sheet); i++) {
		const struct consumer_row *row = sheet_row(c->sheet, i);
		if (row->number == channel->number &&
		    bytes_equal(row->connection, channel->connection))
			json_array_append_new(consumers, consumer_json(c, row, NULL));
	}
	json_object_set_new(json, "consumer_details", consumers);
	json_object_set_new(json, "publishes", json_array());
	json_object_set_new(json, "deliveries", json_array());
	list_reply_object(c, json);
}

/* --- closing --- */

struct closing {
	struct query *query;
	struct bytes name; /* Empty: those of user. */
	struct bytes user;
	size_t closed;
	size_t forbidden;
};

static void close_one(void *arg, struct session *session)
{
	struct closing *l = arg;
	struct session_info i = session_info(session);
	struct bytes reason = bytes_str("Closed via management plugin");
	char text[256];
	bool is_it = l->name.len > 0 ? bytes_equal_str(l->name, session_connection_name(session))
				     : bytes_equal(l->user, i.user);
	if (!is_it)
		return;
	if (!user_has_tag(l->query->user, "administrator") &&
	    !bytes_equal(i.user, l->query->user->name)) {
		l->forbidden++;
		return;
	}
	http_header(l->query->request, "x-reason", &reason);
	snprintf(text, sizeof text, "CONNECTION_FORCED - %.*s",
		 (int)(reason.len < 200 ? reason.len : 200), (const char *)reason.data);
	session_shutdown(session, REPLY_CONNECTION_FORCED,
			 text + sizeof "CONNECTION_FORCED - " - 1);
	l->closed++;
}

/* One turn for all: who is closed is only told to end. */
static struct closing close_those(struct query *c, struct bytes name, struct bytes user)
{
	struct closing l = { .query = c, .name = name, .user = user };
	net_each(c->api->options.net, close_one, &l);
	if (l.closed + l.forbidden > 0)
		query_audit(c,
			    json_pack("{s:s, s:o, s:o, s:I}", "command", "close_connection", "name",
				      json_of_text(name), "user", json_of_text(user), "closed",
				      (json_int_t)l.closed),
			    l.forbidden > 0 ? "Not administrator user" : NULL);
	return l;
}

static enum desk_step delete_connection(struct query *c)
{
	struct closing l = close_those(c, c->names[0], bytes_of("", 0));
	if (l.forbidden > 0)
		query_unauthorised(c, "Not administrator user");
	else if (l.closed == 0)
		query_not_found(c);
	else
		c->status = 204;
	return DESK_DONE;
}

static enum desk_step delete_connections_of(struct query *c)
{
	bool is_own = bytes_equal(c->names[0], c->user->name);
	if (!user_has_tag(c->user, "administrator") && !is_own)
		query_unauthorised(c, "Not administrator user");
	else {
		close_those(c, bytes_of("", 0), c->names[0]);
		c->status = 204;
	}
	return DESK_DONE;
}

static enum desk_step list_connections_of(struct query *c)
{
	const struct walk_wanted wanted = { .kind = SHEET_CONNECTIONS, .user = &c->names[0] };
	if (!c->sees_all && !bytes_equal(c->names[0], c->user->name)) {
		query_unauthorised(c, "User not authorised to access object");
		return DESK_DONE;
	}
	return walk_step(c, &wanted);
}

#define READ(path, vhost, step, tell)                                            \
	{                                                                        \
		HTTP_GET, path, RIGHT_MANAGEMENT, vhost, false, NULL, step, tell \
	}

const struct route connection_routes[] = {
	READ("connections", VHOST_NONE, list_connections, tell_connections),
	READ("connections/username/*", VHOST_NONE, list_connections_of, tell_connections),
	{ HTTP_DELETE, "connections/username/*", RIGHT_MANAGEMENT, VHOST_NONE, false, NULL,
	  delete_connections_of, NULL },
	READ("connections/*", VHOST_NONE, get_connection, tell_connection),
	{ HTTP_DELETE, "connections/*", RIGHT_MANAGEMENT, VHOST_NONE, false, NULL,
	  delete_connection, NULL },
	READ("connections/*/channels", VHOST_NONE, channels_of_connection, tell_channels),
	READ("vhosts/*/connections", VHOST_SEEN, list_connections, tell_connections),
	READ("vhosts/*/channels", VHOST_SEEN, list_channels, tell_channels),
	READ("channels", VHOST_NONE, list_channels, tell_channels),
	READ("channels/*", VHOST_NONE, get_channel, tell_channel),
	READ("consumers", VHOST_NONE, list_consumers, tell_consumers),
	READ("consumers/*", VHOST_NONE, list_consumers_of, tell_consumers),
	{ HTTP_GET, NULL, RIGHT_NONE, VHOST_NONE, false, NULL, NULL, NULL },
};
