/* Hold: during an alarm no publish is taken. The frames of one wait, and behind them all that
 * follows on their channel: a worker acks a request after its answer, and an ack that overtook it
 * would lose both if the worker died. Other channels go on, for acks and gets are what ends an
 * alarm. connection.close waits for all that is kept: close-ok says that what came before was
 * taken.
 *
 * Memory: SESSION_KEPT_MAX a session and SESSIONS_KEPT_MAX for all; beyond that a connection is not
 * read. What a peer that hangs up left here is dropped: it was neither confirmed nor closed in
 * order. */
#include "session/state.h"

#include "base/alloc.h"

#include <stdlib.h>

static uint32_t method_of(const struct frame *f)
{
	return f->type == FRAME_METHOD && f->payload.len >= 4 ? load_u32(f->payload.data) : 0;
}

static bool is_of_publish(const struct session_channel *ch, const struct frame *f)
{
	return ch->content_state == CONTENT_NONE ? method_of(f) == METHOD_basic_publish
						 : f->type == FRAME_HEADER || f->type == FRAME_BODY;
}

bool hold_wants(struct session *s, const struct frame *f)
{
	if (s->phase != SESSION_OPEN || f->type == FRAME_HEARTBEAT)
		return false;
	if (f->channel == 0)
		return s->kept.channels > 0 && method_of(f) == METHOD_connection_close;
	struct session_channel *ch = session_channel(s, f->channel);
	if (ch == NULL)
		return false;
	return ch->is_held ||
	       (s->host->alarm != NULL && ch->channel != NULL && is_of_publish(ch, f));
}

void hold_append(struct session *s, struct bytes frames)
{
	struct kept *k = &s->kept;
	if (k->len + frames.len > k->cap) {
		k->cap = k->len + frames.len > 2 * k->cap ? k->len + frames.len : 2 * k->cap;
		k->data = alloc_resize(k->data, k->cap);
	}
	memcpy(k->data + k->len, frames.data, frames.len);
	k->len += frames.len;
	s->host->kept_bytes += frames.len;
}

void hold_keep(struct session *s, const struct frame *f, struct bytes wire)
{
	struct session_channel *ch = session_channel(s, f->channel);
	hold_append(s, wire);
	if (ch != NULL && !ch->is_held) {
		ch->is_held = true;
		s->kept.channels++;
	}
	s->has_published = true;
	hold_tell(s);
}

bool hold_has_room(struct session *s, size_t len)
{
	s->kept.is_full = s->kept.len + len > SESSION_KEPT_MAX ||
			  s->host->kept_bytes + len > SESSIONS_KEPT_MAX;
	return !s->kept.is_full;
}

struct kept hold_take(struct session *s)
{
	struct kept kept = s->kept;
	for (size_t i = 0; kept.channels > 0 && i < s->channels_len; i++)
		if (s->channels[i] != NULL)
			s->channels[i]->is_held = false;
	s->host->kept_bytes -= kept.len;
	s->kept = (struct kept){ .data = NULL };
	return kept;
}

void hold_drop(struct session *s)
{
	struct kept kept = hold_take(s);
	free(kept.data);
}

void hold_tell(struct session *s)
{
	const char *alarm = s->host->alarm;
	bool is_blocked = alarm != NULL && s->has_published;
	if (s->phase != SESSION_OPEN || s->is_blocked == is_blocked)
		return;
	s->is_blocked = is_blocked;
	struct method m = { .id = is_blocked ? METHOD_connection_blocked
					     : METHOD_connection_unblocked };
	if (is_blocked)
		m.connection_blocked.reason = bytes_str(alarm);
	if (s->knows_blocked)
		send_method(s, 0, &m);
}

bool session_alarm(struct session *s)
{
	hold_tell(s);
	if (s->host->alarm != NULL || (s->kept.len == 0 && !s->kept.is_full))
		return false;
	s->kept.is_full = false;
	s->kept.is_due = s->kept.len > 0;
	return true;
}

bool session_is_full(const struct session *s)
{
	return s->kept.is_full;
}
