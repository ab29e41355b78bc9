#include "link.h"

#include "frame.h"
#include "table.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void link_init(struct link *link, void (*on_open)(void *arg), void *arg)
{
	link->on_open = on_open;
	link->arg = arg;
}

void link_fini(struct link *link)
{
	buffer_fini(&link->out);
}

void link_fail(struct link *link, int result, const char *format, ...)
{
	if (link->phase == LINK_DOWN)
		return;
	va_list args;
	va_start(args, format);
	vsnprintf(link->failure.text, sizeof link->failure.text, format, args);
	va_end(args);
	link->failure.result = result;
	link->failure.reply_code = 0;
	link->was_open = link->phase >= LINK_OPEN;
	link->phase = LINK_DOWN;
}

static void protocol_error(struct link *link, const char *what)
{
	link_fail(link, LEV_PROTOCOL, "the broker broke the protocol: %s", what);
}

bool link_can(const struct link *link, const char *capability)
{
	struct bytes properties = bytes_of(link->properties, link->properties_len), all;
	bool is_there;
	return table_find_table(properties, "capabilities", &all) &&
	       table_find_bool(all, capability, &is_there) && is_there;
}

/* --- sending --- */

void link_put_frame(struct link *link, uint8_t type, uint16_t channel, struct bytes payload)
{
	uint8_t *at = buffer_room(&link->out, payload.len + FRAME_OVERHEAD);
	if (at == NULL) {
		link_fail(link, LEV_NO_MEMORY, "no memory for output");
		return;
	}
	frame_head(at, type, channel, (uint32_t)payload.len);
	if (payload.len > 0)
		memcpy(at + FRAME_HEAD_BYTES, payload.data, payload.len);
	at[FRAME_HEAD_BYTES + payload.len] = FRAME_END;
	buffer_commit(&link->out, payload.len + FRAME_OVERHEAD);
}

void link_put_method(struct link *link, uint16_t channel, const struct method *m)
{
	size_t size = method_size(m);
	uint8_t *at = buffer_room(&link->out, size + FRAME_OVERHEAD);
	if (at == NULL) {
		link_fail(link, LEV_NO_MEMORY, "no memory for output");
		return;
	}
	struct writer w = writer_of(at + FRAME_HEAD_BYTES, size);
	frame_head(at, FRAME_METHOD, channel, (uint32_t)size);
	method_encode(&w, m);
	assert(!w.failed); /* Whoever calls has checked lengths. */
	at[FRAME_HEAD_BYTES + size] = FRAME_END;
	buffer_commit(&link->out, size + FRAME_OVERHEAD);
}

void link_put_content(struct link *link, uint16_t channel, const struct content *c)
{
	size_t part_max = link->frame_max - FRAME_OVERHEAD;
	link_put_frame(link, FRAME_METHOD, channel, c->method);
	link_put_frame(link, FRAME_HEADER, channel, c->header);
	for (size_t at = 0; at < c->body.len && link->phase != LINK_DOWN; at += part_max)
		link_put_frame(link, FRAME_BODY, channel,
			       bytes_of(c->body.data + at,
					c->body.len - at < part_max ? c->body.len - at : part_max));
}

/* --- handshake --- */

void link_start(struct link *link, const struct link_options *options, uint64_t now_ms)
{
	assert(link->phase == LINK_DOWN || link->phase == LINK_CLOSED);
	link->options = *options;
	buffer_clear(&link->out);
	link->failure = (struct reason){ 0 };
	link->failed_method = 0;
	link->is_fatal = link->was_open = link->is_blocked = false;
	link->frame_max = LINK_FRAME_MAX;
	link->channel_max = LINK_CHANNELS_MAX;
	link->heartbeat_ms = 0;
	link->properties_len = 0;
	link->received_ms = link->sent_ms = now_ms;
	link->phase = LINK_HANDSHAKE;
	uint8_t *at = buffer_room(&link->out, PROTOCOL_HEADER_BYTES);
	if (at == NULL) {
		link_fail(link, LEV_NO_MEMORY, "no memory for output");
		return;
	}
	memcpy(at, "AMQP\0\0\x09\x01", PROTOCOL_HEADER_BYTES);
	buffer_commit(&link->out, PROTOCOL_HEADER_BYTES);
}

