/* Session: frames in order, refusals, time. */
#include "core/inputs.h"

#include "session/state.h"

#include "auth/access.h"
#include "base/alloc.h"
#include "base/siphash.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { CLOSE_TIMEOUT_MS = 10000 }; /* How long a close-ok is waited for. */

struct session *session_create(struct session_host *host, const struct session_peer *peer)
{
	struct session *s = alloc_zeroed(sizeof *s);
	s->host = host;
	s->peer = *peer;
	s->frame_max = SESSION_HANDSHAKE_BYTES;
	s->is_writable = true;
	s->began_ms = s->received_ms = s->sent_ms = s->moved_ms = host->now_ms;
	outbuf_init(&s->out, host->outbufs);
	return s;
}

static void close_core(struct session *s)
{
	if (s->handshake == AWAIT_LOGIN) {
		s->host->forget_login(s->host->arg, s);
		s->handshake = AWAIT_SILENCE;
	}
	for (size_t i = 0; i < s->channels_len; i++)
		if (s->channels[i] != NULL)
			session_channel_destroy(s->channels[i]);
	if (s->connection != NULL)
		connection_close(s->connection);
	if (s->connection != NULL && s->account != NULL)
		s->account->connections_len--;
	s->connection = NULL;
	if (s->access != NULL)
		access_fini(s->access);
	free(s->access);
	s->access = NULL;
	hold_drop(s);
}

void session_destroy(struct session *s)
{
	close_core(s);
	outbuf_fini(&s->out);
	free((void *)s->held.data);
	free((void *)s->user.data);
	free((void *)s->client_properties.data);
	user_release(s->account);
	free(s->channels);
	free(s);
}

enum session_phase session_phase(const struct session *s)
{
	return s->phase;
}

const char *session_peer_name(const struct session *s)
{
	return s->peer.name;
}

const char *session_connection_name(const struct session *s)
{
	return s->peer.connection_name != NULL ? s->peer.connection_name : s->peer.name;
}

const struct session_peer *session_peer(const struct session *s)
{
	return &s->peer;
}

const struct user *session_account(const struct session *s)
{
	return s->account;
}

void *session_owner(const struct session *s)
{
	return s->peer.owner;
}

struct outbuf *session_out(struct session *s)
{
	return &s->out;
}

bool session_is_publisher(const struct session *s)
{
	return s->has_published;
}

bool session_is_throttled(const struct session *s)
{
	return s->connection != NULL && connection_is_throttled(s->connection);
}

void session_log(struct session *s, const char *format, ...)
{
	char text[512];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	s->host->log(s->host->arg, s, false, s->connection == NULL ? format : NULL, text);
}

void session_warn(struct session *s, const char *format, ...)
{
	char text[512];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	s->host->log(s->host->arg, s, true, s->connection == NULL ? format : NULL, text);
}

/* Who connects and says nothing looks whether the port is open; who has been refused may go. */
void session_lost(struct session *s, const char *why)
{
	bool is_probe = s->reads == 0 && !s->peer.is_tls;
	if (s->phase == SESSION_OPEN)
		session_warn(s, "connection lost: %s", why);
	else if (s->phase == SESSION_HANDSHAKE && s->handshake != AWAIT_SILENCE && !is_probe)
		session_warn(s, "connection lost before it was open: %s", why);
}

struct bytes session_name(struct session *s, const char *prefix, char *buffer)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const struct siphash_key key = siphash_key_of(s->peer.seed);
	uint64_t numbers[] = { ++s->names_last, 0 }, words[2];
	for (size_t i = 0; i < 2; i++) {
		numbers[1] = i;
		words[i] = siphash(&key, bytes_of(numbers, sizeof numbers));
	}
	size_t len = strlen(prefix);
	memcpy(buffer, prefix, len);
	for (size_t i = 0; i < 22; i++)
		buffer[len++] = digits[words[i / 11] >> (i % 11 * 6) & 63];
	assert(len <= NAME_BYTES);
	return bytes_of(buffer, len);
}

