/* Objects: exchanges, queues and bindings of definitions. They are declared as a client would, over
 * a connection of the broker's own that lasts as long as it takes. */
#include "manage/state.h"

#include "auth/access.h"
#include "base/alloc.h"
#include "permit/permit.h"
#include "table.h"

#include <stdlib.h>
#include <string.h>

enum { TABLE_BYTES_MAX = 64 * 1024 };

/* *table is a view into room. */
static bool read_arguments(const json_t *object, uint8_t room[TABLE_BYTES_MAX], struct bytes *table,
			   struct trouble *t)
{
	const json_t *arguments = json_object_get(object, "arguments");
	struct writer w = writer_of(room, TABLE_BYTES_MAX);
	bool is_table = arguments == NULL || json_is_object(arguments);
	if (!is_table || (arguments != NULL && !table_write_json(&w, arguments)) || w.failed)
		return trouble(t, MANAGE_DATA, "its arguments are no object, or too large");
	*table = bytes_of(room, (size_t)(w.at - room));
	return true;
}

/* --- declaring --- */

struct declarer {
	struct vhost *vhost;
	struct connection *connection;
	struct channel *channel;
	bool is_kept;          /* The connection is for others, too. */
	struct access *access; /* NULL: the operator, who may do everything. */
	struct access room;
};

/* "as" names the user in whose name it is done, with his rights; without it the operator does. */
static bool begin_access(struct manage *m, const json_t *object, struct declarer *d,
			 struct trouble *t)
{
	struct bytes name = field_text(object, "as");
	struct user *user = name.len == 0 ? NULL : users_find(m->users, name);
	d->access = NULL;
	if (name.len == 0)
		return true;
	if (user == NULL)
		return trouble(t, MANAGE_NO_USER, "User '%.*s' does not exist", BYTES_ARG(name));
	access_init(&d->room, user, vhost_name(d->vhost), m->options.hash_seed);
	d->access = &d->room;
	return true;
}

static void open(struct manage *m, struct vhost *vhost, struct connection **connection,
		 struct channel **channel)
{
	*connection = connection_open(m->core, vhost, bytes_str("none"));
	*channel = channel_open(*connection, NULL);
}

/* That of an import, for as long as its objects are of one virtual host. */
static void use_kept(struct manage *m, struct declarer *d)
{
	struct kept_connection *kept = &m->kept;
	if (kept->vhost != d->vhost) {
		objects_rest(m);
		kept->is_wanted = true;
		kept->vhost = d->vhost;
		open(m, d->vhost, &kept->connection, &kept->channel);
	}
	d->connection = kept->connection;
	d->channel = kept->channel;
}

void objects_rest(struct manage *m)
{
	if (m->kept.vhost != NULL)
		connection_close(m->kept.connection);
	m->kept = (struct kept_connection){ 0 };
}

/* is_dry: any virtual host will do, if that of the object is yet to be made. */
static bool begin(struct manage *m, const json_t *object, bool is_dry, struct declarer *d,
		  struct trouble *t)
{
	struct vhost *vhost = core_vhost(m->core, field_vhost_name(object));
	if (vhost == NULL && is_dry)
		vhost = core_next_vhost(m->core, NULL);
	if (vhost == NULL)
		return field_vhost(m, object, t) != NULL;
	d->vhost = vhost;
	if (!begin_access(m, object, d, t))
		return false;
	m->options.begin_turn(m->options.arg);
	d->is_kept = m->kept.is_wanted;
	if (d->is_kept)
		use_kept(m, d);
	else
		open(m, vhost, &d->connection, &d->channel);
	return true;
}

static bool end(struct declarer *d, bool is_good, const struct refusal *refusal, struct trouble *t)
{
	if (!d->is_kept)
		connection_close(d->connection);
	if (d->access != NULL)
		access_fini(d->access);
	if (!is_good)
		t->code = refusal->code;
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
	       end(&by,
		   permit_exchange_declare(by.access, by.vhost, &d, &refusal) &&
			   core_exchange_declare(by.connection, &d, &refusal),
		   &refusal, t);
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
	       end(&by,
		   permit_queue_declare(by.access, by.vhost, &d, &refusal) &&
			   core_queue_declare(by.channel, &d, &counts, &refusal),
		   &refusal, t);
}

