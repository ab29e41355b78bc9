/* Users, their permissions and their limits. */
#include "manage/state.h"

#include "auth/password.h"
#include "manage/user_fields.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum { TAGS_MAX = 1024 };

static const char *const algorithms[] = {
	[PASSWORD_NONE] = "",
	[PASSWORD_SCRYPT] = "leveret_scrypt",
	[PASSWORD_SHA256] = "rabbit_password_hashing_sha256",
	[PASSWORD_SHA512] = "rabbit_password_hashing_sha512",
};

/* --- reading --- */

/* Without an algorithm it is SHA-256, as in definitions of RabbitMQ. */
static bool read_password(const json_t *user, struct password *out, struct trouble *t)
{
	struct bytes hash = field_text(user, "password_hash");
	struct bytes algorithm = field_text(user, "hashing_algorithm");
	if (algorithm.len == 0)
		algorithm = bytes_str(algorithms[PASSWORD_SHA256]);
	for (enum password_kind kind = PASSWORD_SCRYPT; kind <= PASSWORD_SHA512; kind++)
		if (bytes_equal_str(algorithm, algorithms[kind]))
			return password_import(out, kind, hash) ||
			       trouble(t, MANAGE_DATA, "password_hash is none of %s",
				       algorithms[kind]);
	return trouble(t, MANAGE_DATA, "unknown hashing_algorithm '%.*s'", BYTES_ARG(algorithm));
}

static bool add_tag(char *tags, size_t *len, struct bytes tag, struct trouble *t)
{
	while (tag.len > 0 && tag.data[0] == ' ')
		tag = bytes_of(tag.data + 1, tag.len - 1);
	if (tag.len == 0)
		return true;
	if (*len + tag.len + 2 > TAGS_MAX || memchr(tag.data, ',', tag.len) != NULL)
		return trouble(t, MANAGE_DATA, "tags are too long, or one has a comma");
	if (*len > 0)
		tags[(*len)++] = ',';
	memcpy(tags + *len, tag.data, tag.len);
	*len += tag.len;
	return true;
}

/* An array of texts, or a text with commas. */
static bool read_tags(const json_t *user, char tags[TAGS_MAX], size_t *len, struct trouble *t)
{
	const json_t *all = json_object_get(user, "tags"), *tag;
	size_t i;
	*len = 0;
	json_array_foreach(
		all, i, tag) if (!json_is_string(tag) ||
				 !add_tag(tags, len,
					  bytes_of(json_string_value(tag), json_string_length(tag)),
					  t)) return t->status != 0
		? false
		: trouble(t, MANAGE_DATA, "a tag is no text");
	if (!json_is_string(all))
		return all == NULL || json_is_array(all) ||
		       trouble(t, MANAGE_DATA, "tags are neither a list nor a text");
	const char *at = json_string_value(all);
	for (size_t part; *at != '\0'; at += part + (at[part] == ',')) {
		part = strcspn(at, ",");
		if (!add_tag(tags, len, bytes_of(at, part), t))
			return false;
	}
	return true;
}

static bool read_limit(const json_t *limits, const char *name, int64_t *out, struct trouble *t)
{
	const json_t *v = json_object_get(limits, name);
	*out = -1;
	if (v == NULL)
		return true;
	*out = json_integer_value(v);
	return json_is_integer(v) || trouble(t, MANAGE_REFUSED, "%s should be a number", name);
}

static bool read_limits(const json_t *limits, int64_t out[2], struct trouble *t)
{
	const char *key;
	json_t *v;
	if (limits != NULL && !json_is_object(limits))
		return trouble(t, MANAGE_DATA, "limits are no object");
	json_object_foreach((json_t *)limits, key,
			    v) if (strcmp(key, "max-connections") != 0 &&
				   strcmp(key, "max-channels") !=
					   0) return trouble(t, MANAGE_REFUSED,
							     "unrecognised limit '%s'", key);
	return read_limit(limits, "max-connections", &out[0], t) &&
	       read_limit(limits, "max-channels", &out[1], t);
}

static bool is_name(struct bytes name)
{
	return name.len > 0 && name.len <= USER_NAME_MAX && bytes_is_utf8(name);
}

