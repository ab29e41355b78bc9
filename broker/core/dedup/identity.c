/* Idempotency keys: which of them mean the same publish, and what follows from it. */
#include "core/dedup/identity.h"
#include "core/admin.h"
#include "core/channel/channel.h"
#include "core/channel/connection.h"
#include "core/channel/tx.h"
#include "core/check/check.h"
#include "core/dedup/claim.h"
#include "core/dedup/dedup.h"
#include "core/dedup/keylog.h"
#include "core/dedup/keys.h"
#include "core/dedup/producer.h"
#include "core/exchange/exchange.h"
#include "core/inputs.h"
#include "core/message/headers.h"
#include "core/message/message.h"
#include "core/queue/queue.h"
#include "core/record/definitions.h"
#include "core/state.h"
#include "core/vhost/vhost.h"

#include "base/alloc.h"
#include "table.h"

#include <inttypes.h>
#include <stdio.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* --- what a publish says --- */

static bool check_text(const struct table_value *v, const char *name, struct refusal *refusal)
{
	if (!header_is_set(v))
		return true;
	struct bytes text;
	if (!table_value_string(v, &text))
		return refuse(refusal, REPLY_PRECONDITION_FAILED,
			      "invalid header %s: expected string, got %s", name,
			      table_type_name(v->type));
	return (text.len > 0 && text.len <= UINT8_MAX) ||
	       refuse(refusal, REPLY_PRECONDITION_FAILED,
		      "invalid header %s: expected 1 to 255 bytes, got %zu", name, text.len);
}

static bool check_number(const struct table_value *v, const char *name, struct refusal *refusal)
{
	if (!header_is_set(v))
		return true;
	int64_t n;
	if (!table_value_integer(v, &n))
		return refuse(refusal, REPLY_PRECONDITION_FAILED,
			      "invalid header %s: expected integer, got %s", name,
			      table_type_name(v->type));
	return n >= 0 || refuse(refusal, REPLY_PRECONDITION_FAILED,
				"invalid header %s: {value_negative,%" PRId64 "}", name, n);
}

bool identity_check(const struct headers *h, struct refusal *refusal)
{
	if (!check_text(&h->key, "x-idempotency-key", refusal))
		return false;
	if (!header_is_set(&h->producer))
		return true;
	if (!header_is_set(&h->sequence))
		return refuse(refusal, REPLY_PRECONDITION_FAILED,
			      "header x-producer-id needs header x-producer-seq");
	return check_text(&h->producer, "x-producer-id", refusal) &&
	       check_number(&h->epoch, "x-producer-epoch", refusal) &&
	       check_number(&h->sequence, "x-producer-seq", refusal);
}

/* The key, from the header of that name or, where an exchange or queue asks for it, from its other
 * name. */
static bool find_key(const struct headers *h, bool takes_alias, struct key_text *key)
{
	key->is_alias = !header_is_set(&h->key);
	if (key->is_alias && !(takes_alias && header_is_set(&h->alias)))
		return false;
	const struct table_value *v = key->is_alias ? &h->alias : &h->key;
	key->class = table_value_class(v);
	key->text = table_value_worth(v, key->worth);
	if (key->text.data == key->worth)
		key->text.data = NULL; /* It may be copied. */
	return true;
}

static struct bytes key_bytes(const struct key_text *key)
{
	return key->text.data != NULL ? key->text : bytes_of(key->worth, key->text.len);
}

static bool key_is_text(const struct key_text *key)
{
	return key->class == 'S';
}

static void hash_key(const struct core *core, const struct key_text *key, uint64_t hash[2])
{
	struct bytes b = key_bytes(key);
	uint64_t seed = core->key_seed + (key_is_text(key) ? 0 : (uint64_t)(uint8_t)key->class);
	XXH128_hash_t h = XXH3_128bits_withSeed(b.data, b.len, seed);
	hash[0] = h.low64;
	hash[1] = h.high64;
}

/* By the seed alone, what is said in one vhost could be said in another. */
static struct key_name name_of(const struct vhost *vhost, const void *scope, size_t len)
{
	uint64_t seed = vhost->core->key_seed ^ vhost->id * UINT64_C(0x9e3779b97f4a7c15);
	XXH128_hash_t h = XXH3_128bits_withSeed(scope, len, seed);
	return (struct key_name){ h.low64, (uint32_t)h.high64 };
}

