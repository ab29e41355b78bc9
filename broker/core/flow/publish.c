/* Publish: where a message goes, and what becomes of it. */
#include "core/flow/publish.h"
#include "core/channel/channel.h"
#include "core/channel/connection.h"
#include "core/core.h"
#include "core/dedup/claim.h"
#include "core/dedup/identity.h"
#include "core/dispatch/replies.h"
#include "core/effect.h"
#include "core/exchange/exchange.h"
#include "core/exchange/route.h"
#include "core/flow/deadletter.h"
#include "core/flow/delay.h"
#include "core/flow/room.h"
#include "core/message/expiration.h"
#include "core/message/headers.h"
#include "core/message/message.h"
#include "core/queue/queue.h"
#include "core/queue/throttle.h"
#include "core/record/message_record.h"
#include "core/state.h"
#include "core/topology/apply.h"
#include "core/vhost/settings.h"

#include "base/alloc.h"
#include "table.h"

#include <stdlib.h>

static const char reply_prefix[] = REPLY_QUEUE ".";

static bool has_bcc(const struct properties *p)
{
	struct table_value value;
	return (p->flags & HAS_headers) && table_find(p->headers, "BCC", &value);
}

/* What consumers see differs from what was sent: BCC is secret, and a reply address is made up.
 * Takes one reference and gives one. */
static struct message *rewrite(struct core *core, const struct channel *ch, struct message *message,
			       const struct properties *properties, bool keeps_bcc)
{
	struct properties p = *properties;
	char address[256];
	uint8_t *headers = NULL;
	if (ch != NULL && reply_is_wanted(&p)) {
		struct writer w = writer_of(address, sizeof address);
		write_bytes(&w, bytes_str(reply_prefix));
		write_bytes(&w, ch->reply_token);
		p.reply_to = bytes_of(address, (size_t)(w.at - (uint8_t *)address));
	}
	if (!keeps_bcc && has_bcc(&p)) {
		headers = alloc_resize(NULL, p.headers.len);
		struct writer w = writer_of(headers, p.headers.len);
		table_write_without(&w, p.headers, "BCC");
		p.headers = bytes_of(headers, (size_t)(w.at - headers));
	}
	struct message *made = message_remake(&core->messages, message, message_exchange(message),
					      message_routing_key(message), &p);
	if (made == NULL)
		abort(); /* Out of memory, for a message that was held a moment ago. */
	message_unref(&core->messages, message);
	free(headers);
	return made;
}

struct message *message_for_consumers(struct core *core, const struct channel *ch,
				      struct message *message, const struct properties *properties)
{
	bool is_asking = ch != NULL && reply_is_wanted(properties);
	return is_asking || has_bcc(properties) ? rewrite(core, ch, message, properties, false)
						: message;
}

bool message_enqueue(struct core *core, struct message *m, struct queue **queues, size_t queues_len)
{
	enum { PLACES = 64 };
	struct place few[PLACES];
	struct place *places =
		queues_len <= PLACES ? few : alloc_resize(NULL, queues_len * sizeof *places);
	uint32_t places_len = 0;
	for (size_t i = 0; m->is_persistent && i < queues_len; i++)
		if (queues[i]->id != 0)
			places[places_len++] = (struct place){ queues[i]->id, queues[i]->tail };
	if (places_len > 0) {
		m->location = message_write(core, m, places, places_len, false);
		m->sequence = core->batch->sequence;
		m->places = places_len;
	}
	for (size_t i = 0; i < queues_len; i++) {
		queues[i]->stats.published++;
		queues[i]->used_ms = core->now_ms;
		queue_push(queues[i], queues[i]->tail++, i == 0 ? m : message_ref(m));
	}
	if (places != few)
		free(places);
	return places_len > 0;
}

