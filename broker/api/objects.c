/* Queues, exchanges and bindings. */
#include "api/connections.h"
#include "api/json_text.h"
#include "api/stats.h"
#include "api/walk.h"

#include "core/admin.h"
#include "core/inputs.h"

#include "auth/access.h"
#include "permit/permit.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* --- queues as JSON --- */

/* A policy's definition, and what an operator's policy bounds or adds. */
static json_t *effective_definition(const struct policy_info *p)
{
	json_t *all = table_json(p->definition), *bounds = table_json(p->operator_definition);
	const char *key;
	json_t *bound;
	json_object_foreach(bounds, key, bound)
	{
		const json_t *own = json_object_get(all, key);
		if (!json_is_integer(own) || !json_is_integer(bound) ||
		    json_integer_value(bound) < json_integer_value(own))
			json_object_set(all, key, bound);
	}
	json_decref(bounds);
	return all;
}

static json_t *time_text(uint64_t unix_ms)
{
	char text[80], whole[40];
	struct tm parts;
	time_t seconds = (time_t)(unix_ms / 1000);
	gmtime_r(&seconds, &parts);
	strftime(whole, sizeof whole, "%Y-%m-%dT%H:%M:%S", &parts);
	snprintf(text, sizeof text, "%s.%03u+00:00", whole, (unsigned)(unix_ms % 1000));
	return json_string(text);
}

static const char *queue_type(const json_t *arguments)
{
	const char *type = json_string_value(json_object_get(arguments, "x-queue-type"));
	return type != NULL ? type : "classic";
}

/* What no statistics are needed for. */
static void put_queue_definition(const struct query *c, struct fields *f,
				 const struct queue_row *row)
{
	const struct queue_info *q = &row->i;
	FIELD_TEXT(f, "name", q->name);
	FIELD_TEXT(f, "vhost", q->vhost);
	FIELD_BOOL(f, "durable", q->is_durable);
	FIELD_BOOL(f, "auto_delete", q->is_auto_delete);
	FIELD_BOOL(f, "exclusive", q->is_exclusive);
	FIELD_STR(f, "node", c->api->options.node);
	FIELD_STR(f, "state", "running");
	if (columns_want(f->columns, "arguments") || columns_want(f->columns, "type")) {
		json_t *arguments = table_json(q->arguments);
		FIELD_STR(f, "type", queue_type(arguments));
		FIELD(f, "arguments", json_incref(arguments));
		json_decref(arguments);
	}
}

static void put_queue_lengths(struct fields *f, const struct queue_info *q)
{
	FIELD_INT(f, "messages", q->ready + q->unacked);
	FIELD_INT(f, "messages_ready", q->ready);
	FIELD_INT(f, "messages_unacknowledged", q->unacked);
}

static void put_queue_state(struct fields *f, const struct queue_row *row)
{
	const struct queue_info *q = &row->i;
	FIELD_INT(f, "consumers", q->consumers);
	FIELD(f, "policy", fields_text_or_null(q->policy.name));
	FIELD(f, "operator_policy", fields_text_or_null(q->policy.operator_name));
	FIELD(f, "effective_policy_definition", effective_definition(&q->policy));
	FIELD(f, "exclusive_consumer_tag", json_null());
	FIELD(f, "single_active_consumer_tag", fields_text_or_null(q->active_tag));
	FIELD_INT(f, "message_bytes_ready", q->ready_bytes);
	FIELD_INT(f, "message_bytes", q->ready_bytes);
	FIELD_INT(f, "message_bytes_ram", q->ready_bytes);
	FIELD_INT(f, "messages_ram", q->ready);
	FIELD_INT(f, "messages_ready_ram", q->ready);
	FIELD_INT(f, "messages_unacknowledged_ram", q->unacked);
	FIELD_INT(f, "message_bytes_unacknowledged", 0);
	FIELD_INT(f, "message_bytes_persistent", q->is_durable ? q->ready_bytes : 0);
	FIELD_INT(f, "messages_persistent", q->is_durable ? q->ready : 0);
	FIELD_INT(f, "messages_paged_out", 0);
	FIELD_INT(f, "message_bytes_paged_out", 0);
	FIELD_INT(f, "messages_delayed", q->waiting);
	FIELD_INT(f, "messages_held", q->held);
	FIELD(f, "head_message_timestamp",
	      q->oldest_ms == 0 ? json_null() : json_integer((json_int_t)(q->oldest_ms / 1000)));
	FIELD_INT(f, "memory", 1024 + q->ready * 64);
	FIELD(f, "consumer_utilisation", json_real(q->consumers > 0 && q->ready == 0 ? 1 : 0));
	FIELD(f, "consumer_capacity", json_real(q->consumers > 0 && q->ready == 0 ? 1 : 0));
	if (q->used_ms != 0)
		FIELD(f, "idle_since", time_text(q->used_ms));
	if (row->owner.len > 0)
		FIELD(f, "owner_pid_details", json_pack("{s:o}", "name", json_of_text(row->owner)));
}