/* Exchange, routing key (unless the key holds for all of them) and key; and of a copy what it is a
 * copy of, otherwise NULL. */
static struct key_name exchange_scope(const struct vhost *vhost, struct bytes exchange,
				      struct bytes routing_key, const struct key_text *key,
				      const uint64_t origin[2])
{
	enum { IS_ALIAS = 1, IS_COPY = 2, IS_NO_TEXT = 4 };
	uint8_t scope[3 * (1 + UINT8_MAX) + 2 + 2 * sizeof *origin];
	struct writer w = writer_of(scope, sizeof scope);
	struct bytes text = key_bytes(key);
	write_u8(&w, (uint8_t)((key->is_alias ? IS_ALIAS : 0) | (origin != NULL ? IS_COPY : 0) |
			       (key_is_text(key) ? 0 : IS_NO_TEXT)));
	if (!key_is_text(key))
		write_u8(&w, (uint8_t)key->class);
	if (origin != NULL)
		write_raw(&w, origin, 2 * sizeof *origin);
	write_shortstr(&w, exchange);
	if (!key->is_alias)
		write_shortstr(&w, routing_key);
	if (text.len <= UINT8_MAX) {
		write_bytes(&w, text);
	} else { /* The other header may have any value. */
		uint64_t hash[2];
		hash_key(vhost->core, key, hash);
		write_raw(&w, hash, sizeof hash);
	}
	assert(!w.failed);
	return name_of(vhost, scope, (size_t)(w.at - scope));
}

/* With a key that holds while its message is queued stands in which queue, and half of the
 * fingerprint. */
static uint32_t queue_number(const struct queue *q)
{
	static const uint32_t is_transient = 1u << 31;
	return q->id != 0 ? q->id : (uint32_t)q->serial | is_transient;
}

static uint64_t queued_print(const struct queue *q, uint64_t print)
{
	return print << 32 | queue_number(q);
}

/* Queue and key: a queue that is declared anew under an old name is another one. */
static struct key_name queue_scope(const struct queue *q, const uint64_t key[2],
				   const uint64_t origin[2])
{
	uint64_t scope[5] = { q->id != 0 ? q->id : ~q->serial, key[0], key[1] };
	if (origin == NULL)
		return name_of(q->vhost, scope, 3 * sizeof *scope);
	scope[3] = origin[0];
	scope[4] = origin[1];
	return name_of(q->vhost, scope, sizeof scope);
}

/* What the copies of a key in a queue have in common, until that is emptied. */
static struct group_name copies_of(const struct queue *q, const uint64_t key[2])
{
	uint64_t scope[4] = { q->id != 0 ? q->id : ~q->serial, key[0], key[1], q->keys_from };
	struct key_name name = name_of(q->vhost, scope, sizeof scope);
	return (struct group_name){ queued_print(q, name.hash), name.check };
}

/* A copy as one of those. */
static struct key_name copy_scope(const struct queue *q, const uint64_t key[2],
				  const uint64_t origin[2])
{
	struct group_name copies = copies_of(q, key);
	uint64_t scope[4] = { copies.print, copies.check, origin[0], origin[1] };
	return (struct key_name){ name_of(q->vhost, scope, sizeof scope).hash, copies.check };
}

static const uint64_t *origin_of(const struct claim *claim)
{
	return claim != NULL && claim->is_copy ? claim->origin : NULL;
}

bool identity_find(const struct vhost *vhost, const struct message *m, const struct headers *h,
		   const struct claim *claim, struct identity *id)
{
	const struct core *core = vhost->core;
	struct bytes body = message_body(m);
	struct key_text key;
	bool has_key = find_key(h, core->alias_users > 0, &key);
	bool has_producer = claim != NULL && claim->has_producer;
	if (!has_key && !has_producer)
		return false;
	*id = (struct identity){ .has_key = has_key,
				 .has_producer = has_producer,
				 .is_alias = key.is_alias,
				 .claim = claim };
	if (!has_key)
		return true;
	id->key_text = key;
	id->name = exchange_scope(vhost, message_exchange(m), message_routing_key(m), &key,
				  origin_of(claim));
	id->print = XXH3_64bits(body.data, body.len);
	return true;
}

/* --- how a key holds --- */