struct session_info session_info(const struct session *s)
{
	static const char *const states[] = {
		[SESSION_HANDSHAKE] = "starting",
		[SESSION_OPEN] = "running",
		[SESSION_CLOSING] = "closing",
		[SESSION_ENDED] = "closed",
	};
	return (struct session_info){
		.user = s->user,
		.vhost = s->connection == NULL ? bytes_of(NULL, 0)
					       : vhost_name(connection_vhost(s->connection)),
		.state = s->is_blocked ? "blocked" : states[s->phase],
		.mechanism = s->mechanism == NULL ? "" : s->mechanism,
		.client_properties = s->client_properties,
		.channels = s->channels_open,
		.frame_max = s->frame_max,
		.channel_max = s->channel_max,
		.heartbeat_s = s->heartbeat_s,
		.connected_ms = s->host->epoch_ms + s->began_ms,
		.reads = s->reads,
		.read_bytes = s->read_bytes,
		.writes = s->writes,
		.written_bytes = s->out.taken,
		.unsent_bytes = s->out.len,
		.is_tls = s->peer.is_tls,
	};
}

/* --- channels --- */

struct session *session_of_channel(const void *owner, uint16_t *number)
{
	const struct session_channel *ch = owner;
	*number = ch->number;
	return ch->session;
}

struct session_channel *session_channel_open(struct session *s, uint16_t number)
{
	if (number >= s->channels_len) {
		size_t len = (size_t)number + 1 > s->channels_len * 2 ? (size_t)number + 1
								      : s->channels_len * 2;
		s->channels = alloc_resize(s->channels, len * sizeof *s->channels);
		memset(s->channels + s->channels_len, 0,
		       (len - s->channels_len) * sizeof *s->channels);
		s->channels_len = len;
	}
	struct session_channel *ch = alloc_zeroed(sizeof *ch);
	ch->session = s;
	ch->number = number;
	ch->channel = channel_open(s->connection, ch);
	s->channels[number] = ch;
	s->channels_open++;
	if (s->account != NULL)
		s->account->channels_len++;
	return ch;
}

static void leave_core(struct session_channel *ch)
{
	content_drop(ch);
	if (ch->channel != NULL)
		channel_close(ch->channel);
	ch->channel = NULL;
}

void session_channel_destroy(struct session_channel *ch)
{
	leave_core(ch);
	ch->session->channels[ch->number] = NULL;
	ch->session->channels_open--;
	if (ch->session->account != NULL)
		ch->session->account->channels_len--;
	free(ch->content);
	free((void *)ch->last_queue.data);
	free(ch);
}

/* --- refusals and ends --- */

void session_end(struct session *s)
{
	close_core(s);
	s->phase = SESSION_ENDED;
}

static void send_connection_close(struct session *s, uint32_t method, const struct refusal *refusal)
{
	struct method m = { .id = METHOD_connection_close };
	m.connection_close = (struct amqp_connection_close){
		.reply_code = refusal->code,
		.reply_text = bytes_of(refusal->text, refusal->text_len),
		.class_id = (uint16_t)(method >> 16),
		.method_id = (uint16_t)method,
	};
	send_method(s, 0, &m);
	close_core(s);
	s->phase = s->phase == SESSION_HANDSHAKE ? SESSION_ENDED : SESSION_CLOSING;
	s->closing_ms = s->host->now_ms;
}

static void close_with(struct session *s, uint32_t method, const struct refusal *refusal)
{
	if (s->phase == SESSION_CLOSING || s->phase == SESSION_ENDED)
		return;
	session_warn(s, "closing connection: %u %s", refusal->code, refusal->text);
	send_connection_close(s, method, refusal);
}

void refuse_connection(struct session *s, uint32_t method, enum reply_code code, const char *format,
		       ...)
{
	struct refusal refusal;
	char text[600];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	refuse(&refusal, code, "%s", text);
	close_with(s, method, &refusal);
}

void refuse_method(struct session *s, struct session_channel *ch, uint32_t method,
		   const struct refusal *refusal)
{
	if (reply_is_hard(refusal->code)) {
		close_with(s, method, refusal);
		return;
	}
	session_log(s, "closing channel %u: %u %s", ch->number, refusal->code, refusal->text);
	struct method m = { .id = METHOD_channel_close };
	m.channel_close = (struct amqp_channel_close){
		.reply_code = refusal->code,
		.reply_text = bytes_of(refusal->text, refusal->text_len),
		.class_id = (uint16_t)(method >> 16),
		.method_id = (uint16_t)method,
	};
	leave_core(ch);
	drop_held(s, ch->number);
	send_method(s, ch->number, &m);
}

void session_shutdown(struct session *s, enum reply_code code, const char *text)
{
	if (s->phase == SESSION_HANDSHAKE)
		session_end(s);
	else
		refuse_connection(s, 0, code, "%s", text);
}

