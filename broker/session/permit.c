/* Permit: whether the user may do what a method asks. The points at which it is asked, and which
 * refusal wins, are RabbitMQ's: before all but the type of an exchange, the default exchange, and
 * reserved names of queues. */
#include "core/inputs.h"

#include "session/state.h"

#include "auth/access.h"
#include "base/alloc.h"
#include "table.h"

#include <stdio.h>
#include <stdlib.h>

static bool permit(const struct session *s, enum permission_kind kind, const char *what,
		   struct bytes name, struct refusal *refusal)
{
	if (access_allows(s->access, kind, name))
		return true;
	struct bytes shown = name.len == 0 ? bytes_str("amq.default") : name;
	return refuse(refusal, REPLY_ACCESS_REFUSED,
		      "access to %s '%.*s' in vhost '%.*s' refused for user '%.*s'", what,
		      BYTES_ARG(shown), BYTES_ARG(s->access->vhost), BYTES_ARG(s->user));
}

static bool permit_topic(const struct session *s, enum permission_kind kind, struct bytes exchange,
			 struct bytes key, struct refusal *refusal)
{
	const struct vhost *vhost = connection_vhost(s->connection);
	if (!vhost_has_topic_exchange(vhost, exchange) ||
	    access_allows_topic(s->access, kind, exchange, key))
		return true;
	return refuse(refusal, REPLY_ACCESS_REFUSED,
		      "access to topic '%.*s' in exchange '%.*s' in vhost '%.*s' refused for user "
		      "'%.*s'",
		      BYTES_ARG(key), BYTES_ARG(exchange), BYTES_ARG(s->access->vhost),
		      BYTES_ARG(s->user));
}

/* An argument that names an exchange, where what leaves the thing will go: who makes it needs to
 * read the one and write to the other. */
static bool permit_way(const struct session *s, struct bytes arguments, const char *argument,
		       const char *what, struct bytes name, struct refusal *refusal)
{
	struct bytes exchange;
	return !table_find_string(arguments, argument, &exchange) ||
	       (permit(s, PERMISSION_READ, what, name, refusal) &&
		permit(s, PERMISSION_WRITE, "exchange", exchange, refusal));
}

bool permit_exchange_declare(const struct session *s, const struct exchange_declare *d,
			     struct refusal *refusal)
{
	if (s->access == NULL || d->is_passive || d->name.len == 0)
		return true;
	const struct vhost *vhost = connection_vhost(s->connection);
	return core_exchange_type_check(d, refusal) &&
	       permit(s, PERMISSION_CONFIGURE, "exchange", d->name, refusal) &&
	       (vhost_has_exchange(vhost, d->name) ||
		permit_way(s, d->arguments, "alternate-exchange", "exchange", d->name, refusal));
}

bool permit_queue_declare(const struct session *s, const struct queue_declare *d,
			  struct refusal *refusal)
{
	bool is_reserved = !d->is_generated && bytes_has_prefix(d->name, "amq.");
	if (s->access == NULL || d->is_passive || is_reserved)
		return true;
	const struct vhost *vhost = connection_vhost(s->connection);
	return permit(s, PERMISSION_CONFIGURE, "queue", d->name, refusal) &&
	       (vhost_has_queue(vhost, d->name) ||
		permit_way(s, d->arguments, "x-dead-letter-exchange", "queue", d->name, refusal));
}

/* The broker's own exchanges are nobody's to delete. */
bool permit_exchange_delete(const struct session *s, struct bytes name, struct refusal *refusal)
{
	return s->access == NULL || name.len == 0 || bytes_has_prefix(name, "amq.") ||
	       permit(s, PERMISSION_CONFIGURE, "exchange", name, refusal);
}

bool permit_queue_delete(const struct session *s, struct bytes name, struct refusal *refusal)
{
	return s->access == NULL || permit(s, PERMISSION_CONFIGURE, "queue", name, refusal);
}

bool permit_bind(const struct session *s, const struct bind *b, struct refusal *refusal)
{
	if (s->access == NULL)
		return true;
	const char *what = b->is_to_exchange ? "exchange" : "queue";
	if (!permit(s, PERMISSION_WRITE, what, b->destination, refusal))
		return false;
	if (b->source.len == 0 || b->destination.len == 0)
		return true; /* It is refused anyway. */
	return permit(s, PERMISSION_READ, "exchange", b->source, refusal) &&
	       permit_topic(s, PERMISSION_READ, b->source, b->routing_key, refusal);
}

bool permit_read(const struct session *s, struct bytes queue, struct refusal *refusal)
{
	return s->access == NULL || bytes_equal_str(queue, "amq.rabbitmq.reply-to") ||
	       permit(s, PERMISSION_READ, "queue", queue, refusal);
}

/* As long as nothing changes, a publisher that repeats itself is asked once. */
bool permit_publish(struct session_channel *ch, struct refusal *refusal)
{
	const struct session *s = ch->session;
	if (s->access == NULL || ch->allowed == s->account->version)
		return true;
	struct pending_content *c = ch->content;
	struct reader r =
		reader_of(c->publish + PUBLISH_TAIL_AT, (size_t)(c->publish_len - PUBLISH_TAIL_AT));
	struct bytes exchange = read_shortstr(&r), key = read_shortstr(&r);
	if (!permit(s, PERMISSION_WRITE, "exchange", exchange, refusal) ||
	    !permit_topic(s, PERMISSION_WRITE, exchange, key, refusal))
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
