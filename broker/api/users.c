/* Users, their permissions and limits, and who asks. */
#include "api/limits.h"
#include "api/list.h"

#include "core/admin.h"
#include "core/inputs.h"

#include "auth/password.h"
#include "auth/users.h"
#include "manage/table_json.h"
#include "manage/user_fields.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* --- lists --- */

/* The rows of an answer; the caller's. */
static enum desk_step keep_rows(struct query *c, json_t *question)
{
	json_t *answer = query_ask(c, question);
	if (answer != NULL)
		c->answer = json_incref(json_object_get(answer, "rows"));
	json_decref(answer);
	return DESK_DONE;
}

static void tell_rows(struct query *c)
{
	bool has_user = json_object_get(json_array_get(c->answer, 0), "user") != NULL;
	list_reply_rows(c, has_user ? "user" : "name", false);
}

static struct user *find_user(struct query *c, struct bytes name)
{
	struct user *user = users_find(c->api->options.users, name);
	if (user == NULL)
		query_not_found(c);
	return user;
}

static bool vhost_is_there(struct query *c)
{
	return core_vhost(c->api->options.core, c->names[0]) != NULL || query_not_found(c);
}

/* --- users --- */

static enum desk_step list_users(struct query *c)
{
	return keep_rows(c, json_pack("{s:s, s:b}", "command", "list_users", "with_hashes", 1));
}

static bool has_permission(const struct user *user)
{
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&user->grants, &at)) != NULL;)
		if (((const struct grant *)e->value)->permission != NULL)
			return true;
	return false;
}

static enum desk_step list_users_without(struct query *c)
{
	size_t i;
	const json_t *row;
	list_users(c);
	json_t *left = json_array();
	json_array_foreach(c->answer, i, row)
	{
		const char *name = json_string_value(json_object_get(row, "name"));
		const struct user *user = users_find(c->api->options.users, bytes_str(name));
		if (user != NULL && !has_permission(user))
			json_array_append(left, (json_t *)row);
	}
	json_decref(c->answer);
	c->answer = left;
	return DESK_DONE;
}

static enum desk_step get_user(struct query *c)
{
	json_t *rows;
	if (find_user(c, c->names[0]) == NULL)
		return DESK_DONE;
	keep_rows(c, json_pack("{s:s, s:b, s:o}", "command", "list_users", "with_hashes", 1, "name",
			       json_of_text(c->names[0])));
	rows = c->answer;
	c->answer = json_incref(json_array_get(rows, 0));
	json_decref(rows);
	return DESK_DONE;
}

/* Hashing takes long: it is done here, on the api's thread. */
static bool hash_password(struct query *c, struct bytes text)
{
	uint8_t salt[PASSWORD_SALT_BYTES];
	struct password password;
	char hash[PASSWORD_TEXT_MAX];
	if (getrandom(salt, sizeof salt, 0) != (ssize_t)sizeof salt)
		abort();
	if (!password_make(&password, text, salt))
		return query_refuse(c, 503, "no_memory", "there is no memory for a hash");
	password_export(&password, hash);
	json_object_set_new(c->body, "password_hash", json_string(hash));
	json_object_set_new(c->body, "hashing_algorithm", json_string("leveret_scrypt"));
	return true;
}

/* Without either a random one, which nobody knows. An empty password is stored, and never lets
 * anybody in. */
static bool read_password(struct query *c)
{
	const json_t *text = json_object_get(c->body, "password");
	const json_t *hash = json_object_get(c->body, "password_hash");
	uint8_t random[24];
	if (text != NULL && hash != NULL)
		return query_bad(c, "both_password_and_password_hash_are_provided");
	if (hash != NULL)
		return json_is_string(hash) || query_bad(c, "password_hash: not a string");
	if (text != NULL && !json_is_string(text))
		return query_bad(c, "password: not a string");
	if (text != NULL)
		return hash_password(c,
				     bytes_of(json_string_value(text), json_string_length(text)));
	if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
		abort();
	return hash_password(c, bytes_of(random, sizeof random));
}

