#include "auth/access.h"

#include "base/alloc.h"

#include <stdlib.h>

enum { REMEMBERED_MAX = 256 };

/* A bit for each kind: it has been asked, it is allowed. */
struct remembered {
	struct bytes name; /* Owned. */
	uint8_t asked;
	uint8_t allowed;
};

void access_init(struct access *access, struct user *user, struct bytes vhost, uint64_t seed)
{
	*access = (struct access){ .user = user_hold(user),
				   .vhost = vhost,
				   .version = user->version };
	map_init(&access->names, seed);
}

static void forget(struct access *access)
{
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&access->names, &at)) != NULL;) {
		struct remembered *r = e->value;
		free((void *)r->name.data);
		free(r);
	}
	map_fini(&access->names);
}

void access_fini(struct access *access)
{
	forget(access);
	user_release(access->user);
	access->user = NULL;
}

static struct remembered *remember(struct access *access, struct bytes name)
{
	struct remembered *r = map_get(&access->names, name);
	if (r != NULL)
		return r;
	if (access->names.len >= REMEMBERED_MAX)
		forget(access);
	r = alloc_zeroed(sizeof *r);
	r->name = alloc_copy(name);
	map_put(&access->names, r->name, r);
	return r;
}

static const struct grant *refresh(struct access *access)
{
	if (access_is_stale(access))
		forget(access);
	access->version = access->user->version;
	return access->user->is_deleted ? NULL : user_grant(access->user, access->vhost);
}

bool access_allows(struct access *access, enum permission_kind kind, struct bytes name)
{
	const struct grant *grant = refresh(access);
	if (grant == NULL)
		return false;
	if (name.len == 0)
		name = bytes_str("amq.default");
	struct remembered *r = remember(access, name);
	uint8_t bit = (uint8_t)(1u << kind);
	if ((r->asked & bit) == 0) {
		r->asked |= bit;
		if (permission_allows(grant->permission, kind, name))
			r->allowed |= bit;
	}
	return r->allowed & bit;
}

bool access_has_topics(const struct access *access)
{
	const struct grant *grant = user_grant(access->user, access->vhost);
	return grant != NULL && grant->topics.len > 0;
}

/* Not remembered: keys are many. */
bool access_allows_topic(struct access *access, enum permission_kind kind, struct bytes exchange,
			 struct bytes key)
{
	const struct grant *grant = refresh(access);
	if (grant == NULL)
		return false;
	const struct topic_grant *topic = map_get(&grant->topics, exchange);
	return topic == NULL || permission_allows(topic->permission, kind, key);
}
