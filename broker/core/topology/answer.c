/* Answer: what topology refuses, in the words that clients know. */
#include "core/topology/answer.h"
#include "core/channel/connection.h"
#include "core/exchange/exchange.h"
#include "core/inputs.h"
#include "core/queue/queue.h"
#include "core/topology/apply.h"
#include "core/topology/declare_queue.h"
#include "core/vhost/vhost.h"

#include <string.h>

bool vhost_is_going(const struct vhost *vhost)
{
	return vhost->is_going;
}

bool vhost_has_queue(const struct vhost *vhost, struct bytes name)
{
	return queue_find(vhost, name) != NULL;
}

bool vhost_has_exchange(const struct vhost *vhost, struct bytes name)
{
	return exchange_find(vhost, name) != NULL;
}

bool vhost_has_topic_exchange(const struct vhost *vhost, struct bytes name)
{
	const struct exchange *x = exchange_find(vhost, name);
	return x != NULL && x->type == EXCHANGE_TOPIC;
}

bool exchange_check_not_default(struct bytes exchange, struct refusal *refusal)
{
	return exchange.len > 0 || refuse(refusal, REPLY_ACCESS_REFUSED,
					  "operation not permitted on the default exchange");
}

bool name_check(const char *kind, struct bytes name, struct refusal *refusal)
{
	return !bytes_has_prefix(name, "amq.") ||
	       refuse(refusal, REPLY_ACCESS_REFUSED,
		      "%s name '%.*s' contains reserved prefix 'amq.*'", kind, BYTES_ARG(name));
}

bool refuse_not_found(const char *kind, struct bytes name, const struct vhost *vhost,
		      struct refusal *refusal)
{
	return refuse(refusal, REPLY_NOT_FOUND, "no %s '%.*s' in vhost '%.*s'", kind,
		      BYTES_ARG(name), BYTES_ARG(vhost->name));
}

bool field_check(const char *field, const char *received, const char *current, const char *kind,
		 struct bytes name, const struct vhost *vhost, struct refusal *refusal)
{
	return strcmp(received, current) == 0 ||
	       refuse(refusal, REPLY_PRECONDITION_FAILED,
		      "inequivalent arg '%s' for %s '%.*s' in vhost '%.*s': received '%s' but "
		      "current is '%s'",
		      field, kind, BYTES_ARG(name), BYTES_ARG(vhost->name), received, current);
}

const char *bool_text(bool b)
{
	return b ? "true" : "false";
}

bool queue_refuse_locked(const struct queue *q, struct refusal *refusal)
{
	return refuse(refusal, REPLY_RESOURCE_LOCKED,
		      "cannot obtain exclusive access to locked queue '%.*s' in vhost '%.*s'. It "
		      "could be originally declared "
		      "on another connection or the exclusive property value does not match that "
		      "of the original "
		      "declaration.",
		      BYTES_ARG(q->name), BYTES_ARG(q->vhost->name));
}

bool queue_check_access(const struct connection *connection, const struct queue *q,
			struct refusal *refusal)
{
	return q->owner == NULL || q->owner == connection || queue_refuse_locked(q, refusal);
}

/* The queue, if it is there and this connection may use it. */
struct queue *queue_find_allowed(const struct connection *connection, struct bytes name,
				 struct refusal *refusal)
{
	struct queue *q = queue_find_living(connection->vhost, name);
	if (q == NULL)
		refuse_not_found("queue", name, connection->vhost, refusal);
	if (q == NULL || !queue_check_access(connection, q, refusal))
		return NULL;
	queue_catch_up(q);
	return q;
}