static json_t *queue_json(struct query *c, const void *from, const struct columns *columns)
{
	const struct queue_row *row = from;
	struct fields f = { json_object(), columns };
	bool is_bare = query_parameter_is_true(c, "disable_stats");
	put_queue_definition(c, &f, row);
	if (is_bare && query_parameter_is_true(c, "enable_queue_totals"))
		put_queue_lengths(&f, &row->i);
	if (is_bare)
		return f.object;
	struct stat stats[3 + MESSAGE_STATS] = {
		{ "messages", row->i.ready + row->i.unacked, true },
		{ "messages_ready", row->i.ready, true },
		{ "messages_unacknowledged", row->i.unacked, true },
	};
	size_t len = 3 + stats_of_messages(&row->i.stats, stats + 3);
	const struct stat_key key = { 'q', row->i.vhost, row->i.name };
	put_queue_state(&f, row);
	stats_put(c, &f, &key, stats, len);
	return f.object;
}

/* --- exchanges as JSON --- */

static json_t *exchange_json(struct query *c, const void *from, const struct columns *columns)
{
	const struct exchange_info *x = &((const struct exchange_row *)from)->i;
	struct fields f = { json_object(), columns };
	const struct stat stats[] = { { "publish_in", x->publish_in, false },
				      { "publish_out", x->publish_out, false } };
	const struct stat_key key = { 'x', x->vhost, x->name };
	FIELD_TEXT(&f, "name", x->name);
	FIELD_TEXT(&f, "vhost", x->vhost);
	FIELD_STR(&f, "type", x->type);
	FIELD_BOOL(&f, "durable", x->is_durable);
	FIELD_BOOL(&f, "auto_delete", x->is_auto_delete);
	FIELD_BOOL(&f, "internal", x->is_internal);
	FIELD(&f, "arguments", table_json(x->arguments));
	FIELD_STR(&f, "user_who_performed_action", "rmq-internal");
	if (x->policy.name.len > 0)
		FIELD_TEXT(&f, "policy", x->policy.name);
	stats_put(c, &f, &key, stats, 2);
	return f.object;
}

/* --- bindings as JSON --- */

/* As application/x-www-form-urlencoded has it. */
static void write_encoded(struct writer *w, struct bytes text)
{
	char hex[4];
	for (size_t i = 0; i < text.len; i++) {
		uint8_t b = text.data[i];
		if (isalnum(b) || b == '-' || b == '_' || b == '.') {
			write_u8(w, b);
		} else if (b == ' ') {
			write_u8(w, '+');
		} else {
			snprintf(hex, sizeof hex, "%%%02X", b);
			write_bytes(w, bytes_of(hex, 3));
		}
	}
}

/* FNV-1a: the same for the same arguments, with every broker. */
static void write_hash(struct writer *w, struct bytes arguments)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	uint64_t hash = UINT64_C(14695981039346656037);
	for (size_t i = 0; i < arguments.len; i++)
		hash = (hash ^ arguments.data[i]) * UINT64_C(1099511628211);
	for (int i = 0; i < 6; i++, hash >>= 6)
		write_u8(w, (uint8_t)digits[hash & 63]);
}

