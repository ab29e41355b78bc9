/* Handshake: from the protocol header to connection.open-ok. */
#include "core/admin.h"
#include "core/inputs.h"

#include "session/state.h"

#include "auth/access.h"
#include "base/alloc.h"
#include "table.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* The versions that RabbitMQ takes for 0-9-1: the last two octets of old headers, and what start
 * says then. */
static const struct {
	uint8_t tail[4];
	uint8_t major;
	uint8_t minor;
} versions[] = {
	{ { 0, 0, 9, 1 }, 0, 9 },
	{ { 1, 1, 0, 9 }, 0, 9 },
	{ { 1, 1, 8, 0 }, 8, 0 },
};

static void write_capabilities(struct writer *w)
{
	static const char *const names[] = {
		"publisher_confirms",
		"exchange_exchange_bindings",
		"basic.nack",
		"consumer_cancel_notify",
		"connection.blocked",
		"consumer_priorities",
		"authentication_failure_close",
		"per_consumer_qos",
		"direct_reply_to",
		"lease_extend",
		"retry_after",
		"idempotency",
	};
	uint8_t *began = table_begin(w, "capabilities");
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		table_write_bool(w, names[i], true);
	table_end(w, began);
}

enum mechanism { PLAIN, AMQPLAIN, EXTERNAL, ANONYMOUS, MECHANISMS };

static const char *const mechanisms[MECHANISMS] = { "PLAIN", "AMQPLAIN", "EXTERNAL", "ANONYMOUS" };

static bool takes(const struct session *s, enum mechanism mechanism)
{
	const struct session_options *o = s->host->options;
	switch (mechanism) {
	case EXTERNAL: return s->host->vouch != NULL && o->takes_certificates && s->peer.is_tls;
	case ANONYMOUS: return s->host->vouch != NULL && o->takes_anyone;
	default: return true;
	}
}

/* MECHANISMS: none that is taken. */
static enum mechanism find_mechanism(const struct session *s, struct bytes name)
{
	for (enum mechanism i = PLAIN; i < MECHANISMS; i++)
		if (bytes_equal_str(name, mechanisms[i]) && takes(s, i))
			return i;
	return MECHANISMS;
}

static void list_mechanisms(const struct session *s, char *list, size_t size)
{
	size_t at = 0;
	for (enum mechanism i = PLAIN; i < MECHANISMS; i++)
		if (takes(s, i))
			at += (size_t)snprintf(list + at, size - at, "%s%s", at > 0 ? " " : "",
					       mechanisms[i]);
}

static void send_start(struct session *s, uint8_t major, uint8_t minor)
{
	char list[64];
	list_mechanisms(s, list, sizeof list);
	uint8_t properties[1024];
	struct writer w = writer_of(properties, sizeof properties);
	write_capabilities(&w);
	table_write_str(&w, "cluster_name", bytes_str(s->host->options->cluster_name));
	table_write_str(&w, "product", bytes_str(s->host->options->product));
	table_write_str(&w, "version", bytes_str(s->host->options->version));
	table_write_str(&w, "platform", bytes_str("C"));
	table_write_str(&w, "information", bytes_str("AMQP 0-9-1 with RabbitMQ's extensions"));
	struct method m = { .id = METHOD_connection_start };
	m.connection_start = (struct amqp_connection_start){
		.version_major = major,
		.version_minor = minor,
		.server_properties =
			bytes_of(properties, w.failed ? 0 : (size_t)(w.at - properties)),
		.mechanisms = bytes_str(list),
		.locales = bytes_str("en_US"),
	};
	send_method(s, 0, &m);
	s->handshake = AWAIT_START_OK;
}

/* Another protocol is told which one is spoken here. */
void handshake_header(struct session *s, const uint8_t header[PROTOCOL_HEADER_BYTES])
{
	static const uint8_t ours[PROTOCOL_HEADER_BYTES] = { 'A', 'M', 'Q', 'P', 0, 0, 9, 1 };
	if (memcmp(header, "AMQP", 4) == 0)
		for (size_t i = 0; i < sizeof versions / sizeof *versions; i++)
			if (memcmp(header + 4, versions[i].tail, 4) == 0) {
				send_start(s, versions[i].major, versions[i].minor);
				return;
			}
	session_warn(s, "bad protocol header");
	outbuf_copy(&s->out, bytes_of(ours, sizeof ours));
	session_end(s);
}

/* --- start-ok --- */

static bool capability(struct bytes properties, const char *name)
{
	struct bytes capabilities;
	bool is_there;
	return table_find_table(properties, "capabilities", &capabilities) &&
	       table_find_bool(capabilities, name, &is_there) && is_there;
}

