/* Declare queue: queues are declared, purged and deleted. */
#include "core/topology/declare_queue.h"
#include "core/channel/channel.h"
#include "core/channel/connection.h"
#include "core/check/check.h"
#include "core/dedup/identity.h"
#include "core/dispatch/consumer.h"
#include "core/dispatch/replies.h"
#include "core/inputs.h"
#include "core/queue/queue.h"
#include "core/record/definitions.h"
#include "core/state.h"
#include "core/topology/answer.h"
#include "core/topology/apply.h"
#include "core/topology/bind.h"
#include "core/topology/lifetime.h"
#include "core/topology/purge.h"
#include "core/turnwork.h"
#include "core/vhost/arguments.h"
#include "core/vhost/vhost.h"

#include "base/alloc.h"
#include "table.h"

#include <stdlib.h>

static bool queue_equivalent(const struct connection *connection, const struct queue *q,
			     const struct queue_declare *d, struct refusal *refusal)
{
	if (q->owner != (d->is_exclusive ? connection : NULL))
		return queue_refuse_locked(q, refusal);
	return field_check("durable", bool_text(d->is_durable), bool_text(q->is_durable), "queue",
			   q->name, q->vhost, refusal) &&
	       field_check("auto_delete", bool_text(d->is_auto_delete),
			   bool_text(q->is_auto_delete), "queue", q->name, q->vhost, refusal) &&
	       queue_arguments_equivalent(q, d->arguments, refusal);
}

static bool check_new_queue(const struct vhost *vhost, const struct queue_declare *d,
			    struct refusal *refusal)
{
	const struct core *core = vhost->core;
	if (!queue_arguments_check(d, vhost->name, refusal))
		return false;
	bool is_vhost_full =
		vhost->queues_max >= 0 && vhost->queues.len >= (uint64_t)vhost->queues_max;
	long long most = is_vhost_full ? vhost->queues_max : core->options.queues_max;
	return (!is_vhost_full && core->queues_len < core->options.queues_max) ||
	       refuse(refusal, REPLY_PRECONDITION_FAILED,
		      "cannot declare queue '%.*s': queue limit in vhost '%.*s' (%lld) is reached",
		      BYTES_ARG(d->name), BYTES_ARG(vhost->name), most);
}

static struct queue *queue_new(struct connection *connection, const struct queue_declare *d)
{
	struct queue *q = queue_create(connection->vhost, d->name);
	q->is_durable = d->is_durable;
	q->is_auto_delete = d->is_auto_delete;
	queue_set_arguments(q, d->arguments);
	if (d->is_exclusive) {
		q->owner = connection;
		list_push_tail(&connection->exclusive, &q->in_owner);
	} else if (d->is_durable) { /* An exclusive one would not outlive its connection anyway. */
		durable_queue(q, false);
	}
	return q;
}

static void answer_declare(const struct queue *q, struct queue_counts *counts)
{
	q->vhost->core->awaited = q->defined;
	counts->messages = queue_counted(q);
	counts->consumers = q->consumers_len;
}

static bool declare(struct channel *channel, const struct queue_declare *d,
		    struct queue_counts *counts, struct refusal *refusal)
{
	struct connection *connection = channel->connection;
	struct queue *q = d->is_dry ? NULL : queue_find_living(connection->vhost, d->name);
	if (q == NULL && bytes_has_prefix(d->name, REPLY_QUEUE)) {
		*counts = (struct queue_counts){ .consumers = 1 };
		channel->core->awaited = 0;
		return reply_is_queue(connection->vhost, d->name) ||
		       refuse_not_found("queue", d->name, connection->vhost, refusal);
	}
	if (d->is_passive) {
		q = queue_find_allowed(connection, d->name, refusal);
		if (q == NULL)
			return false;
		queue_used(q);
		answer_declare(q, counts);
		return true;
	}
	if (!d->is_generated && !name_check("queue", d->name, refusal))
		return false;
	if (q != NULL ? !queue_equivalent(connection, q, d, refusal)
		      : !check_new_queue(connection->vhost, d, refusal))
		return false;
	if (d->is_dry)
		return true;
	if (q == NULL)
		q = queue_new(connection, d);
	queue_catch_up(q);
	queue_used(q);
	answer_declare(q, counts);
	return true;
}

