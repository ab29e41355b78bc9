/* Life, recovery, and which command a question is. */
#include "manage/state.h"

#include "auth/password.h"
#include "base/alloc.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

bool trouble(struct trouble *t, int status, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(t->text, sizeof t->text, format, args);
	va_end(args);
	t->status = status;
	return false;
}

struct bytes field_text(const json_t *object, const char *name)
{
	const json_t *v = json_object_get(object, name);
	return json_is_string(v) ? bytes_of(json_string_value(v), json_string_length(v))
				 : bytes_of("", 0);
}

const char *field_str(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

struct bytes field_vhost_name(const json_t *object)
{
	bool is_named = json_object_get(object, "vhost") != NULL;
	return is_named ? field_text(object, "vhost") : bytes_str("/");
}

struct vhost *field_vhost(struct manage *m, const json_t *question, struct trouble *t)
{
	struct bytes name = field_vhost_name(question);
	struct vhost *vhost = core_vhost(m->core, name);
	if (vhost == NULL)
		trouble(t, MANAGE_DATA, "Virtual host '%.*s' does not exist", BYTES_ARG(name));
	return vhost;
}

/* --- life --- */

struct manage *manage_create(const struct manage_options *options)
{
	struct manage *m = alloc_zeroed(sizeof *m);
	m->options = *options;
	m->users = options->users;
	list_init(&m->imports);
	map_init(&m->parameters, options->hash_seed);
	map_init(&m->policied, options->hash_seed);
	return m;
}

void manage_destroy(struct manage *m)
{
	if (m == NULL)
		return;
	imports_fini(m);
	parameters_fini(m);
	free(m->found);
	free(m->found_bytes);
	free(m);
}

bool manage_is_new(const struct manage *m)
{
	return !m->is_made;
}

/* --- recovery --- */

/* They come in the order of the store, which is not that in which one needs the other. */
void manage_on_document(void *arg, uint8_t kind, struct bytes key, struct bytes value)
{
	struct manage *m = arg;
	(void)key;
	m->found = alloc_grow(m->found, &m->found_cap, m->found_len + 1, sizeof *m->found);
	m->found_bytes =
		alloc_grow(m->found_bytes, &m->found_bytes_cap, m->found_bytes_len + value.len, 1);
	m->found[m->found_len++] =
		(struct document_found){ (enum document)kind, m->found_bytes_len, value.len };
	if (value.len > 0)
		memcpy(m->found_bytes + m->found_bytes_len, value.data, value.len);
	m->found_bytes_len += value.len;
}

static bool recover_fields(struct manage *m, enum document kind, struct bytes value)
{
	switch (kind) {
	case DOCUMENT_USER: return user_recover(m, value);
	case DOCUMENT_PERMISSION: return permission_recover(m, value);
	case DOCUMENT_TOPIC: return topic_recover(m, value);
	default: return false;
	}
}

static bool recover_json(struct manage *m, enum document kind, json_t *value)
{
	struct trouble t = { 0 };
	switch (kind) {
	case DOCUMENT_USER: return user_apply(m, value, false, &t);
	case DOCUMENT_PERMISSION: return permission_apply(m, value, false, &t);
	case DOCUMENT_TOPIC: return topic_apply(m, value, false, &t);
	case DOCUMENT_MADE: return m->is_made = true;
	case DOCUMENT_GLOBAL:
		m->loading = json_is_true(json_object_get(value, "of_file"));
		return parameter_apply(m, NULL, "", field_str(value, "name"),
				       json_object_get(value, "value"), false, &t);
	case DOCUMENT_PARAMETER:
		m->loading = json_is_true(json_object_get(value, "of_file"));
		return core_vhost(m->core, field_text(value, "vhost")) != NULL &&
		       parameter_apply(m, field_str(value, "vhost"), field_str(value, "component"),
				       field_str(value, "name"), json_object_get(value, "value"),
				       false, &t);
	}
	return false;
}

static bool recover_one(struct manage *m, const struct document_found *d)
{
	struct bytes value = bytes_of(m->found_bytes + d->at, d->len);
	if (document_is_of_fields(value))
		return recover_fields(m, d->kind, value);
	json_t *json = json_loadb((const char *)value.data, value.len, JSON_DECODE_ANY, NULL);
	bool is_good = json != NULL && recover_json(m, d->kind, json);
	json_decref(json);
	return is_good;
}

/* Users before what they may do. */
size_t manage_recovered(struct manage *m, struct core *core)
{
	static const enum document order[] = { DOCUMENT_USER,       DOCUMENT_MADE,
					       DOCUMENT_GLOBAL,     DOCUMENT_PARAMETER,
					       DOCUMENT_PERMISSION, DOCUMENT_TOPIC };
	size_t done = 0, len = m->found_len;
	m->core = core;
	m->is_recovering = true;
	users_trust(m->users, true);
	for (size_t k = 0; k < sizeof order / sizeof *order; k++)
		for (size_t i = 0; i < len; i++)
			if (m->found[i].kind == order[k])
				done += recover_one(m, &m->found[i]);
	m->is_recovering = false;
	users_trust(m->users, false);
	m->loading = 0;
	m->loading_last = 1;
	for (struct vhost *v = NULL; (v = core_next_vhost(core, v)) != NULL;)
		vhost_recovered(v);
	policies_recovered(m);
	free(m->found);
	free(m->found_bytes);
	m->found = NULL;
	m->found_bytes = NULL;
	m->found_len = m->found_cap = m->found_bytes_len = m->found_bytes_cap = 0;
	return len - done;
}

bool manage_begin(struct manage *m, const struct manage_first *first, char *why, size_t why_size)
{
	struct password password;
	uint8_t salt[PASSWORD_SALT_BYTES];
	struct trouble t = { 0 };
	const struct bytes patterns[PERMISSION_KINDS] = { bytes_str(first->configure),
							  bytes_str(first->write),
							  bytes_str(first->read) };
	if (getrandom(salt, sizeof salt, 0) != (ssize_t)sizeof salt)
		abort();
	if (!password_make(&password, bytes_str(first->password), salt)) {
		snprintf(why, why_size, "no memory for the hash of a password");
		return false;
	}
	struct user *user = users_put(m->users, bytes_str(first->user));
	if (!users_permit(m->users, user, bytes_str(first->vhost), patterns, why, why_size))
		return false;
	json_t *vhost = json_pack("{s:s}", "name", first->vhost);
	if (core_vhost(m->core, bytes_str(first->vhost)) == NULL)
		vhost_apply(m, vhost, false, &t);
	json_decref(vhost);
	user_set_password(user, &password);
	users_set_verified(m->users, user, bytes_str(first->password));
	user_set_tags(user, bytes_str(first->tags));
	user_record(m, user);
	permission_record(m, user, bytes_str(first->vhost));
	json_t *made = json_true();
	document_put(m, DOCUMENT_MADE, NULL, 0, made);
	json_decref(made);
	m->is_made = true;
	return true;
}

/* --- questions --- */

static const struct command *find_command(const char *name)
{
	static const struct command *const all[] = { user_commands,      vhost_commands,
						     parameter_commands, definition_commands,
						     import_commands,    object_commands };
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		for (const struct command *c = all[i]; c->name != NULL; c++)
			if (strcmp(c->name, name) == 0)
				return c;
	return NULL;
}

json_t *manage_answer(struct manage *m, const json_t *question, uint64_t *awaited)
{
	struct trouble t = { 0 };
	const char *name = field_str(question, "command");
	const struct command *command = name == NULL ? NULL : find_command(name);
	*awaited = 0;
	if (command == NULL)
		return NULL;
	m->options.begin_turn(m->options.arg);
	json_t *answer = command->run(m, question, &t);
	assert(answer != NULL || t.status != 0);
	if (answer == NULL)
		return json_pack("{s:s, s:i, s:i}", "error", t.text, "status", t.status, "code",
				 t.code);
	*awaited = core_awaited(m->core);
	return answer;
}
