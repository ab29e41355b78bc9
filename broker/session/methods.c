/* Methods: what each method of an open connection does. A table leads from method to handler. */
#include "core/inputs.h"

#include "permit/permit.h"
#include "session/state.h"

#include "auth/users.h"
#include "base/alloc.h"
#include "table.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

/* What a handler works on. */
struct call {
	struct session *s;
	struct session_channel *ch;
	const struct method *m;
	struct refusal refusal;
	bool is_retry;
};

static void reply(struct call *c, const struct method *m)
{
	send_method(c->s, c->ch->number, m);
}

static void reply_id(struct call *c, uint32_t id)
{
	struct method m = { .id = id };
	reply(c, &m);
}

/* The answer to what the journal must hold first. */
static void reply_durably(struct call *c, bool nowait, const struct method *m)
{
	if (!nowait)
		send_when_durable(c->s, c->ch->number, m);
}

/* Counts on the wire have 32 bits. */
static uint32_t count32(uint64_t n)
{
	return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

static bool check_table(struct call *c, struct bytes table)
{
	struct refusal refusal = { 0 };
	if (table_check(table)) {
		if (session_takes_table(c->s, table, "arguments", &refusal))
			return true;
		refuse_method(c->s, c->ch, c->m->id, &refusal);
		return false;
	}
	refuse_connection(c->s, c->m->id, REPLY_SYNTAX_ERROR, "malformed table in %s",
			  method_name(c->m->id));
	return false;
}

/* RabbitMQ drops carriage returns and line feeds from names. */
static struct bytes strip(struct bytes name, uint8_t buffer[UINT8_MAX])
{
	size_t len = 0;
	for (size_t i = 0; i < name.len; i++)
		if (name.data[i] != '\r' && name.data[i] != '\n')
			buffer[len++] = name.data[i];
	return len == name.len ? name : bytes_of(buffer, len);
}

/* An empty queue name means the one declared last on this channel. */
static bool queue_name(struct call *c, struct bytes given, struct bytes *name)
{
	*name = given.len > 0 ? given : c->ch->last_queue;
	return name->len > 0 ||
	       refuse(&c->refusal, REPLY_NOT_FOUND, "no previously declared queue");
}

static void remember_queue(struct session_channel *ch, struct bytes name)
{
	if (bytes_equal(ch->last_queue, name))
		return;
	struct bytes copy = alloc_copy(name);
	free((void *)ch->last_queue.data);
	ch->last_queue = copy;
}

/* --- channel --- */

static bool on_channel_open(struct call *c)
{
	refuse_connection(c->s, c->m->id, REPLY_CHANNEL_ERROR, "second 'channel.open' seen");
	return true;
}

static bool on_channel_flow(struct call *c)
{
	if (!c->m->channel_flow.active) {
		refuse_connection(c->s, c->m->id, REPLY_NOT_IMPLEMENTED, "active=false");
		return true;
	}
	struct method m = { .id = METHOD_channel_flow_ok };
	m.channel_flow_ok.active = true;
	reply(c, &m);
	return true;
}

static bool on_channel_flow_ok(struct call *c)
{
	(void)c;
	return true;
}

static bool on_channel_close(struct call *c)
{
	uint16_t number = c->ch->number;
	struct method m = { .id = METHOD_channel_close_ok };
	session_channel_destroy(c->ch);
	send_method(c->s, number, &m);
	return true;
}

static bool on_access_request(struct call *c)
{
	struct method m = { .id = METHOD_access_request_ok };
	m.access_request_ok.ticket = 1;
	reply(c, &m);
	return true;
}

/* --- exchange --- */

static bool on_exchange_declare(struct call *c)
{
	const struct amqp_exchange_declare *m = &c->m->exchange_declare;
	uint8_t stripped[UINT8_MAX];
	struct exchange_declare d = {
		.name = strip(m->exchange, stripped),
		.type = m->type,
		.is_passive = m->passive,
		.is_durable = m->durable,
		.is_auto_delete = m->auto_delete,
		.is_internal = m->internal,
		.arguments = m->arguments,
	};
	if (!check_table(c, d.arguments))
		return true;
	if (!permit_exchange_declare(c->s->access, connection_vhost(c->s->connection), &d,
				     &c->refusal) ||
	    !core_exchange_declare(c->s->connection, &d, &c->refusal))
		return false;
	struct method ok = { .id = METHOD_exchange_declare_ok };
	reply_durably(c, m->nowait, &ok);
	return true;
}

static bool on_exchange_delete(struct call *c)
{
	const struct amqp_exchange_delete *m = &c->m->exchange_delete;
	if (!permit_exchange_delete(c->s->access, m->exchange, &c->refusal) ||
	    !core_exchange_delete(c->s->connection, m->exchange, m->if_unused, &c->refusal))
		return false;
	struct method ok = { .id = METHOD_exchange_delete_ok };
	reply_durably(c, m->nowait, &ok);
	return true;
}

/* Every bind and unbind: they differ in what they join and in the answer. */
static bool bind_or_unbind(struct call *c, const struct bind *b, bool is_unbind, bool nowait,
			   uint32_t ok)
{
	if (!check_table(c, b->arguments))
		return true;
	if (!permit_bind(c->s->access, connection_vhost(c->s->connection), b, &c->refusal) ||
	    !(is_unbind ? core_unbind(c->s->connection, b, &c->refusal)
			: core_bind(c->s->connection, b, &c->refusal)))
		return false;
	struct method m = { .id = ok };
	reply_durably(c, nowait, &m);
	return true;
}

static bool on_exchange_bind(struct call *c)
{
	const struct amqp_exchange_bind *m = &c->m->exchange_bind;
	struct bind b = { m->source, m->destination, true, m->routing_key, m->arguments };
	return bind_or_unbind(c, &b, false, m->nowait, METHOD_exchange_bind_ok);
}

static bool on_exchange_unbind(struct call *c)
{
	const struct amqp_exchange_unbind *m = &c->m->exchange_unbind;
	struct bind b = { m->source, m->destination, true, m->routing_key, m->arguments };
	return bind_or_unbind(c, &b, true, m->nowait, METHOD_exchange_unbind_ok);
}

/* --- queue --- */

static bool on_queue_declare(struct call *c)
{
	const struct amqp_queue_declare *m = &c->m->queue_declare;
	uint8_t stripped[UINT8_MAX];
	char generated[NAME_BYTES];
	struct queue_counts counts;
	struct queue_declare d = {
		.name = strip(m->queue, stripped),
		.is_passive = m->passive,
		.is_durable = m->durable,
		.is_exclusive = m->exclusive,
		.is_auto_delete = m->auto_delete,
		.arguments = m->arguments,
	};
	if (d.name.len == 0 && d.is_passive) {
		d.name = c->ch->last_queue;
	} else if (d.name.len == 0) {
		d.name = session_name(c->s, "amq.gen-", generated);
		d.is_generated = true;
	}
	if (!check_table(c, d.arguments))
		return true;
	if (!permit_queue_declare(c->s->access, connection_vhost(c->s->connection), &d,
				  &c->refusal) ||
	    !core_queue_declare(c->ch->channel, &d, &counts, &c->refusal))
		return false;
	remember_queue(c->ch, d.name);
	struct method ok = { .id = METHOD_queue_declare_ok };
	ok.queue_declare_ok = (struct amqp_queue_declare_ok){
		.queue = d.name,
		.message_count = count32(counts.messages),
		.consumer_count = counts.consumers,
	};
	reply_durably(c, m->nowait, &ok);
	return true;
}

static bool on_queue_bind(struct call *c)
{
	const struct amqp_queue_bind *m = &c->m->queue_bind;
	struct bind b = { .source = m->exchange,
			  .routing_key = m->routing_key,
			  .arguments = m->arguments };
	if (!queue_name(c, m->queue, &b.destination))
		return false;
	if (m->queue.len == 0 &&
	    m->routing_key.len == 0) /* Both left out: the queue's name stands for both. */
		b.routing_key = b.destination;
	return bind_or_unbind(c, &b, false, m->nowait, METHOD_queue_bind_ok);
}

static bool on_queue_unbind(struct call *c)
{
	const struct amqp_queue_unbind *m = &c->m->queue_unbind;
	struct bind b = { .source = m->exchange,
			  .routing_key = m->routing_key,
			  .arguments = m->arguments };
	if (!queue_name(c, m->queue, &b.destination))
		return false;
	if (m->queue.len == 0 && m->routing_key.len == 0)
		b.routing_key = b.destination;
	return bind_or_unbind(c, &b, true, false, METHOD_queue_unbind_ok);
}

static bool on_queue_purge(struct call *c)
{
	struct bytes name;
	uint64_t messages;
	if (!queue_name(c, c->m->queue_purge.queue, &name) ||
	    !permit_read(c->s->access, name, &c->refusal) ||
	    !core_queue_purge(c->s->connection, name, &messages, &c->refusal))
		return false;
	struct method ok = { .id = METHOD_queue_purge_ok };
	ok.queue_purge_ok.message_count = count32(messages);
	reply_durably(c, c->m->queue_purge.nowait, &ok);
	return true;
}

static bool on_queue_delete(struct call *c)
{
	const struct amqp_queue_delete *m = &c->m->queue_delete;
	struct bytes name;
	uint64_t messages;
	if (!queue_name(c, m->queue, &name) ||
	    !permit_queue_delete(c->s->access, name, &c->refusal) ||
	    !core_queue_delete(c->s->connection, name, m->if_unused, m->if_empty, &messages,
			       &c->refusal))
		return false;
	struct method ok = { .id = METHOD_queue_delete_ok };
	ok.queue_delete_ok.message_count = count32(messages);
	reply_durably(c, m->nowait, &ok);
	return true;
}

/* --- basic --- */

static bool on_basic_qos(struct call *c)
{
	const struct amqp_basic_qos *m = &c->m->basic_qos;
	if (m->prefetch_size != 0) {
		refuse_connection(c->s, c->m->id, REPLY_NOT_IMPLEMENTED, "prefetch_size!=0 (%u)",
				  m->prefetch_size);
		return true;
	}
	core_qos(c->ch->channel, m->prefetch_count, m->global);
	reply_id(c, METHOD_basic_qos_ok);
	return true;
}

static bool on_basic_consume(struct call *c)
{
	const struct amqp_basic_consume *m = &c->m->basic_consume;
	char generated[NAME_BYTES];
	struct consume consume = {
		.tag = m->consumer_tag,
		.is_no_ack = m->no_ack,
		.is_exclusive = m->exclusive,
		.arguments = m->arguments,
	};
	if (!check_table(c, m->arguments))
		return true;
	if (!queue_name(c, m->queue, &consume.queue))
		return false;
	if (consume.tag.len == 0)
		consume.tag = session_name(c->s, "amq.ctag-", generated);
	if (!permit_read(c->s->access, consume.queue, &c->refusal) ||
	    !core_consume(c->ch->channel, &consume, &c->refusal))
		return false;
	struct method ok = { .id = METHOD_basic_consume_ok };
	ok.basic_consume_ok.consumer_tag = consume.tag;
	if (!m->nowait)
		reply(c, &ok);
	return true;
}

static bool on_basic_cancel(struct call *c)
{
	const struct amqp_basic_cancel *m = &c->m->basic_cancel;
	struct method ok = { .id = METHOD_basic_cancel_ok };
	ok.basic_cancel_ok.consumer_tag = m->consumer_tag;
	core_cancel(c->ch->channel, m->consumer_tag);
	if (!m->nowait)
		reply(c, &ok);
	return true;
}

/* The server answers a cancel notification of its own with nothing. */
static bool on_basic_cancel_ok(struct call *c)
{
	(void)c;
	return true;
}

static bool on_basic_publish(struct call *c)
{
	content_begin(c->ch, c->m);
	return true;
}

static bool on_basic_get(struct call *c)
{
	struct bytes name;
	struct effect effect;
	uint64_t messages;
	if (!queue_name(c, c->m->basic_get.queue, &name) ||
	    !permit_read(c->s->access, name, &c->refusal))
		return false;
	switch (core_get(c->ch->channel, name, c->m->basic_get.no_ack, &effect, &messages,
			 &c->refusal)) {
	case GET_OK: send_get_ok(c->ch, &effect, messages); return true;
	case GET_EMPTY: reply_id(c, METHOD_basic_get_empty); return true;
	case GET_LATER: c->is_retry = true; return true;
	case GET_REFUSED: break;
	}
	return false;
}

static bool on_basic_ack(struct call *c)
{
	const struct amqp_basic_ack *m = &c->m->basic_ack;
	return core_ack(c->ch->channel, m->delivery_tag, m->multiple, &c->refusal);
}

static bool on_basic_nack(struct call *c)
{
	const struct amqp_basic_nack *m = &c->m->basic_nack;
	return core_reject(c->ch->channel, m->delivery_tag, m->multiple, m->requeue, &c->refusal);
}

static bool on_basic_reject(struct call *c)
{
	const struct amqp_basic_reject *m = &c->m->basic_reject;
	return core_reject(c->ch->channel, m->delivery_tag, false, m->requeue, &c->refusal);
}

static bool on_basic_recover(struct call *c)
{
	bool is_async = c->m->id == METHOD_basic_recover_async;
	bool requeue = is_async ? c->m->basic_recover_async.requeue : c->m->basic_recover.requeue;
	if (!requeue) {
		refuse_connection(c->s, c->m->id, REPLY_NOT_IMPLEMENTED, "requeue=false");
		return true;
	}
	core_recover(c->ch->channel);
	if (!is_async)
		reply_id(c, METHOD_basic_recover_ok);
	return true;
}

/* --- confirm and tx --- */

static bool on_confirm_select(struct call *c)
{
	if (channel_is_tx(c->ch->channel))
		return refuse(&c->refusal, REPLY_PRECONDITION_FAILED,
			      "cannot switch from tx to confirm mode");
	core_confirm_select(c->ch->channel);
	if (!c->m->confirm_select.nowait)
		reply_id(c, METHOD_confirm_select_ok);
	return true;
}

static bool on_tx_select(struct call *c)
{
	if (channel_is_confirm(c->ch->channel))
		return refuse(&c->refusal, REPLY_PRECONDITION_FAILED,
			      "cannot switch from confirm to tx mode");
	core_tx_select(c->ch->channel);
	reply_id(c, METHOD_tx_select_ok);
	return true;
}

static bool check_tx(struct call *c)
{
	return channel_is_tx(c->ch->channel) ||
	       refuse(&c->refusal, REPLY_PRECONDITION_FAILED, "channel is not transactional");
}

static bool on_tx_commit(struct call *c)
{
	if (!check_tx(c))
		return false;
	if (core_commit_waits(c->ch->channel)) {
		c->is_retry = true;
		return true;
	}
	core_tx_commit(c->ch->channel);
	if (core_awaited(c->s->host->core) == 0)
		c->s->host->drain(c->s->host->arg); /* What is returned comes before the answer. */
	struct method ok = { .id = METHOD_tx_commit_ok };
	reply_durably(c, false, &ok);
	return true;
}

static bool on_tx_rollback(struct call *c)
{
	if (!check_tx(c))
		return false;
	core_tx_rollback(c->ch->channel);
	reply_id(c, METHOD_tx_rollback_ok);
	return true;
}

/* --- dispatch --- */

/* False: refused, see c->refusal. */
typedef bool handler(struct call *c);

static handler *handler_of(uint32_t id)
{
	switch (id) {
	case METHOD_basic_publish: return on_basic_publish;
	case METHOD_basic_ack: return on_basic_ack;
	case METHOD_basic_nack: return on_basic_nack;
	case METHOD_basic_reject: return on_basic_reject;
	case METHOD_basic_get: return on_basic_get;
	case METHOD_basic_qos: return on_basic_qos;
	case METHOD_basic_consume: return on_basic_consume;
	case METHOD_basic_cancel: return on_basic_cancel;
	case METHOD_basic_cancel_ok: return on_basic_cancel_ok;
	case METHOD_basic_recover: return on_basic_recover;
	case METHOD_basic_recover_async: return on_basic_recover;
	case METHOD_channel_open: return on_channel_open;
	case METHOD_channel_flow: return on_channel_flow;
	case METHOD_channel_flow_ok: return on_channel_flow_ok;
	case METHOD_channel_close: return on_channel_close;
	case METHOD_access_request: return on_access_request;
	case METHOD_exchange_declare: return on_exchange_declare;
	case METHOD_exchange_delete: return on_exchange_delete;
	case METHOD_exchange_bind: return on_exchange_bind;
	case METHOD_exchange_unbind: return on_exchange_unbind;
	case METHOD_queue_declare: return on_queue_declare;
	case METHOD_queue_bind: return on_queue_bind;
	case METHOD_queue_unbind: return on_queue_unbind;
	case METHOD_queue_purge: return on_queue_purge;
	case METHOD_queue_delete: return on_queue_delete;
	case METHOD_confirm_select: return on_confirm_select;
	case METHOD_tx_select: return on_tx_select;
	case METHOD_tx_commit: return on_tx_commit;
	case METHOD_tx_rollback: return on_tx_rollback;
	default: return NULL;
	}
}

/* A close-ok too many does no harm, and closes that cross each other make some. */
static void method_without_channel(struct session *s, uint16_t number, const struct method *m)
{
	if (m->id == METHOD_channel_close_ok)
		return;
	if (m->id != METHOD_channel_open) {
		refuse_connection(s, m->id, REPLY_CHANNEL_ERROR, "expected 'channel.open'");
		return;
	}
	if (s->channels_open >=
	    s->channel_max) { /* The number itself may be higher, as in RabbitMQ. */
		refuse_connection(s, 0, REPLY_NOT_ALLOWED,
				  "number of channels opened (%zu) has reached the negotiated "
				  "channel_max (%u)",
				  s->channels_open, s->channel_max);
		return;
	}
	const struct user *u = s->account;
	if (u != NULL && u->channels_max >= 0 && u->channels_len >= (uint64_t)u->channels_max) {
		refuse_connection(s, 0, REPLY_NOT_ALLOWED,
				  "number of channels opened for user '%.*s' has reached the "
				  "maximum allowed user limit of (%" PRId64 ")",
				  BYTES_ARG(s->user), u->channels_max);
		return;
	}
	session_channel_open(s, number);
	struct method ok = { .id = METHOD_channel_open_ok };
	send_method(s, number, &ok);
}

/* We have closed it: everything but the end of that is ignored. A close that crosses ours is
 * answered and the answer to ours still comes, unless the peer begins anew without it. */
static void method_of_closing_channel(struct session_channel *ch, const struct method *m)
{
	struct session *s = ch->session;
	uint16_t number = ch->number;
	if (m->id == METHOD_channel_close) {
		struct method ok = { .id = METHOD_channel_close_ok };
		send_method(s, number, &ok);
	} else if (m->id == METHOD_channel_close_ok) {
		session_channel_destroy(ch);
	} else if (m->id == METHOD_channel_open) {
		session_channel_destroy(ch);
		method_without_channel(s, number, m);
	}
}

enum handled channel_method(struct session *s, struct session_channel *ch, uint16_t number,
			    const struct method *m)
{
	if (ch == NULL) {
		method_without_channel(s, number, m);
		return HANDLED;
	}
	if (ch->channel == NULL) {
		method_of_closing_channel(ch, m);
		return HANDLED;
	}
	handler *run = handler_of(m->id);
	if (run == NULL) {
		refuse_connection(s, m->id, REPLY_COMMAND_INVALID, "unimplemented method");
		return HANDLED;
	}
	struct call call; /* Its refusal is long and mostly not needed: not set to zero. */
	call.s = s;
	call.ch = ch;
	call.m = m;
	call.is_retry = false;
	call.refusal.code = 0;
	if (!run(&call))
		refuse_method(s, ch, m->id, &call.refusal);
	return call.is_retry ? RETRY : HANDLED;
}

void connection_method(struct session *s, const struct method *m)
{
	struct method ok;
	switch (m->id) {
	case METHOD_connection_close:
		session_log(s, "closed by the client: %u %.*s", m->connection_close.reply_code,
			    BYTES_ARG(m->connection_close.reply_text));
		ok = (struct method){ .id = METHOD_connection_close_ok };
		send_method(s, 0, &ok);
		session_end(s);
		break;
	case METHOD_connection_update_secret:
		ok = (struct method){ .id = METHOD_connection_update_secret_ok };
		send_method(s, 0, &ok);
		break;
	case METHOD_connection_blocked: /* A client's own; there is nothing it could mean to us. */
	case METHOD_connection_unblocked: break;
	default:
		refuse_connection(s, m->id, REPLY_CHANNEL_ERROR,
				  "unexpected method in connection state running");
	}
}