enum { PROPERTIES_KEY_MAX = 3 * 255 + 8 };

/* What tells a binding from others between the same two. */
static struct bytes properties_key(const struct binding_info *b, uint8_t room[PROPERTIES_KEY_MAX])
{
	struct writer w = writer_of(room, PROPERTIES_KEY_MAX);
	if (b->routing_key.len == 0)
		write_u8(&w, '~');
	write_encoded(&w, b->routing_key);
	if (b->arguments.len > 0) {
		if (b->routing_key.len > 0)
			write_u8(&w, '~');
		write_hash(&w, b->arguments);
	}
	return bytes_of(room, (size_t)(w.at - room));
}

static json_t *binding_json(struct query *c, const void *from, const struct columns *columns)
{
	const struct binding_info *b = &((const struct binding_row *)from)->i;
	uint8_t room[PROPERTIES_KEY_MAX];
	struct fields f = { json_object(), columns };
	(void)c;
	FIELD_TEXT(&f, "source", b->source);
	FIELD_TEXT(&f, "vhost", b->vhost);
	FIELD_TEXT(&f, "destination", b->destination);
	FIELD_STR(&f, "destination_type", b->is_to_exchange ? "exchange" : "queue");
	FIELD_TEXT(&f, "routing_key", b->routing_key);
	FIELD(&f, "arguments", table_json(b->arguments));
	FIELD_TEXT(&f, "properties_key", properties_key(b, room));
	return f.object;
}

/* --- lists --- */

static const struct bytes *vhost_wanted(const struct query *c)
{
	return c->route->vhost == VHOST_NONE ? NULL : &c->names[0];
}

static enum desk_step list_queues(struct query *c)
{
	const struct walk_wanted wanted = { .kind = SHEET_QUEUES, .vhost = vhost_wanted(c) };
	return walk_step(c, &wanted);
}

static void tell_queues(struct query *c)
{
	list_reply(c, queue_json, "name");
}

static enum desk_step list_exchanges(struct query *c)
{
	const struct walk_wanted wanted = { .kind = SHEET_EXCHANGES, .vhost = vhost_wanted(c) };
	return walk_step(c, &wanted);
}

static void tell_exchanges(struct query *c)
{
	list_reply(c, exchange_json, "name");
}

static enum desk_step list_bindings(struct query *c)
{
	const struct walk_wanted wanted = { .kind = SHEET_BINDINGS, .vhost = vhost_wanted(c) };
	return walk_step(c, &wanted);
}

static void tell_bindings(struct query *c)
{
	list_reply(c, binding_json, "source");
}

/* --- one queue --- */

static enum desk_step get_queue(struct query *c)
{
	const struct walk_wanted consumers = { .kind = SHEET_CONSUMERS,
					       .vhost = &c->names[0],
					       .queue = &c->names[1] };
	struct queue_row row = { 0 };
	struct vhost *vhost = query_vhost(c);
	if (vhost == NULL)
		return DESK_DONE;
	if (c->one == NULL) {
		if (!view_queue(vhost, c->names[1], &row.i) || row.i.is_system) {
			query_not_found(c);
			return DESK_DONE;
		}
		if (row.i.owner != NULL)
			row.owner = bytes_str(session_connection_name(row.i.owner));
		c->one = sheet_create(SHEET_QUEUES);
		sheet_add(c->one, &row);
	}
	return walk_step(c, &consumers);
}

static void tell_queue(struct query *c)
{
	json_t *queue = queue_json(c, sheet_row(c->one, 0), NULL), *consumers = json_array();
	for (size_t i = 0; i < sheet_len(c->sheet); i++)
		json_array_append_new(consumers, consumer_json(c, sheet_row(c->sheet, i), NULL));
	json_object_set_new(queue, "consumer_details", consumers);
	json_object_set_new(queue, "deliveries", json_array());
	json_object_set_new(queue, "incoming", json_array());
	list_reply_object(c, queue);
}