static size_t write_client_properties(const struct link *link, uint8_t *data, size_t size)
{
	static const char *const capabilities[] = {
		"publisher_confirms", "exchange_exchange_bindings",
		"basic.nack",         "consumer_cancel_notify",
		"connection.blocked", "authentication_failure_close",
		"idempotency",
	};
	struct writer w = writer_of(data, size);
	uint8_t *began = table_begin(&w, "capabilities");
	for (size_t i = 0; i < sizeof capabilities / sizeof *capabilities; i++)
		table_write_bool(&w, capabilities[i], true);
	table_end(&w, began);
	table_write_str(&w, "product", bytes_str("libleveret"));
	table_write_str(&w, "version", bytes_str(LEVERET_VERSION));
	table_write_str(&w, "platform", bytes_str("C"));
	table_write_str(&w, "connection_name", bytes_str(link->options.name));
	return w.failed ? 0 : (size_t)(w.at - data);
}

static bool has_word(struct bytes words, const char *word)
{
	size_t len = strlen(word);
	for (size_t i = 0; i + len <= words.len; i++)
		if (memcmp(words.data + i, word, len) == 0 &&
		    (i == 0 || words.data[i - 1] == ' ') &&
		    (i + len == words.len || words.data[i + len] == ' '))
			return true;
	return false;
}

static void on_start(struct link *link, const struct amqp_connection_start *start)
{
	const struct uri *uri = link->options.uri;
	const char *mechanism = uri->is_external ? "EXTERNAL" : "PLAIN";
	uint8_t properties[1024], response[2 * URI_PART_BYTES + 2];
	if (start->server_properties.len > sizeof link->properties ||
	    !table_check(start->server_properties)) {
		protocol_error(link, "server properties");
		return;
	}
	memcpy(link->properties, start->server_properties.data, start->server_properties.len);
	link->properties_len = start->server_properties.len;
	if (!has_word(start->mechanisms, mechanism)) {
		link_fail(link, LEV_REFUSED,
			  "the broker does not offer to log in with %s, only with: %.*s", mechanism,
			  BYTES_ARG(start->mechanisms));
		link->is_fatal = true;
		return;
	}
	struct writer w = writer_of(response, sizeof response);
	if (!uri->is_external) {
		write_u8(&w, 0);
		write_bytes(&w, bytes_str(uri->user));
		write_u8(&w, 0);
		write_bytes(&w, bytes_str(uri->password));
	}
	struct method m = { .id = METHOD_connection_start_ok };
	m.connection_start_ok = (struct amqp_connection_start_ok){
		.client_properties = bytes_of(
			properties, write_client_properties(link, properties, sizeof properties)),
		.mechanism = bytes_str(mechanism),
		.response = bytes_of(response, (size_t)(w.at - response)),
		.locale = bytes_str("en_US"),
	};
	link_put_method(link, 0, &m);
}

static uint32_t lower(uint32_t a, uint32_t b)
{
	return b == 0 || (a != 0 && a < b) ? a : b;
}

static void on_tune(struct link *link, const struct amqp_connection_tune *tune)
{
	const struct uri *uri = link->options.uri;
	if (tune->frame_max != 0 && tune->frame_max < FRAME_MAX_MIN) {
		protocol_error(link, "a frame_max below 4096");
		return;
	}
	uint16_t heartbeat = uri->has_heartbeat ? uri->heartbeat_s : LINK_HEARTBEAT_S;
	if (heartbeat != 0)
		heartbeat = (uint16_t)lower(heartbeat, tune->heartbeat);
	link->heartbeat_ms = heartbeat * (uint64_t)1000;
	link->frame_max = lower(LINK_FRAME_MAX, tune->frame_max);
	link->channel_max =
		(uint16_t)lower(lower(LINK_CHANNELS_MAX, uri->channel_max), tune->channel_max);
	struct method m = { .id = METHOD_connection_tune_ok };
	m.connection_tune_ok = (struct amqp_connection_tune_ok){ link->channel_max, link->frame_max,
								 heartbeat, 0 };
	link_put_method(link, 0, &m);
	m = (struct method){ .id = METHOD_connection_open };
	m.connection_open.virtual_host = bytes_str(uri->vhost);
	link_put_method(link, 0, &m);
}

static void handshake_method(struct link *link, const struct method *m)
{
	switch (m->id) {
	case METHOD_connection_start: on_start(link, &m->connection_start); break;
	case METHOD_connection_tune: on_tune(link, &m->connection_tune); break;
	case METHOD_connection_open_ok:
		link->phase = LINK_OPEN;
		link->on_open(link->arg);
		break;
	default: protocol_error(link, "an unexpected method in the handshake");
	}
}

/* --- channel 0 --- */