static bool is_base64(const char *text)
{
	uint8_t room[PASSWORD_TEXT_MAX];
	size_t len = strlen(text);
	return len < sizeof room && base64_decode(bytes_of(text, len), room, &len);
}

static bool prepare_user(struct query *c)
{
	const json_t *tags = json_object_get(c->body, "tags");
	if (tags == NULL)
		return query_bad(c, "tags_not_present");
	if (!read_password(c))
		return false;
	const char *hash = query_str(c, "password_hash");
	if (hash[0] != '\0' && !is_base64(hash)) {
		c->details = json_pack("[s, s]", "not_base64", hash);
		return query_bad(c, "password_hash");
	}
	json_object_del(c->body, "password");
	return true;
}

static enum desk_step put_user(struct query *c)
{
	json_object_set_new(c->body, "command", json_string("put_user"));
	json_object_set_new(c->body, "name", json_of_text(c->names[0]));
	json_t *answer = query_ask(c, json_incref(c->body));
	if (answer != NULL)
		c->status = json_is_true(json_object_get(answer, "created")) ? 201 : 204;
	json_decref(answer);
	return DESK_DONE;
}

static bool delete_named(struct query *c, json_t *name)
{
	return query_do(c, json_pack("{s:s, s:o}", "command", "delete_user", "name", name));
}

static enum desk_step delete_user(struct query *c)
{
	if (find_user(c, c->names[0]) != NULL && delete_named(c, json_of_text(c->names[0])))
		c->status = 204;
	return DESK_DONE;
}

static bool prepare_bulk(struct query *c)
{
	static const char *const names[] = { "users", NULL };
	return query_needs(c, names) && (json_is_array(json_object_get(c->body, "users")) ||
					 query_bad(c, "users: not a list"));
}

/* It stops at the first that is not there; those before it are gone. */
static enum desk_step delete_users(struct query *c)
{
	size_t i;
	json_t *name;
	json_array_foreach(json_object_get(c->body, "users"), i, name)
	{
		struct bytes text = bytes_of(json_string_value(name), json_string_length(name));
		if (!json_is_string(name) || users_find(c->api->options.users, text) == NULL) {
			c->details = json_pack("[s, O]", "no_such_user", name);
			query_bad(c, "no_such_user");
			return DESK_DONE;
		}
		if (!delete_named(c, json_incref(name)))
			return DESK_DONE;
	}
	c->status = 204;
	return DESK_DONE;
}

/* --- permissions --- */

/* Of a user, of a virtual host, of both or of all; topics or not. */
static json_t *permission_question(const char *command, const struct bytes *user,
				   const struct bytes *vhost)
{
	json_t *q = json_pack("{s:s}", "command", command);
	if (user != NULL)
		json_object_set_new(q, "user", json_of_text(*user));
	if (vhost != NULL)
		json_object_set_new(q, "vhost", json_of_text(*vhost));
	return q;
}

static enum desk_step list_permissions(struct query *c)
{
	return keep_rows(c, permission_question("list_permissions", NULL, NULL));
}

static enum desk_step list_topics(struct query *c)
{
	return keep_rows(c, permission_question("list_topic_permissions", NULL, NULL));
}

static enum desk_step user_permissions(struct query *c)
{
	return find_user(c, c->names[0]) == NULL
		       ? DESK_DONE
		       : keep_rows(c, permission_question("list_permissions", &c->names[0], NULL));
}

static enum desk_step user_topics(struct query *c)
{
	return find_user(c, c->names[0]) == NULL
		       ? DESK_DONE
		       : keep_rows(c, permission_question("list_topic_permissions", &c->names[0],
							  NULL));
}

static enum desk_step vhost_permissions(struct query *c)
{
	return vhost_is_there(c)
		       ? keep_rows(c, permission_question("list_permissions", NULL, &c->names[0]))
		       : DESK_DONE;
}

