#include "auth/users.h"

#include "base/alloc.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct users {
	struct map by_name;
	struct user *operator; /* NULL: nobody has asked for him yet. */
	uint64_t seed;
	uint8_t secret[16];
	bool is_trusting;
};

struct users *users_create(uint64_t hash_seed, const uint8_t secret[16])
{
	struct users *users = alloc_zeroed(sizeof *users);
	map_init(&users->by_name, hash_seed);
	users->seed = hash_seed;
	memcpy(users->secret, secret, sizeof users->secret);
	return users;
}

void users_trust(struct users *users, bool is_trusting)
{
	users->is_trusting = is_trusting;
}

static void changed(struct user *user)
{
	user->version++;
}

/* --- grants --- */

static void topic_destroy(struct grant *grant, struct topic_grant *topic)
{
	map_remove(&grant->topics, topic->exchange);
	permission_destroy(topic->permission);
	free((void *)topic->exchange.data);
	free((void *)topic->write.data);
	free((void *)topic->read.data);
	free(topic);
}

static void drop_topics(struct grant *grant)
{
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&grant->topics, &at)) != NULL; at--)
		topic_destroy(grant, e->value);
}

static void grant_destroy(struct user *user, struct grant *grant)
{
	drop_topics(grant);
	map_remove(&user->grants, grant->vhost);
	map_fini(&grant->topics);
	permission_destroy(grant->permission);
	free((void *)grant->vhost.data);
	free(grant);
}

static struct grant *grant_of(struct users *users, struct user *user, struct bytes vhost)
{
	struct grant *grant = map_get(&user->grants, vhost);
	if (grant != NULL)
		return grant;
	grant = alloc_zeroed(sizeof *grant);
	grant->vhost = alloc_copy(vhost);
	map_init(&grant->topics, users->seed);
	map_put(&user->grants, grant->vhost, grant);
	return grant;
}

static void drop_if_empty(struct user *user, struct grant *grant)
{
	if (grant->permission == NULL && grant->topics.len == 0)
		grant_destroy(user, grant);
}

const struct grant *user_grant(const struct user *user, struct bytes vhost)
{
	const struct grant *grant =
		map_get(&user->grants, user->is_operator ? bytes_of("", 0) : vhost);
	return grant == NULL || grant->permission == NULL ? NULL : grant;
}

bool users_permit(struct users *users, struct user *user, struct bytes vhost,
		  const struct bytes patterns[PERMISSION_KINDS], char *why, size_t why_size)
{
	struct permission *permission =
		permission_create(patterns, users->is_trusting, why, why_size);
	if (permission == NULL)
		return false;
	struct grant *grant = grant_of(users, user, vhost);
	permission_destroy(grant->permission);
	grant->permission = permission;
	changed(user);
	return true;
}

bool user_forbid(struct user *user, struct bytes vhost)
{
	struct grant *grant = map_get(&user->grants, vhost);
	if (grant == NULL || grant->permission == NULL)
		return false;
	permission_destroy(grant->permission);
	grant->permission = NULL;
	drop_if_empty(user, grant);
	changed(user);
	return true;
}

/* --- topics --- */

static const char specials[] = "\\^$.|?*+()[]{}-#";

/* What a name stands for in a pattern is the name itself. */
static void write_quoted(char **at, struct bytes name)
{
	for (size_t i = 0; i < name.len; i++) {
		if (name.data[i] != 0 && strchr(specials, name.data[i]) != NULL)
			*(*at)++ = '\\';
		*(*at)++ = (char)name.data[i];
	}
}

