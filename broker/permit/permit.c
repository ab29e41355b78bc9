#include "permit/permit.h"

#include "core/inputs.h"

#include "auth/access.h"
#include "table.h"

static bool permit(struct access *a, enum permission_kind kind, const char *what, struct bytes name,
		   struct refusal *refusal)
{
	if (access_allows(a, kind, name))
		return true;
	struct bytes shown = name.len == 0 ? bytes_str("amq.default") : name;
	return refuse(refusal, REPLY_ACCESS_REFUSED,
		      "access to %s '%.*s' in vhost '%.*s' refused for user '%.*s'", what,
		      BYTES_ARG(shown), BYTES_ARG(a->vhost), BYTES_ARG(a->user->name));
}

static bool permit_topic(struct access *a, const struct vhost *vhost, enum permission_kind kind,
			 struct bytes exchange, struct bytes key, struct refusal *refusal)
{
	if (!vhost_has_topic_exchange(vhost, exchange) ||
	    access_allows_topic(a, kind, exchange, key))
		return true;
	return refuse(refusal, REPLY_ACCESS_REFUSED,
		      "access to topic '%.*s' in exchange '%.*s' in vhost '%.*s' refused for user "
		      "'%.*s'",
		      BYTES_ARG(key), BYTES_ARG(exchange), BYTES_ARG(a->vhost),
		      BYTES_ARG(a->user->name));
}

/* An argument that names an exchange, where what leaves the thing will go: who makes it needs to
 * read the one and write to the other. */
static bool permit_way(struct access *a, struct bytes arguments, const char *argument,
		       const char *what, struct bytes name, struct refusal *refusal)
{
	struct bytes exchange;
	return !table_find_string(arguments, argument, &exchange) ||
	       (permit(a, PERMISSION_READ, what, name, refusal) &&
		permit(a, PERMISSION_WRITE, "exchange", exchange, refusal));
}

bool permit_exchange_declare(struct access *a, const struct vhost *vhost,
			     const struct exchange_declare *d, struct refusal *refusal)
{
	if (a == NULL || d->is_passive || d->name.len == 0)
		return true;
	return core_exchange_type_check(d, refusal) &&
	       permit(a, PERMISSION_CONFIGURE, "exchange", d->name, refusal) &&
	       (vhost_has_exchange(vhost, d->name) ||
		permit_way(a, d->arguments, "alternate-exchange", "exchange", d->name, refusal));
}

bool permit_queue_declare(struct access *a, const struct vhost *vhost,
			  const struct queue_declare *d, struct refusal *refusal)
{
	bool is_reserved = !d->is_generated && bytes_has_prefix(d->name, "amq.");
	if (a == NULL || d->is_passive || is_reserved)
		return true;
	return permit(a, PERMISSION_CONFIGURE, "queue", d->name, refusal) &&
	       (vhost_has_queue(vhost, d->name) ||
		permit_way(a, d->arguments, "x-dead-letter-exchange", "queue", d->name, refusal));
}

/* The broker's own exchanges are nobody's to delete. */
bool permit_exchange_delete(struct access *a, struct bytes name, struct refusal *refusal)
{
	return a == NULL || name.len == 0 || bytes_has_prefix(name, "amq.") ||
	       permit(a, PERMISSION_CONFIGURE, "exchange", name, refusal);
}

bool permit_queue_delete(struct access *a, struct bytes name, struct refusal *refusal)
{
	return a == NULL || permit(a, PERMISSION_CONFIGURE, "queue", name, refusal);
}

bool permit_bind(struct access *a, const struct vhost *vhost, const struct bind *b,
		 struct refusal *refusal)
{
	if (a == NULL)
		return true;
	const char *what = b->is_to_exchange ? "exchange" : "queue";
	if (!permit(a, PERMISSION_WRITE, what, b->destination, refusal))
		return false;
	if (b->source.len == 0 || b->destination.len == 0)
		return true; /* It is refused anyway. */
	return permit(a, PERMISSION_READ, "exchange", b->source, refusal) &&
	       permit_topic(a, vhost, PERMISSION_READ, b->source, b->routing_key, refusal);
}

bool permit_read(struct access *a, struct bytes queue, struct refusal *refusal)
{
	return a == NULL || bytes_equal_str(queue, "amq.rabbitmq.reply-to") ||
	       permit(a, PERMISSION_READ, "queue", queue, refusal);
}

bool permit_publish(struct access *a, const struct vhost *vhost, struct bytes exchange,
		    struct bytes routing_key, struct refusal *refusal)
{
	return a == NULL ||
	       (permit(a, PERMISSION_WRITE, "exchange", exchange, refusal) &&
		permit_topic(a, vhost, PERMISSION_WRITE, exchange, routing_key, refusal));
}
