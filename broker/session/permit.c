/* What a change of users and virtual hosts means to a session, and publishes that are permitted
 * because the last one was. */
#include "core/inputs.h"

#include "permit/permit.h"
#include "session/state.h"

#include "auth/access.h"
#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>

/* As long as nothing changes, a publisher that repeats itself is asked once. */
bool permitted_publish(struct session_channel *ch, struct refusal *refusal)
{
	const struct session *s = ch->session;
	if (s->access == NULL || ch->allowed == s->account->version)
		return true;
	struct pending_content *c = ch->content;
	struct reader r =
		reader_of(c->publish + PUBLISH_TAIL_AT, (size_t)(c->publish_len - PUBLISH_TAIL_AT));
	struct bytes exchange = read_shortstr(&r), key = read_shortstr(&r);
	if (!permit_publish(s->access, connection_vhost(s->connection), exchange, key, refusal))
		return false;
	if (!access_has_topics(s->access)) /* The exchange may come to be one of type topic. */
		ch->allowed = s->account->version;
	return true;
}

/* --- after a change --- */

struct losing {
	struct session *s;
	struct bytes *tags; /* Owned, as each of them. */
	size_t len;
	size_t cap;
};

static void look_at_consumer(void *arg, struct bytes tag, struct bytes queue)
{
	struct losing *l = arg;
	if (access_allows(l->s->access, PERMISSION_READ, queue))
		return;
	l->tags = alloc_grow(l->tags, &l->cap, l->len + 1, sizeof *l->tags);
	l->tags[l->len++] = alloc_copy(tag);
}

static void expel_consumers(struct session *s, struct session_channel *ch)
{
	struct losing l = { .s = s };
	channel_each_consumer(ch->channel, look_at_consumer, &l);
	for (size_t i = 0; i < l.len; i++) {
		session_log(s, "consumer '%.*s' cancelled: its user may not read the queue",
			    BYTES_ARG(l.tags[i]));
		core_expel(ch->channel, l.tags[i]);
		free((void *)l.tags[i].data);
	}
	free(l.tags);
}

void session_recheck(struct session *s)
{
	char text[600];
	if (s->connection == NULL)
		return;
	const struct vhost *vhost = connection_vhost(s->connection);
	if (vhost_is_going(vhost)) {
		snprintf(text, sizeof text, "vhost '%.*s' is deleted",
			 BYTES_ARG(vhost_name(vhost)));
		session_shutdown(s, REPLY_CONNECTION_FORCED, text);
	} else if (s->access != NULL && s->account->is_deleted) {
		snprintf(text, sizeof text, "user '%.*s' is deleted", BYTES_ARG(s->user));
		session_shutdown(s, REPLY_CONNECTION_FORCED, text);
	} else if (s->access != NULL && s->rechecked != s->account->version) {
		s->rechecked = s->account->version;
		for (size_t i = 0; i < s->channels_len; i++)
			if (s->channels[i] != NULL && s->channels[i]->channel != NULL)
				expel_consumers(s, s->channels[i]);
	}
}
