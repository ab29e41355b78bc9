/* Definitions: declaring, binding and deleting exchanges and queues, purging, consuming. */
#include "core/topology/declare.h"
#include "core/channel/channel.h"
#include "core/channel/connection.h"
#include "core/check/check.h"
#include "core/core.h"
#include "core/dedup/identity.h"
#include "core/dedup/producer.h"
#include "core/dispatch/consumer.h"
#include "core/dispatch/deliver.h"
#include "core/effect.h"
#include "core/exchange/binding.h"
#include "core/exchange/exchange.h"
#include "core/exchange/hash.h"
#include "core/exchange/match.h"
#include "core/flow/tend.h"
#include "core/inputs.h"
#include "core/line/fifo.h"
#include "core/queue/grant.h"
#include "core/queue/limits.h"
#include "core/queue/queue.h"
#include "core/record/definitions.h"
#include "core/state.h"
#include "core/turnwork.h"
#include "core/vhost/arguments.h"
#include "core/vhost/settings.h"
#include "core/vhost/vhost.h"

#include "base/alloc.h"
#include "table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char reply_queue[] = "amq.rabbitmq.reply-to";
static const char producer_prefix[] = "amq.producer.";

static bool check_not_default(struct bytes exchange, struct refusal *refusal)
{
	return exchange.len > 0 || refuse(refusal, REPLY_ACCESS_REFUSED,
					  "operation not permitted on the default exchange");
}

static bool check_name(const char *kind, struct bytes name, struct refusal *refusal)
{
	return !bytes_has_prefix(name, "amq.") ||
	       refuse(refusal, REPLY_ACCESS_REFUSED,
		      "%s name '%.*s' contains reserved prefix 'amq.*'", kind, BYTES_ARG(name));
}

static bool not_found(const char *kind, struct bytes name, const struct vhost *vhost,
		      struct refusal *refusal)
{
	return refuse(refusal, REPLY_NOT_FOUND, "no %s '%.*s' in vhost '%.*s'", kind,
		      BYTES_ARG(name), BYTES_ARG(vhost->name));
}

static bool check_field(const char *field, const char *received, const char *current,
			const char *kind, struct bytes name, const struct vhost *vhost,
			struct refusal *refusal)
{
	return strcmp(received, current) == 0 ||
	       refuse(refusal, REPLY_PRECONDITION_FAILED,
		      "inequivalent arg '%s' for %s '%.*s' in vhost '%.*s': received '%s' but "
		      "current is '%s'",
		      field, kind, BYTES_ARG(name), BYTES_ARG(vhost->name), received, current);
}

static const char *text_of(bool b)
{
	return b ? "true" : "false";
}

/* --- exchanges --- */

static const char *const guise_names[] = {
	[GUISE_DELAYED] = "x-delayed-message",
	[GUISE_DEDUPLICATING] = "x-message-deduplication",
};

static const char *declared_type(enum exchange_type type, enum exchange_guise guise)
{
	return guise == GUISE_NONE ? exchange_type_name(type) : guise_names[guise];
}

static bool find_type(const struct exchange_declare *d, enum exchange_type *type,
		      enum exchange_guise *guise, struct refusal *refusal)
{
	struct bytes delayed_type;
	*guise = bytes_equal_str(d->type, guise_names[GUISE_DELAYED])         ? GUISE_DELAYED
		 : bytes_equal_str(d->type, guise_names[GUISE_DEDUPLICATING]) ? GUISE_DEDUPLICATING
									      : GUISE_NONE;
	*type = EXCHANGE_FANOUT;
	if (*guise == GUISE_DEDUPLICATING)
		return true;
	if (*guise == GUISE_NONE)
		return exchange_type_find(d->type, type) ||
		       refuse(refusal, REPLY_COMMAND_INVALID, "unknown exchange type '%.*s'",
			      BYTES_ARG(d->type));
	if (table_find_string(d->arguments, "x-delayed-type", &delayed_type) &&
	    exchange_type_find(delayed_type, type))
		return true;
	return refuse(refusal, REPLY_PRECONDITION_FAILED,
		      "Invalid argument, 'x-delayed-type' must be an existing exchange type");
}