/* By its own arguments or, if its exchange says so, as long as the message is there. */
static enum dedup_mode queue_mode(const struct exchange *x, const struct queue *q,
				  const struct identity *id)
{
	if (q->settings.dedup.mode != DEDUP_UNSET &&
	    (!id->is_alias || q->settings.dedup.takes_alias))
		return q->settings.dedup.mode;
	return x != NULL && x->dedup.mode == DEDUP_WHILE_QUEUED ? DEDUP_WHILE_QUEUED : DEDUP_UNSET;
}

/* If all queues see to it themselves, an exchange that was asked for nothing keeps out of it. */
static void choose_scopes(const struct exchange *x, struct identity *id, struct queue **queues,
			  size_t queues_len)
{
	size_t own = 0;
	id->is_while_queued = false;
	for (size_t i = 0; i < queues_len; i++) {
		enum dedup_mode queues_mode = queue_mode(x, queues[i], id);
		own += queues_mode != DEDUP_UNSET;
		id->is_while_queued |= queues_mode == DEDUP_WHILE_QUEUED;
	}
	enum dedup_mode mode = x == NULL ? DEDUP_UNSET : x->dedup.mode;
	bool is_meant = !id->is_alias || (x != NULL && x->dedup.takes_alias);
	id->is_by_queue = own > 0;
	id->is_by_exchange = is_meant && mode != DEDUP_WHILE_QUEUED &&
			     !(mode == DEDUP_UNSET && own > 0 && own == queues_len);
}

static uint64_t window_ms(const struct core *core, const struct dedup *d)
{
	return d->window_ms != 0 ? d->window_ms : core->options.key_window_ms;
}

bool identity_is_queued(const struct core *core, const struct key *k, uint64_t position)
{
	uint32_t number = (uint32_t)k->print;
	const struct queue *q = map_get(&core->queues_by_id, bytes_of(&number, sizeof number));
	if (q == NULL)
		q = map_get(&core->key_queues, bytes_of(&number, sizeof number));
	return q != NULL && position >= q->keys_from;
}

/* NULL: it is not there. */
static const struct key *look_up(const struct core *core, struct key_name name, uint64_t *position,
				 uint64_t *time_ms)
{
	*position = keys_find(&core->keys, name);
	return *position == KEYS_NONE ? NULL : keys_at(&core->keys, *position, time_ms);
}

/* What is known of a key; one whose time is over is forgotten. */
static struct judgement judge(struct core *core, struct key_name name, uint64_t print,
			      const struct dedup *d)
{
	uint64_t time_ms, position;
	struct judgement new = { .verdict = VERDICT_NEW };
	const struct key *k = look_up(core, name, &position, &time_ms);
	if (k == NULL)
		return new;
	bool is_queued = k->when & KEY_IS_QUEUED;
	bool is_over =
		is_queued ? !identity_is_queued(core, k, position)
			  : core->now_ms >= time_ms && core->now_ms - time_ms >= window_ms(core, d);
	if (is_over) {
		keylog_remove(core, position);
		return new;
	}
	struct judgement j = { .sequence = keylog_sequence(core, position) };
	j.is_conflict = is_queued ? k->print >> 32 != (uint32_t)print : k->print != print;
	j.verdict = j.is_conflict && d->rejects_conflicts ? VERDICT_CONFLICT : VERDICT_DUPLICATE;
	core->figures.key_conflicts += j.is_conflict;
	if (d->mode == DEDUP_SLIDING && !is_queued)
		keylog_renew(core, position);
	return j;
}

/* In one queue, on its own. While a copy is there, the key holds for those who are none, too: of
 * what then is a duplicate the body is not compared. */
static struct judgement judge_in_queue(struct core *core, const struct queue *q,
				       const struct identity *id)
{
	const uint64_t *origin = origin_of(id->claim);
	struct judgement j =
		judge(core, queue_scope(q, id->key, origin), id->print, &q->settings.dedup);
	if (j.verdict != VERDICT_NEW || origin != NULL || core->keys.groups.len == 0)
		return j;
	const struct keys_group *copies = keys_group(&core->keys, copies_of(q, id->key));
	if (copies != NULL) {
		j.verdict = VERDICT_DUPLICATE;
		j.sequence = keylog_group_sequence(core, copies);
	}
	return j;
}

