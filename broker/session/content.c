/* Content: basic.publish, its header and its body, until they make a message. */
#include "core/inputs.h"

#include "session/state.h"

#include "base/alloc.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

void content_drop(struct session_channel *ch)
{
	if (ch->content != NULL && ch->content->message != NULL) {
		message_unref(core_messages(ch->session->host->core), ch->content->message);
		ch->content->message = NULL;
	}
	ch->content_state = CONTENT_NONE;
}

void content_begin(struct session_channel *ch, const struct method *m)
{
	struct session *s = ch->session;
	if (m->basic_publish.immediate) {
		refuse_connection(s, METHOD_basic_publish, REPLY_NOT_IMPLEMENTED, "immediate=true");
		return;
	}
	if (ch->content == NULL)
		ch->content = alloc_zeroed(sizeof *ch->content);
	struct pending_content *c = ch->content;
	struct writer w = writer_of(c->publish, sizeof c->publish);
	method_encode(&w, m);
	assert(!w.failed);
	c->publish_len = (uint16_t)(w.at - c->publish);
	c->is_mandatory = m->basic_publish.mandatory;
	ch->content_state = CONTENT_HEADER;
	ch->allowed = 0;
	s->has_published = true;
}

bool content_begin_again(struct session_channel *ch, struct bytes payload)
{
	const struct pending_content *c = ch->content;
	if (c == NULL || ch->channel == NULL ||
	    !bytes_equal(payload, bytes_of(c->publish, c->publish_len)))
		return false;
	ch->content_state = CONTENT_HEADER;
	return true;
}

/* The properties of a message, decoded; NULL if they are malformed. *fresh is room for them. */
static const struct properties *decode(struct pending_content *c, struct bytes wire,
				       struct properties *fresh)
{
	if (c->known_len > 0 && bytes_equal(wire, bytes_of(c->known_wire, c->known_len)))
		return &c->known;
	if (wire.len > KNOWN_PROPERTIES_MAX)
		return properties_decode(fresh, wire) ? fresh : NULL;
	memcpy(c->known_wire, wire.data, wire.len);
	c->known_len = properties_decode(&c->known, bytes_of(c->known_wire, wire.len))
			       ? (uint8_t)wire.len
			       : 0;
	return c->known_len > 0 ? &c->known : NULL;
}

/* Properties are looked at when the message is whole: a publish is refused once, and in one place.
 */
static void finish(struct session_channel *ch)
{
	struct pending_content *c = ch->content;
	struct message *message = c->message;
	struct properties fresh;
	struct refusal refusal;
	const struct properties *properties = decode(c, message_properties(message), &fresh);
	c->message = NULL;
	ch->content_state = CONTENT_NONE;
	if (properties == NULL) {
		message_unref(core_messages(ch->session->host->core), message);
		refuse_connection(ch->session, METHOD_basic_publish, REPLY_SYNTAX_ERROR,
				  "malformed content properties");
		return;
	}
	refusal.code = 0;
	if (properties->headers.len > 0 &&
	    !session_takes_table(ch->session, properties->headers, "headers", &refusal)) {
		message_unref(core_messages(ch->session->host->core), message);
		refuse_method(ch->session, ch, METHOD_basic_publish, &refusal);
		return;
	}
	if (!permitted_publish(ch, &refusal)) {
		message_unref(core_messages(ch->session->host->core), message);
		refuse_method(ch->session, ch, METHOD_basic_publish, &refusal);
		return;
	}
	if (!core_publish(ch->channel, message, properties, c->is_mandatory, &refusal))
		refuse_method(ch->session, ch, METHOD_basic_publish, &refusal);
}

static void refuse_size(struct session_channel *ch, uint64_t size)
{
	struct refusal refusal = { 0 };
	refuse(&refusal, REPLY_PRECONDITION_FAILED,
	       "message size %" PRIu64 " is larger than configured max size %" PRIu64, size,
	       ch->session->host->options->message_bytes_max);
	refuse_method(ch->session, ch, METHOD_basic_publish, &refusal);
}

/* Whether it is a duplicate cannot be told yet. */
static bool must_wait(const struct session *s, struct bytes properties)
{
	return core_publish_waits(s->host->core, properties);
}

void content_unexpected(struct session_channel *ch)
{
	if (ch->content_state == CONTENT_HEADER)
		refuse_connection(ch->session, METHOD_basic_publish, REPLY_UNEXPECTED_FRAME,
				  "expected content header for class 60, got non content header "
				  "frame instead");
	else
		refuse_connection(ch->session, METHOD_basic_publish, REPLY_UNEXPECTED_FRAME,
				  "expected content body, got non content body frame instead");
}

enum handled content_header(struct session_channel *ch, struct bytes payload)
{
	struct session *s = ch->session;
	struct pending_content *c = ch->content;
	struct reader r = reader_of(payload.data, payload.len);
	uint16_t class = read_u16(&r), weight = read_u16(&r);
	uint64_t size = read_u64(&r);
	if (r.failed || weight != 0) {
		content_unexpected(ch);
	} else if (class != CLASS_BASIC) {
		refuse_connection(
			s, METHOD_basic_publish, REPLY_UNEXPECTED_FRAME,
			"expected content header for class 60, got one for class %u instead",
			class);
	} else if (size > s->host->options->message_bytes_max) {
		refuse_size(ch, size);
	} else if (size == 0 && must_wait(s, bytes_of(payload.data + CONTENT_FLAGS_AT,
						      payload.len - CONTENT_FLAGS_AT))) {
		return RETRY;
	} else {
		struct bytes tail = bytes_of(c->publish + PUBLISH_TAIL_AT,
					     c->publish_len - PUBLISH_TAIL_AT - 1u);
		c->message = message_create_wire(core_messages(s->host->core), tail, payload, size);
		ch->content_state = CONTENT_BODY;
		if (c->message == NULL) {
			refuse_connection(s, METHOD_basic_publish, REPLY_RESOURCE_ERROR,
					  "out of memory");
			return HANDLED;
		}
		c->message = core_publish_begins(ch->channel, c->message);
		if (size == 0)
			finish(ch);
	}
	return HANDLED;
}

enum handled content_body(struct session_channel *ch, struct bytes payload)
{
	struct session *s = ch->session;
	struct pending_content *c = ch->content;
	if (payload.len > c->message->body_len - c->message->body_filled) {
		refuse_connection(s, METHOD_basic_publish, REPLY_FRAME_ERROR,
				  "content body is longer than its header announced (%" PRIu64 ")",
				  c->message->body_len);
		return HANDLED;
	}
	bool is_last = payload.len == c->message->body_len - c->message->body_filled;
	if (is_last && must_wait(s, message_properties(c->message)))
		return RETRY;
	if (!message_append(core_messages(s->host->core), &c->message, payload)) {
		refuse_connection(s, METHOD_basic_publish, REPLY_RESOURCE_ERROR, "out of memory");
		return HANDLED;
	}
	if (is_last)
		finish(ch);
	return HANDLED;
}
