/* Publish: what a publish is checked for, and what its publisher is told. */
#include "core/channel/publish.h"
#include "core/channel/channel.h"
#include "core/channel/confirm.h"
#include "core/channel/connection.h"
#include "core/channel/settle.h"
#include "core/channel/tx.h"
#include "core/check/check.h"
#include "core/core.h"
#include "core/dedup/claim.h"
#include "core/dedup/identity.h"
#include "core/dedup/producer.h"
#include "core/dispatch/lease.h"
#include "core/dispatch/replies.h"
#include "core/effect.h"
#include "core/exchange/exchange.h"
#include "core/exchange/route.h"
#include "core/flow/publish.h"
#include "core/inputs.h"
#include "core/message/expiration.h"
#include "core/message/headers.h"
#include "core/message/message.h"
#include "core/state.h"
#include "core/vhost/vhost.h"

#include "base/alloc.h"
#include "table.h"

static struct exchange *check_exchange(struct channel *ch, struct bytes name,
				       struct refusal *refusal)
{
	const struct vhost *vhost = ch->connection->vhost;
	struct exchange *x = exchange_find(vhost, name);
	if (x == NULL)
		refuse(refusal, REPLY_NOT_FOUND, "no exchange '%.*s' in vhost '%.*s'",
		       BYTES_ARG(name), BYTES_ARG(vhost->name));
	else if (x->is_internal)
		refuse(refusal, REPLY_ACCESS_REFUSED,
		       "cannot publish to internal exchange '%.*s' in vhost '%.*s'",
		       BYTES_ARG(name), BYTES_ARG(vhost->name));
	return refusal->code == 0 ? x : NULL;
}

static bool check_copies(const struct table_value *header, const char *name,
			 struct refusal *refusal)
{
	return !header_is_set(header) || header->type == 'A' ||
	       refuse(refusal, REPLY_PRECONDITION_FAILED,
		      "invalid message: {unacceptable_type_in_header,\"%s\",%s}", name,
		      table_type_name(header->type));
}

static bool check_delay(const struct table_value *header, struct refusal *refusal)
{
	return !header_is_set(header) || table_value_is_integer(header) ||
	       refuse(refusal, REPLY_PRECONDITION_FAILED,
		      "invalid header x-delay: expected integer, got %s",
		      table_type_name(header->type));
}

static bool check_properties(const struct channel *ch, const struct properties *p,
			     const struct headers *h, struct refusal *refusal)
{
	struct bytes user = ch->connection->user;
	if ((p->flags & HAS_user_id) && !ch->connection->is_impersonator &&
	    !bytes_equal(p->user_id, user))
		return refuse(refusal, REPLY_PRECONDITION_FAILED,
			      "user_id property set to '%.*s' but authenticated user was '%.*s'",
			      BYTES_ARG(p->user_id), BYTES_ARG(user));
	if ((p->flags & HAS_expiration) && !expiration_check(p->expiration, refusal))
		return false;
	if ((p->flags & HAS_delivery_mode) && p->delivery_mode != DELIVERY_MODE_TRANSIENT &&
	    p->delivery_mode != DELIVERY_MODE_PERSISTENT)
		return refuse(refusal, REPLY_PRECONDITION_FAILED,
			      "invalid message: {delivery_mode_unknown,%u}", p->delivery_mode);
	if ((p->flags & HAS_headers) == 0)
		return true;
	return check_copies(&h->cc, "CC", refusal) && check_copies(&h->bcc, "BCC", refusal) &&
	       check_delay(&h->delay, refusal) && identity_check(h, refusal);
}

/* What of it came back, or has come before; the confirm follows. Confirms of what was before go out
 * first. */
static void tell(struct channel *ch, const struct outcome *o)
{
	if (o->notice == NULL && o->returned == NULL)
		return;
	channel_confirm_now(ch);
	if (o->notice != NULL) {
		struct effect *effect = effect_push(ch->core, EFFECT_REPEATED, ch->owner);
		effect->repeated.message = o->notice;
		effect->repeated.is_conflict = o->is_conflict;
	}
	if (o->returned != NULL) {
		ch->returned++;
		ch->core->figures.returned++;
		effect_push(ch->core, EFFECT_RETURN, ch->owner)->returned.message = o->returned;
	}
}

