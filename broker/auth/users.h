/* Users: who there is, what proves it, and what each may do in which virtual host.
 *
 * A user that is deleted lives on for those who hold it (a connection that is being closed), and
 * may do nothing. Names, tags and patterns are copied. One thread. */
#ifndef LEV_AUTH_USERS_H
#define LEV_AUTH_USERS_H

#include "auth/password.h"
#include "auth/permission.h"

#include "base/bytes.h"
#include "base/map.h"

#include <stdbool.h>
#include <stdint.h>

enum { USER_NAME_MAX = 255, VERIFIED_BYTES = 32 };

struct user {
	struct bytes name; /* Owned, as all here. */
	struct password password;
	struct bytes tags;       /* Separated by commas: "administrator,ops". */
	int64_t connections_max; /* -1: no limit. */
	int64_t channels_max;
	uint64_t connections_len;
	uint64_t channels_len;
	uint64_t version; /* Grows whenever something of it changes; whoever remembers what it may
			     do remembers this. */
	bool is_deleted;
	bool is_operator; /* users_operator(). */
	/* --- users.c --- */
	uint32_t holders;
	bool is_verified; /* The digest below is of a text that has been found right. */
	uint8_t verified[VERIFIED_BYTES];
	struct map grants; /* vhost -> struct grant */
};

/* What a user may do in one vhost. */
struct grant {
	struct bytes vhost;
	struct permission *permission; /* NULL: only topics are said, which mean nothing alone. */
	struct map topics;             /* exchange -> struct topic_grant */
};

struct topic_grant {
	struct bytes exchange;
	struct bytes write, read;      /* As they were given. */
	struct permission *permission; /* With {username} and {vhost} put in. */
};

struct users;

/* secret: random. */
struct users *users_create(uint64_t hash_seed, const uint8_t secret[16]);
void users_destroy(struct users *users); /* When nobody holds one. NULL is fine. */

/* What comes from here on has been found good before: patterns are taken as they are. */
void users_trust(struct users *users, bool is_trusting);

struct user *users_find(const struct users *users, struct bytes name); /* NULL: there is none. */
/* In no order; after slot *at, which begins with 0. NULL: no more. */
struct user *users_next(const struct users *users, size_t *at);
/* Finds or makes it; a new one has no password, no tags, no limits, no permissions. */
struct user *users_put(struct users *users, struct bytes name);
void users_delete(struct users *users, struct user *user);
/* Who may do everything everywhere, and is none of the users: the operator at a socket that only he
 * can open. Lives as long as users. */
struct user *users_operator(struct users *users);
struct user *user_hold(struct user *user);
void user_release(struct user *user); /* NULL is fine. */

void user_set_password(struct user *user, const struct password *password);
void user_set_tags(struct user *user, struct bytes tags);
void user_set_limits(struct user *user, int64_t connections_max, int64_t channels_max);

/* Replaces what it may do in the vhost. False, and why: a pattern is none. */
bool users_permit(struct users *users, struct user *user, struct bytes vhost,
		  const struct bytes patterns[PERMISSION_KINDS], char *why, size_t why_size);
/* False: it had none. */
bool user_forbid(struct user *user, struct bytes vhost);
bool users_permit_topic(struct users *users, struct user *user, struct bytes vhost,
			struct bytes exchange, struct bytes write, struct bytes read, char *why,
			size_t why_size);
/* exchange: NULL: all of the vhost. False: there was none. */
bool user_forbid_topic(struct user *user, struct bytes vhost, const struct bytes *exchange);
/* A vhost has gone. */
void users_forget_vhost(struct users *users, struct bytes vhost);
/* NULL: the user may not even enter. */
const struct grant *user_grant(const struct user *user, struct bytes vhost);
bool user_has_tag(const struct user *user, const char *tag);

/* Whether the text is one that has been found right since the password was last set: nothing is
 * hashed that would take long. */
bool users_is_verified(const struct users *users, const struct user *user, struct bytes text);
/* It was looked at and is right. */
void users_set_verified(const struct users *users, struct user *user, struct bytes text);

#endif