bool user_apply(struct manage *m, const json_t *json, bool is_check, struct trouble *t)
{
	struct password password;
	char tags[TAGS_MAX];
	size_t tags_len;
	int64_t limits[2];
	struct bytes name = field_text(json, "name");
	if (!is_name(name))
		return trouble(t, MANAGE_DATA, "a user's name has 1 to %d bytes of UTF-8",
			       USER_NAME_MAX);
	if (!read_password(json, &password, t) || !read_tags(json, tags, &tags_len, t) ||
	    !read_limits(json_object_get(json, "limits"), limits, t))
		return false;
	if (is_check)
		return true;
	struct user *user = users_put(m->users, name);
	user_set_password(user, &password);
	user_set_tags(user, bytes_of(tags, tags_len));
	user_set_limits(user, limits[0], limits[1]);
	return true;
}

static struct user *find(struct manage *m, const json_t *json, const char *field, struct trouble *t)
{
	struct bytes name = field_text(json, field);
	struct user *user = users_find(m->users, name);
	if (user == NULL)
		trouble(t, MANAGE_NO_USER, "User \"%.*s\" does not exist", BYTES_ARG(name));
	return user;
}

/* Whether they are expressions at all. */
static bool check_patterns(const struct bytes patterns[PERMISSION_KINDS], struct trouble *t)
{
	char why[300];
	struct permission *tried = permission_create(patterns, false, why, sizeof why);
	permission_destroy(tried);
	return tried != NULL || trouble(t, MANAGE_REFUSED, "%s", why);
}

/* With is_check the user and the virtual host may be yet to come. */
bool permission_apply(struct manage *m, const json_t *json, bool is_check, struct trouble *t)
{
	const struct bytes patterns[PERMISSION_KINDS] = {
		[PERMISSION_CONFIGURE] = field_text(json, "configure"),
		[PERMISSION_WRITE] = field_text(json, "write"),
		[PERMISSION_READ] = field_text(json, "read"),
	};
	char why[300];
	if (is_check)
		return check_patterns(patterns, t);
	struct user *user = find(m, json, "user", t);
	return user != NULL &&
	       (users_permit(m->users, user, field_vhost_name(json), patterns, why, sizeof why) ||
		trouble(t, MANAGE_REFUSED, "%s", why));
}

bool topic_apply(struct manage *m, const json_t *json, bool is_check, struct trouble *t)
{
	char why[300];
	struct bytes write = field_text(json, "write"), read = field_text(json, "read");
	const struct bytes patterns[PERMISSION_KINDS] = { bytes_str(""), write, read };
	if (is_check)
		return check_patterns(patterns, t);
	struct user *user = find(m, json, "user", t);
	return user != NULL &&
	       (users_permit_topic(m->users, user, field_vhost_name(json),
				   field_text(json, "exchange"), write, read, why, sizeof why) ||
		trouble(t, MANAGE_REFUSED, "%s", why));
}

/* --- writing --- */

json_t *user_json(const struct user *user)
{
	char hash[PASSWORD_TEXT_MAX];
	password_export(&user->password, hash);
	const char *algorithm = user->password.kind == PASSWORD_NONE
					? algorithms[PASSWORD_SHA256]
					: algorithms[user->password.kind];
	return json_pack("{s:o, s:s, s:s, s:o, s:o}", "name", json_of_text(user->name),
			 "password_hash", hash, "hashing_algorithm", algorithm, "tags",
			 user_tags_json(user), "limits", user_limits_json(user));
}

json_t *permission_json(const struct user *user, const struct grant *grant)
{
	const struct permission *p = grant->permission;
	return json_pack("{s:o, s:o, s:o, s:o, s:o}", "user", json_of_text(user->name), "vhost",
			 json_of_text(grant->vhost), "configure",
			 json_of_text(permission_pattern(p, PERMISSION_CONFIGURE)), "write",
			 json_of_text(permission_pattern(p, PERMISSION_WRITE)), "read",
			 json_of_text(permission_pattern(p, PERMISSION_READ)));
}

json_t *topic_json(const struct user *user, const struct grant *grant,
		   const struct topic_grant *topic)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o}", "user", json_of_text(user->name), "vhost",
			 json_of_text(grant->vhost), "exchange", json_of_text(topic->exchange),
			 "write", json_of_text(topic->write), "read", json_of_text(topic->read));
}

enum { USER_FIELDS = 6, PERMISSION_FIELDS = 5, LIMIT_BYTES = 8 };

/* Fields: name, kind of the password's hash, its salt, its digest, tags, the two limits. */
void user_record(struct manage *m, const struct user *user)
{
	const struct password *p = &user->password;
	uint8_t kind = (uint8_t)p->kind, limits[2 * LIMIT_BYTES];
	store_u64(limits, (uint64_t)user->connections_max);
	store_u64(limits + LIMIT_BYTES, (uint64_t)user->channels_max);
	const struct bytes fields[USER_FIELDS] = { user->name,
						   bytes_of(&kind, 1),
						   bytes_of(p->salt, sizeof p->salt),
						   bytes_of(p->digest, sizeof p->digest),
						   user->tags,
						   bytes_of(limits, sizeof limits) };
	document_put_fields(m, DOCUMENT_USER, &user->name, 1, fields, USER_FIELDS);
}