/* --- frames --- */

static void unexpected(struct session *s, const char *text)
{
	refuse_connection(s, 0, REPLY_UNEXPECTED_FRAME, "%s", text);
}

/* "<<0,20,97>>": how RabbitMQ prints bytes; cut short, the text has 255 at most anyway. */
static void print_binary(char *out, size_t size, struct bytes b)
{
	size_t at = (size_t)snprintf(out, size, "<<");
	for (size_t i = 0; i < b.len && at + 8 < size; i++)
		at += (size_t)snprintf(out + at, size - at, "%s%u", i == 0 ? "" : ",", b.data[i]);
	snprintf(out + at, size - at, ">>");
}

static void refuse_payload(struct session *s, const struct frame *f, const char *why)
{
	char octets[280];
	bool is_text = f->payload.len > 0;
	for (size_t i = 0; i < f->payload.len; i++)
		is_text &= f->payload.data[i] >= ' ' && f->payload.data[i] < 127;
	if (is_text)
		snprintf(octets, sizeof octets, "<<\"%.*s\">>", BYTES_ARG(f->payload));
	else
		print_binary(octets, sizeof octets, f->payload);
	refuse_connection(s, 0, REPLY_FRAME_ERROR, "type %u, all octets = %s: %s", f->type, octets,
			  why);
}

static void refuse_undecoded(struct session *s, struct bytes payload, uint32_t method, int rc)
{
	char octets[280];
	if (rc == METHOD_NOT_UTF8) {
		refuse_connection(s, 0, REPLY_FRAME_ERROR, "Malformed UTF-8 in shortstr");
	} else if (rc == METHOD_UNKNOWN) {
		refuse_connection(s, method, REPLY_COMMAND_INVALID, "unknown method %u.%u",
				  method >> 16, method & 0xffff);
	} else {
		bool has_id = payload.len >= 4;
		print_binary(octets, sizeof octets,
			     has_id ? bytes_of(payload.data + 4, payload.len - 4) : payload);
		refuse_connection(s, has_id ? method : 0, REPLY_FRAME_ERROR, "cannot decode %s",
				  octets);
	}
}

/* Most of what input causes is found out when the turn ends. What looks at a queue, or changes who
 * takes from it, must find that done: a consumer that waits has been given what was published
 * before, what is too much has left. */
static void catch_up(struct session *s, uint32_t method)
{
	switch (method) {
	case METHOD_basic_publish:
	case METHOD_confirm_select:
	case METHOD_tx_select:
	case METHOD_channel_open:
	case METHOD_channel_close_ok:
	case METHOD_connection_close_ok: break;
	case METHOD_basic_ack: /* They come in floods, and most make no difference. */
	case METHOD_basic_nack:
	case METHOD_basic_reject:
	case METHOD_tx_commit:
		if (core_is_overdue(s->host->core))
			s->host->drain(s->host->arg);
		break;
	default:
		if (core_is_behind(s->host->core))
			s->host->drain(s->host->arg);
	}
}

static enum handled on_method(struct session *s, const struct frame *f)
{
	struct method m;
	struct session_channel *ch = session_channel(s, f->channel);
	if (ch != NULL && ch->content_state != CONTENT_NONE) {
		content_unexpected(ch);
		return HANDLED;
	}
	if (ch != NULL && content_begin_again(ch, f->payload))
		return HANDLED;
	int rc = method_decode(&m, f->payload);
	if (rc == METHOD_OK)
		catch_up(s, m.id);
	if (rc != METHOD_OK)
		refuse_undecoded(s, f->payload, m.id, rc);
	else if (s->phase == SESSION_HANDSHAKE)
		handshake_method(s, &m);
	else if (f->channel == 0)
		connection_method(s, &m);
	else
		return channel_method(s, ch, f->channel, &m);
	return HANDLED;
}

static enum handled on_content(struct session *s, const struct frame *f)
{
	struct session_channel *ch = session_channel(s, f->channel);
	if (ch != NULL && ch->channel == NULL)
		return HANDLED; /* Of a channel that we have closed. */
	if (ch == NULL || ch->content_state == CONTENT_NONE)
		unexpected(s, "expected method frame, got non method frame instead");
	else if (ch->content_state == CONTENT_HEADER && f->type == FRAME_HEADER)
		return content_header(ch, f->payload);
	else if (ch->content_state == CONTENT_BODY && f->type == FRAME_BODY)
		return content_body(ch, f->payload);
	else
		content_unexpected(ch);
	return HANDLED;
}