/* The queues that do not have the message yet. */
static struct judgement judge_by_queue(struct core *core, const struct exchange *x,
				       const struct identity *id, struct queue ***queues,
				       size_t *queues_len)
{
	struct judgement all = { .verdict = VERDICT_DUPLICATE };
	struct queue **kept = alloc_resize(NULL, (*queues_len + 1) * sizeof(struct queue *));
	size_t len = 0;
	for (size_t i = 0; i < *queues_len; i++) {
		struct queue *q = (*queues)[i];
		struct judgement j = { .verdict = VERDICT_NEW };
		if (queue_mode(x, q, id) != DEDUP_UNSET)
			j = judge_in_queue(core, q, id);
		if (j.verdict == VERDICT_NEW)
			kept[len++] = q;
		if (j.verdict == VERDICT_CONFLICT)
			all.verdict = VERDICT_CONFLICT;
		all.is_conflict |= j.is_conflict;
		if (j.sequence > all.sequence)
			all.sequence = j.sequence;
	}
	if (all.verdict == VERDICT_DUPLICATE) /* Otherwise nobody gets it, and that is said. */
		for (size_t i = 0, k = 0; i < *queues_len; i++) {
			bool is_kept = k < len && kept[k] == (*queues)[i];
			k += is_kept;
			(*queues)[i]->duplicates += !is_kept;
		}
	*queues = kept;
	bool is_new = len > 0 || *queues_len == 0;
	*queues_len = len;
	if (all.verdict == VERDICT_DUPLICATE && is_new)
		all.verdict = VERDICT_NEW;
	return all;
}

/* Of what is no text, an integer can be read. */
static struct bytes print_key(const struct key_text *key, char *out, size_t size)
{
	if (key->class != 'i')
		return key_bytes(key);
	snprintf(out, size, "%" PRId64, (int64_t)load_u64(key_bytes(key).data));
	return bytes_str(out);
}

/* For the operator, who is told of one now and then. */
static void keep_untold(const struct vhost *vhost, const struct message *m,
			const struct identity *id, bool is_by_producer)
{
	struct untold *u = &vhost->core->untold;
	if (u->len++ > 0)
		return;
	char number[24];
	struct bytes name = is_by_producer ? producer_text(claim_producer(id->claim))
					   : print_key(&id->key_text, number, sizeof number);
	struct writer w = writer_of(u->texts, sizeof u->texts);
	if (name.len > UINT8_MAX)
		name.len = UINT8_MAX;
	write_shortstr(&w, vhost->name);
	write_shortstr(&w, message_exchange(m));
	write_shortstr(&w, message_routing_key(m));
	write_shortstr(&w, name);
	assert(!w.failed);
	u->is_producer = is_by_producer;
	u->sequence = is_by_producer ? id->claim->sequence : 0;
}

bool core_tell_duplicates(struct core *core, struct duplicates_told *told)
{
	struct untold *u = &core->untold;
	struct reader r = reader_of(u->texts, sizeof u->texts);
	if (u->len == 0)
		return false;
	told->len = u->len;
	told->vhost = read_shortstr(&r);
	told->exchange = read_shortstr(&r);
	told->routing_key = read_shortstr(&r);
	told->identity = read_shortstr(&r);
	told->is_producer = u->is_producer;
	told->sequence = u->sequence;
	u->len = 0;
	return true;
}

bool core_duplicates(const struct vhost *vhost, struct bytes exchange, struct bytes queue,
		     uint64_t *len)
{
	const struct queue *q = queue.len > 0 ? queue_find(vhost, queue) : NULL;
	const struct exchange *x = queue.len > 0 ? NULL : exchange_find(vhost, exchange);
	if (q == NULL && x == NULL)
		return false;
	*len = q != NULL ? q->duplicates : x->duplicates;
	return true;
}

/* What a publisher is told that knows of repetitions, and every one of conflicts; NULL: nothing, or
 * no memory for it: the confirm will do. */
static struct message *make_notice(const struct channel *ch, const struct message *m,
				   struct judgement j)
{
	if (!j.is_conflict && !ch->connection->knows_duplicates)
		return NULL;
	uint8_t headers[32];
	struct writer w = writer_of(headers, sizeof headers);
	table_write_long(&w, "x-publish-tag", (int64_t)ch->published + 1);
	struct properties p = { .flags = HAS_headers,
				.headers = bytes_of(headers, (size_t)(w.at - headers)) };
	uint8_t wire[64];
	struct writer e = writer_of(wire, sizeof wire);
	properties_encode(&e, &p);
	return message_create(&ch->core->messages, message_exchange(m), message_routing_key(m),
			      bytes_of(wire, (size_t)(e.at - wire)), 0);
}