bool user_recover(struct manage *m, struct bytes document)
{
	struct bytes f[USER_FIELDS];
	struct password password;
	if (!document_fields(document, f, USER_FIELDS) || !is_name(f[0]) || f[1].len != 1 ||
	    f[1].data[0] > PASSWORD_SHA512 || f[2].len != sizeof password.salt ||
	    f[3].len != sizeof password.digest || f[5].len != 2 * LIMIT_BYTES)
		return false;
	password.kind = (enum password_kind)f[1].data[0];
	memcpy(password.salt, f[2].data, sizeof password.salt);
	memcpy(password.digest, f[3].data, sizeof password.digest);
	struct user *user = users_put(m->users, f[0]);
	user_set_password(user, &password);
	user_set_tags(user, f[4]);
	user_set_limits(user, (int64_t)load_u64(f[5].data),
			(int64_t)load_u64(f[5].data + LIMIT_BYTES));
	return true;
}

/* Fields: user, virtual host, configure, write, read. */
void permission_record(struct manage *m, const struct user *user, struct bytes vhost)
{
	const struct grant *grant = user_grant(user, vhost);
	struct bytes fields[PERMISSION_FIELDS] = { user->name, vhost };
	if (grant == NULL) {
		document_delete(m, DOCUMENT_PERMISSION, fields, 2);
		return;
	}
	for (enum permission_kind kind = 0; kind < PERMISSION_KINDS; kind++)
		fields[2 + kind] = permission_pattern(grant->permission, kind);
	document_put_fields(m, DOCUMENT_PERMISSION, fields, 2, fields, PERMISSION_FIELDS);
}

bool permission_recover(struct manage *m, struct bytes document)
{
	struct bytes f[PERMISSION_FIELDS];
	char why[300];
	struct user *user =
		document_fields(document, f, PERMISSION_FIELDS) ? users_find(m->users, f[0]) : NULL;
	return user != NULL && users_permit(m->users, user, f[1], f + 2, why, sizeof why);
}

/* Fields: user, virtual host, exchange, write, read. */
void topic_record(struct manage *m, const struct user *user, struct bytes vhost,
		  struct bytes exchange)
{
	const struct grant *grant = map_get(&user->grants, vhost);
	const struct topic_grant *topic = grant == NULL ? NULL : map_get(&grant->topics, exchange);
	struct bytes fields[PERMISSION_FIELDS] = { user->name, vhost, exchange };
	if (topic == NULL) {
		document_delete(m, DOCUMENT_TOPIC, fields, 3);
		return;
	}
	fields[3] = topic->write;
	fields[4] = topic->read;
	document_put_fields(m, DOCUMENT_TOPIC, fields, 3, fields, PERMISSION_FIELDS);
}

bool topic_recover(struct manage *m, struct bytes document)
{
	struct bytes f[PERMISSION_FIELDS];
	char why[300];
	struct user *user =
		document_fields(document, f, PERMISSION_FIELDS) ? users_find(m->users, f[0]) : NULL;
	return user != NULL &&
	       users_permit_topic(m->users, user, f[1], f[2], f[3], f[4], why, sizeof why);
}

static void drop_topic_documents(struct manage *m, const struct user *user,
				 const struct grant *grant)
{
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&grant->topics, &at)) != NULL;) {
		struct bytes names[] = { user->name, grant->vhost, e->key };
		document_delete(m, DOCUMENT_TOPIC, names, 3);
	}
}

static void drop_grant_documents(struct manage *m, const struct user *user,
				 const struct grant *grant)
{
	struct bytes names[] = { user->name, grant->vhost };
	drop_topic_documents(m, user, grant);
	if (grant->permission != NULL)
		document_delete(m, DOCUMENT_PERMISSION, names, 2);
}

void users_drop_vhost(struct manage *m, struct bytes vhost)
{
	struct user *user;
	for (size_t at = 0; (user = users_next(m->users, &at)) != NULL;) {
		const struct grant *grant = map_get(&user->grants, vhost);
		if (grant != NULL)
			drop_grant_documents(m, user, grant);
	}
	users_forget_vhost(m->users, vhost);
}

/* --- commands --- */

static json_t *done(struct manage *m)
{
	m->options.changed(m->options.arg);
	return json_object();
}

