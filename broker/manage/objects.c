/* Objects: exchanges, queues and bindings of definitions. They are declared as a client would, over
 * a connection of the broker's own that lasts as long as it takes. */
#include "manage/state.h"

#include "base/alloc.h"
#include "table.h"

#include <stdlib.h>
#include <string.h>

enum { TABLE_BYTES_MAX = 64 * 1024, TABLE_DEPTH = 16 };

/* --- tables as JSON --- */

static json_t *json_of_value(const struct table_value *v);

static json_t *json_of_array(struct bytes rest)
{
	json_t *array = json_array();
	struct table_value v;
	while (array_next(&rest, &v))
		json_array_append_new(array, json_of_value(&v));
	return array;
}

static json_t *json_of_table(struct bytes table)
{
	json_t *object = json_object();
	struct bytes rest = table, name;
	struct table_value v;
	char key[UINT8_MAX + 1];
	while (table_next(&rest, &name, &v)) {
		memcpy(key, name.data, name.len);
		key[name.len] = '\0';
		json_object_set_new(object, key, json_of_value(&v));
	}
	return object;
}

static json_t *json_of_value(const struct table_value *v)
{
	int64_t n;
	double real;
	bool is_true;
	struct bytes inner;
	if (table_value_integer(v, &n) || table_value_time(v, &n))
		return json_integer(n);
	if (table_value_real(v, &real))
		return json_real(real);
	if (table_value_bool(v, &is_true))
		return json_boolean(is_true);
	if (table_value_string(v, &inner) || table_value_binary(v, &inner))
		return json_of_bytes(inner);
	if (table_value_table(v, &inner))
		return json_of_table(inner);
	if (table_value_array(v, &inner))
		return json_of_array(inner);
	return json_null();
}

/* --- and back --- */

static bool write_value(struct writer *w, const json_t *v, unsigned depth);

static bool write_fields(struct writer *w, const json_t *object, unsigned depth)
{
	const char *key;
	json_t *v;
	json_object_foreach((json_t *)object, key, v)
	{
		if (strlen(key) > UINT8_MAX)
			return false;
		write_shortstr(w, bytes_str(key));
		if (!write_value(w, v, depth))
			return false;
	}
	return true;
}

static bool write_nested(struct writer *w, const json_t *v, unsigned depth)
{
	bool is_good = depth < TABLE_DEPTH;
	write_u8(w, json_is_array(v) ? 'A' : 'F');
	uint8_t *began = write_room(w, 4);
	if (began == NULL)
		return false;
	for (size_t i = 0; is_good && i < json_array_size(v); i++)
		is_good = write_value(w, json_array_get(v, i), depth + 1);
	if (is_good && json_is_object(v))
		is_good = write_fields(w, v, depth + 1);
	table_end(w, began);
	return is_good;
}

static bool write_value(struct writer *w, const json_t *v, unsigned depth)
{
	uint64_t bits;
	double real;
	switch (json_typeof(v)) {
	case JSON_OBJECT:
	case JSON_ARRAY: return write_nested(w, v, depth);
	case JSON_STRING:
		write_u8(w, 'S');
		write_u32(w, (uint32_t)json_string_length(v));
		write_bytes(w, bytes_of(json_string_value(v), json_string_length(v)));
		break;
	case JSON_INTEGER:
		write_u8(w, 'l');
		write_u64(w, (uint64_t)json_integer_value(v));
		break;
	case JSON_REAL:
		real = json_real_value(v);
		memcpy(&bits, &real, sizeof bits);
		write_u8(w, 'd');
		write_u64(w, bits);
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		write_u8(w, 't');
		write_u8(w, json_is_true(v));
		break;
	case JSON_NULL: write_u8(w, 'V'); break;
	}
	return true;
}

/* *table is a view into room. */
static bool read_arguments(const json_t *object, uint8_t room[TABLE_BYTES_MAX], struct bytes *table,
			   struct trouble *t)
{
	const json_t *arguments = json_object_get(object, "arguments");
	struct writer w = writer_of(room, TABLE_BYTES_MAX);
	bool is_table = arguments == NULL || json_is_object(arguments);
	if (!is_table || (arguments != NULL && !write_fields(&w, arguments, 1)) || w.failed)
		return trouble(t, MANAGE_DATA, "its arguments are no object, or too large");
	*table = bytes_of(room, (size_t)(w.at - room));
	return true;
}

