/* Users: who may log in. One user for now, from the configuration.
 *
 * Passwords are compared in constant time, and a wrong user takes as long as a wrong password. */
#ifndef LEV_AUTH_USERS_H
#define LEV_AUTH_USERS_H

#include "base/bytes.h"

struct users;

struct users *users_create(uint64_t hash_seed);
void users_destroy(struct users *users); /* NULL is fine. */

/* Adds a user or changes its password. is_loopback_only: it may log in from this machine alone. */
void users_set(struct users *users, struct bytes name, struct bytes password,
	       bool is_loopback_only);
void users_clear(struct users *users);

bool users_check(const struct users *users, struct bytes name, struct bytes password,
		 bool is_loopback);

#endif