static bool exchange_equivalent(const struct exchange *x, enum exchange_type type,
				enum exchange_guise guise, const struct exchange_declare *d,
				struct refusal *refusal)
{
	char what[600];
	const struct vhost *v = x->vhost;
	snprintf(what, sizeof what, "exchange '%.*s' in vhost '%.*s'", BYTES_ARG(x->name),
		 BYTES_ARG(v->name));
	return check_field("type", declared_type(type, guise), declared_type(x->type, x->guise),
			   "exchange", x->name, v, refusal) &&
	       (guise != GUISE_DELAYED ||
		argument_equivalent("x-delayed-type", x->arguments, d->arguments, what, refusal)) &&
	       check_field("durable", text_of(d->is_durable), text_of(x->is_durable), "exchange",
			   x->name, v, refusal) &&
	       check_field("auto_delete", text_of(d->is_auto_delete), text_of(x->is_auto_delete),
			   "exchange", x->name, v, refusal) &&
	       check_field("internal", text_of(d->is_internal), text_of(x->is_internal), "exchange",
			   x->name, v, refusal) &&
	       exchange_arguments_equivalent(x, d->arguments, what, refusal);
}

static bool check_new_exchange(const struct vhost *vhost, const struct exchange_declare *d,
			       struct refusal *refusal)
{
	struct table_value ae;
	char what[600];
	const struct core *core = vhost->core;
	snprintf(what, sizeof what, "exchange '%.*s' in vhost '%.*s'", BYTES_ARG(d->name),
		 BYTES_ARG(vhost->name));
	if (!check_name("exchange", d->name, refusal) ||
	    !hash_check_arguments(d->arguments, refusal) ||
	    !exchange_arguments_check(d->arguments, what, refusal))
		return false;
	if (table_find(d->arguments, "alternate-exchange", &ae) && ae.type != 'S')
		return refuse(refusal, REPLY_PRECONDITION_FAILED,
			      "invalid type '%s' for arg 'alternate-exchange' in %s",
			      table_type_name(ae.type), what);
	if (core->exchanges_len >= core->options.exchanges_max)
		return refuse(refusal, REPLY_PRECONDITION_FAILED,
			      "cannot declare exchange '%.*s': exchange limit (%u) is reached",
			      BYTES_ARG(d->name), core->options.exchanges_max);
	return true;
}

bool core_exchange_declare(struct connection *connection, const struct exchange_declare *d,
			   struct refusal *refusal)
{
	CHECKED_INPUT(connection->core);
	struct vhost *vhost = connection->vhost;
	enum exchange_type type;
	enum exchange_guise guise;
	struct exchange *x = exchange_find(vhost, d->name);
	vhost->core->awaited = x == NULL ? 0 : x->defined;
	if (d->is_passive)
		return check_not_default(d->name, refusal) &&
		       (x != NULL || not_found("exchange", d->name, vhost, refusal));
	if (!find_type(d, &type, &guise, refusal))
		return false;
	if (!check_not_default(d->name, refusal))
		return false;
	if (x != NULL)
		return exchange_equivalent(x, type, guise, d, refusal);
	if (!check_new_exchange(vhost, d, refusal))
		return false;
	x = exchange_create(vhost, d->name, type);
	x->is_durable = d->is_durable;
	x->is_auto_delete = d->is_auto_delete;
	x->is_internal = d->is_internal;
	x->guise = guise;
	x->arguments = alloc_copy(d->arguments);
	exchange_apply_settings(x);
	if (x->is_durable)
		durable_exchange(x, false);
	vhost->core->awaited = x->defined;
	return true;
}

/* Drops a binding; an auto-delete source goes with the last one that leaves it. */
static void unbind(struct binding *b)
{
	struct exchange *source = b->source;
	if (b->id != 0)
		durable_binding(b, true);
	binding_destroy(b);
	if (source->is_auto_delete && list_is_empty(&source->bindings))
		exchange_delete(source);
}

static void unbind_all_to(struct list *inbound)
{
	while (!list_is_empty(inbound))
		unbind(list_entry(inbound->next, struct binding, in_destination));
}