/* An empty list is an empty object: that is how some clients write it. */
static bool read_arguments(struct query *c)
{
	const json_t *arguments = json_object_get(c->body, "arguments");
	if (json_is_array(arguments) && json_array_size(arguments) == 0) {
		json_object_set_new(c->body, "arguments", json_object());
		return true;
	}
	if (arguments != NULL && !json_is_object(arguments))
		return query_bad(c, "arguments: not an object");
	return !json_has_null(arguments) || query_bad(c, "null_not_allowed");
}

static bool take_flag(struct query *c, const char *name)
{
	bool is_on = false;
	if (!query_flag(c, name, &is_on))
		return false;
	json_object_set_new(c->body, name, json_boolean(is_on));
	return true;
}

static bool prepare_queue(struct query *c)
{
	if (c->names[1].len > UINT8_MAX)
		return query_bad(c, "a name has at most 255 bytes");
	return take_flag(c, "durable") && take_flag(c, "auto_delete") && read_arguments(c);
}

static bool prepare_exchange(struct query *c)
{
	const json_t *type = json_object_get(c->body, "type");
	if (c->names[1].len > UINT8_MAX)
		return query_bad(c, "a name has at most 255 bytes");
	if (type == NULL)
		json_object_set_new(c->body, "type", json_string("direct"));
	else if (json_is_null(type))
		return query_bad(c, "invalid exchange type 'null'");
	else if (!json_is_string(type))
		return query_bad(c, "type: not a string");
	return take_flag(c, "durable") && take_flag(c, "auto_delete") && take_flag(c, "internal") &&
	       read_arguments(c);
}

/* The body becomes the question: what it says of names does not count. */
static json_t *question_of_body(struct query *c, const char *command, struct bytes name)
{
	json_t *q = query_question(c, command), *fresh;
	json_object_set_new(q, "name", json_of_text(name));
	fresh = json_copy(c->body);
	json_object_update(fresh, q);
	json_decref(q);
	return fresh;
}

static enum desk_step put_object(struct query *c, const char *command, struct bytes name)
{
	json_t *answer = query_ask(c, question_of_body(c, command, name));
	if (answer != NULL)
		c->status = json_is_true(json_object_get(answer, "created")) ? 201 : 204;
	json_decref(answer);
	return DESK_DONE;
}

static enum desk_step put_queue(struct query *c)
{
	return put_object(c, "declare_queue", c->names[1]);
}

static enum desk_step put_exchange(struct query *c)
{
	return put_object(c, "declare_exchange", query_exchange_name(c->names[1]));
}

static json_t *delete_question(const struct query *c, const char *command, struct bytes name)
{
	json_t *q = query_question(c, command);
	json_object_set_new(q, "name", json_of_text(name));
	json_object_set_new(q, "if_unused", json_boolean(query_parameter_is_true(c, "if-unused")));
	json_object_set_new(q, "if_empty", json_boolean(query_parameter_is_true(c, "if-empty")));
	return q;
}

static bool queue_is_there(struct query *c)
{
	const struct vhost *vhost = query_vhost(c);
	return vhost != NULL && (vhost_has_queue(vhost, c->names[1]) || query_not_found(c));
}

static bool exchange_is_there(struct query *c, struct bytes name)
{
	const struct vhost *vhost = query_vhost(c);
	return vhost != NULL &&
	       (vhost_has_exchange(vhost, query_exchange_name(name)) || query_not_found(c));
}

static enum desk_step delete_queue(struct query *c)
{
	if (queue_is_there(c) && query_do(c, delete_question(c, "delete_queue", c->names[1])))
		c->status = 204;
	return DESK_DONE;
}

static enum desk_step delete_exchange(struct query *c)
{
	if (exchange_is_there(c, c->names[1]) &&
	    query_do(c, delete_question(c, "delete_exchange", query_exchange_name(c->names[1]))))
		c->status = 204;
	return DESK_DONE;
}

static enum desk_step purge_queue(struct query *c)
{
	if (queue_is_there(c) && query_do(c, delete_question(c, "purge_queue", c->names[1])))
		c->status = 204;
	return DESK_DONE;
}

/* --- one exchange --- */