static json_t *add_user(struct manage *m, const json_t *q, struct trouble *t)
{
	struct bytes name = field_text(q, "name");
	if (users_find(m->users, name) != NULL) {
		trouble(t, MANAGE_EXISTS, "User \"%.*s\" already exists", BYTES_ARG(name));
		return NULL;
	}
	if (!user_apply(m, q, false, t))
		return NULL;
	user_record(m, users_find(m->users, name));
	return done(m);
}

/* Made, or set anew but for its limits, if it says none. */
static json_t *put_user(struct manage *m, const json_t *q, struct trouble *t)
{
	const struct user *before = users_find(m->users, field_text(q, "name"));
	int64_t limits[2] = { -1, -1 };
	if (before != NULL) {
		limits[0] = before->connections_max;
		limits[1] = before->channels_max;
	}
	if (!user_apply(m, q, false, t))
		return NULL;
	struct user *user = users_find(m->users, field_text(q, "name"));
	if (json_object_get(q, "limits") == NULL)
		user_set_limits(user, limits[0], limits[1]);
	user_record(m, user);
	json_decref(done(m));
	return json_pack("{s:b}", "created", before == NULL);
}

static json_t *change_password(struct manage *m, const json_t *q, struct trouble *t)
{
	struct password password;
	struct user *user = find(m, q, "name", t);
	if (user == NULL || !read_password(q, &password, t))
		return NULL;
	user_set_password(user, &password);
	user_record(m, user);
	return done(m);
}

static json_t *clear_password(struct manage *m, const json_t *q, struct trouble *t)
{
	static const struct password none = { .kind = PASSWORD_NONE };
	struct user *user = find(m, q, "name", t);
	if (user == NULL)
		return NULL;
	user_set_password(user, &none);
	user_record(m, user);
	return done(m);
}

static json_t *set_user_tags(struct manage *m, const json_t *q, struct trouble *t)
{
	char tags[TAGS_MAX];
	size_t len;
	struct user *user = find(m, q, "name", t);
	if (user == NULL || !read_tags(q, tags, &len, t))
		return NULL;
	user_set_tags(user, bytes_of(tags, len));
	user_record(m, user);
	return done(m);
}

static json_t *set_user_limits(struct manage *m, const json_t *q, struct trouble *t)
{
	int64_t limits[2];
	struct user *user = find(m, q, "name", t);
	if (user == NULL || !read_limits(json_object_get(q, "limits"), limits, t))
		return NULL;
	user_set_limits(user, limits[0], limits[1]);
	user_record(m, user);
	return done(m);
}

static json_t *delete_user(struct manage *m, const json_t *q, struct trouble *t)
{
	struct user *user = find(m, q, "name", t);
	if (user == NULL)
		return NULL;
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&user->grants, &at)) != NULL;)
		drop_grant_documents(m, user, e->value);
	document_delete(m, DOCUMENT_USER, &user->name, 1);
	users_delete(m->users, user);
	return done(m);
}

/* "with_hashes": whole, as in definitions. */
static void add_row(json_t *rows, const struct user *user, const json_t *q)
{
	bool is_whole = json_is_true(json_object_get(q, "with_hashes"));
	json_array_append_new(rows, is_whole ? user_json(user)
					     : json_pack("{s:o, s:o, s:o}", "user",
							 json_of_text(user->name), "tags",
							 user_tags_json(user), "limits",
							 user_limits_json(user)));
}

/* With "name" that one, if there is such. */
static json_t *list_users(struct manage *m, const json_t *q, struct trouble *t)
{
	const struct user *user;
	json_t *rows = json_array();
	(void)t;
	if (json_object_get(q, "name") != NULL) {
		user = users_find(m->users, field_text(q, "name"));
		if (user != NULL)
			add_row(rows, user, q);
		return json_pack("{s:o}", "rows", rows);
	}
	for (size_t at = 0; (user = users_next(m->users, &at)) != NULL;)
		add_row(rows, user, q);
	return json_pack("{s:o}", "rows", rows);
}

static json_t *set_permissions(struct manage *m, const json_t *q, struct trouble *t)
{
	struct vhost *vhost = field_vhost(m, q, t);
	if (vhost == NULL || !permission_apply(m, q, false, t))
		return NULL;
	permission_record(m, users_find(m->users, field_text(q, "user")), vhost_name(vhost));
	return done(m);
}

/* A question's user and virtual host. NULL, and trouble: one of them is not there. */
static struct user *find_in_vhost(struct manage *m, const json_t *q, struct vhost **vhost,
				  struct trouble *t)
{
	*vhost = field_vhost(m, q, t);
	return *vhost == NULL ? NULL : find(m, q, "user", t);
}

