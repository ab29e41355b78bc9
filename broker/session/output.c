/* Output: frames written straight into the out buffer. */
#include "core/inputs.h"

#include "session/state.h"

#include "base/alloc.h"
#include "table.h"

#include <assert.h>
#include <stdlib.h>

static uint8_t *put_head(uint8_t *at, uint8_t type, uint16_t channel, size_t size)
{
	frame_head(at, type, channel, (uint32_t)size);
	return at + FRAME_HEAD_BYTES;
}

static uint8_t *put_bytes(uint8_t *at, struct bytes b)
{
	if (b.len > 0)
		memcpy(at, b.data, b.len);
	return at + b.len;
}

static uint8_t *put_shortstr(uint8_t *at, struct bytes b)
{
	*at = (uint8_t)b.len;
	return put_bytes(at + 1, b);
}

static size_t method_frame(uint8_t *at, size_t size, uint16_t channel, const struct method *m)
{
	struct writer w = writer_of(put_head(at, FRAME_METHOD, channel, size), size);
	method_encode(&w, m);
	assert(!w.failed && w.at == w.end);
	*w.at = FRAME_END;
	return size + FRAME_OVERHEAD;
}

void send_method(struct session *s, uint16_t channel, const struct method *m)
{
	size_t size = method_size(m);
	uint8_t *at = outbuf_room(&s->out, size + FRAME_OVERHEAD);
	outbuf_commit(&s->out, method_frame(at, size, channel, m));
}

void send_when_durable(struct session *s, uint16_t channel, const struct method *m)
{
	uint64_t sequence = core_awaited(s->host->core);
	if (sequence == 0) {
		send_method(s, channel, m);
		return;
	}
	s->host->batch->is_awaited |= sequence == s->host->batch->sequence;
	size_t size = method_size(m);
	uint8_t *held = alloc_resize(NULL, size + FRAME_OVERHEAD);
	assert(s->wait_sequence == 0);
	s->held = bytes_of(held, method_frame(held, size, channel, m));
	s->held_channel = channel;
	s->wait_sequence = sequence;
}

static void forget_held(struct session *s)
{
	free((void *)s->held.data);
	s->held = (struct bytes){ NULL, 0 };
}

void send_held(struct session *s)
{
	if (s->phase == SESSION_OPEN)
		outbuf_copy(&s->out, s->held);
	forget_held(s);
}

void drop_held(struct session *s, uint16_t channel)
{
	if (s->held_channel == channel)
		forget_held(s);
}

/* --- content --- */

static void send_header(struct session *s, uint16_t channel, struct bytes header)
{
	uint8_t head[FRAME_HEAD_BYTES];
	static const uint8_t end = FRAME_END;
	put_head(head, FRAME_HEADER, channel, header.len);
	outbuf_copy(&s->out, bytes_of(head, sizeof head));
	outbuf_copy(&s->out, header);
	outbuf_copy(&s->out, bytes_of(&end, 1));
}

static void send_body(struct session *s, uint16_t channel, struct message *message)
{
	static const uint8_t end = FRAME_END;
	struct bytes body = message_body(message);
	size_t part_max = s->frame_max - FRAME_OVERHEAD;
	while (body.len > 0) {
		struct bytes part = bytes_of(body.data, body.len < part_max ? body.len : part_max);
		uint8_t head[FRAME_HEAD_BYTES];
		put_head(head, FRAME_BODY, channel, part.len);
		outbuf_copy(&s->out, bytes_of(head, sizeof head));
		if (part.len > OUTBUF_COPY_MAX)
			outbuf_refer(&s->out, message, part);
		else
			outbuf_copy(&s->out, part);
		outbuf_copy(&s->out, bytes_of(&end, 1));
		body = bytes_of(body.data + part.len, body.len - part.len);
	}
}

void send_content(struct session *s, uint16_t channel, struct message *message)
{
	send_header(s, channel, message_header(message));
	send_body(s, channel, message);
}

/* Room needed for a delivery besides names, properties and body. */
enum { DELIVER_FIXED = 3 * FRAME_OVERHEAD + 4 + 1 + 8 + 1 };

/* basic.deliver, header and body of a message that fits one frame, in one stretch. */
static uint8_t *put_small_content(uint8_t *at, uint16_t channel, const struct message *m)
{
	struct bytes header = message_header(m), body = message_body(m);
	at = put_bytes(put_head(at, FRAME_HEADER, channel, header.len), header);
	*at++ = FRAME_END;
	if (body.len == 0)
		return at;
	at = put_bytes(put_head(at, FRAME_BODY, channel, body.len), body);
	*at++ = FRAME_END;
	return at;
}