/* A password that is wrong stays wrong; 320 is an operator's doing, and passes. */
static void on_connection_close(struct link *link, const struct amqp_connection_close *close)
{
	struct method m = { .id = METHOD_connection_close_ok };
	struct reason why;
	bool is_handshake = link->phase == LINK_HANDSHAKE;
	reason_reply(&why, close->reply_code, close->reply_text);
	if (link->phase == LINK_CLOSING) { /* Both at once. */
		link_put_method(link, 0, &m);
		return;
	}
	link_put_method(link, 0, &m);
	link_fail(link, LEV_REFUSED, "%s", why.text);
	link->failure.reply_code = close->reply_code;
	link->failed_method = METHOD_ID(close->class_id, close->method_id);
	link->is_fatal = is_handshake && close->reply_code != 320;
}

static void connection_method(struct link *link, const struct method *m)
{
	switch (m->id) {
	case METHOD_connection_close: on_connection_close(link, &m->connection_close); break;
	case METHOD_connection_close_ok:
		if (link->phase == LINK_CLOSING)
			link->phase = LINK_CLOSED;
		else
			protocol_error(link, "connection.close-ok, unasked");
		break;
	case METHOD_connection_blocked:
		link->is_blocked = true;
		memcpy(link->blocked_reason, m->connection_blocked.reason.data,
		       m->connection_blocked.reason.len);
		link->blocked_reason[m->connection_blocked.reason.len] = '\0';
		break;
	case METHOD_connection_unblocked: link->is_blocked = false; break;
	default:
		if (link->phase == LINK_HANDSHAKE)
			handshake_method(link, m);
		else
			protocol_error(link, method_name(m->id));
	}
}

/* --- channels --- */

void channel_init(struct channel *ch, struct link *link, const struct channel_ops *ops)
{
	*ch = (struct channel){ .ops = ops, .link = link };
}

void channel_open(struct channel *ch)
{
	struct link *link = ch->link;
	unsigned number = 1;
	assert(ch->state == CHANNEL_DOWN && link->phase == LINK_OPEN);
	while (number <= link->channel_max && link->channels[number] != NULL)
		number++;
	if (number > link->channel_max) {
		struct reason why;
		reason_set(&why, LEV_FULL, "all %u channels of the connection are in use",
			   link->channel_max);
		ch->ops->closed(ch, &why);
		return;
	}
	link->channels[number] = ch;
	ch->number = (uint16_t)number;
	ch->state = CHANNEL_OPENING;
	channel_put(ch, &(struct method){ .id = METHOD_channel_open });
}

static void drop_incoming(struct channel *ch)
{
	message_destroy(ch->incoming.message);
	ch->incoming.message = NULL;
	ch->incoming.state = INCOMING_NONE;
}

static void take_down(struct channel *ch)
{
	drop_incoming(ch);
	ch->link->channels[ch->number] = NULL;
	ch->number = 0;
	ch->state = CHANNEL_DOWN;
	ch->epoch++;
}

void channel_close(struct channel *ch)
{
	struct method m = { .id = METHOD_channel_close };
	if (ch->state != CHANNEL_OPEN && ch->state != CHANNEL_OPENING)
		return;
	m.channel_close.reply_code = 200;
	channel_put(ch, &m);
	drop_incoming(ch);
	ch->state = CHANNEL_CLOSING;
}

static void closed_nothing(struct channel *ch, const struct reason *why)
{
	(void)why;
	free(ch);
}

/* What stands in for a channel whose user is gone, until the broker has said close-ok. */
void channel_abandon(struct channel *ch)
{
	static const struct channel_ops gone = { .closed = closed_nothing };
	channel_close(ch);
	drop_incoming(ch);
	if (ch->state == CHANNEL_DOWN)
		return;
	struct channel *rest = malloc(sizeof *rest);
	if (rest == NULL) {
		link_fail(ch->link, LEV_NO_MEMORY, "no memory to close a channel");
		take_down(ch);
		return;
	}
	*rest = *ch;
	rest->ops = &gone;
	ch->link->channels[ch->number] = rest;
	ch->number = 0;
	ch->state = CHANNEL_DOWN;
}

static void on_channel_close(struct channel *ch, const struct amqp_channel_close *close)
{
	struct reason why;
	reason_reply(&why, close->reply_code, close->reply_text);
	channel_put(ch, &(struct method){ .id = METHOD_channel_close_ok });
	if (ch->state == CHANNEL_CLOSING) /* Both at once: ours will be answered. */
		return;
	take_down(ch);
	ch->ops->closed(ch, &why);
}