/* --- declaring --- */

struct declarer {
	struct connection *connection;
	struct channel *channel;
};

/* is_dry: any virtual host will do, if that of the object is yet to be made. */
static bool begin(struct manage *m, const json_t *object, bool is_dry, struct declarer *d,
		  struct trouble *t)
{
	struct vhost *vhost = core_vhost(m->core, field_vhost_name(object));
	if (vhost == NULL && is_dry)
		vhost = core_next_vhost(m->core, NULL);
	if (vhost == NULL)
		return field_vhost(m, object, t) != NULL;
	m->options.begin_turn(m->options.arg);
	d->connection = connection_open(m->core, vhost, bytes_str("none"));
	d->channel = channel_open(d->connection, NULL);
	return true;
}

static bool end(struct declarer *d, bool is_good, const struct refusal *refusal, struct trouble *t)
{
	connection_close(d->connection);
	return is_good || trouble(t, MANAGE_REFUSED, "%s", refusal->text);
}

static bool flag(const json_t *object, const char *name)
{
	return json_is_true(json_object_get(object, name));
}

static bool declare_exchange(struct manage *m, const json_t *o, struct bytes arguments, bool is_dry,
			     struct trouble *t)
{
	struct declarer by;
	struct refusal refusal = { 0 };
	struct exchange_declare d = { .name = field_text(o, "name"),
				      .type = field_text(o, "type"),
				      .is_durable = flag(o, "durable"),
				      .is_auto_delete = flag(o, "auto_delete"),
				      .is_internal = flag(o, "internal"),
				      .is_dry = is_dry,
				      .arguments = arguments };
	return begin(m, o, is_dry, &by, t) &&
	       end(&by, core_exchange_declare(by.connection, &d, &refusal), &refusal, t);
}

static bool declare_queue(struct manage *m, const json_t *o, struct bytes arguments, bool is_dry,
			  struct trouble *t)
{
	struct declarer by;
	struct refusal refusal = { 0 };
	struct queue_counts counts;
	struct queue_declare d = { .name = field_text(o, "name"),
				   .is_durable = flag(o, "durable"),
				   .is_auto_delete = flag(o, "auto_delete"),
				   .is_dry = is_dry,
				   .is_generated =
					   bytes_has_prefix(field_text(o, "name"), "amq.gen-"),
				   .arguments = arguments };
	return begin(m, o, is_dry, &by, t) &&
	       end(&by, core_queue_declare(by.channel, &d, &counts, &refusal), &refusal, t);
}

static bool declare_binding(struct manage *m, const json_t *o, struct bytes arguments,
			    struct trouble *t)
{
	struct declarer by;
	struct refusal refusal = { 0 };
	struct bind b = { .source = field_text(o, "source"),
			  .destination = field_text(o, "destination"),
			  .is_to_exchange =
				  bytes_equal_str(field_text(o, "destination_type"), "exchange"),
			  .routing_key = field_text(o, "routing_key"),
			  .arguments = arguments };
	return begin(m, o, false, &by, t) &&
	       end(&by, core_bind(by.connection, &b, &refusal), &refusal, t);
}

/* --- definitions --- */

bool object_check(struct manage *m, const char *kind, const json_t *o, struct trouble *t)
{
	static const char *const queue[] = { "name", NULL };
	static const char *const exchange[] = { "name", "type", NULL };
	static const char *const binding[] = { "source", "destination", "routing_key", NULL };
	const char *const *names = strcmp(kind, "queues") == 0      ? queue
				   : strcmp(kind, "exchanges") == 0 ? exchange
								    : binding;
	uint8_t room[TABLE_BYTES_MAX];
	struct bytes table;
	for (; *names != NULL; names++)
		if (!json_is_string(json_object_get(o, *names)) ||
		    field_text(o, *names).len > UINT8_MAX)
			return trouble(t, MANAGE_DATA, "'%s' is missing, no text or too long",
				       *names);
	if (names[-1] == queue[0] && field_text(o, "name").len == 0)
		return trouble(t, MANAGE_DATA, "a queue has a name");
	return read_arguments(o, room, &table, t) &&
	       (strcmp(kind, "queues") == 0 ? declare_queue(m, o, table, true, t)
		: strcmp(kind, "exchanges") == 0
			? declare_exchange(m, o, table, true, t)
			: field_text(o, "source").len > 0 ||
				  trouble(t, MANAGE_DATA, "the default exchange has no bindings"));
}

