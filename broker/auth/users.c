#include "auth/users.h"

#include "base/alloc.h"
#include "base/map.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdlib.h>

struct user {
	struct bytes name;                    /* Owned. */
	uint8_t digest[SHA256_DIGEST_LENGTH]; /* Of the password: equal lengths for an equal-time
						 comparison. */
	bool is_loopback_only;
};

struct users {
	struct map by_name;
};

struct users *users_create(uint64_t hash_seed)
{
	struct users *users = alloc_zeroed(sizeof *users);
	map_init(&users->by_name, hash_seed);
	return users;
}

void users_clear(struct users *users)
{
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&users->by_name, &at)) != NULL;) {
		struct user *user = e->value;
		free((void *)user->name.data);
		OPENSSL_cleanse(user, sizeof *user);
		free(user);
	}
	map_fini(&users->by_name);
}

void users_destroy(struct users *users)
{
	if (users == NULL)
		return;
	users_clear(users);
	free(users);
}

void users_set(struct users *users, struct bytes name, struct bytes password, bool is_loopback_only)
{
	struct user *user = map_get(&users->by_name, name);
	if (user == NULL) {
		user = alloc_zeroed(sizeof *user);
		user->name = alloc_copy(name);
		map_put(&users->by_name, user->name, user);
	}
	SHA256(password.data, password.len, user->digest);
	user->is_loopback_only = is_loopback_only;
}

bool users_check(const struct users *users, struct bytes name, struct bytes password,
		 bool is_loopback)
{
	static const struct user nobody;
	const struct user *user = map_get(&users->by_name, name);
	bool is_known = user != NULL;
	uint8_t digest[SHA256_DIGEST_LENGTH];
	if (!is_known)
		user = &nobody;
	SHA256(password.data, password.len, digest);
	bool is_right = CRYPTO_memcmp(digest, user->digest, sizeof digest) == 0;
	return is_right && is_known && password.len > 0 && (is_loopback || !user->is_loopback_only);
}