static struct judgement judge_key(struct core *core, struct exchange *x, struct identity *id,
				  struct queue ***queues, size_t *queues_len)
{
	static const struct dedup plain = { .mode = DEDUP_UNSET };
	struct judgement j = { .verdict = VERDICT_NEW };
	choose_scopes(x, id, *queues, *queues_len);
	if (id->is_by_queue)
		hash_key(core, &id->key_text, id->key);
	if (id->is_by_exchange)
		j = judge(core, id->name, id->print, x == NULL ? &plain : &x->dedup);
	if (j.verdict == VERDICT_DUPLICATE && x != NULL)
		x->duplicates++;
	if (j.verdict == VERDICT_NEW && id->is_by_queue)
		j = judge_by_queue(core, x, id, queues, queues_len);
	return j;
}

struct judgement identity_judge(struct channel *ch, struct exchange *x, struct identity *id,
				struct message *m, struct queue ***queues, size_t *queues_len)
{
	struct core *core = ch->core;
	struct judgement j = { .verdict = VERDICT_NEW };
	if (id->has_producer)
		j = producer_judge(core, id->claim);
	bool is_by_producer = j.verdict != VERDICT_NEW;
	if (is_by_producer && x != NULL)
		x->duplicates++;
	if (id->has_key && !is_by_producer)
		j = judge_key(core, x, id, queues, queues_len);
	if (j.verdict == VERDICT_DUPLICATE)
		keep_untold(ch->connection->vhost, m, id, is_by_producer);
	core->figures.key_hits += j.verdict == VERDICT_DUPLICATE;
	if (j.verdict != VERDICT_NEW || j.is_conflict)
		j.notice = make_notice(ch, m, j);
	return j;
}

/* --- remembering --- */

/* flags: KEY_IS_VOLATILE, KEY_IS_COUNTED. */
static void add_queued(struct queue *q, struct key_name name, uint64_t print, uint32_t flags)
{
	struct core *core = q->vhost->core;
	if (q->id == 0 && q->key_number == 0) {
		q->key_number = queue_number(q);
		map_put(&core->key_queues, bytes_of(&q->key_number, sizeof q->key_number), q);
	}
	keylog_add(core, name, print, flags | KEY_IS_QUEUED);
}

/* It may be there still from before the queue was emptied. */
static void forget(struct core *core, struct key_name name)
{
	uint64_t position = keys_find(&core->keys, name);
	if (position != KEYS_NONE)
		keylog_remove(core, position);
}

/* A copy is counted among those of its key, besides: see judge_in_queue(). origin: NULL if it is
 * none. */
static void hold(struct queue *q, const uint64_t key[2], const uint64_t origin[2], uint64_t print,
		 bool is_volatile)
{
	uint32_t flags = is_volatile ? KEY_IS_VOLATILE : 0;
	add_queued(q, queue_scope(q, key, origin), queued_print(q, print), flags);
	if (origin == NULL)
		return;
	forget(q->vhost->core, copy_scope(q, key, origin)); /* Of the two, the other may have been
							       evicted. */
	add_queued(q, copy_scope(q, key, origin), copies_of(q, key).print, flags | KEY_IS_COUNTED);
}

void identity_remember(struct core *core, const struct exchange *x, const struct identity *id,
		       struct queue **queues, size_t queues_len, bool is_in_journal)
{
	uint64_t from = core->keys.next;
	if (id->has_producer)
		producer_remember(core, id->claim, is_in_journal);
	if (id->is_by_exchange)
		keylog_add(core, id->name, id->print, is_in_journal ? 0 : KEY_IS_VOLATILE);
	for (size_t i = 0; id->is_by_queue && i < queues_len; i++) {
		struct queue *q = queues[i];
		const uint64_t *origin = origin_of(id->claim);
		enum dedup_mode mode = queue_mode(x, q, id);
		bool is_volatile = !is_in_journal || q->id == 0;
		if (mode == DEDUP_WHILE_QUEUED)
			hold(q, id->key, origin, id->print, is_volatile);
		else if (mode != DEDUP_UNSET)
			keylog_add(core, queue_scope(q, id->key, origin), id->print,
				   is_volatile ? KEY_IS_VOLATILE : 0);
	}
	keylog_tidy(core, core->keys.next - from);
}