/* While we wait for close-ok, nothing else matters. */
static void on_closing(struct session *s, const struct frame *f)
{
	struct method m;
	if (f->type != FRAME_METHOD || f->channel != 0 ||
	    method_decode(&m, f->payload) != METHOD_OK)
		return;
	if (m.id == METHOD_connection_close) {
		struct method ok = { .id = METHOD_connection_close_ok };
		send_method(s, 0, &ok);
	}
	if (m.id == METHOD_connection_close || m.id == METHOD_connection_close_ok)
		session_end(s);
}

static enum handled on_frame(struct session *s, const struct frame *f)
{
	if (s->phase == SESSION_CLOSING) {
		on_closing(s, f);
		return HANDLED;
	}
	switch (f->type) {
	case FRAME_METHOD: return on_method(s, f);
	case FRAME_HEADER:
	case FRAME_BODY: return on_content(s, f);
	case FRAME_HEARTBEAT:
		if (f->payload.len > 0)
			refuse_payload(s, f, "unknown_frame");
		else if (f->channel != 0)
			unexpected(s, "type 8, all octets = <<>>");
		break;
	default: refuse_payload(s, f, "unknown_frame");
	}
	return HANDLED;
}

static void refuse_frame(struct session *s, const struct frame *f, int rc, struct bytes data)
{
	char why[64];
	if (rc == FRAME_TOO_LARGE) {
		refuse_connection(s, 0, REPLY_FRAME_ERROR,
				  "type %u, all octets = <<>>: {frame_too_large,%u,%u}", f->type,
				  f->size, s->frame_max - FRAME_OVERHEAD);
		return;
	}
	snprintf(why, sizeof why, "{invalid_frame_end_marker,%u}",
		 data.data[FRAME_HEAD_BYTES + f->payload.len]);
	refuse_payload(s, f, why);
}

static bool takes_input(const struct session *s)
{
	return s->phase != SESSION_ENDED && s->wait_sequence == 0 && !s->is_retry &&
	       !handshake_is_waiting(s);
}

/* False: nothing has happened, it is to come again in the next turn. */
static bool take_frame(struct session *s, const struct frame *f)
{
	if (on_frame(s, f) == HANDLED)
		return true;
	s->is_retry = true;
	s->wait_sequence = s->host->batch->sequence;
	return false;
}

/* What was kept comes before what is new; some of it may have to wait for another alarm. */
static void take_kept(struct session *s)
{
	struct kept kept = hold_take(s);
	size_t at = 0, used = 0;
	while (at < kept.len && takes_input(s)) {
		struct frame f;
		struct bytes rest = bytes_of(kept.data + at, kept.len - at);
		int rc = frame_parse(rest, s->frame_max + SESSION_FRAME_FUDGE, &f, &used);
		assert(rc == FRAME_OK);
		if (hold_wants(s, &f))
			hold_keep(s, &f, bytes_of(rest.data, used));
		else if (!take_frame(s, &f))
			break;
		at += used;
	}
	if (at < kept.len && s->phase == SESSION_OPEN) {
		hold_append(s, bytes_of(kept.data + at, kept.len - at));
		s->kept.is_due = true;
	}
	free(kept.data);
}

/* After a frame that makes no sense the stream cannot be followed any more: the rest is dropped. */
static size_t input_frames(struct session *s, struct bytes data)
{
	size_t at = 0, used;
	struct frame frame;
	while (takes_input(s)) {
		struct bytes rest = bytes_of(data.data + at, data.len - at);
		int rc = frame_parse(rest, s->frame_max + SESSION_FRAME_FUDGE, &frame, &used);
		if (rc == FRAME_INCOMPLETE)
			return at;
		if (rc != FRAME_OK) {
			refuse_frame(s, &frame, rc, rest);
			s->phase = s->phase == SESSION_CLOSING ? SESSION_CLOSING : SESSION_ENDED;
			return data.len;
		}
		bool may_wait = s->host->alarm != NULL || s->kept.channels > 0;
		if (may_wait && hold_wants(s, &frame)) {
			if (!hold_has_room(s, used))
				return at;
			hold_keep(s, &frame, bytes_of(rest.data, used));
		} else if (!take_frame(s, &frame)) {
			return at;
		}
		at += used;
	}
	return s->phase == SESSION_ENDED ? data.len : at;
}

