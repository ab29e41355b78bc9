/* Virtual hosts: made, set and deleted. What only operators want to know of one (description, tags,
 * default queue type, tracing) is an object of JSON in its notes. */
#include "manage/state.h"

#include <stdlib.h>
#include <string.h>

static json_t *notes_of(const struct vhost *vhost)
{
	struct bytes notes = vhost_settings(vhost).notes;
	json_t *json = json_loadb((const char *)notes.data, notes.len, 0, NULL);
	return json != NULL ? json : json_object();
}

/* Those of definitions may say them at the top or in "metadata". */
static void take_note(json_t *notes, const json_t *vhost, const char *name)
{
	json_t *v = json_object_get(vhost, name);
	if (v == NULL)
		v = json_object_get(json_object_get(vhost, "metadata"), name);
	if (v != NULL)
		json_object_set(notes, name, v);
}

static bool is_queue_type(const json_t *v)
{
	const char *text = json_string_value(v);
	return text != NULL && (strcmp(text, "classic") == 0 || strcmp(text, "quorum") == 0 ||
				strcmp(text, "undefined") == 0);
}

static bool take_notes(json_t *notes, const json_t *json, struct trouble *t)
{
	static const char *const names[] = { "description", "tags", "default_queue_type",
					     "tracing" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		take_note(notes, json, names[i]);
	const json_t *tags = json_object_get(notes, "tags");
	const json_t *type = json_object_get(notes, "default_queue_type");
	if (tags != NULL && !json_is_array(tags))
		return trouble(t, MANAGE_DATA, "tags are no list");
	return type == NULL || is_queue_type(type) ||
	       trouble(t, MANAGE_DATA, "default_queue_type is none of classic, quorum");
}

static bool is_quorum(const json_t *notes)
{
	const char *type = field_str(notes, "default_queue_type");
	return type != NULL && strcmp(type, "quorum") == 0;
}

void vhost_recovered(struct vhost *vhost)
{
	json_t *notes = notes_of(vhost);
	core_vhost_set_quorum_default(vhost, is_quorum(notes));
	json_decref(notes);
}

static void set(struct manage *m, struct vhost *vhost, const struct vhost_settings *settings,
		json_t *notes)
{
	struct vhost_settings new = *settings;
	char *text = json_dumps(notes, JSON_COMPACT);
	new.notes = bytes_str(text);
	m->options.begin_turn(m->options.arg);
	core_vhost_set(vhost, &new);
	core_vhost_set_quorum_default(vhost, is_quorum(notes));
	free(text);
}

bool vhost_apply(struct manage *m, const json_t *json, bool is_check, struct trouble *t)
{
	struct bytes name = field_text(json, "name");
	if (name.len == 0 || name.len > UINT8_MAX || !bytes_is_utf8(name))
		return trouble(t, MANAGE_DATA, "a virtual host's name has 1 to 255 bytes of UTF-8");
	struct vhost *vhost = core_vhost(m->core, name);
	json_t *notes = vhost == NULL ? json_object() : notes_of(vhost);
	bool is_good = take_notes(notes, json, t);
	if (is_good && !is_check) {
		struct vhost_settings settings = { .queues_max = -1, .connections_max = -1 };
		m->options.begin_turn(m->options.arg);
		if (vhost == NULL)
			vhost = core_vhost_create(m->core, name, &settings);
		settings = vhost_settings(vhost);
		set(m, vhost, &settings, notes);
	}
	json_decref(notes);
	return is_good;
}

json_t *vhost_json(const struct vhost *vhost)
{
	json_t *json = notes_of(vhost);
	json_object_set_new(json, "name", json_of_text(vhost_name(vhost)));
	if (json_object_get(json, "description") == NULL)
		json_object_set_new(json, "description", json_string(""));
	if (json_object_get(json, "tags") == NULL)
		json_object_set_new(json, "tags", json_array());
	if (json_object_get(json, "tracing") == NULL)
		json_object_set_new(json, "tracing", json_false());
	return json;
}

/* --- commands --- */

static json_t *add_vhost(struct manage *m, const json_t *q, struct trouble *t)
{
	return vhost_apply(m, q, false, t) ? json_object() : NULL;
}

/* Its connections are closed by whoever looks at sessions again. */
static json_t *delete_vhost(struct manage *m, const json_t *q, struct trouble *t)
{
	struct bytes name = field_text(q, "name");
	struct vhost *vhost = core_vhost(m->core, name);
	if (vhost == NULL) {
		trouble(t, MANAGE_DATA, "Virtual host '%.*s' does not exist", BYTES_ARG(name));
		return NULL;
	}
	parameters_drop_vhost(m, field_str(q, "name"));
	users_drop_vhost(m, name);
	m->options.begin_turn(m->options.arg);
	core_vhost_delete(vhost);
	m->options.changed(m->options.arg);
	return json_object();
}

static json_t *set_note(struct manage *m, const json_t *q, struct trouble *t)
{
	struct vhost *vhost = field_vhost(m, q, t);
	if (vhost == NULL)
		return NULL;
	json_t *notes = notes_of(vhost);
	bool is_good = take_notes(notes, q, t);
	struct vhost_settings settings = vhost_settings(vhost);
	if (is_good)
		set(m, vhost, &settings, notes);
	json_decref(notes);
	return is_good ? json_object() : NULL;
}

static void add_row(json_t *rows, const struct vhost *v)
{
	json_t *row = vhost_json(v);
	json_object_set_new(row, "connections", json_integer((json_int_t)vhost_connections(v)));
	json_array_append_new(rows, row);
}

/* With "name" that one, if there is such. */
static json_t *list_vhosts(struct manage *m, const json_t *q, struct trouble *t)
{
	struct vhost *v = NULL;
	json_t *rows = json_array();
	(void)t;
	if (json_object_get(q, "name") != NULL) {
		v = core_vhost(m->core, field_text(q, "name"));
		if (v != NULL)
			add_row(rows, v);
		return json_pack("{s:o}", "rows", rows);
	}
	while ((v = core_next_vhost(m->core, v)) != NULL)
		add_row(rows, v);
	return json_pack("{s:o}", "rows", rows);
}

const struct command vhost_commands[] = {
	{ "add_vhost", add_vhost },     { "delete_vhost", delete_vhost },
	{ "set_vhost_tags", set_note }, { "update_vhost_metadata", set_note },
	{ "list_vhosts", list_vhosts }, { NULL, NULL },
};