static enum desk_step vhost_topics(struct query *c)
{
	return vhost_is_there(c) ? keep_rows(c, permission_question("list_topic_permissions", NULL,
								    &c->names[0]))
				 : DESK_DONE;
}

/* The path says virtual host, then user. */
static bool pair_is_there(struct query *c)
{
	return vhost_is_there(c) && find_user(c, c->names[1]) != NULL;
}

static enum desk_step get_permission(struct query *c)
{
	if (!pair_is_there(c))
		return DESK_DONE;
	keep_rows(c, permission_question("list_permissions", &c->names[1], &c->names[0]));
	json_t *row = json_incref(json_array_get(c->answer, 0));
	json_decref(c->answer);
	c->answer = row;
	if (row == NULL)
		query_not_found(c);
	return DESK_DONE;
}

static enum desk_step get_topics(struct query *c)
{
	if (!pair_is_there(c))
		return DESK_DONE;
	keep_rows(c, permission_question("list_topic_permissions", &c->names[1], &c->names[0]));
	if (json_array_size(c->answer) == 0)
		query_not_found(c);
	return DESK_DONE;
}

static bool are_texts(struct query *c, const char *const *names)
{
	for (; *names != NULL; names++)
		if (query_str(c, *names) == NULL)
			return query_bad(c, "%s: not a string", *names);
	return true;
}

static bool prepare_permission(struct query *c)
{
	static const char *const names[] = { "configure", "write", "read", NULL };
	return query_needs(c, names) && are_texts(c, names);
}

static bool prepare_topic(struct query *c)
{
	static const char *const names[] = { "exchange", "write", "read", NULL };
	return query_needs(c, names) && are_texts(c, names);
}

static enum desk_step put_permission_of(struct query *c, const char *command, bool is_there)
{
	bool is_pair = core_vhost(c->api->options.core, c->names[0]) != NULL &&
		       users_find(c->api->options.users, c->names[1]) != NULL;
	if (!is_pair) {
		query_bad(c, "vhost_or_user_not_found");
		return DESK_DONE;
	}
	json_object_set_new(c->body, "command", json_string(command));
	json_object_set_new(c->body, "vhost", json_of_text(c->names[0]));
	json_object_set_new(c->body, "user", json_of_text(c->names[1]));
	if (query_do(c, json_incref(c->body)))
		c->status = is_there ? 204 : 201;
	return DESK_DONE;
}

static const struct grant *find_grant(const struct query *c)
{
	const struct user *user = users_find(c->api->options.users, c->names[1]);
	return user == NULL ? NULL : map_get(&user->grants, c->names[0]);
}

static enum desk_step put_permission(struct query *c)
{
	const struct grant *grant = find_grant(c);
	return put_permission_of(c, "set_permissions", grant != NULL && grant->permission != NULL);
}

static enum desk_step put_topic(struct query *c)
{
	const struct grant *grant = find_grant(c);
	return put_permission_of(c, "set_topic_permissions",
				 grant != NULL && grant->topics.len > 0);
}

static enum desk_step delete_permission(struct query *c)
{
	if (!pair_is_there(c))
		return DESK_DONE;
	const struct grant *grant = find_grant(c);
	if (grant == NULL || grant->permission == NULL)
		query_not_found(c);
	else if (query_do(c, permission_question("clear_permissions", &c->names[1], &c->names[0])))
		c->status = 204;
	return DESK_DONE;
}

/* Of the exchange that names[2] says, if the path has it. */
static enum desk_step delete_topics(struct query *c)
{
	if (!pair_is_there(c))
		return DESK_DONE;
	const struct grant *grant = find_grant(c);
	if (grant == NULL || grant->topics.len == 0) {
		query_not_found(c);
		return DESK_DONE;
	}
	json_t *q = permission_question("clear_topic_permissions", &c->names[1], &c->names[0]);
	if (c->names[2].data != NULL)
		json_object_set_new(q, "exchange", json_of_text(c->names[2]));
	if (query_do(c, q))
		c->status = 204;
	return DESK_DONE;
}

/* --- limits of users --- */