static void begin_content(struct channel *ch, const struct method *m)
{
	struct incoming *in = &ch->incoming;
	struct bytes exchange, key;
	in->method = m->id;
	if (m->id == METHOD_basic_deliver) {
		exchange = m->basic_deliver.exchange;
		key = m->basic_deliver.routing_key;
		in->delivery_tag = m->basic_deliver.delivery_tag;
		in->is_redelivered = m->basic_deliver.redelivered;
	} else if (m->id == METHOD_basic_get_ok) {
		exchange = m->basic_get_ok.exchange;
		key = m->basic_get_ok.routing_key;
		in->delivery_tag = m->basic_get_ok.delivery_tag;
		in->is_redelivered = m->basic_get_ok.redelivered;
		in->messages_left = m->basic_get_ok.message_count;
	} else if (m->id == METHOD_basic_return) {
		exchange = m->basic_return.exchange;
		key = m->basic_return.routing_key;
		in->reply_code = m->basic_return.reply_code;
		memcpy(in->reply_text, m->basic_return.reply_text.data,
		       m->basic_return.reply_text.len);
		in->reply_text[m->basic_return.reply_text.len] = '\0';
	} else {
		protocol_error(ch->link, "basic.publish, to a client");
		return;
	}
	in->exchange_len = (uint8_t)exchange.len;
	in->routing_key_len = (uint8_t)key.len;
	memcpy(in->exchange, exchange.data, exchange.len);
	memcpy(in->routing_key, key.data, key.len);
	in->state = INCOMING_HEADER;
}

static void channel_method(struct channel *ch, const struct method *m)
{
	struct reason fine = { .result = LEV_OK };
	if (m->id == METHOD_channel_close) {
		on_channel_close(ch, &m->channel_close);
	} else if (m->id == METHOD_channel_close_ok && ch->state == CHANNEL_CLOSING) {
		take_down(ch);
		ch->ops->closed(ch, &fine);
	} else if (ch->state == CHANNEL_CLOSING) {
		return;
	} else if (m->id == METHOD_channel_open_ok && ch->state == CHANNEL_OPENING) {
		ch->state = CHANNEL_OPEN;
		ch->ops->opened(ch);
	} else if (ch->state != CHANNEL_OPEN || ch->incoming.state != INCOMING_NONE) {
		protocol_error(ch->link, "a method where none may be");
	} else if (method_has_content(m->id)) {
		begin_content(ch, m);
	} else if (m->id == METHOD_channel_flow) {
		struct method ok = { .id = METHOD_channel_flow_ok };
		ok.channel_flow_ok.active = m->channel_flow.active;
		channel_put(ch, &ok);
	} else {
		ch->ops->method(ch, m);
	}
}

static void finish_content(struct channel *ch)
{
	struct incoming *in = &ch->incoming;
	in->state = INCOMING_NONE;
	in->message->of.is_redelivered = in->is_redelivered;
	in->message->of.messages_left = in->messages_left;
	in->message->delivery_tag = in->delivery_tag;
	ch->ops->content(ch, in);
	in->message = NULL;
}

static void content_header(struct channel *ch, struct bytes payload)
{
	struct incoming *in = &ch->incoming;
	if (in->state != INCOMING_HEADER) {
		protocol_error(ch->link, "a content header where none may be");
		return;
	}
	int rc = message_create(&in->message, bytes_of(in->exchange, in->exchange_len),
				bytes_of(in->routing_key, in->routing_key_len), payload,
				ch->link->options.message_bytes_max, &in->body_size);
	if (rc != LEV_OK) {
		link_fail(ch->link, rc,
			  rc == LEV_NO_MEMORY ? "no memory for a message"
					      : "a message is malformed, or larger than allowed");
		return;
	}
	in->state = INCOMING_BODY;
	in->body_got = 0;
	if (in->body_size == 0)
		finish_content(ch);
}

static void content_body(struct channel *ch, struct bytes payload)
{
	struct incoming *in = &ch->incoming;
	if (in->state != INCOMING_BODY || payload.len > in->body_size - in->body_got) {
		protocol_error(ch->link, "a body frame where none may be, or too long");
		return;
	}
	if (payload.len > 0)
		memcpy(message_body(in->message) + in->body_got, payload.data, payload.len);
	in->body_got += payload.len;
	if (in->body_got == in->body_size)
		finish_content(ch);
}

/* --- input --- */

static void on_method_frame(struct link *link, const struct frame *f, struct channel *ch)
{
	struct method m;
	if (method_decode(&m, f->payload) != METHOD_OK) {
		protocol_error(link, "a malformed method");
		return;
	}
	if (link->phase == LINK_CLOSING && m.id != METHOD_connection_close &&
	    m.id != METHOD_connection_close_ok)
		return;
	if (f->channel == 0)
		connection_method(link, &m);
	else if (ch != NULL)
		channel_method(ch, &m);
	else
		protocol_error(link, "a channel that is not open");
}