/* authorisation identity, NUL, user, NUL, password (RFC 4616). */
static bool parse_plain(struct bytes response, struct bytes *user, struct bytes *password)
{
	const uint8_t *end = response.data + response.len;
	const uint8_t *first = response.len == 0 ? NULL : memchr(response.data, 0, response.len);
	const uint8_t *second =
		first == NULL ? NULL : memchr(first + 1, 0, (size_t)(end - first - 1));
	if (second == NULL)
		return false;
	*user = bytes_of(first + 1, (size_t)(second - first - 1));
	*password = bytes_of(second + 1, (size_t)(end - second - 1));
	return true;
}

/* A table without its length, with LOGIN and PASSWORD. */
static bool parse_amqplain(struct bytes response, struct bytes *user, struct bytes *password)
{
	return table_check(response) && table_find_string(response, "LOGIN", user) &&
	       table_find_string(response, "PASSWORD", password);
}

/* The specification has the server close the socket without a word, after a while, so that nobody
 * tries too often; clients that know better are told. */
static void refuse_login(struct session *s)
{
	session_warn(s, "login refused (%s)", s->mechanism);
	if (s->knows_auth_failure) {
		refuse_connection(s, 0, REPLY_ACCESS_REFUSED,
				  "Login was refused using authentication mechanism %s. For "
				  "details see the broker logfile.",
				  s->mechanism);
		return;
	}
	s->handshake = AWAIT_SILENCE;
	s->closing_ms = s->host->now_ms;
}

static void send_tune(struct session *s)
{
	const struct session_options *o = s->host->options;
	struct method m = { .id = METHOD_connection_tune };
	m.connection_tune = (struct amqp_connection_tune){
		.channel_max = o->channel_max,
		.frame_max = o->frame_max,
		.heartbeat = o->heartbeat_s,
	};
	send_method(s, 0, &m);
	s->handshake = AWAIT_TUNE_OK;
}

static void logged_in(struct session *s, struct user *account)
{
	if (account != NULL)
		s->account = user_hold(account);
	send_tune(s);
}

static void log_in(struct session *s, struct bytes password)
{
	struct user *account = NULL;
	switch (s->host->authenticate(s->host->arg, s, s->user, password, &account)) {
	case LOGIN_TAKEN: logged_in(s, account); break;
	case LOGIN_REFUSED: refuse_login(s); break;
	case LOGIN_LATER: s->handshake = AWAIT_LOGIN; break;
	}
}

/* What the client says of itself does not count. */
static void log_in_vouched(struct session *s, enum vouched by)
{
	struct bytes name = { NULL, 0 };
	struct user *account = NULL;
	bool is_known = s->host->vouch(s->host->arg, s, by, &name, &account);
	s->user = alloc_copy(name);
	if (is_known)
		logged_in(s, account);
	else
		refuse_login(s);
}

void session_login(struct session *s, bool is_right, struct user *account)
{
	assert(s->handshake == AWAIT_LOGIN);
	s->handshake = AWAIT_START_OK;
	if (is_right)
		logged_in(s, account);
	else
		refuse_login(s);
}

static void on_start_ok(struct session *s, const struct amqp_connection_start_ok *m)
{
	struct bytes user = { NULL, 0 }, password = { NULL, 0 };
	if (!table_check(m->client_properties)) {
		refuse_connection(s, METHOD_connection_start_ok, REPLY_SYNTAX_ERROR,
				  "malformed client properties");
		return;
	}
	free((void *)s->client_properties.data);
	s->client_properties = alloc_copy(m->client_properties);
	s->knows_auth_failure = capability(m->client_properties, "authentication_failure_close");
	s->knows_cancel = capability(m->client_properties, "consumer_cancel_notify");
	s->knows_idempotency = capability(m->client_properties, "idempotency");
	s->knows_blocked = capability(m->client_properties, "connection.blocked");
	enum mechanism mechanism = find_mechanism(s, m->mechanism);
	if (mechanism == MECHANISMS) {
		refuse_connection(s, METHOD_connection_start_ok, REPLY_COMMAND_INVALID,
				  "unknown authentication mechanism '%.*s'",
				  BYTES_ARG(m->mechanism));
		return;
	}
	s->mechanism = mechanisms[mechanism];
	if (mechanism == EXTERNAL || mechanism == ANONYMOUS) {
		log_in_vouched(s, mechanism == EXTERNAL ? VOUCHED_EXTERNAL : VOUCHED_ANONYMOUS);
		return;
	}
	bool is_parsed = mechanism == PLAIN ? parse_plain(m->response, &user, &password)
					    : parse_amqplain(m->response, &user, &password);
	if (is_parsed && bytes_is_utf8(user) && user.len <= USER_NAME_MAX) {
		s->user = alloc_copy(user);
		log_in(s, password);
	} else {
		refuse_login(s);
	}
}

/* --- tune-ok and open --- */