/* To the consumer that waits for replies, past all queues. */
static bool deliver_reply(struct channel *from, struct message *message)
{
	struct bytes key = message_routing_key(message);
	size_t prefix = sizeof reply_prefix - 1;
	if (message->exchange_len > 0 || !bytes_has_prefix(key, reply_prefix))
		return false;
	struct channel *to =
		map_get(&from->core->replies, bytes_of(key.data + prefix, key.len - prefix));
	if (to == NULL || to->connection->vhost != from->connection->vhost)
		return false;
	if (!to->connection->is_writable) { /* Who does not read gets no queue in memory: a reply
					       may be lost. */
		from->core->figures.dropped++;
		return true;
	}
	struct effect *effect = effect_push(from->core, EFFECT_DELIVER, to->owner);
	effect->deliver.message = message_ref(message);
	effect->deliver.consumer_tag = to->reply_tag;
	effect->deliver.delivery_tag = ++to->last_tag;
	effect->deliver.delivery_count = -1;
	return true;
}

/* Those of the queues that have room; a queue that dead-letters what it refuses does so. The list
 * is the caller's to free if it is not the one given. */
static struct queue **accepting(struct queue **queues, size_t *len, const struct message *message)
{
	size_t i = 0;
	while (i < *len && !queue_refuses(queues[i], message))
		i++;
	if (i == *len)
		return queues;
	struct queue **kept = alloc_resize(NULL, *len * sizeof(struct queue *)),
		     **refusing = alloc_resize(NULL, *len * sizeof(struct queue *));
	size_t kept_len = 0, refusing_len = 0;
	for (i = 0; i < *len; i++) {
		if (queue_refuses(queues[i], message))
			refusing[refusing_len++] = queues[i];
		else
			kept[kept_len++] = queues[i];
	}
	for (i = 0; i < refusing_len; i++) /* Routing uses the memory that `queues` may be in. */
		if (refusing[i]->settings.overflow == OVERFLOW_REJECT_DLX)
			dead_letter(refusing[i], message, DEATH_MAXLEN);
	free(refusing);
	*len = kept_len;
	return kept;
}

static struct outcome taken(const struct core *core, bool is_in_journal)
{
	return (struct outcome){ .is_taken = true,
				 .sequence = is_in_journal ? core->batch->sequence : 0 };
}

/* A message with an identity goes to all its queues or to none: its retry finds things as they
 * were. Takes the reference. */
static struct outcome enqueue(struct channel *ch, struct message *message, struct queue **queues,
			      size_t queues_len, bool is_whole)
{
	struct core *core = ch->core;
	struct outcome o = { .is_taken = false };
	size_t len = queues_len;
	struct queue **kept = accepting(queues, &len, message);
	if (len > 0 && (len == queues_len || !is_whole)) {
		o = taken(core, message_enqueue(core, message, kept, len));
		throttle_published(ch->connection, kept[0]);
	} else {
		message_unref(&core->messages, message);
	}
	o.is_refused = len < queues_len;
	core->figures.refused += o.is_refused;
	if (kept != queues)
		free(kept);
	return o;
}

/* A publish on its way to its queues. */
struct passage {
	struct channel *channel;
	struct exchange
		*exchange; /* NULL: it has gone since a transaction's publish. It routes nowhere. */
	const struct properties *properties;
	const struct headers *headers;
	const struct claim *claim; /* NULL: none. */
	struct queue **queues;
	size_t queues_len;
	bool is_mandatory;
};

/* No queue is to have it: the message that its publisher gets back; NULL: none. Takes the
 * reference. */
static struct message *leave(const struct passage *p, struct message *message)
{
	struct core *core = p->channel->core;
	bool is_reply = deliver_reply(p->channel, message);
	if (!is_reply && p->is_mandatory)
		return p->claim != NULL && p->claim->has_producer
			       ? claim_give_back(core, message, p->claim)
			       : message;
	core->figures.dropped += !is_reply;
	p->channel->dropped += !is_reply;
	message_unref(&core->messages, message);
	return NULL;
}