static json_t *clear_permissions(struct manage *m, const json_t *q, struct trouble *t)
{
	struct vhost *vhost;
	struct user *user = find_in_vhost(m, q, &vhost, t);
	if (user == NULL)
		return NULL;
	if (user_forbid(user, vhost_name(vhost)))
		permission_record(m, user, vhost_name(vhost));
	return done(m);
}

static json_t *set_topic_permissions(struct manage *m, const json_t *q, struct trouble *t)
{
	struct vhost *vhost = field_vhost(m, q, t);
	if (vhost == NULL || !topic_apply(m, q, false, t))
		return NULL;
	topic_record(m, users_find(m->users, field_text(q, "user")), vhost_name(vhost),
		     field_text(q, "exchange"));
	return done(m);
}

static json_t *clear_topic_permissions(struct manage *m, const json_t *q, struct trouble *t)
{
	struct vhost *vhost;
	struct user *user = find_in_vhost(m, q, &vhost, t);
	if (user == NULL)
		return NULL;
	bool is_one = json_object_get(q, "exchange") != NULL;
	struct bytes exchange = field_text(q, "exchange");
	const struct grant *grant = map_get(&user->grants, vhost_name(vhost));
	if (!is_one && grant != NULL)
		drop_topic_documents(m, user, grant);
	if (user_forbid_topic(user, vhost_name(vhost), is_one ? &exchange : NULL) && is_one)
		topic_record(m, user, vhost_name(vhost), exchange);
	return done(m);
}

/* Of a user, or of a virtual host. */
static bool wanted(const json_t *q, const struct user *user, const struct grant *grant)
{
	struct bytes name = field_text(q, "user"), vhost = field_text(q, "vhost");
	return (name.len == 0 || bytes_equal(name, user->name)) &&
	       (vhost.len == 0 || bytes_equal(vhost, grant->vhost));
}

static bool is_list_possible(struct manage *m, const json_t *q, struct trouble *t)
{
	bool has_vhost = json_object_get(q, "vhost") != NULL;
	bool has_user = json_object_get(q, "user") != NULL;
	return (!has_vhost || field_vhost(m, q, t) != NULL) &&
	       (!has_user || find(m, q, "user", t) != NULL);
}

static json_t *list_permissions(struct manage *m, const json_t *q, struct trouble *t)
{
	const struct user *user;
	if (!is_list_possible(m, q, t))
		return NULL;
	json_t *rows = json_array();
	for (size_t at = 0; (user = users_next(m->users, &at)) != NULL;) {
		size_t slot = 0;
		for (const struct map_entry *e; (e = map_next(&user->grants, &slot)) != NULL;) {
			const struct grant *grant = e->value;
			if (grant->permission != NULL && wanted(q, user, grant))
				json_array_append_new(rows, permission_json(user, grant));
		}
	}
	return json_pack("{s:o}", "rows", rows);
}

static void list_topics(json_t *rows, const struct user *user, const struct grant *grant)
{
	size_t slot = 0;
	for (const struct map_entry *e; (e = map_next(&grant->topics, &slot)) != NULL;)
		json_array_append_new(rows, topic_json(user, grant, e->value));
}

static json_t *list_topic_permissions(struct manage *m, const json_t *q, struct trouble *t)
{
	const struct user *user;
	if (!is_list_possible(m, q, t))
		return NULL;
	json_t *rows = json_array();
	for (size_t at = 0; (user = users_next(m->users, &at)) != NULL;) {
		size_t slot = 0;
		for (const struct map_entry *e; (e = map_next(&user->grants, &slot)) != NULL;)
			if (wanted(q, user, e->value))
				list_topics(rows, user, e->value);
	}
	return json_pack("{s:o}", "rows", rows);
}

const struct command user_commands[] = {
	{ "add_user", add_user },
	{ "put_user", put_user },
	{ "change_password", change_password },
	{ "clear_password", clear_password },
	{ "delete_user", delete_user },
	{ "set_user_tags", set_user_tags },
	{ "set_user_limits", set_user_limits },
	{ "list_users", list_users },
	{ "set_permissions", set_permissions },
	{ "clear_permissions", clear_permissions },
	{ "list_permissions", list_permissions },
	{ "set_topic_permissions", set_topic_permissions },
	{ "clear_topic_permissions", clear_topic_permissions },
	{ "list_topic_permissions", list_topic_permissions },
	{ NULL, NULL },
};