/* The virtual host may say the type for who does not. */
bool core_queue_declare(struct channel *channel, const struct queue_declare *d,
			struct queue_counts *counts, struct refusal *refusal)
{
	CHECKED_INPUT(channel->core);
	channel->core->figures.queues_declared++;
	static const char type[] = "x-queue-type", quorum[] = "quorum";
	struct table_value v;
	if (!channel->connection->vhost->is_quorum_default || d->is_passive || !d->is_durable ||
	    d->is_exclusive || table_find(d->arguments, type, &v))
		return declare(channel, d, counts, refusal);
	struct queue_declare full = *d;
	size_t size = d->arguments.len + sizeof type + sizeof quorum + 8;
	uint8_t *arguments = alloc_resize(NULL, size);
	struct writer w = writer_of(arguments, size);
	write_bytes(&w, d->arguments);
	table_write_str(&w, type, bytes_str(quorum));
	assert(!w.failed);
	full.arguments = bytes_of(arguments, (size_t)(w.at - arguments));
	bool is_declared = declare(channel, &full, counts, refusal);
	free(arguments);
	return is_declared;
}

void queue_delete(struct queue *q)
{
	assert(!q->is_delaying || q->vhost->delayed == q);
	uint64_t sequence = q->id == 0 ? 0 : q->vhost->core->batch->sequence;
	while (!list_is_empty(&q->consumers))
		consumer_cancel(list_entry(q->consumers.next, struct consumer, in_queue), sequence);
	bindings_drop_to(&q->inbound);
	if (q->id != 0)
		durable_queue(q, true);
	queue_destroy(q);
}

struct queue *queue_find_living(const struct vhost *vhost, struct bytes name)
{
	struct queue *q = queue_find(vhost, name);
	if (q == NULL || q->owner == NULL || !q->owner->is_closed)
		return q;
	queue_delete(q);
	return NULL;
}

void queue_lost_consumer(struct queue *q)
{
	if (q->is_auto_delete && q->consumers_len == 0)
		queue_delete(q);
}

bool core_queue_delete(struct connection *connection, struct bytes name, bool if_unused,
		       bool if_empty, uint64_t *messages, struct refusal *refusal)
{
	CHECKED_INPUT(connection->core);
	const struct vhost *vhost = connection->vhost;
	struct queue *q = queue_find_living(vhost, name);
	*messages = 0;
	vhost->core->awaited = vhost->core->removed;
	if (q == NULL)
		return true;
	if (!queue_check_access(connection, q, refusal))
		return false;
	if (q->is_delaying)
		return refuse(refusal, REPLY_ACCESS_REFUSED,
			      "deletion of system queue '%.*s' in vhost '%.*s' not allowed",
			      BYTES_ARG(name), BYTES_ARG(vhost->name));
	if (if_unused && q->consumers_len > 0)
		return refuse(refusal, REPLY_PRECONDITION_FAILED,
			      "queue '%.*s' in vhost '%.*s' in use", BYTES_ARG(name),
			      BYTES_ARG(vhost->name));
	if (if_empty && queue_ready(q) + q->shelf.len > 0) /* What waits counts as well. */
		return refuse(refusal, REPLY_PRECONDITION_FAILED,
			      "queue '%.*s' in vhost '%.*s' not empty", BYTES_ARG(name),
			      BYTES_ARG(vhost->name));
	*messages = queue_counted(q);
	queue_delete(q);
	vhost->core->awaited = vhost->core->removed;
	return true;
}

bool core_queue_purge(struct connection *connection, struct bytes name, uint64_t *messages,
		      struct refusal *refusal)
{
	CHECKED_INPUT(connection->core);
	struct queue *q = queue_find_allowed(connection, name, refusal);
	if (q == NULL)
		return false;
	*messages = queue_purge(q);
	identity_queue_emptied(q);
	connection->core->awaited = q->purged;
	return true;
}

/* --- consuming --- */