/* A copy with {username} and {vhost} put in, free() it. */
static struct bytes put_in(struct bytes pattern, struct bytes user, struct bytes vhost)
{
	static const char name[] = "{username}", place[] = "{vhost}";
	size_t per_byte = 2 * (USER_NAME_MAX + 1);
	char *text = alloc_resize(NULL, pattern.len * per_byte + 1), *at = text;
	for (size_t i = 0; i < pattern.len;) {
		struct bytes rest = bytes_of(pattern.data + i, pattern.len - i);
		bool is_name = bytes_has_prefix(rest, name);
		if (is_name || bytes_has_prefix(rest, place)) {
			write_quoted(&at, is_name ? user : vhost);
			i += is_name ? sizeof name - 1 : sizeof place - 1;
		} else {
			*at++ = (char)pattern.data[i++];
		}
	}
	return bytes_of(text, (size_t)(at - text));
}

bool users_permit_topic(struct users *users, struct user *user, struct bytes vhost,
			struct bytes exchange, struct bytes write, struct bytes read, char *why,
			size_t why_size)
{
	if (write.len > PERMISSION_PATTERN_MAX || read.len > PERMISSION_PATTERN_MAX) {
		snprintf(why, why_size, "a pattern is longer than %d bytes",
			 PERMISSION_PATTERN_MAX);
		return false;
	}
	struct bytes patterns[PERMISSION_KINDS] = {
		[PERMISSION_CONFIGURE] = bytes_str(""),
		[PERMISSION_WRITE] = put_in(write, user->name, vhost),
		[PERMISSION_READ] = put_in(read, user->name, vhost),
	};
	struct permission *permission =
		permission_create(patterns, users->is_trusting, why, why_size);
	free((void *)patterns[PERMISSION_WRITE].data);
	free((void *)patterns[PERMISSION_READ].data);
	if (permission == NULL)
		return false;
	struct grant *grant = grant_of(users, user, vhost);
	struct topic_grant *topic = map_get(&grant->topics, exchange);
	if (topic != NULL)
		topic_destroy(grant, topic);
	topic = alloc_zeroed(sizeof *topic);
	topic->exchange = exchange.len == 0 ? bytes_of(NULL, 0) : alloc_copy(exchange);
	topic->write = alloc_copy(write);
	topic->read = alloc_copy(read);
	topic->permission = permission;
	map_put(&grant->topics, topic->exchange, topic);
	changed(user);
	return true;
}

bool user_forbid_topic(struct user *user, struct bytes vhost, const struct bytes *exchange)
{
	struct grant *grant = map_get(&user->grants, vhost);
	if (grant == NULL || grant->topics.len == 0)
		return false;
	struct topic_grant *topic = exchange == NULL ? NULL : map_get(&grant->topics, *exchange);
	if (exchange != NULL && topic == NULL)
		return false;
	if (topic != NULL)
		topic_destroy(grant, topic);
	else
		drop_topics(grant);
	drop_if_empty(user, grant);
	changed(user);
	return true;
}

void users_forget_vhost(struct users *users, struct bytes vhost)
{
	struct user *user;
	for (size_t at = 0; (user = users_next(users, &at)) != NULL;) {
		struct grant *grant = map_get(&user->grants, vhost);
		if (grant == NULL)
			continue;
		grant_destroy(user, grant);
		changed(user);
	}
}

/* --- users --- */

struct user *users_find(const struct users *users, struct bytes name)
{
	return map_get(&users->by_name, name);
}

struct user *users_next(const struct users *users, size_t *at)
{
	const struct map_entry *e = map_next(&users->by_name, at);
	return e == NULL ? NULL : e->value;
}

static struct user *create(const struct users *users, struct bytes name)
{
	struct user *user = alloc_zeroed(sizeof *user);
	user->name = alloc_copy(name);
	user->connections_max = user->channels_max = -1;
	user->version = 1;
	map_init(&user->grants, users->seed);
	return user;
}

struct user *users_put(struct users *users, struct bytes name)
{
	assert(name.len > 0 && name.len <= USER_NAME_MAX);
	struct user *user = users_find(users, name);
	if (user != NULL)
		return user;
	user = create(users, name);
	map_put(&users->by_name, user->name, user);
	return user;
}