void exchange_delete(struct exchange *x)
{
	assert(!x->is_predeclared);
	x->is_auto_delete = false; /* It is going already. */
	while (!list_is_empty(&x->bindings))
		unbind(list_entry(x->bindings.next, struct binding, in_source));
	unbind_all_to(&x->inbound);
	if (x->is_durable)
		durable_exchange(x, true);
	exchange_destroy(x);
}

bool core_exchange_delete(struct connection *connection, struct bytes name, bool if_unused,
			  struct refusal *refusal)
{
	CHECKED_INPUT(connection->core);
	struct vhost *vhost = connection->vhost;
	struct exchange *x = exchange_find(vhost, name);
	if (!check_not_default(name, refusal))
		return false;
	vhost->core->awaited = vhost->core->removed;
	if (x == NULL)
		return true;
	if (x->is_predeclared)
		return refuse(refusal, REPLY_ACCESS_REFUSED,
			      "deletion of system exchange '%.*s' in vhost '%.*s' not allowed",
			      BYTES_ARG(name), BYTES_ARG(vhost->name));
	if (if_unused && !list_is_empty(&x->bindings))
		return refuse(refusal, REPLY_PRECONDITION_FAILED,
			      "exchange '%.*s' in vhost '%.*s' in use", BYTES_ARG(name),
			      BYTES_ARG(vhost->name));
	exchange_delete(x);
	vhost->core->awaited = vhost->core->removed;
	return true;
}

/* --- queues --- */

static bool locked(const struct queue *q, struct refusal *refusal)
{
	return refuse(refusal, REPLY_RESOURCE_LOCKED,
		      "cannot obtain exclusive access to locked queue '%.*s' in vhost '%.*s'. It "
		      "could be originally declared "
		      "on another connection or the exclusive property value does not match that "
		      "of the original "
		      "declaration.",
		      BYTES_ARG(q->name), BYTES_ARG(q->vhost->name));
}

static bool check_access(const struct connection *connection, const struct queue *q,
			 struct refusal *refusal)
{
	return q->owner == NULL || q->owner == connection || locked(q, refusal);
}

/* The queue, if it is there and this connection may use it. */
static struct queue *find_queue(const struct connection *connection, struct bytes name,
				struct refusal *refusal)
{
	struct queue *q = queue_find(connection->vhost, name);
	if (q == NULL)
		not_found("queue", name, connection->vhost, refusal);
	return q != NULL && check_access(connection, q, refusal) ? q : NULL;
}

static bool queue_equivalent(const struct connection *connection, const struct queue *q,
			     const struct queue_declare *d, struct refusal *refusal)
{
	if (q->owner != (d->is_exclusive ? connection : NULL))
		return locked(q, refusal);
	return check_field("durable", text_of(d->is_durable), text_of(q->is_durable), "queue",
			   q->name, q->vhost, refusal) &&
	       check_field("auto_delete", text_of(d->is_auto_delete), text_of(q->is_auto_delete),
			   "queue", q->name, q->vhost, refusal) &&
	       queue_arguments_equivalent(q, d->arguments, refusal);
}

static bool check_new_queue(const struct vhost *vhost, const struct queue_declare *d,
			    struct refusal *refusal)
{
	const struct core *core = vhost->core;
	if (!queue_arguments_check(d, vhost->name, refusal))
		return false;
	return core->queues_len < core->options.queues_max ||
	       refuse(refusal, REPLY_PRECONDITION_FAILED,
		      "cannot declare queue '%.*s': queue limit in vhost '%.*s' (%u) is reached",
		      BYTES_ARG(d->name), BYTES_ARG(vhost->name), core->options.queues_max);
}

static struct queue *queue_new(struct connection *connection, const struct queue_declare *d)
{
	struct queue *q = queue_create(connection->vhost, d->name);
	q->is_durable = d->is_durable;
	q->is_auto_delete = d->is_auto_delete;
	queue_set_arguments(q, d->arguments);
	if (d->is_exclusive) {
		q->owner = connection;
		list_push_tail(&connection->exclusive, &q->in_owner);
	} else if (d->is_durable) { /* An exclusive one would not outlive its connection anyway. */
		durable_queue(q, false);
	}
	return q;
}