static enum desk_step get_exchange(struct query *c)
{
	struct exchange_row row = { 0 };
	struct vhost *vhost = query_vhost(c);
	if (vhost == NULL)
		return DESK_DONE;
	if (!view_exchange(vhost, query_exchange_name(c->names[1]), &row.i)) {
		query_not_found(c);
		return DESK_DONE;
	}
	c->one = sheet_create(SHEET_EXCHANGES);
	sheet_add(c->one, &row);
	return DESK_DONE;
}

static void tell_exchange(struct query *c)
{
	json_t *exchange = exchange_json(c, sheet_row(c->one, 0), NULL);
	json_object_set_new(exchange, "incoming", json_array());
	json_object_set_new(exchange, "outgoing", json_array());
	list_reply_object(c, exchange);
}

/* --- bindings of one object, or between two --- */

static enum desk_step queue_bindings(struct query *c)
{
	static const bool is_to_exchange = false;
	const struct walk_wanted wanted = { .kind = SHEET_BINDINGS,
					    .vhost = &c->names[0],
					    .destination = &c->names[1],
					    .is_to_exchange = &is_to_exchange };
	return queue_is_there(c) ? walk_step(c, &wanted) : DESK_DONE;
}

static enum desk_step source_bindings(struct query *c)
{
	struct bytes source = query_exchange_name(c->names[1]);
	const struct walk_wanted wanted = { .kind = SHEET_BINDINGS,
					    .vhost = &c->names[0],
					    .source = &source };
	return exchange_is_there(c, c->names[1]) ? walk_step(c, &wanted) : DESK_DONE;
}

static enum desk_step destination_bindings(struct query *c)
{
	static const bool is_to_exchange = true;
	struct bytes destination = query_exchange_name(c->names[1]);
	const struct walk_wanted wanted = { .kind = SHEET_BINDINGS,
					    .vhost = &c->names[0],
					    .destination = &destination,
					    .is_to_exchange = &is_to_exchange };
	return exchange_is_there(c, c->names[1]) ? walk_step(c, &wanted) : DESK_DONE;
}

/* The path says "e" before an exchange and "q" before a queue. */
static bool is_to_exchange(const struct query *c)
{
	return c->route->path[sizeof "bindings/*/e/*/" - 1] == 'e';
}

static struct bytes destination_name(const struct query *c)
{
	return is_to_exchange(c) ? query_exchange_name(c->names[2]) : c->names[2];
}

static bool both_are_there(struct query *c)
{
	struct vhost *vhost = query_vhost(c);
	if (vhost == NULL)
		return false;
	bool is_there = vhost_has_exchange(vhost, query_exchange_name(c->names[1])) &&
			(is_to_exchange(c) ? vhost_has_exchange
					   : vhost_has_queue)(vhost, destination_name(c));
	return is_there || query_not_found(c);
}

static enum desk_step bindings_between(struct query *c)
{
	struct bytes source = query_exchange_name(c->names[1]), destination = destination_name(c);
	bool is_exchange = is_to_exchange(c);
	const struct walk_wanted wanted = { .kind = SHEET_BINDINGS,
					    .vhost = &c->names[0],
					    .source = &source,
					    .destination = &destination,
					    .is_to_exchange = &is_exchange };
	return both_are_there(c) ? walk_step(c, &wanted) : DESK_DONE;
}

static bool prepare_bind(struct query *c)
{
	const json_t *key = json_object_get(c->body, "routing_key");
	if (key != NULL && !json_is_string(key))
		return query_bad(c, "routing_key: not a string");
	if (json_string_length(key) > UINT8_MAX)
		return query_bad(c, "a routing key has at most 255 bytes");
	return read_arguments(c);
}

static json_t *bind_question(struct query *c, const char *command, const char *routing_key,
			     json_t *arguments)
{
	json_t *q = query_question(c, command);
	json_object_set_new(q, "source", json_of_text(query_exchange_name(c->names[1])));
	json_object_set_new(q, "destination", json_of_text(destination_name(c)));
	json_object_set_new(q, "destination_type",
			    json_string(is_to_exchange(c) ? "exchange" : "queue"));
	json_object_set_new(q, "routing_key", json_string(routing_key));
	json_object_set_new(q, "arguments", arguments);
	return q;
}