/* id: NULL if it has no identity. Takes the reference. */
static struct outcome pass(const struct passage *p, struct message *message,
			   const struct identity *id)
{
	struct core *core = p->channel->core;
	uint64_t delay_ms = delay_wanted_ms(p->headers);
	if (delay_ms > 0 && (p->queues_len > 0 || !p->is_mandatory)) {
		if (reply_is_wanted(p->properties))
			message = rewrite(core, p->channel, message, p->properties, true);
		if (id != NULL || core->options.gives_uids)
			message = message_with_uid(core, message);
		if (id != NULL)
			message_ref(message);
		struct outcome o =
			taken(core, delay_begin(p->channel->connection->vhost, message, delay_ms));
		if (id != NULL) {
			identity_remember(core, p->exchange, id, NULL, 0, o.sequence != 0);
			message_unref(&core->messages, message);
		}
		return o;
	}
	if (header_is_set(&p->headers->bcc) || reply_is_wanted(p->properties))
		message = message_for_consumers(core, p->channel, message, p->properties);
	if (p->properties->flags & HAS_expiration)
		message->expires_ms = core->now_ms + expiration_ms(p->properties->expiration);
	message->priority = p->properties->priority;
	if (p->queues_len == 0)
		return (struct outcome){ .returned = leave(p, message) };
	if (id == NULL && !core->options.gives_uids)
		return enqueue(p->channel, message, p->queues, p->queues_len, false);
	message = message_ref(message_with_uid(core, message));
	message->is_keyed = id != NULL && id->is_while_queued;
	struct outcome o = enqueue(p->channel, message, p->queues, p->queues_len, id != NULL);
	if (id != NULL && o.is_taken)
		identity_remember(core, p->exchange, id, p->queues, p->queues_len, o.sequence != 0);
	message_unref(&core->messages, message);
	return o;
}

/* Passes it on unless it has been published before. Takes the reference. */
static struct outcome pass_once(struct passage *p, struct message *message, struct identity *id)
{
	struct core *core = p->channel->core;
	struct queue **routed = p->queues;
	struct judgement j =
		identity_judge(p->channel, p->exchange, id, message, &p->queues, &p->queues_len);
	struct outcome o = { .is_refused = j.verdict == VERDICT_CONFLICT };
	if (j.verdict == VERDICT_NEW)
		o = pass(p, message, id);
	else
		message_unref(&core->messages, message);
	if (j.sequence > o.sequence)
		o.sequence = j.sequence;
	o.notice = j.notice;
	o.is_conflict = j.is_conflict;
	if (p->queues != routed)
		free(p->queues);
	return o;
}

static void count_publish(struct channel *ch, uint64_t len)
{
	static const uint64_t bounds[] = { 100,     1000,     10000,    100000,
					   1000000, 10000000, 50000000, 100000000 };
	struct core_figures *f = &ch->core->figures;
	size_t class = 0;
	while (class < SIZE_CLASSES - 1 && len > bounds[class])
		class ++;
	f->sizes[class]++;
	f->size_sum += len;
	f->published++;
	ch->stats.published++;
}

/* Takes the reference. */
struct outcome publish_route(struct channel *ch, struct exchange *x, bool is_last_route,
			     struct message *message, const struct properties *properties,
			     const struct headers *headers, const struct claim *claim,
			     bool is_mandatory)
{
	struct identity id;
	struct passage p = { .channel = ch,
			     .exchange = x,
			     .properties = properties,
			     .headers = headers,
			     .claim = claim,
			     .is_mandatory = is_mandatory };
	bool has_identity = (properties->flags & HAS_headers) &&
			    identity_find(ch->connection->vhost, message, headers, claim, &id);
	bool has_copies = header_is_set(&headers->cc) || header_is_set(&headers->bcc);
	if (x != NULL)
		p.queues = route_publish(ch, x, is_last_route, has_copies, message, properties,
					 &p.queues_len);
	queues_catch_up(ch->core, p.queues, p.queues_len);
	count_publish(ch, message->body_len);
	if (x != NULL) {
		x->publish_in++;
		x->publish_out += p.queues_len;
	}
	message_ref(message); /* What is known of it are views, and consumers may get another one in
				 its place. */
	struct outcome o = has_identity ? pass_once(&p, message, &id) : pass(&p, message, NULL);
	message_unref(&ch->core->messages, message);
	return o;
}