static void answer_declare(const struct queue *q, struct queue_counts *counts)
{
	q->vhost->core->awaited = q->defined;
	counts->messages = queue_ready(q);
	counts->consumers = q->consumers_len;
}

/* amq.rabbitmq.reply-to is no queue, but clients may ask whether it is there. */
static bool is_reply_queue(const struct core *core, struct bytes name)
{
	if (!bytes_has_prefix(name, reply_queue))
		return false;
	size_t prefix = sizeof reply_queue; /* With the dot that follows. */
	return name.len == prefix - 1 ||
	       (name.len > prefix &&
		map_get(&core->replies, bytes_of(name.data + prefix, name.len - prefix)) != NULL);
}

bool core_queue_declare(struct channel *channel, const struct queue_declare *d,
			struct queue_counts *counts, struct refusal *refusal)
{
	CHECKED_INPUT(channel->core);
	struct connection *connection = channel->connection;
	struct queue *q = queue_find(connection->vhost, d->name);
	if (q == NULL && bytes_has_prefix(d->name, reply_queue)) {
		*counts = (struct queue_counts){ .consumers = 1 };
		channel->core->awaited = 0;
		return is_reply_queue(channel->core, d->name) ||
		       not_found("queue", d->name, connection->vhost, refusal);
	}
	if (d->is_passive) {
		q = find_queue(connection, d->name, refusal);
		if (q == NULL)
			return false;
		queue_used(q);
		answer_declare(q, counts);
		return true;
	}
	if (!d->is_generated && !check_name("queue", d->name, refusal))
		return false;
	if (q != NULL ? !queue_equivalent(connection, q, d, refusal)
		      : !check_new_queue(connection->vhost, d, refusal))
		return false;
	if (q == NULL)
		q = queue_new(connection, d);
	queue_used(q);
	answer_declare(q, counts);
	return true;
}

void queue_delete(struct queue *q)
{
	assert(!q->is_delaying || q->vhost->delayed == q);
	uint64_t sequence = q->id == 0 ? 0 : q->vhost->core->batch->sequence;
	while (!list_is_empty(&q->consumers))
		consumer_cancel(list_entry(q->consumers.next, struct consumer, in_queue), sequence);
	unbind_all_to(&q->inbound);
	if (q->id != 0)
		durable_queue(q, true);
	queue_destroy(q);
}

void queue_lost_consumer(struct queue *q)
{
	if (q->is_auto_delete && q->consumers_len == 0)
		queue_delete(q);
}

bool core_queue_delete(struct connection *connection, struct bytes name, bool if_unused,
		       bool if_empty, uint64_t *messages, struct refusal *refusal)
{
	CHECKED_INPUT(connection->core);
	const struct vhost *vhost = connection->vhost;
	struct queue *q = queue_find(vhost, name);
	*messages = 0;
	vhost->core->awaited = vhost->core->removed;
	if (q == NULL)
		return true;
	if (!check_access(connection, q, refusal))
		return false;
	if (q->is_delaying)
		return refuse(refusal, REPLY_ACCESS_REFUSED,
			      "deletion of system queue '%.*s' in vhost '%.*s' not allowed",
			      BYTES_ARG(name), BYTES_ARG(vhost->name));
	if (if_unused && q->consumers_len > 0)
		return refuse(refusal, REPLY_PRECONDITION_FAILED,
			      "queue '%.*s' in vhost '%.*s' in use", BYTES_ARG(name),
			      BYTES_ARG(vhost->name));
	if (if_empty && queue_ready(q) + q->shelf.len > 0) /* What waits counts as well. */
		return refuse(refusal, REPLY_PRECONDITION_FAILED,
			      "queue '%.*s' in vhost '%.*s' not empty", BYTES_ARG(name),
			      BYTES_ARG(vhost->name));
	*messages = queue_ready(q);
	queue_delete(q);
	vhost->core->awaited = vhost->core->removed;
	return true;
}