static enum desk_step post_binding(struct query *c)
{
	const char *key = query_str(c, "routing_key");
	json_t *arguments = json_object_get(c->body, "arguments");
	arguments = arguments == NULL ? json_object() : json_incref(arguments);
	if (query_do(c, bind_question(c, "bind", key == NULL ? "" : key, arguments)))
		c->status = 201;
	return DESK_DONE;
}

/* Relative to the path, and encoded once more, as the key itself is encoded already. */
static void tell_bound(struct query *c)
{
	uint8_t key_room[PROPERTIES_KEY_MAX], table[65536], again[3 * PROPERTIES_KEY_MAX];
	const char *key = query_str(c, "routing_key");
	struct writer t = writer_of(table, sizeof table);
	const json_t *arguments = json_object_get(c->body, "arguments");
	if (arguments != NULL)
		table_write_json(&t, arguments);
	struct binding_info b = { .routing_key = bytes_str(key == NULL ? "" : key),
				  .arguments = bytes_of(table, (size_t)(t.at - table)) };
	struct bytes properties = properties_key(&b, key_room);
	struct writer w = writer_of(again, sizeof again);
	for (size_t i = 0; i < properties.len; i++) {
		if (properties.data[i] == '%')
			write_bytes(&w, bytes_str("%25"));
		else if (properties.data[i] == '+')
			write_bytes(&w, bytes_str("%2B"));
		else
			write_u8(&w, properties.data[i]);
	}
	struct writer n = writer_of((uint8_t *)c->location, sizeof c->location - 1);
	write_encoded(&n, c->names[2]);
	write_u8(&n, '/');
	write_bytes(&n, bytes_of(again, (size_t)(w.at - again)));
	*n.at = '\0';
	query_reply(c);
}

/* --- one binding --- */

static int hex_digit(uint8_t b)
{
	return isdigit(b) ? b - '0' : isxdigit(b) ? (b | 0x20) - 'a' + 10 : -1;
}

/* The key of the path may be encoded once more than the one that we tell, or not. */
static bool is_key(struct bytes said, struct bytes key)
{
	uint8_t decoded[PROPERTIES_KEY_MAX];
	struct writer w = writer_of(decoded, sizeof decoded);
	if (bytes_equal(said, key))
		return true;
	for (size_t i = 0; i < key.len; i++) {
		int high = key.data[i] == '%' && i + 2 < key.len ? hex_digit(key.data[i + 1]) : -1;
		if (high >= 0) {
			write_u8(&w, (uint8_t)(high << 4 | hex_digit(key.data[i + 2])));
			i += 2;
		} else {
			write_u8(&w, key.data[i] == '+' ? ' ' : key.data[i]);
		}
	}
	return bytes_equal(said, bytes_of(decoded, (size_t)(w.at - decoded)));
}

static const struct binding_row *find_row(const struct query *c)
{
	uint8_t room[PROPERTIES_KEY_MAX];
	for (size_t i = 0; i < sheet_len(c->sheet); i++) {
		const struct binding_row *row = sheet_row(c->sheet, i);
		if (is_key(c->names[3], properties_key(&row->i, room)))
			return row;
	}
	return NULL;
}

static void tell_binding(struct query *c)
{
	const struct binding_row *row = find_row(c);
	if (row != NULL) {
		list_reply_object(c, binding_json(c, row, NULL));
		return;
	}
	query_not_found(c);
	query_reply(c);
}

/* Its arguments as they were bound: in JSON the types of numbers are lost. */
static void unbind(struct query *c, const struct binding_info *i)
{
	struct vhost *vhost = core_vhost(c->api->options.core, c->names[0]);
	const struct bind b = { .source = i->source,
				.destination = i->destination,
				.is_to_exchange = i->is_to_exchange,
				.routing_key = i->routing_key,
				.arguments = i->arguments };
	struct access access;
	struct refusal refusal = { 0 };
	access_init(&access, c->user, vhost_name(vhost), c->api->seed);
	struct connection *connection = connection_open(c->api->options.core, vhost, c->user->name);
	if (permit_bind(&access, vhost, &b, &refusal) && core_unbind(connection, &b, &refusal))
		c->status = 204;
	else
		query_refuse_by(c, &refusal);
	query_audit(c,
		    json_pack("{s:s, s:o, s:o, s:o, s:o}", "command", "unbind", "vhost",
			      json_of_text(c->names[0]), "source", json_of_text(i->source),
			      "destination", json_of_text(i->destination), "routing_key",
			      json_of_text(i->routing_key)),
		    refusal.code == 0 ? NULL : refusal.text);
	query_await(c, core_awaited(c->api->options.core));
	connection_close(connection);
	access_fini(&access);
}