bool identity_follows_queues(const struct core *core)
{
	return core->keys.queued > 0 || keys_is_loading(&core->keys);
}

/* What a message holds in a queue. */
struct hold {
	uint64_t key[2];
	bool is_copy;
	uint64_t origin[2];
	uint64_t print; /* Of its body. */
};

/* Of a message that is_keyed; one that is so only perhaps need not have a key. */
static bool find_hold(const struct core *core, const struct message *m, struct hold *hold)
{
	struct properties p;
	struct headers room;
	struct bytes body = message_body(m);
	struct key_text key;
	if (!properties_decode(&p, message_properties(m)))
		return false;
	const struct headers *h = headers_find(&p, &room);
	if (!find_key(h, true, &key))
		return false;
	hash_key(core, &key, hold->key);
	hold->is_copy = header_is_set(&h->origin); /* claim.c: of nothing else. */
	if (hold->is_copy)
		claim_hash_origin(core, &h->origin, hold->origin);
	hold->print = XXH3_64bits(body.data, body.len);
	return true;
}

static const uint64_t *hold_origin(const struct hold *hold)
{
	return hold->is_copy ? hold->origin : NULL;
}

static void release(struct core *core, struct key_name name, uint64_t print)
{
	uint64_t position, time_ms;
	const struct key *k = look_up(core, name, &position, &time_ms);
	if (k != NULL && (k->when & KEY_IS_QUEUED) && k->print == print)
		keylog_remove(core, position);
	else if (k == NULL && keys_is_loading(&core->keys))
		keylog_forget(core, name);
}

void identity_left_queue(struct queue *q, const struct message *m)
{
	struct core *core = q->vhost->core;
	struct hold holds;
	if (!m->is_keyed || core->is_ending || !identity_follows_queues(core) ||
	    !find_hold(core, m, &holds))
		return;
	const uint64_t *origin = hold_origin(&holds);
	release(core, queue_scope(q, holds.key, origin), queued_print(q, holds.print));
	if (origin != NULL)
		release(core, copy_scope(q, holds.key, origin), copies_of(q, holds.key).print);
}

/* The message is unacked: what it holds, it holds on, from keys_from on. While keys are loaded, one
 * that is not found yet is added; the older one goes when it comes. */
static void hold_on(struct queue *q, const struct message *m)
{
	struct core *core = q->vhost->core;
	uint64_t position, time_ms;
	struct hold holds;
	if (!m->is_keyed || !find_hold(core, m, &holds))
		return;
	struct key_name name = queue_scope(q, holds.key, hold_origin(&holds));
	const struct key *k = look_up(core, name, &position, &time_ms);
	if (k == NULL ? !keys_is_loading(&core->keys) : (k->when & KEY_IS_QUEUED) == 0)
		return;
	forget(core, name);
	hold(q, holds.key, hold_origin(&holds), holds.print, m->location == 0 || q->id == 0);
}

void identity_queue_emptied(struct queue *q)
{
	struct core *core = q->vhost->core;
	if (core->is_ending || !identity_follows_queues(core))
		return;
	uint64_t from = q->keys_from = core->keys.next;
	list_each (node, &q->unacked)
		hold_on(q, list_entry(node, struct delivery, in_queue)->message);
	keylog_tidy(core, core->keys.next - from); /* Not before: until then all seem to be gone. */
	if (q->id != 0)
		durable_queue(q, false);
}

/* --- before the body has come --- */

struct message *core_publish_begins(struct channel *ch, struct message *m)
{
	struct core *core = ch->core;
	struct headers room;
	struct bytes table = message_headers(m);
	struct key_text key;
	struct properties p = { .flags = table.len > 0 ? HAS_headers : 0, .headers = table };
	const struct headers *h = headers_find(&p, &room);
	bool has_key = find_key(h, core->alias_users > 0, &key);
	ch->has_claim = false;
	if (claim_is_made(h)) {
		m = claim_take(ch, m, h);
		table = message_headers(m); /* What was found are views into it. */
		p.headers = table;
		h = headers_find(&p, &room);
		has_key = find_key(h, core->alias_users > 0, &key);
	}
	if (!has_key)
		return m;
	keys_prefetch(&core->keys, exchange_scope(ch->connection->vhost, message_exchange(m),
						  message_routing_key(m), &key,
						  origin_of(ch->has_claim ? ch->claim : NULL)));
	return message_with_uid(core, m);
}