bool core_queue_purge(struct connection *connection, struct bytes name, uint64_t *messages,
		      struct refusal *refusal)
{
	CHECKED_INPUT(connection->core);
	struct queue *q = find_queue(connection, name, refusal);
	if (q == NULL)
		return false;
	*messages = queue_purge(q);
	identity_queue_emptied(q);
	connection->core->awaited = q->purged;
	return true;
}

/* --- bindings --- */

static bool check_headers_arguments(const struct exchange *source, struct bytes arguments,
				    struct refusal *refusal)
{
	enum headers_match match;
	struct table_value v;
	struct bytes text;
	if (source->type != EXCHANGE_HEADERS || headers_match_parse(arguments, &match) ||
	    !table_find(arguments, "x-match", &v))
		return true;
	if (table_value_string(&v, &text))
		return refuse(refusal, REPLY_PRECONDITION_FAILED,
			      "Invalid x-match field value <<\"%.*s\">>; expected all, any, "
			      "all-with-x, or any-with-x",
			      BYTES_ARG(text));
	return refuse(refusal, REPLY_PRECONDITION_FAILED,
		      "Invalid x-match field type %s; expected longstr", table_type_name(v.type));
}

struct ends {
	struct exchange *source;
	struct queue *queue;
	struct exchange *exchange;
};

static bool find_ends(const struct connection *connection, const struct bind *b, struct ends *ends,
		      struct refusal *refusal)
{
	const struct vhost *vhost = connection->vhost;
	if (!check_not_default(b->source, refusal) ||
	    (b->is_to_exchange && !check_not_default(b->destination, refusal)))
		return false;
	*ends = (struct ends){ .source = exchange_find(vhost, b->source) };
	if (ends->source == NULL)
		return not_found("exchange", b->source, vhost, refusal);
	if (!b->is_to_exchange) {
		ends->queue = find_queue(connection, b->destination, refusal);
		if (ends->queue != NULL && ends->queue->is_delaying)
			return refuse(refusal, REPLY_ACCESS_REFUSED,
				      "cannot bind system queue '%.*s' in vhost '%.*s'",
				      BYTES_ARG(b->destination), BYTES_ARG(vhost->name));
		return ends->queue != NULL;
	}
	ends->exchange = exchange_find(vhost, b->destination);
	return ends->exchange != NULL || not_found("exchange", b->destination, vhost, refusal);
}

static struct binding *existing(const struct ends *ends, const struct bind *b, uint8_t *buffer,
				size_t size, struct bytes *identity)
{
	struct writer w = writer_of(buffer, size);
	*identity = binding_identity(&w, b->is_to_exchange ? 'e' : 'q', b->destination,
				     b->routing_key, b->arguments);
	return binding_find(ends->source, *identity);
}

static size_t identity_size(const struct bind *b)
{
	return BINDING_IDENTITY_OVERHEAD + b->destination.len + b->routing_key.len +
	       b->arguments.len;
}

bool core_bind(struct connection *connection, const struct bind *b, struct refusal *refusal)
{
	CHECKED_INPUT(connection->core);
	struct core *core = connection->core;
	struct ends ends;
	if (!find_ends(connection, b, &ends, refusal) ||
	    !check_headers_arguments(ends.source, b->arguments, refusal) ||
	    !hash_check_key(ends.source, b->routing_key, refusal))
		return false;
	size_t size = identity_size(b);
	uint8_t *buffer = alloc_resize(NULL, size);
	struct bytes identity;
	struct binding *binding = existing(&ends, b, buffer, size, &identity);
	bool is_new = binding == NULL, has_room = core->bindings_len < core->options.bindings_max;
	if (is_new && has_room) {
		binding = binding_create(ends.source, ends.queue, ends.exchange, identity);
		bool is_kept = ends.queue != NULL ? ends.queue->id != 0 : ends.exchange->is_durable;
		if (ends.source->is_durable && is_kept)
			durable_binding(binding, false);
	}
	free(buffer);
	core->awaited = binding == NULL ? 0 : binding->defined;
	return !is_new || has_room ||
	       refuse(refusal, REPLY_PRECONDITION_FAILED,
		      "cannot bind: binding limit (%u) is reached", core->options.bindings_max);
}