static enum desk_step delete_binding(struct query *c)
{
	enum desk_step step = bindings_between(c);
	if (step != DESK_DONE || c->sheet == NULL)
		return step;
	const struct binding_row *row = find_row(c);
	if (c->names[1].len > 0 && query_exchange_name(c->names[1]).len == 0)
		query_unauthorised(c, "Access refused.");
	else if (row == NULL)
		query_not_found(c);
	else
		unbind(c, &row->i);
	return DESK_DONE;
}

#define READ(path, vhost, step, tell)                                            \
	{                                                                        \
		HTTP_GET, path, RIGHT_MANAGEMENT, vhost, false, NULL, step, tell \
	}
#define WRITE(method, path, prepare, step, tell)                                       \
	{                                                                              \
		method, path, RIGHT_MANAGEMENT, VHOST_USED, false, prepare, step, tell \
	}

const struct route object_routes[] = {
	READ("queues", VHOST_NONE, list_queues, tell_queues),
	READ("queues/*", VHOST_SEEN, list_queues, tell_queues),
	READ("queues/*/*", VHOST_SEEN, get_queue, tell_queue),
	WRITE(HTTP_PUT, "queues/*/*", prepare_queue, put_queue, NULL),
	WRITE(HTTP_DELETE, "queues/*/*", NULL, delete_queue, NULL),
	READ("queues/*/*/bindings", VHOST_SEEN, queue_bindings, tell_bindings),
	WRITE(HTTP_DELETE, "queues/*/*/contents", NULL, purge_queue, NULL),
	READ("exchanges", VHOST_NONE, list_exchanges, tell_exchanges),
	READ("exchanges/*", VHOST_SEEN, list_exchanges, tell_exchanges),
	READ("exchanges/*/*", VHOST_SEEN, get_exchange, tell_exchange),
	WRITE(HTTP_PUT, "exchanges/*/*", prepare_exchange, put_exchange, NULL),
	WRITE(HTTP_DELETE, "exchanges/*/*", NULL, delete_exchange, NULL),
	READ("exchanges/*/*/bindings/source", VHOST_SEEN, source_bindings, tell_bindings),
	READ("exchanges/*/*/bindings/destination", VHOST_SEEN, destination_bindings, tell_bindings),
	READ("bindings", VHOST_NONE, list_bindings, tell_bindings),
	READ("bindings/*", VHOST_SEEN, list_bindings, tell_bindings),
	READ("bindings/*/e/*/q/*", VHOST_SEEN, bindings_between, tell_bindings),
	READ("bindings/*/e/*/e/*", VHOST_SEEN, bindings_between, tell_bindings),
	WRITE(HTTP_POST, "bindings/*/e/*/q/*", prepare_bind, post_binding, tell_bound),
	WRITE(HTTP_POST, "bindings/*/e/*/e/*", prepare_bind, post_binding, tell_bound),
	READ("bindings/*/e/*/q/*/*", VHOST_SEEN, bindings_between, tell_binding),
	READ("bindings/*/e/*/e/*/*", VHOST_SEEN, bindings_between, tell_binding),
	WRITE(HTTP_DELETE, "bindings/*/e/*/q/*/*", NULL, delete_binding, NULL),
	WRITE(HTTP_DELETE, "bindings/*/e/*/e/*/*", NULL, delete_binding, NULL),
	{ HTTP_GET, NULL, RIGHT_NONE, VHOST_NONE, false, NULL, NULL, NULL },
};