static void send_or_put_content(struct session *s, uint8_t *start, uint8_t *at, uint16_t channel,
				struct message *m, bool is_small)
{
	if (is_small)
		at = put_small_content(at, channel, m);
	outbuf_commit(&s->out, (size_t)(at - start));
	if (!is_small)
		send_content(s, channel, m);
}

static bool is_small(const struct session *s, const struct message *m)
{
	return m->body_len <= OUTBUF_COPY_MAX && m->header_len <= OUTBUF_COPY_MAX / 2 &&
	       m->body_len <= s->frame_max - FRAME_OVERHEAD;
}

/* The header with x-delivery-count, as quorum queues tell it. Everything else stays; the message
 * itself is shared and must not change, so this is a message of its own. */
static struct message *with_delivery_count(struct session *s, const struct message *m,
					   int64_t count)
{
	struct message_pool *pool = core_messages(s->host->core);
	struct properties p;
	if (!properties_decode(&p, message_properties(m)))
		return NULL;
	enum { ROOM = 64 };
	size_t cap = p.headers.len + ROOM;
	assert(cap >= ROOM);
	uint8_t *headers = alloc_resize(NULL, cap);
	struct writer w = writer_of(headers, cap);
	table_write_without(&w, p.headers, "x-delivery-count");
	table_write_long(&w, "x-delivery-count", count);
	p.headers = bytes_of(headers, (size_t)(w.at - headers));
	p.flags |= HAS_headers;
	struct message *copy =
		message_remake(pool, m, message_exchange(m), message_routing_key(m), &p);
	free(headers);
	return copy;
}

static void put_deliver(struct session_channel *ch, const struct effect *effect, struct message *m)
{
	struct session *s = ch->session;
	struct bytes tag = effect->deliver.consumer_tag, tail = message_tail(m);
	bool small = is_small(s, m);
	size_t size = 4 + 1 + tag.len + 8 + 1 + tail.len;
	size_t room = DELIVER_FIXED + tag.len + tail.len +
		      (small ? m->header_len + (size_t)m->body_len : 0);
	uint8_t *start = outbuf_room(&s->out, room);
	uint8_t *at = put_head(start, FRAME_METHOD, ch->number, size);
	store_u32(at, METHOD_basic_deliver);
	at = put_shortstr(at + 4, tag);
	store_u64(at, effect->deliver.delivery_tag);
	at[8] = effect->deliver.is_redelivered;
	at = put_bytes(at + 9, tail);
	*at++ = FRAME_END;
	send_or_put_content(s, start, at, ch->number, m, small);
}

void send_deliver(struct session_channel *ch, const struct effect *effect)
{
	struct message *m = effect->deliver.message;
	if (effect->deliver.delivery_count < 0) {
		put_deliver(ch, effect, m);
		return;
	}
	struct message *copy = with_delivery_count(ch->session, m, effect->deliver.delivery_count);
	put_deliver(ch, effect, copy == NULL ? m : copy);
	if (copy != NULL)
		message_unref(core_messages(ch->session->host->core), copy);
}

static void put_get_ok(struct session_channel *ch, const struct effect *effect, uint64_t messages,
		       struct message *m)
{
	struct method reply = { .id = METHOD_basic_get_ok };
	reply.basic_get_ok = (struct amqp_basic_get_ok){
		.delivery_tag = effect->deliver.delivery_tag,
		.redelivered = effect->deliver.is_redelivered,
		.exchange = message_exchange(m),
		.routing_key = message_routing_key(m),
		.message_count = messages > UINT32_MAX ? UINT32_MAX : (uint32_t)messages,
	};
	send_method(ch->session, ch->number, &reply);
	send_content(ch->session, ch->number, m);
}

void send_get_ok(struct session_channel *ch, const struct effect *effect, uint64_t messages)
{
	struct message *copy = NULL;
	if (effect->deliver.delivery_count >= 0)
		copy = with_delivery_count(ch->session, effect->deliver.message,
					   effect->deliver.delivery_count);
	put_get_ok(ch, effect, messages, copy == NULL ? effect->deliver.message : copy);
	if (copy != NULL)
		message_unref(core_messages(ch->session->host->core), copy);
}