/* 0 means no limit, which here is ours. */
static bool negotiate(struct session *s, const char *what, uint32_t asked, uint32_t most,
		      uint32_t least, uint32_t *agreed)
{
	*agreed = asked == 0 ? most : asked;
	if (*agreed > most)
		refuse_connection(
			s, METHOD_connection_tune_ok, REPLY_NOT_ALLOWED,
			"negotiated %s = %u is higher than the maximum allowed value (%u)", what,
			asked, most);
	else if (*agreed < least)
		refuse_connection(s, METHOD_connection_tune_ok, REPLY_NOT_ALLOWED,
				  "negotiated %s = %u is lower than the minimum allowed value (%u)",
				  what, asked, least);
	return *agreed <= most && *agreed >= least;
}

static void on_tune_ok(struct session *s, const struct amqp_connection_tune_ok *m)
{
	const struct session_options *o = s->host->options;
	uint32_t frame_max, channel_max;
	if (!negotiate(s, "frame_max", m->frame_max, o->frame_max, FRAME_MAX_MIN, &frame_max) ||
	    !negotiate(s, "channel_max", m->channel_max, o->channel_max, 1, &channel_max))
		return;
	s->frame_max = frame_max;
	s->channel_max = (uint16_t)channel_max;
	s->heartbeat_s = m->heartbeat;
	s->handshake = AWAIT_OPEN;
}

static bool may_enter(struct session *s, const struct vhost *vhost)
{
	const struct user *u = s->account;
	int64_t most = vhost_settings(vhost).connections_max;
	if (most >= 0 && vhost_connections(vhost) >= (uint64_t)most)
		refuse_connection(s, METHOD_connection_open, REPLY_NOT_ALLOWED,
				  "access to vhost '%.*s' refused for user '%.*s': connection "
				  "limit (%" PRId64 ") is reached",
				  BYTES_ARG(vhost_name(vhost)), BYTES_ARG(s->user), most);
	else if (u != NULL && u->connections_max >= 0 &&
		 u->connections_len >= (uint64_t)u->connections_max)
		refuse_connection(s, METHOD_connection_open, REPLY_NOT_ALLOWED,
				  "connection refused for user '%.*s': user connection limit "
				  "(%" PRId64 ") is reached",
				  BYTES_ARG(s->user), u->connections_max);
	else if (u != NULL && (u->is_deleted || user_grant(u, vhost_name(vhost)) == NULL))
		refuse_connection(s, METHOD_connection_open, REPLY_NOT_ALLOWED,
				  "access to vhost '%.*s' refused for user '%.*s'",
				  BYTES_ARG(vhost_name(vhost)), BYTES_ARG(s->user));
	else
		return true;
	return false;
}

static void enter(struct session *s, struct vhost *vhost)
{
	s->connection = connection_open(s->host->core, vhost, s->user);
	connection_set_owner(s->connection, s);
	if (s->account == NULL)
		return;
	s->account->connections_len++;
	s->access = alloc_zeroed(sizeof *s->access);
	access_init(s->access, s->account, vhost_name(vhost), s->host->hash_seed);
	if (user_has_tag(s->account, "impersonator"))
		connection_let_impersonate(s->connection);
}

static void on_open(struct session *s, const struct amqp_connection_open *m)
{
	struct vhost *vhost = core_vhost(s->host->core, m->virtual_host);
	if (vhost == NULL) {
		refuse_connection(s, METHOD_connection_open, REPLY_NOT_ALLOWED,
				  "vhost %.*s not found", BYTES_ARG(m->virtual_host));
		return;
	}
	if (!may_enter(s, vhost))
		return;
	enter(s, vhost);
	if (s->knows_idempotency)
		connection_tell_repeated(s->connection);
	s->handshake = HANDSHAKE_DONE;
	s->phase = SESSION_OPEN;
	struct method reply = { .id = METHOD_connection_open_ok };
	send_method(s, 0, &reply);
	session_log(s, "open: vhost '%.*s'", BYTES_ARG(vhost_name(vhost)));
}

void handshake_method(struct session *s, const struct method *m)
{
	if (m->id == METHOD_connection_close) {
		struct method reply = { .id = METHOD_connection_close_ok };
		send_method(s, 0, &reply);
		session_end(s);
	} else if (s->handshake == AWAIT_START_OK && m->id == METHOD_connection_start_ok) {
		on_start_ok(s, &m->connection_start_ok);
	} else if (s->handshake == AWAIT_TUNE_OK && m->id == METHOD_connection_tune_ok) {
		on_tune_ok(s, &m->connection_tune_ok);
	} else if (s->handshake == AWAIT_OPEN && m->id == METHOD_connection_open) {
		on_open(s, &m->connection_open);
	} else {
		refuse_connection(s, m->id, REPLY_COMMAND_INVALID,
				  "unexpected method %s during the handshake", method_name(m->id));
	}
}
