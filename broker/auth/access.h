/* Access: what a connection's user may do in its virtual host, with the answers remembered for as
 * long as nothing of the user changes. It belongs to one connection and one thread. */
#ifndef LEV_AUTH_ACCESS_H
#define LEV_AUTH_ACCESS_H

#include "auth/permission.h"
#include "auth/users.h"

#include "base/bytes.h"
#include "base/map.h"

#include <stdbool.h>
#include <stdint.h>

struct access {
	struct user *user;  /* Held. */
	struct bytes vhost; /* Borrowed. */
	uint64_t version;   /* Of the user, when what follows was found out. */
	struct map names;   /* name -> struct remembered */
};

/* vhost lives as long as the access. seed: of hash tables. */
void access_init(struct access *access, struct user *user, struct bytes vhost, uint64_t seed);
void access_fini(struct access *access);

/* The user has changed since something was last asked. */
static inline bool access_is_stale(const struct access *access)
{
	return access->version != access->user->version;
}

/* Of some exchange in the vhost it is said which topics the user may. */
bool access_has_topics(const struct access *access);

/* name: of a queue or an exchange, the default one as it is (empty). */
bool access_allows(struct access *access, enum permission_kind kind, struct bytes name);
/* Of an exchange of type topic: a routing key to write, a binding key to read. */
bool access_allows_topic(struct access *access, enum permission_kind kind, struct bytes exchange,
			 struct bytes key);

#endif