bool object_apply(struct manage *m, const char *kind, const json_t *o, struct trouble *t)
{
	uint8_t room[TABLE_BYTES_MAX];
	struct bytes table;
	if (!read_arguments(o, room, &table, t))
		return false;
	return strcmp(kind, "queues") == 0      ? declare_queue(m, o, table, false, t)
	       : strcmp(kind, "exchanges") == 0 ? declare_exchange(m, o, table, false, t)
						: declare_binding(m, o, table, t);
}

static void add(json_t *out, const char *list, json_t *object)
{
	json_array_append_new(json_object_get(out, list), object);
}

/* What does not outlive its connection, and what each broker makes by itself, is left out. */
void objects_export(struct manage *m, struct vhost *vhost, json_t *out)
{
	(void)m;
	struct queue_info q;
	struct exchange_info x;
	struct binding_info b;
	json_t *v = json_of_bytes(vhost_name(vhost));
	for (size_t at = 0; core_next_queue(vhost, &at, &q);)
		if (q.is_durable && !q.is_exclusive && !q.is_system)
			add(out, "queues",
			    json_pack("{s:o, s:O, s:b, s:b, s:o}", "name", json_of_bytes(q.name),
				      "vhost", v, "durable", q.is_durable, "auto_delete",
				      q.is_auto_delete, "arguments", json_of_table(q.arguments)));
	for (size_t at = 0; core_next_exchange(vhost, &at, &x);)
		if (x.is_durable && !x.is_predeclared)
			add(out, "exchanges",
			    json_pack("{s:o, s:O, s:s, s:b, s:b, s:b, s:o}", "name",
				      json_of_bytes(x.name), "vhost", v, "type", x.type, "durable",
				      x.is_durable, "auto_delete", x.is_auto_delete, "internal",
				      x.is_internal, "arguments", json_of_table(x.arguments)));
	for (struct binding_cursor at = { 0 }; core_next_binding(vhost, &at, &b);)
		if (b.is_kept)
			add(out, "bindings",
			    json_pack("{s:o, s:O, s:o, s:s, s:o, s:o}", "source",
				      json_of_bytes(b.source), "vhost", v, "destination",
				      json_of_bytes(b.destination), "destination_type",
				      b.is_to_exchange ? "exchange" : "queue", "routing_key",
				      json_of_bytes(b.routing_key), "arguments",
				      json_of_table(b.arguments)));
	json_decref(v);
}

json_t *object_arguments(struct bytes table)
{
	return json_of_table(table);
}

/* --- commands --- */

static bool find_queue(struct manage *m, const json_t *q, int status, const char *text,
		       struct trouble *t)
{
	struct vhost *vhost = field_vhost(m, q, t);
	return vhost != NULL &&
	       (vhost_has_queue(vhost, field_text(q, "name")) || trouble(t, status, "%s", text));
}

static json_t *purge_queue(struct manage *m, const json_t *q, struct trouble *t)
{
	struct declarer by;
	struct refusal refusal = { 0 };
	uint64_t messages = 0;
	if (!find_queue(m, q, MANAGE_REFUSED, "not_found", t) || !begin(m, q, false, &by, t) ||
	    !end(&by, core_queue_purge(by.connection, field_text(q, "name"), &messages, &refusal),
		 &refusal, t))
		return NULL;
	return json_pack("{s:I}", "messages", (json_int_t)messages);
}

static json_t *delete_queue(struct manage *m, const json_t *q, struct trouble *t)
{
	struct declarer by;
	struct refusal refusal = { 0 };
	uint64_t messages = 0;
	if (!find_queue(m, q, MANAGE_USAGE, "Queue not found", t) || !begin(m, q, false, &by, t) ||
	    !end(&by,
		 core_queue_delete(by.connection, field_text(q, "name"), flag(q, "if_unused"),
				   flag(q, "if_empty"), &messages, &refusal),
		 &refusal, t))
		return NULL;
	return json_pack("{s:I}", "messages", (json_int_t)messages);
}

const struct command object_commands[] = {
	{ "purge_queue", purge_queue },
	{ "delete_queue", delete_queue },
	{ NULL, NULL },
};