/* --- effects --- */

static void send_confirm(struct session_channel *ch, const struct effect *effect)
{
	struct method m = { .id = effect->confirm.is_nack ? METHOD_basic_nack : METHOD_basic_ack };
	if (effect->confirm.is_nack)
		m.basic_nack =
			(struct amqp_basic_nack){ .delivery_tag = effect->confirm.delivery_tag,
						  .multiple = effect->confirm.is_multiple };
	else
		m.basic_ack = (struct amqp_basic_ack){ .delivery_tag = effect->confirm.delivery_tag,
						       .multiple = effect->confirm.is_multiple };
	send_method(ch->session, ch->number, &m);
}

static void send_return(struct session_channel *ch, const struct effect *effect)
{
	struct message *message = effect->returned.message;
	struct method m = { .id = METHOD_basic_return };
	m.basic_return = (struct amqp_basic_return){
		.reply_code = REPLY_NO_ROUTE,
		.reply_text = bytes_str(reply_name(REPLY_NO_ROUTE)),
		.exchange = message_exchange(message),
		.routing_key = message_routing_key(message),
	};
	send_method(ch->session, ch->number, &m);
	send_content(ch->session, ch->number, message);
	message_unref(core_messages(ch->session->host->core), message);
}

/* To clients that know of it, a return without a body. The log need not say it of each. */
static void send_repeated(struct session_channel *ch, const struct effect *effect)
{
	enum { LOG_PAUSE_MS = 1000 };
	struct session *s = ch->session;
	struct message *message = effect->repeated.message;
	bool is_conflict = effect->repeated.is_conflict;
	if (is_conflict && s->host->now_ms - s->conflict_ms >= LOG_PAUSE_MS) {
		s->conflict_ms = s->host->now_ms;
		session_log(s,
			    "an idempotency key came again with another body: exchange '%.*s', "
			    "routing key '%.*s'",
			    BYTES_ARG(message_exchange(message)),
			    BYTES_ARG(message_routing_key(message)));
	}
	if (s->knows_idempotency) {
		struct method m = { .id = METHOD_basic_return };
		m.basic_return = (struct amqp_basic_return){
			.reply_code = is_conflict ? RETURN_CONFLICT : RETURN_DUPLICATE,
			.reply_text = bytes_str(is_conflict ? "CONFLICT" : "DUPLICATE"),
			.exchange = message_exchange(message),
			.routing_key = message_routing_key(message),
		};
		send_method(s, ch->number, &m);
		send_content(s, ch->number, message);
	}
	message_unref(core_messages(s->host->core), message);
}

static void send_cancelled(struct session_channel *ch, const struct effect *effect)
{
	struct session *s = ch->session;
	if (s->held.len > 0 && core_is_durable(s->host->core, s->wait_sequence))
		send_held(s); /* It may be the answer to the deletion. */
	struct method m = { .id = METHOD_basic_cancel };
	m.basic_cancel = (struct amqp_basic_cancel){ .consumer_tag = effect->cancelled.consumer_tag,
						     .nowait = true };
	if (s->knows_cancel)
		send_method(s, ch->number, &m);
}

static void close_channel(struct session_channel *ch, const struct effect *effect)
{
	struct refusal refusal = { 0 };
	refuse(&refusal, REPLY_PRECONDITION_FAILED,
	       "delivery acknowledgement on channel %u timed out. Timeout value used: %llu ms",
	       ch->number, (unsigned long long)effect->close.lease_ms);
	refuse_method(ch->session, ch, 0, &refusal);
}

struct session *session_effect(const struct effect *effect)
{
	struct session_channel *ch = effect->owner;
	switch (effect->kind) {
	case EFFECT_DELIVER: send_deliver(ch, effect); break;
	case EFFECT_CONFIRM: send_confirm(ch, effect); break;
	case EFFECT_RETURN: send_return(ch, effect); break;
	case EFFECT_REPEATED: send_repeated(ch, effect); break;
	case EFFECT_CANCELLED: send_cancelled(ch, effect); break;
	case EFFECT_CLOSE: close_channel(ch, effect); break;
	case EFFECT_LOAD:
	case EFFECT_STATE:
	case EFFECT_INDEX:
		assert(effect->owner != NULL); /* Those are for whoever owns the journal. */
	}
	if (ch->session->out.len > SESSION_OUT_HIGH)
		session_check_output(ch->session);
	return ch->session;
}