static const struct limits_kind user_limits = { .owner = "user",
						.names = { "max-connections", "max-channels" },
						.called = "user-limits",
						.before = "",
						.after = "" };

static void add_limits(json_t *rows, const struct user *user)
{
	limits_add(rows, &user_limits, user->name, user_limits_json(user));
}

/* Of others only to those who see all. */
static enum desk_step list_user_limits(struct query *c)
{
	const struct user *user;
	c->answer = json_array();
	for (size_t at = 0; (user = users_next(c->api->options.users, &at)) != NULL;)
		if (c->sees_all || user == c->user)
			add_limits(c->answer, user);
	return DESK_DONE;
}

static enum desk_step get_user_limits(struct query *c)
{
	const struct user *user = find_user(c, c->names[0]);
	c->answer = json_array();
	if (user != NULL && (c->sees_all || user == c->user))
		add_limits(c->answer, user);
	return DESK_DONE;
}

static bool prepare_user_limit(struct query *c)
{
	return limits_prepare(c, &user_limits);
}

/* value NULL: it goes. */
static enum desk_step set_user_limit(struct query *c, json_t *value)
{
	const struct user *user = users_find(c->api->options.users, c->names[0]);
	json_t *limits = user_limits_json(user);
	limits_change(limits, c->names[1], value);
	if (query_do(c, json_pack("{s:s, s:o, s:o}", "command", "set_user_limits", "name",
				  json_of_text(c->names[0]), "limits", limits)))
		c->status = 204;
	return DESK_DONE;
}

static enum desk_step put_user_limit(struct query *c)
{
	if (users_find(c->api->options.users, c->names[0]) != NULL)
		return set_user_limit(c, json_object_get(c->body, "value"));
	c->details = json_pack("[s, o]", "no_such_user", json_of_text(c->names[0]));
	query_bad(c, "no_such_user");
	return DESK_DONE;
}

static enum desk_step delete_user_limit(struct query *c)
{
	return find_user(c, c->names[0]) == NULL ? DESK_DONE : set_user_limit(c, NULL);
}

/* --- who asks --- */

static enum desk_step whoami(struct query *c)
{
	c->answer = json_pack("{s:o, s:o}", "name", json_of_text(c->user->name), "tags",
			      user_tags_json(c->user));
	return DESK_DONE;
}

/* A form's field, decoded. False: it is not there, or too long. */
static bool form_field(struct bytes form, const char *name, char *out, size_t size,
		       struct bytes *value)
{
	size_t name_len = strlen(name), at = 0;
	while (at < form.len) {
		const uint8_t *from = form.data + at;
		const uint8_t *and = memchr(from, '&', form.len - at);
		size_t len = and == NULL ? form.len - at : (size_t)(and-from), used = 0;
		at += len + 1;
		if (len <= name_len || memcmp(from, name, name_len) != 0 || from[name_len] != '=')
			continue;
		for (size_t i = name_len + 1; i < len && used < size; i++) {
			char hex[3] = "";
			if (from[i] == '%' && i + 2 < len) {
				memcpy(hex, from + i + 1, 2);
				out[used++] = (char)strtol(hex, NULL, 16);
				i += 2;
			} else {
				out[used++] = from[i] == '+' ? ' ' : (char)from[i];
			}
		}
		*value = bytes_of(out, used);
		return used < size;
	}
	return false;
}

void users_read_form_login(struct query *c)
{
	char *user = (char *)c->login.text;
	struct bytes name, password;
	struct bytes form = c->request->body;
	c->has_login = true;
	c->login.user = c->login.password = bytes_of("", 0);
	if (form_field(form, "username", user, HTTP_BASIC_MAX / 2, &name) &&
	    form_field(form, "password", user + HTTP_BASIC_MAX / 2, HTTP_BASIC_MAX / 2,
		       &password)) {
		c->login.user = name;
		c->login.password = password;
	}
}

static enum desk_step log_in(struct query *c)
{
	c->answer = json_string("ok");
	return DESK_DONE;
}