/* What he may in "", he may everywhere. */
struct user *users_operator(struct users *users)
{
	const struct bytes all[PERMISSION_KINDS] = { bytes_str(".*"), bytes_str(".*"),
						     bytes_str(".*") };
	char why[100];
	if (users->operator!= NULL)
		return users->operator;
	struct user *user = create(users, bytes_str("operator"));
	bool is_good = users_permit(users, user, bytes_of("", 0), all, why, sizeof why);
	assert(is_good);
	(void)is_good;
	user_set_tags(user, bytes_str("administrator"));
	user->is_operator = true;
	users->operator= user;
	return user;
}

static void drop_grants(struct user *user)
{
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&user->grants, &at)) != NULL; at--)
		grant_destroy(user, e->value);
}

static void destroy(struct user *user)
{
	drop_grants(user);
	map_fini(&user->grants);
	free((void *)user->name.data);
	free((void *)user->tags.data);
	OPENSSL_cleanse(user, sizeof *user);
	free(user);
}

struct user *user_hold(struct user *user)
{
	user->holders++;
	return user;
}

void user_release(struct user *user)
{
	if (user != NULL && --user->holders == 0 && user->is_deleted)
		destroy(user);
}

void users_delete(struct users *users, struct user *user)
{
	changed(user);
	map_remove(&users->by_name, user->name);
	drop_grants(user);
	user->is_deleted = true;
	user_release(user_hold(user));
}

void users_destroy(struct users *users)
{
	if (users == NULL)
		return;
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&users->by_name, &at)) != NULL; at--)
		users_delete(users, e->value);
	map_fini(&users->by_name);
	if (users->operator!= NULL)
		destroy(users->operator);
	OPENSSL_cleanse(users, sizeof *users);
	free(users);
}

void user_set_password(struct user *user, const struct password *password)
{
	user->password = *password;
	user->is_verified = false;
	changed(user);
}

void user_set_tags(struct user *user, struct bytes tags)
{
	struct bytes copy = alloc_copy(tags);
	free((void *)user->tags.data);
	user->tags = copy;
	changed(user);
}

void user_set_limits(struct user *user, int64_t connections_max, int64_t channels_max)
{
	user->connections_max = connections_max < 0 ? -1 : connections_max;
	user->channels_max = channels_max < 0 ? -1 : channels_max;
	changed(user);
}

bool user_has_tag(const struct user *user, const char *tag)
{
	const uint8_t *at = user->tags.data, *end = at + user->tags.len;
	while (at < end) {
		const uint8_t *comma = memchr(at, ',', (size_t)(end - at));
		const uint8_t *stop = comma == NULL ? end : comma;
		if (bytes_equal_str(bytes_of(at, (size_t)(stop - at)), tag))
			return true;
		at = comma == NULL ? end : comma + 1;
	}
	return false;
}

/* --- what has been found right --- */

/* The password is spread out again: the digest says nothing of an older one. */
static bool digest_of(const struct users *users, const struct user *user, struct bytes text,
		      uint8_t digest[VERIFIED_BYTES])
{
	unsigned len = VERIFIED_BYTES;
	uint8_t key[sizeof users->secret + PASSWORD_SALT_BYTES];
	memcpy(key, users->secret, sizeof users->secret);
	memcpy(key + sizeof users->secret, user->password.salt, PASSWORD_SALT_BYTES);
	return HMAC(EVP_sha256(), key, sizeof key, text.data, text.len, digest, &len) != NULL;
}

bool users_is_verified(const struct users *users, const struct user *user, struct bytes text)
{
	uint8_t digest[VERIFIED_BYTES];
	return user->is_verified && text.len > 0 && digest_of(users, user, text, digest) &&
	       CRYPTO_memcmp(digest, user->verified, sizeof digest) == 0;
}

void users_set_verified(const struct users *users, struct user *user, struct bytes text)
{
	user->is_verified = digest_of(users, user, text, user->verified);
}