uint64_t publish_now(struct channel *ch, const struct pending_publish *publish)
{
	struct message *message = publish->message;
	struct properties properties;
	struct headers room;
	bool is_decoded = properties_decode(&properties, message_properties(message));
	assert(is_decoded); /* Whoever brings one in has looked. */
	struct exchange *x = exchange_find(ch->connection->vhost, message_exchange(message));
	message->time_ms = ch->core->now_ms; /* It comes with the commit. */
	struct outcome o =
		publish_route(ch, x, false, message, &properties, headers_find(&properties, &room),
			      publish->claim, publish->is_mandatory);
	tell(ch, &o);
	return o.sequence;
}

static void keep_for_commit(struct channel *ch, struct message *message, const struct claim *claim,
			    bool is_mandatory)
{
	struct claim *kept = claim == NULL ? NULL : alloc_resize(NULL, sizeof *kept);
	if (kept != NULL)
		*kept = *claim;
	ch->tx_publishes = alloc_grow(ch->tx_publishes, &ch->tx_publishes_cap,
				      ch->tx_publishes_len + 1, sizeof *ch->tx_publishes);
	ch->tx_publishes[ch->tx_publishes_len++] =
		(struct pending_publish){ message, kept, is_mandatory };
}

/* What has not been taken before the body came is taken now. */
static const struct claim *find_claim(struct channel *ch, struct message **message,
				      const struct properties **properties,
				      const struct headers **headers, struct properties *fresh,
				      struct headers *room)
{
	if (!ch->has_claim && !(*message)->has_uid && claim_is_made(*headers)) {
		*message = claim_take(ch, *message, *headers);
		bool is_decoded = properties_decode(fresh, message_properties(*message));
		assert(is_decoded); /* As before. */
		*properties = fresh;
		*headers = headers_find(fresh, room);
	}
	bool has_claim = ch->has_claim;
	ch->has_claim = false;
	return has_claim ? ch->claim : NULL;
}

/* Publishes that are none: what a consumer asks for, on its channel, in the only way in which any
 * client can (docs/extensions.md). */
struct request {
	const char *key;
	bool (*handle)(struct channel *ch, const struct properties *properties,
		       struct refusal *refusal);
};

static const struct request *find_request(const struct message *m)
{
	static const struct request requests[] = {
		{ "amq.lease.extend", lease_extend },
		{ "amq.retry.after", channel_retry_after },
	};
	if (m->exchange_len > 0 || !bytes_has_prefix(message_routing_key(m), "amq."))
		return NULL;
	for (size_t i = 0; i < sizeof requests / sizeof *requests; i++)
		if (bytes_equal_str(message_routing_key(m), requests[i].key))
			return &requests[i];
	return NULL;
}

bool channel_has_taken_last(const struct channel *ch)
{
	return ch->has_taken_last;
}

bool core_publish(struct channel *ch, struct message *message, const struct properties *properties,
		  bool is_mandatory, struct refusal *refusal)
{
	CHECKED_INPUT(ch->core);
	bool is_last = route_is_last(ch, message);
	struct exchange *x = is_last ? ch->last_route->exchange
				     : check_exchange(ch, message_exchange(message), refusal);
	struct properties fresh;
	struct headers room;
	const struct headers *headers = headers_find(properties, &room);
	if (x == NULL || !check_properties(ch, properties, headers, refusal))
		goto refused;
	const struct claim *claim = find_claim(ch, &message, &properties, &headers, &fresh, &room);
	if (claim != NULL && claim->has_producer && !producer_check(ch->core, claim, refusal))
		goto refused;
	if (reply_is_wanted(properties) && ch->reply_token.len == 0) {
		refuse(refusal, REPLY_PRECONDITION_FAILED, "fast reply consumer does not exist");
		goto refused;
	}
	message->is_persistent = properties->delivery_mode == DELIVERY_MODE_PERSISTENT;
	message->time_ms = ch->core->now_ms;
	if (ch->mode == CHANNEL_TX) {
		keep_for_commit(ch, message, claim, is_mandatory);
		return true;
	}
	struct outcome o = { .is_taken = false };
	const struct request *request = is_last ? NULL : find_request(message);
	if (request != NULL) {
		if (!request->handle(ch, properties, refusal))
			goto refused;
		message_unref(&ch->core->messages, message);
	} else {
		o = publish_route(ch, x, is_last, message, properties, headers, claim,
				  is_mandatory);
		tell(ch, &o);
	}
	ch->has_taken_last = o.is_taken;
	if (ch->mode == CHANNEL_CONFIRM)
		channel_confirm(ch, o.sequence, o.is_refused);
	return true;

refused:
	message_unref(&ch->core->messages, message);
	return false;
}
