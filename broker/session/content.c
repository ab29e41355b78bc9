/* Content: basic.publish, its header and its body, until they make a message. */
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

void content_begin(struct session_channel *ch, const struct amqp_basic_publish *publish)
{
	struct session *s = ch->session;
	if (publish->immediate) {
		refuse_connection(s, METHOD_basic_publish, REPLY_NOT_IMPLEMENTED, "immediate=true");
		return;
	}
	if (ch->content == NULL)
		ch->content = alloc_zeroed(sizeof *ch->content);
	struct pending_content *c = ch->content;
	c->exchange_len = (uint8_t)publish->exchange.len;
	c->routing_key_len = (uint8_t)publish->routing_key.len;
	c->is_mandatory = publish->mandatory;
	if (c->exchange_len > 0)
		memcpy(c->names, publish->exchange.data, c->exchange_len);
	if (c->routing_key_len > 0)
		memcpy(c->names + c->exchange_len, publish->routing_key.data, c->routing_key_len);
	ch->content_state = CONTENT_HEADER;
	s->has_published = true;
}

/* Properties are looked at when the message is whole: a publish is refused once, and in one place. */
static void finish(struct session_channel *ch)
{
	struct pending_content *c = ch->content;
	struct message *message = c->message;
	struct properties properties;
	struct refusal refusal = { 0 };
	c->message = NULL;
	ch->content_state = CONTENT_NONE;
	if (!properties_decode(&properties, message_properties(message))) {
		message_unref(core_messages(ch->session->host->core), message);
		refuse_connection(ch->session, METHOD_basic_publish, REPLY_SYNTAX_ERROR, "malformed content properties");
		return;
	}
	if (!core_publish(ch->channel, message, &properties, c->is_mandatory, &refusal))
		refuse_method(ch->session, ch, METHOD_basic_publish, &refusal);
}

static void refuse_size(struct session_channel *ch, uint64_t size)
{
	struct refusal refusal = { 0 };
	refuse(&refusal, REPLY_PRECONDITION_FAILED, "message size %" PRIu64 " is larger than configured max size %" PRIu64,
	       size, ch->session->host->options->message_bytes_max);
	refuse_method(ch->session, ch, METHOD_basic_publish, &refusal);
}

void content_unexpected(struct session_channel *ch)
{
	if (ch->content_state == CONTENT_HEADER)
		refuse_connection(ch->session, METHOD_basic_publish, REPLY_UNEXPECTED_FRAME,
				  "expected content header for class 60, got non content header frame instead");
	else
		refuse_connection(ch->session, METHOD_basic_publish, REPLY_UNEXPECTED_FRAME,
				  "expected content body, got non content body frame instead");
}

void content_header(struct session_channel *ch, struct bytes payload)
{
	struct session *s = ch->session;
	struct pending_content *c = ch->content;
	struct reader r = reader_of(payload.data, payload.len);
	uint16_t class = read_u16(&r), weight = read_u16(&r);
	uint64_t size = read_u64(&r);
	if (r.failed || weight != 0) {
		content_unexpected(ch);
	} else if (class != CLASS_BASIC) {
		refuse_connection(s, METHOD_basic_publish, REPLY_UNEXPECTED_FRAME,
				  "expected content header for class 60, got one for class %u instead", class);
	} else if (size > s->host->options->message_bytes_max) {
		refuse_size(ch, size);
	} else {
		c->message = message_create(core_messages(s->host->core), bytes_of(c->names, c->exchange_len),
					    bytes_of(c->names + c->exchange_len, c->routing_key_len),
					    bytes_of(r.at, reader_left(&r)), size);
		ch->content_state = CONTENT_BODY;
		if (c->message == NULL)
			refuse_connection(s, METHOD_basic_publish, REPLY_RESOURCE_ERROR, "out of memory");
		else if (size == 0)
			finish(ch);
	}
}

void content_body(struct session_channel *ch, struct bytes payload)
{
	struct session *s = ch->session;
	struct pending_content *c = ch->content;
	if (payload.len > c->message->body_len - c->message->body_filled) {
		refuse_connection(s, METHOD_basic_publish, REPLY_FRAME_ERROR,
				  "content body is longer than its header announced (%" PRIu64 ")", c->message->body_len);
		return;
	}
	if (!message_append(core_messages(s->host->core), &c->message, payload)) {
		refuse_connection(s, METHOD_basic_publish, REPLY_RESOURCE_ERROR, "out of memory");
		return;
	}
	if (c->message->body_filled == c->message->body_len)
		finish(ch);
}