/* What is not there need not be removed: that succeeds, as in RabbitMQ. */
bool core_unbind(struct connection *connection, const struct bind *b, struct refusal *refusal)
{
	CHECKED_INPUT(connection->core);
	struct ends ends;
	if (!find_ends(connection, b, &ends, refusal)) {
		if (refusal->code != REPLY_NOT_FOUND)
			return false;
		*refusal = (struct refusal){ 0 };
		connection->core->awaited = connection->core->removed;
		return true;
	}
	size_t size = identity_size(b);
	uint8_t *buffer = alloc_resize(NULL, size);
	struct bytes identity;
	struct binding *binding = existing(&ends, b, buffer, size, &identity);
	free(buffer);
	if (binding != NULL)
		unbind(binding);
	connection->core->awaited = connection->core->removed;
	return true;
}

/* --- consuming --- */

static void write_base64(struct writer *w, struct bytes b)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	for (size_t i = 0; i < b.len; i += 3) {
		size_t len = b.len - i < 3 ? b.len - i : 3;
		uint32_t bits = (uint32_t)b.data[i] << 16;
		bits |= len > 1 ? (uint32_t)b.data[i + 1] << 8 : 0;
		bits |= len > 2 ? b.data[i + 2] : 0;
		for (size_t k = 0; k < 4; k++)
			write_u8(w, k <= len ? (uint8_t)digits[bits >> (18 - 6 * k) & 63] : '=');
	}
}

/* Looks like RabbitMQ's, where it is a process and a key: some clients' tests ask. The counter
 * makes it unique in the broker, and who has some of them cannot make others from them. */
static struct bytes reply_token(struct core *core)
{
	uint8_t text[64];
	struct writer w = writer_of(text, sizeof text);
	uint64_t numbers[] = { ++core->reply_last, 0 }, key[2];
	for (size_t i = 0; i < 2; i++) {
		numbers[1] = i;
		key[i] = siphash(&core->secret, bytes_of(numbers, sizeof numbers));
	}
	write_base64(&w, bytes_of(numbers, sizeof numbers[0]));
	write_u8(&w, '.');
	write_base64(&w, bytes_of(key, sizeof key));
	assert(!w.failed);
	return alloc_copy(bytes_of(text, (size_t)(w.at - text)));
}

static bool consume_replies(struct channel *ch, const struct consume *c, struct refusal *refusal)
{
	if (!c->is_no_ack)
		return refuse(refusal, REPLY_PRECONDITION_FAILED,
			      "reply consumer cannot acknowledge");
	if (ch->reply_token.len > 0)
		return refuse(refusal, REPLY_PRECONDITION_FAILED, "reply consumer already set");
	ch->reply_token = reply_token(ch->core);
	ch->reply_tag = alloc_copy(c->tag);
	map_put(&ch->core->replies, ch->reply_token, ch);
	return true;
}

void channel_drop_reply(struct channel *ch)
{
	if (ch->reply_token.len == 0)
		return;
	effects_drop(ch->core, ch->owner, true); /* They refer to the tag. */
	map_remove(&ch->core->replies, ch->reply_token);
	free((void *)ch->reply_token.data);
	free((void *)ch->reply_tag.data);
	ch->reply_token = ch->reply_tag = (struct bytes){ NULL, 0 };
}

static bool consume_priority(const struct consume *c, const struct queue *q, int64_t *priority,
			     struct refusal *refusal)
{
	struct table_value v;
	*priority = 0;
	if (!table_find(c->arguments, "x-priority", &v))
		return true;
	if (!table_value_integer(&v, priority))
		return refuse(refusal, REPLY_PRECONDITION_FAILED,
			      "invalid arg 'x-priority' for queue '%.*s' in vhost '%.*s': "
			      "\"expected integer, got %s\"",
			      BYTES_ARG(q->name), BYTES_ARG(q->vhost->name),
			      table_type_name(v.type));
	return true;
}