size_t session_input(struct session *s, struct bytes data)
{
	size_t at = 0;
	if (s->kept.is_due)
		take_kept(s);
	if (s->kept.is_due)
		return 0;
	if (s->handshake == AWAIT_HEADER) {
		if (data.len < PROTOCOL_HEADER_BYTES)
			return 0;
		handshake_header(s, data.data);
		at = PROTOCOL_HEADER_BYTES;
	}
	at += input_frames(s, bytes_of(data.data + at, data.len - at));
	s->read_bytes += at;
	return at;
}

/* --- waiting --- */

bool session_is_waiting(const struct session *s)
{
	return s->wait_sequence != 0 || s->is_retry || handshake_is_waiting(s);
}

bool session_resume(struct session *s, uint64_t submitted, uint64_t durable)
{
	/* A turn that had nothing to write never becomes durable. What a reply says then is in the
	 * turns before it. */
	uint64_t sequence = s->wait_sequence <= submitted ? s->wait_sequence
			    : s->held.len > 0             ? submitted
							  : 0;
	s->is_retry = false;
	if (sequence > durable || handshake_is_waiting(s))
		return false;
	send_held(s);
	s->wait_sequence = 0;
	return true;
}

void session_check_output(struct session *s)
{
	bool is_short = s->out.pool->used_bytes > SESSIONS_OUT_HIGH;
	size_t high = is_short ? SESSION_OUT_SHORT : SESSION_OUT_HIGH,
	       low = is_short ? SESSION_OUT_SHORT_LOW : SESSION_OUT_LOW;
	bool is_writable = s->out.len <= (s->is_writable ? high : low);
	if (is_writable == s->is_writable)
		return;
	s->is_writable = is_writable;
	if (s->connection != NULL)
		connection_set_writable(s->connection, is_writable);
}

/* --- time --- */

void session_received(struct session *s)
{
	s->received_ms = s->host->now_ms;
	s->reads++;
}

void session_sent(struct session *s)
{
	s->sent_ms = s->moved_ms = s->host->now_ms;
	s->writes++;
}

/* The peer does not read: its heartbeats may come all the same. */
static bool is_stuck(struct session *s)
{
	uint32_t timeout_ms = s->host->options->send_timeout_ms;
	if (s->out.len == 0)
		s->moved_ms = s->host->now_ms;
	return timeout_ms > 0 && s->host->now_ms - s->moved_ms >= timeout_ms;
}

static void send_heartbeat(struct session *s)
{
	uint8_t *at = outbuf_room(&s->out, FRAME_OVERHEAD);
	frame_head(at, FRAME_HEARTBEAT, 0, 0);
	at[FRAME_HEAD_BYTES] = FRAME_END;
	outbuf_commit(&s->out, FRAME_OVERHEAD);
	s->sent_ms = s->host->now_ms;
}

void session_tick(struct session *s)
{
	uint64_t now = s->host->now_ms;
	uint64_t heartbeat_ms = (uint64_t)s->heartbeat_s * 1000;
	switch (s->phase) {
	case SESSION_HANDSHAKE:
		if (s->handshake == AWAIT_SILENCE && now - s->closing_ms >= SESSION_SILENCE_MS)
			session_end(s);
		else if (s->handshake != AWAIT_LOGIN && /* That is our doing. */
			 now - s->began_ms >= s->host->options->handshake_timeout_ms) {
			session_warn(s, "handshake timed out");
			session_end(s);
		}
		break;
	case SESSION_OPEN:
		if (is_stuck(s)) {
			session_warn(s, "does not read: %zu bytes wait, none was taken for %u ms",
				     s->out.len, s->host->options->send_timeout_ms);
			session_end(s);
			break;
		}
		if (heartbeat_ms == 0)
			break;
		if (s->kept.len > 0) /* It may be stuck in its publish: that is our doing. */
			session_received(s);
		if (now - s->received_ms >= 2 * heartbeat_ms && s->wait_sequence == 0) {
			session_warn(s, "missed heartbeats from client, timeout: %us",
				     s->heartbeat_s);
			session_end(s);
		} else if (now - s->sent_ms >= heartbeat_ms / 2) {
			send_heartbeat(s);
		}
		break;
	case SESSION_CLOSING:
		if (now - s->closing_ms >= CLOSE_TIMEOUT_MS)
			session_end(s);
		break;
	case SESSION_ENDED: break;
	}
}