static void on_frame(struct link *link, const struct frame *f)
{
	struct channel *ch = f->channel == 0 || f->channel > link->channel_max
				     ? NULL
				     : link->channels[f->channel];
	if (f->type == FRAME_METHOD)
		on_method_frame(link, f, ch);
	else if (f->type == FRAME_HEARTBEAT && f->channel == 0 && f->payload.len == 0)
		return;
	else if (link->phase == LINK_CLOSING || (ch != NULL && ch->state == CHANNEL_CLOSING))
		return;
	else if (ch == NULL || (f->type != FRAME_HEADER && f->type != FRAME_BODY))
		protocol_error(link,
			       "a frame of an unknown type, or on a channel that is not open");
	else if (f->type == FRAME_HEADER)
		content_header(ch, f->payload);
	else
		content_body(ch, f->payload);
}

/* A broker that speaks another version answers with its own header, and closes; others, and a port
 * for TLS, say something else altogether. */
static bool is_first_word(const struct link *link)
{
	return link->phase == LINK_HANDSHAKE && link->properties_len == 0;
}

static void refuse_stranger(struct link *link)
{
	link_fail(link, LEV_PROTOCOL, "the peer does not speak AMQP 0-9-1, or not without TLS");
	link->is_fatal = true;
}

size_t link_input(struct link *link, struct bytes data, uint64_t now_ms)
{
	size_t used = 0;
	link->received_ms = now_ms;
	if (is_first_word(link) && bytes_has_prefix(data, "AMQP"))
		refuse_stranger(link);
	while (link->phase != LINK_DOWN && link->phase != LINK_CLOSED) {
		struct frame f;
		size_t frame_bytes;
		int rc = frame_parse(bytes_of(data.data + used, data.len - used),
				     link->frame_max + LINK_FRAME_EXCESS, &f, &frame_bytes);
		if (rc == FRAME_INCOMPLETE)
			break;
		if (rc != FRAME_OK && is_first_word(link)) {
			refuse_stranger(link);
			break;
		}
		if (rc != FRAME_OK) {
			protocol_error(link, rc == FRAME_TOO_LARGE ? "a frame that is too large"
								   : "a frame without its end");
			break;
		}
		on_frame(link, &f);
		used += frame_bytes;
	}
	return used;
}

void link_reset(struct link *link)
{
	struct reason why = link->failure;
	assert(link->phase == LINK_DOWN || link->phase == LINK_CLOSED);
	if (why.result == LEV_OK)
		reason_set(&why, LEV_CLOSED, "%s", lev_result_text(LEV_CLOSED));
	link->is_blocked = false;
	for (unsigned i = 1; i <= LINK_CHANNELS_MAX; i++) {
		struct channel *ch = link->channels[i];
		if (ch == NULL)
			continue;
		take_down(ch);
		struct reason lost = why;
		lost.result = LEV_DISCONNECTED;
		ch->ops->closed(ch, &lost);
	}
}

void link_close(struct link *link)
{
	struct method m = { .id = METHOD_connection_close };
	m.connection_close.reply_code = 200;
	m.connection_close.reply_text = bytes_str("goodbye");
	link_put_method(link, 0, &m);
	if (link->phase == LINK_OPEN)
		link->phase = LINK_CLOSING;
}

/* --- time --- */

void link_tick(struct link *link, uint64_t now_ms)
{
	if (link->phase == LINK_DOWN || link->heartbeat_ms == 0)
		return;
	if (now_ms >= link->received_ms + 2 * link->heartbeat_ms) {
		link_fail(link, LEV_DISCONNECTED, "nothing was heard of the broker for %llu s",
			  (unsigned long long)(2 * link->heartbeat_ms / 1000));
		return;
	}
	if (now_ms < link->sent_ms + link->heartbeat_ms / 2)
		return;
	if (buffer_left(&link->out) == 0)
		link_put_frame(link, FRAME_HEARTBEAT, 0, bytes_of(NULL, 0));
	link->sent_ms = now_ms; /* It is on its way; a broker that does not read is not to be beaten
				   at again and again. */
}

uint64_t link_due(const struct link *link)
{
	if (link->phase == LINK_DOWN || link->heartbeat_ms == 0)
		return LEV_NEVER;
	uint64_t beat = link->sent_ms + link->heartbeat_ms / 2,
		 end = link->received_ms + 2 * link->heartbeat_ms;
	return beat < end ? beat : end;
}