static bool declare_binding(struct manage *m, const json_t *o, struct bytes arguments,
			    bool is_unbind, struct trouble *t)
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
	       end(&by,
		   permit_bind(by.access, by.vhost, &b, &refusal) &&
			   (is_unbind ? core_unbind : core_bind)(by.connection, &b, &refusal),
		   &refusal, t);
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
						: declare_binding(m, o, table, false, t);
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
	json_t *v = json_of_text(vhost_name(vhost));
	for (size_t at = 0; core_next_queue(vhost, &at, &q);)
		if (q.is_durable && !q.is_exclusive && !q.is_system)
			add(out, "queues",
			    json_pack("{s:o, s:O, s:b, s:b, s:o}", "name", json_of_text(q.name),
				      "vhost", v, "durable", q.is_durable, "auto_delete",
				      q.is_auto_delete, "arguments", table_json(q.arguments)));
	for (size_t at = 0; core_next_exchange(vhost, &at, &x);)
		if (x.is_durable && !x.is_predeclared)
			add(out, "exchanges",
			    json_pack("{s:o, s:O, s:s, s:b, s:b, s:b, s:o}", "name",
				      json_of_text(x.name), "vhost", v, "type", x.type, "durable",
				      x.is_durable, "auto_delete", x.is_auto_delete, "internal",
				      x.is_internal, "arguments", table_json(x.arguments)));
	for (struct binding_cursor at = { 0 }; core_next_binding(vhost, &at, &b);)
		if (b.is_kept)
			add(out, "bindings",
			    json_pack("{s:o, s:O, s:o, s:s, s:o, s:o}", "source",
				      json_of_text(b.source), "vhost", v, "destination",
				      json_of_text(b.destination), "destination_type",
				      b.is_to_exchange ? "exchange" : "queue", "routing_key",
				      json_of_text(b.routing_key), "arguments",
				      table_json(b.arguments)));
	json_decref(v);
}

/* --- commands --- */

/* Each may say "as" (begin_access()). */

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
	struct bytes name = field_text(q, "name");
	uint64_t messages = 0;
	if (!find_queue(m, q, MANAGE_REFUSED, "not_found", t) || !begin(m, q, false, &by, t) ||
	    !end(&by,
		 permit_read(by.access, name, &refusal) &&
			 core_queue_purge(by.connection, name, &messages, &refusal),
		 &refusal, t))
		return NULL;
	return json_pack("{s:I}", "messages", (json_int_t)messages);
}

static json_t *delete_queue(struct manage *m, const json_t *q, struct trouble *t)
{
	struct declarer by;
	struct refusal refusal = { 0 };
	struct bytes name = field_text(q, "name");
	uint64_t messages = 0;
	if (!find_queue(m, q, MANAGE_USAGE, "Queue not found", t) || !begin(m, q, false, &by, t) ||
	    !end(&by,
		 permit_queue_delete(by.access, name, &refusal) &&
			 core_queue_delete(by.connection, name, flag(q, "if_unused"),
					   flag(q, "if_empty"), &messages, &refusal),
		 &refusal, t))
		return NULL;
	return json_pack("{s:I}", "messages", (json_int_t)messages);
}

static json_t *delete_exchange(struct manage *m, const json_t *q, struct trouble *t)
{
	struct declarer by;
	struct refusal refusal = { 0 };
	struct bytes name = field_text(q, "name");
	if (!begin(m, q, false, &by, t) ||
	    !end(&by,
		 permit_exchange_delete(by.access, name, &refusal) &&
			 core_exchange_delete(by.connection, name, flag(q, "if_unused"), &refusal),
		 &refusal, t))
		return NULL;
	return json_object();
}

/* "created" tells whether it was not there before. */
static json_t *declare(struct manage *m, const json_t *q, const char *kind,
		       bool (*is_there)(const struct vhost *vhost, struct bytes name),
		       struct trouble *t)
{
	struct vhost *vhost = field_vhost(m, q, t);
	if (vhost == NULL)
		return NULL;
	bool was_there = is_there(vhost, field_text(q, "name"));
	return object_apply(m, kind, q, t) ? json_pack("{s:b}", "created", !was_there) : NULL;
}

static json_t *declare_queue_command(struct manage *m, const json_t *q, struct trouble *t)
{
	return declare(m, q, "queues", vhost_has_queue, t);
}

static json_t *declare_exchange_command(struct manage *m, const json_t *q, struct trouble *t)
{
	return declare(m, q, "exchanges", vhost_has_exchange, t);
}

static json_t *bind_or_unbind(struct manage *m, const json_t *q, bool is_unbind, struct trouble *t)
{
	uint8_t room[TABLE_BYTES_MAX];
	struct bytes table;
	return read_arguments(q, room, &table, t) && declare_binding(m, q, table, is_unbind, t)
		       ? json_object()
		       : NULL;
}

static json_t *bind_command(struct manage *m, const json_t *q, struct trouble *t)
{
	return bind_or_unbind(m, q, false, t);
}

static json_t *unbind_command(struct manage *m, const json_t *q, struct trouble *t)
{
	return bind_or_unbind(m, q, true, t);
}

const struct command object_commands[] = {
	{ "declare_queue", declare_queue_command },
	{ "declare_exchange", declare_exchange_command },
	{ "delete_exchange", delete_exchange },
	{ "bind", bind_command },
	{ "unbind", unbind_command },
	{ "purge_queue", purge_queue },
	{ "delete_queue", delete_queue },
	{ NULL, NULL },
};