/* --- for operators --- */

static bool find_queue(const struct vhost *vhost, const struct key_wanted *wanted,
		       const struct queue **queue)
{
	*queue = wanted->queue.len > 0 ? queue_find(vhost, wanted->queue) : NULL;
	return *queue != NULL || wanted->queue.len == 0;
}

/* q: NULL for an exchange's. */
static const struct key *look_up_wanted(const struct vhost *vhost, const struct key_wanted *wanted,
					const struct queue *q, uint64_t *position,
					uint64_t *time_ms)
{
	const struct core *core = vhost->core;
	uint64_t hash[2];
	struct key_text key = { .class = 'S', .text = wanted->key };
	hash_key(core, &key, hash);
	const struct key *k = look_up(core,
				      q != NULL ? queue_scope(q, hash, NULL)
						: exchange_scope(vhost, wanted->exchange,
								 wanted->routing_key, &key, NULL),
				      position, time_ms);
	return k != NULL && (k->when & KEY_IS_QUEUED) && !identity_is_queued(core, k, *position)
		       ? NULL
		       : k;
}

/* The key holds because of copies alone. */
static const struct keys_group *look_up_copies(const struct core *core, const struct queue *q,
					       struct bytes text)
{
	uint64_t hash[2];
	struct key_text key = { .class = 'S', .text = text };
	if (q == NULL)
		return NULL;
	hash_key(core, &key, hash);
	return keys_group(&core->keys, copies_of(q, hash));
}

bool core_key_find(const struct vhost *vhost, const struct key_wanted *wanted,
		   struct key_found *found)
{
	uint64_t position, time_ms;
	const struct queue *q;
	if (!find_queue(vhost, wanted, &q))
		return false;
	const struct key *k = look_up_wanted(vhost, wanted, q, &position, &time_ms);
	const struct keys_group *copies = look_up_copies(vhost->core, q, wanted->key);
	if (k != NULL)
		*found = (struct key_found){ .time_ms = time_ms,
					     .print = k->print,
					     .is_transient = k->when & KEY_IS_VOLATILE,
					     .is_while_queued = k->when & KEY_IS_QUEUED };
	else if (copies != NULL)
		*found = (struct key_found){ .time_ms = copies->time_ms,
					     .is_transient = copies->newest == KEYS_NONE,
					     .is_while_queued = true };
	return k != NULL || copies != NULL;
}

bool core_key_forget(struct vhost *vhost, const struct key_wanted *wanted)
{
	struct core *core = vhost->core;
	CHECKED_INPUT(core);
	uint64_t position, time_ms;
	const struct queue *q;
	if (!find_queue(vhost, wanted, &q))
		return false;
	bool is_there = look_up_wanted(vhost, wanted, q, &position, &time_ms) != NULL;
	if (is_there)
		keylog_remove(core, position);
	const struct keys_group *copies = look_up_copies(core, q, wanted->key);
	if (copies == NULL)
		return is_there;
	struct group_name name = copies->name;
	uint64_t left = copies->len;
	for (position = 0; left > 0; left--) {
		position = keys_of_group(&core->keys, name, position);
		assert(position != KEYS_NONE);
		keylog_remove(core, position);
	}
	return true;
}

bool core_keys_are_loading(const struct core *core)
{
	return keys_is_loading(&core->keys);
}

/* --- waiting --- */

bool core_publish_waits(const struct core *core, struct bytes properties)
{
	struct properties p;
	struct headers room;
	struct key_text key;
	return keys_is_loading(&core->keys) && properties_decode(&p, properties) &&
	       find_key(headers_find(&p, &room), core->alias_users > 0, &key);
}

bool core_commit_waits(const struct channel *ch)
{
	for (size_t i = 0; i < ch->tx_publishes_len && keys_is_loading(&ch->core->keys); i++)
		if (core_publish_waits(ch->core, message_properties(ch->tx_publishes[i].message)))
			return true;
	return false;
}