bool core_consume(struct channel *ch, const struct consume *c, struct refusal *refusal)
{
	CHECKED_INPUT(ch->core);
	int64_t priority;
	if (map_get(&ch->consumers, c->tag) != NULL || cancellation_find(ch, c->tag) != NULL ||
	    (ch->reply_tag.len > 0 && bytes_equal(ch->reply_tag, c->tag)))
		return refuse(refusal, REPLY_NOT_ALLOWED, "attempt to reuse consumer tag '%.*s'",
			      BYTES_ARG(c->tag));
	if (bytes_equal_str(c->queue, reply_queue))
		return consume_replies(ch, c, refusal);
	struct queue *q = find_queue(ch->connection, c->queue, refusal);
	if (q == NULL || !consume_priority(c, q, &priority, refusal))
		return false;
	if (q->is_exclusive_consumer || (c->is_exclusive && q->consumers_len > 0))
		return refuse(refusal, REPLY_ACCESS_REFUSED,
			      "queue '%.*s' in vhost '%.*s' in exclusive use", BYTES_ARG(q->name),
			      BYTES_ARG(q->vhost->name));
	if (ch->consumers.len >= ch->core->options.consumers_max)
		return refuse(refusal, REPLY_NOT_ALLOWED,
			      "number of consumers has reached the limit of a channel (%u)",
			      ch->core->options.consumers_max);
	consumer_create(ch, q, c, priority);
	return true;
}

void core_cancel(struct channel *ch, struct bytes tag)
{
	CHECKED_INPUT(ch->core);
	if (ch->reply_tag.len > 0 && bytes_equal(ch->reply_tag, tag)) {
		channel_drop_reply(ch);
		return;
	}
	struct consumer *consumer = map_get(&ch->consumers, tag);
	struct cancellation *cancellation = cancellation_find(ch, tag);
	if (cancellation != NULL)
		cancellation_drop(cancellation);
	if (consumer == NULL)
		return;
	struct queue *q = consumer->queue;
	consumer_destroy(consumer);
	queue_lost_consumer(q);
}

/* What reads like a queue says where a producer stands: any client can ask. */
static enum get_result get_producer(struct channel *ch, struct bytes name, bool is_no_ack,
				    struct effect *effect, uint64_t *messages,
				    struct refusal *refusal)
{
	size_t prefix = sizeof producer_prefix - 1;
	if (!is_no_ack) {
		refuse(refusal, REPLY_PRECONDITION_FAILED,
		       "'%.*s' is no queue and takes no ack: get it with no_ack", BYTES_ARG(name));
		return GET_REFUSED;
	}
	struct message *m =
		producer_report(ch->core, bytes_of(name.data + prefix, name.len - prefix));
	if (m == NULL)
		return GET_EMPTY;
	hand_out(ch->core, m);
	*messages = 0;
	*effect = (struct effect){ .kind = EFFECT_DELIVER, .owner = ch->owner };
	effect->deliver.message = m;
	effect->deliver.delivery_tag = ++ch->last_tag;
	effect->deliver.delivery_count = -1;
	return GET_OK;
}

enum get_result core_get(struct channel *ch, struct bytes name, bool is_no_ack,
			 struct effect *effect, uint64_t *messages, struct refusal *refusal)
{
	CHECKED_INPUT(ch->core);
	if (bytes_has_prefix(name, producer_prefix))
		return get_producer(ch, name, is_no_ack, effect, messages, refusal);
	struct queue *q = find_queue(ch->connection, name, refusal);
	if (q == NULL)
		return GET_REFUSED;
	struct head head;
	queue_used(q);
	if (queue_needs_tending(q) &&
	    (queue_tend(q, false, effect) || !list_is_empty(&q->in_late))) {
		queue_mark_dirty(q); /* The effect will come again. */
		return GET_LATER;
	}
	if (queue_ready(q) == 0)
		return GET_EMPTY;
	if (!queue_first(q, &head)) {
		queue_want_index(q);
		return GET_LATER;
	}
	if (slot_is_on_disk(*head.slot)) {
		queue_want_load(q);
		return GET_LATER;
	}
	if (head.is_new && !grant_covers(q, head.position, slot_message(*head.slot)))
		return GET_LATER;
	deliver(q, &head, ch, NULL, is_no_ack, effect);
	*messages = queue_ready(q);
	return GET_OK;
}