#define ADMIN(method, path, vhost, prepare, step, tell)                      \
	{                                                                    \
		method, path, RIGHT_ADMIN, vhost, false, prepare, step, tell \
	}

const struct route user_routes[] = {
	{ HTTP_GET, "whoami", RIGHT_MANAGEMENT, VHOST_NONE, false, NULL, whoami,
	  list_reply_answer },
	{ HTTP_POST, "login", RIGHT_MANAGEMENT, VHOST_NONE, true, NULL, log_in, NULL },
	ADMIN(HTTP_GET, "users", VHOST_NONE, NULL, list_users, tell_rows),
	ADMIN(HTTP_GET, "users/without-permissions", VHOST_NONE, NULL, list_users_without,
	      tell_rows),
	ADMIN(HTTP_POST, "users/bulk-delete", VHOST_NONE, prepare_bulk, delete_users, NULL),
	ADMIN(HTTP_GET, "users/*", VHOST_NONE, NULL, get_user, list_reply_answer),
	ADMIN(HTTP_PUT, "users/*", VHOST_NONE, prepare_user, put_user, NULL),
	ADMIN(HTTP_DELETE, "users/*", VHOST_NONE, NULL, delete_user, NULL),
	ADMIN(HTTP_GET, "users/*/permissions", VHOST_NONE, NULL, user_permissions, tell_rows),
	ADMIN(HTTP_GET, "users/*/topic-permissions", VHOST_NONE, NULL, user_topics, tell_rows),
	ADMIN(HTTP_GET, "permissions", VHOST_NONE, NULL, list_permissions, tell_rows),
	ADMIN(HTTP_GET, "permissions/*/*", VHOST_NAMED, NULL, get_permission, list_reply_answer),
	ADMIN(HTTP_PUT, "permissions/*/*", VHOST_NAMED, prepare_permission, put_permission, NULL),
	ADMIN(HTTP_DELETE, "permissions/*/*", VHOST_NAMED, NULL, delete_permission, NULL),
	ADMIN(HTTP_GET, "topic-permissions", VHOST_NONE, NULL, list_topics, tell_rows),
	ADMIN(HTTP_GET, "topic-permissions/*/*", VHOST_NAMED, NULL, get_topics, tell_rows),
	ADMIN(HTTP_GET, "topic-permissions/*/*/*", VHOST_NAMED, NULL, get_topics, tell_rows),
	ADMIN(HTTP_PUT, "topic-permissions/*/*", VHOST_NAMED, prepare_topic, put_topic, NULL),
	ADMIN(HTTP_PUT, "topic-permissions/*/*/*", VHOST_NAMED, prepare_topic, put_topic, NULL),
	ADMIN(HTTP_DELETE, "topic-permissions/*/*", VHOST_NAMED, NULL, delete_topics, NULL),
	ADMIN(HTTP_DELETE, "topic-permissions/*/*/*", VHOST_NAMED, NULL, delete_topics, NULL),
	ADMIN(HTTP_GET, "vhosts/*/permissions", VHOST_NAMED, NULL, vhost_permissions, tell_rows),
	ADMIN(HTTP_GET, "vhosts/*/topic-permissions", VHOST_NAMED, NULL, vhost_topics, tell_rows),
	{ HTTP_GET, "user-limits", RIGHT_MANAGEMENT, VHOST_NONE, false, NULL, list_user_limits,
	  tell_rows },
	{ HTTP_GET, "user-limits/*", RIGHT_MANAGEMENT, VHOST_NONE, false, NULL, get_user_limits,
	  tell_rows },
	ADMIN(HTTP_PUT, "user-limits/*/*", VHOST_NONE, prepare_user_limit, put_user_limit, NULL),
	ADMIN(HTTP_DELETE, "user-limits/*/*", VHOST_NONE, NULL, delete_user_limit, NULL),
	{ HTTP_GET, NULL, RIGHT_NONE, VHOST_NONE, false, NULL, NULL, NULL },
};
