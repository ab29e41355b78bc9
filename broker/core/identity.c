/* Idempotency keys: which of them mean the same publish, and what follows from it. */
#include "core/state.h"

#include "base/alloc.h"
#include "table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

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

static bool find_producer(const struct headers *h, struct identity *id)
{
	int64_t sequence, epoch = 0;
	id->has_producer = table_value_string(&h->producer, &id->producer_name) &&
			   table_value_integer(&h->sequence, &sequence) &&
			   (!header_is_set(&h->epoch) || table_value_integer(&h->epoch, &epoch));
	if (!id->has_producer)
		return false;
	id->epoch = (uint64_t)epoch;
	id->sequence = (uint64_t)sequence;
	return true;
}

bool identity_check(struct core *core, const struct headers *h, struct refusal *refusal)
{
	struct identity id = { 0 };
	if (!check_text(&h->key, "x-idempotency-key", refusal))
		return false;
	if (!header_is_set(&h->producer))
		return true;
	if (!header_is_set(&h->sequence))
		return refuse(refusal, REPLY_PRECONDITION_FAILED,
			      "header x-producer-id needs header x-producer-seq");
	return check_text(&h->producer, "x-producer-id", refusal) &&
	       check_number(&h->epoch, "x-producer-epoch", refusal) &&
	       check_number(&h->sequence, "x-producer-seq", refusal) && find_producer(h, &id) &&
	       producer_check(core, &id, refusal);
}

/* The key, from the header of that name or, where an exchange or queue asks for it, from its other
 * name. */
static bool find_key(const struct headers *h, bool takes_alias, struct bytes *key, bool *is_alias)
{
	*is_alias = !header_is_set(&h->key);
	if (*is_alias && !(takes_alias && header_is_set(&h->alias)))
		return false;
	const struct table_value *v = *is_alias ? &h->alias : &h->key;
	if (!table_value_string(v, key))
		*key = v->raw; /* The other header may be of any type. */
	return true;
}

static void hash_key(const struct core *core, struct bytes key, uint64_t hash[2])
{
	XXH128_hash_t h = XXH3_128bits_withSeed(key.data, key.len, core->key_seed);
	hash[0] = h.low64;
	hash[1] = h.high64;
}

static struct key_name name_of(const struct core *core, const void *scope, size_t len)
{
	XXH128_hash_t h = XXH3_128bits_withSeed(scope, len, core->key_seed);
	return (struct key_name){ h.low64, (uint32_t)h.high64 };
}

/* Exchange, routing key (unless the key holds for all of them) and key. */
static struct key_name exchange_scope(const struct core *core, struct bytes exchange,
				      struct bytes routing_key, bool is_alias, struct bytes key)
{
	uint8_t scope[3 * (1 + UINT8_MAX) + 1];
	struct writer w = writer_of(scope, sizeof scope);
	write_u8(&w, is_alias);
	write_shortstr(&w, exchange);
	if (!is_alias)
		write_shortstr(&w, routing_key);
	if (key.len <= UINT8_MAX) {
		write_bytes(&w, key);
	} else { /* The other header may have any value. */
		uint64_t hash[2];
		hash_key(core, key, hash);
		write_raw(&w, hash, sizeof hash);
	}
	assert(!w.failed);
	return name_of(core, scope, (size_t)(w.at - scope));
}

/* Queue and key: a queue that is declared anew under an old name is another one. */
static struct key_name queue_scope(const struct queue *q, const uint64_t key[2])
{
	uint64_t scope[] = { q->id != 0 ? q->id : ~q->serial, key[0], key[1] };
	return name_of(q->vhost->core, scope, sizeof scope);
}

bool identity_find(struct core *core, const struct message *m, const struct headers *h,
		   struct identity *id)
{
	struct bytes key, body = message_body(m);
	bool is_alias;
	bool has_key = find_key(h, core->alias_users > 0, &key, &is_alias);
	if (!has_key && !header_is_set(&h->producer))
		return false;
	*id = (struct identity){ .has_key = has_key, .is_alias = is_alias };
	find_producer(h, id);
	if (!has_key)
		return true;
	id->key_text = key;
	id->name = exchange_scope(core, message_exchange(m), message_routing_key(m), is_alias, key);
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
			j = judge(core, queue_scope(q, id->key), id->print, &q->settings.dedup);
		if (j.verdict == VERDICT_NEW)
			kept[len++] = q;
		if (j.verdict == VERDICT_CONFLICT)
			all.verdict = VERDICT_CONFLICT;
		all.is_conflict |= j.is_conflict;
		if (j.sequence > all.sequence)
			all.sequence = j.sequence;
	}
	*queues = kept;
	bool is_new = len > 0 || *queues_len == 0;
	*queues_len = len;
	if (all.verdict == VERDICT_DUPLICATE && is_new)
		all.verdict = VERDICT_NEW;
	return all;
}

/* Clients that know of it are told; so is the operator, of conflicts. */
static void tell(struct channel *ch, const struct message *m, struct judgement j)
{
	struct core *core = ch->core;
	core->figures.key_hits += j.verdict == VERDICT_DUPLICATE;
	if (!j.is_conflict && !ch->connection->knows_duplicates)
		return;
	uint8_t headers[32];
	struct writer w = writer_of(headers, sizeof headers);
	table_write_long(&w, "x-publish-tag", (int64_t)ch->published + 1);
	struct properties p = { .flags = HAS_headers,
				.headers = bytes_of(headers, (size_t)(w.at - headers)) };
	uint8_t wire[64];
	struct writer e = writer_of(wire, sizeof wire);
	properties_encode(&e, &p);
	struct message *notice =
		message_create(&core->messages, message_exchange(m), message_routing_key(m),
			       bytes_of(wire, (size_t)(e.at - wire)), 0);
	if (notice == NULL)
		return; /* Out of memory: the confirm will do. */
	channel_confirm_now(ch);
	struct effect *effect = effect_push(core, EFFECT_REPEATED, ch);
	effect->repeated.message = notice;
	effect->repeated.is_conflict = j.is_conflict;
}

struct judgement identity_judge(struct channel *ch, const struct exchange *x, struct identity *id,
				struct message *m, struct queue ***queues, size_t *queues_len)
{
	struct core *core = ch->core;
	struct judgement j = { .verdict = VERDICT_NEW };
	if (id->has_producer)
		j = producer_judge(core, id);
	if (id->has_key && j.verdict == VERDICT_NEW) {
		static const struct dedup plain = { .mode = DEDUP_UNSET };
		choose_scopes(x, id, *queues, *queues_len);
		if (id->is_by_queue)
			hash_key(core, id->key_text, id->key);
		if (id->is_by_exchange)
			j = judge(core, id->name, id->print, x == NULL ? &plain : &x->dedup);
		if (j.verdict == VERDICT_NEW && id->is_by_queue)
			j = judge_by_queue(core, x, id, queues, queues_len);
	}
	if (j.verdict != VERDICT_NEW || j.is_conflict)
		tell(ch, m, j);
	return j;
}

/* --- remembering --- */

static void add_queued(struct core *core, struct queue *q, struct key_name name, uint64_t print,
		       bool is_volatile)
{
	if (q->id == 0 && q->key_number == 0) {
		q->key_number = queue_number(q);
		map_put(&core->key_queues, bytes_of(&q->key_number, sizeof q->key_number), q);
	}
	keylog_add(core, name, queued_print(q, print), is_volatile, true);
}

void identity_remember(struct core *core, const struct exchange *x, const struct identity *id,
		       struct queue **queues, size_t queues_len, bool is_in_journal)
{
	if (id->has_producer)
		producer_remember(core, id, is_in_journal);
	if (id->is_by_exchange)
		keylog_add(core, id->name, id->print, !is_in_journal, false);
	for (size_t i = 0; id->is_by_queue && i < queues_len; i++) {
		struct queue *q = queues[i];
		enum dedup_mode mode = queue_mode(x, q, id);
		bool is_volatile = !is_in_journal || q->id == 0;
		if (mode == DEDUP_WHILE_QUEUED) {
			add_queued(core, q, queue_scope(q, id->key), id->print, is_volatile);
		} else if (mode != DEDUP_UNSET) {
			keylog_add(core, queue_scope(q, id->key), id->print, is_volatile, false);
		}
	}
}

bool identity_follows_queues(const struct core *core)
{
	return core->keys.queued > 0 || keys_is_loading(&core->keys);
}

/* Of a message that is_keyed; one that is so only perhaps need not have a key. */
static bool find_message_key(const struct core *core, const struct message *m, uint64_t hash[2])
{
	struct properties p;
	struct headers room;
	struct bytes key;
	bool is_alias;
	if (!properties_decode(&p, message_properties(m)) ||
	    !find_key(headers_find(&p, &room), true, &key, &is_alias))
		return false;
	hash_key(core, key, hash);
	return true;
}

void identity_left_queue(struct queue *q, const struct message *m)
{
	struct core *core = q->vhost->core;
	uint64_t hash[2], position, time_ms;
	if (!m->is_keyed || core->is_ending || !identity_follows_queues(core) ||
	    !find_message_key(core, m, hash))
		return;
	struct key_name name = queue_scope(q, hash);
	const struct key *k = look_up(core, name, &position, &time_ms);
	struct bytes body = message_body(m);
	if (k != NULL && (k->when & KEY_IS_QUEUED) &&
	    k->print == queued_print(q, XXH3_64bits(body.data, body.len)))
		keylog_remove(core, position);
	else if (k == NULL && keys_is_loading(&core->keys))
		keylog_forget(core, name);
}

/* The message is unacked: its key holds on, from keys_from on. While keys are loaded, one that is not
 * found yet is added; the older one goes when it comes. */
static void hold_on(struct queue *q, const struct message *m)
{
	struct core *core = q->vhost->core;
	uint64_t hash[2], position, time_ms;
	if (!m->is_keyed || !find_message_key(core, m, hash))
		return;
	struct key_name name = queue_scope(q, hash);
	const struct key *k = look_up(core, name, &position, &time_ms);
	struct bytes body = message_body(m);
	if (k != NULL && (k->when & KEY_IS_QUEUED))
		keylog_renew(core, position);
	else if (k == NULL && keys_is_loading(&core->keys))
		add_queued(core, q, name, XXH3_64bits(body.data, body.len),
			   m->location == 0 || q->id == 0);
}

void identity_queue_emptied(struct queue *q)
{
	struct core *core = q->vhost->core;
	if (core->is_ending || !identity_follows_queues(core))
		return;
	q->keys_from = core->keys.next;
	list_each (node, &q->unacked)
		hold_on(q, list_entry(node, struct delivery, in_queue)->message);
	if (q->id != 0)
		durable_queue(q, false);
}

/* --- x-message-uid --- */

/* Numbers that are used once, made to look like chance: other brokers' are different ones. */
static uint64_t next_uid(struct core *core)
{
	uint64_t n = ((uint64_t)core->generation << 40 | ++core->uid_last) ^ core->key_seed;
	n = (n ^ n >> 32) * 0xd6e8feb86659fd93;
	n = (n ^ n >> 32) * 0xd6e8feb86659fd93;
	return n ^ n >> 32;
}

struct message *message_with_uid(struct core *core, struct message *m)
{
	if (m->has_uid)
		return m;
	static const char header[] = "x-message-uid";
	static const char digits[] = "0123456789abcdef";
	uint8_t field[1 + sizeof header - 1 + 1 + 4 + 16];
	struct writer w = writer_of(field, sizeof field);
	char text[16];
	uint64_t uid = next_uid(core);
	for (int i = 15; i >= 0; i--, uid >>= 4)
		text[i] = digits[uid & 15];
	table_write_str(&w, header, bytes_of(text, sizeof text));
	assert(!w.failed && w.at == w.end);
	m = message_add_header(&core->messages, m, header, bytes_of(field, sizeof field));
	m->has_uid = true;
	return m;
}

struct message *core_publish_begins(struct core *core, struct message *m)
{
	struct headers room;
	struct bytes key, table = message_headers(m);
	bool is_alias;
	struct properties p = { .flags = table.len > 0 ? HAS_headers : 0, .headers = table };
	const struct headers *h = headers_find(&p, &room);
	if (find_key(h, core->alias_users > 0, &key, &is_alias)) {
		keys_prefetch(&core->keys, exchange_scope(core, message_exchange(m),
							  message_routing_key(m), is_alias, key));
	} else if (!header_is_set(&h->producer)) {
		return m;
	}
	return message_with_uid(core, m);
}

/* --- for operators --- */

static const struct key *look_up_wanted(const struct core *core, const struct key_wanted *wanted,
					uint64_t *position, uint64_t *time_ms)
{
	uint64_t hash[2];
	const struct queue *q =
		wanted->queue.len > 0 ? queue_find(&core->vhost, wanted->queue) : NULL;
	if (wanted->queue.len > 0 && q == NULL)
		return NULL;
	hash_key(core, wanted->key, hash);
	const struct key *k =
		look_up(core,
			q != NULL ? queue_scope(q, hash)
				  : exchange_scope(core, wanted->exchange, wanted->routing_key,
						   false, wanted->key),
			position, time_ms);
	return k != NULL && (k->when & KEY_IS_QUEUED) && !identity_is_queued(core, k, *position)
		       ? NULL
		       : k;
}

bool core_key_find(const struct core *core, const struct key_wanted *wanted,
		   struct key_found *found)
{
	uint64_t position;
	const struct key *k = look_up_wanted(core, wanted, &position, &found->time_ms);
	if (k == NULL)
		return false;
	found->print = k->print;
	found->is_transient = k->when & KEY_IS_VOLATILE;
	found->is_while_queued = k->when & KEY_IS_QUEUED;
	return true;
}

bool core_key_forget(struct core *core, const struct key_wanted *wanted)
{
	CHECKED_INPUT(core);
	uint64_t position, time_ms;
	bool is_there = look_up_wanted(core, wanted, &position, &time_ms) != NULL;
	if (is_there)
		keylog_remove(core, position);
	return is_there;
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
	struct bytes key;
	bool is_alias;
	return keys_is_loading(&core->keys) && properties_decode(&p, properties) &&
	       find_key(headers_find(&p, &room), core->alias_users > 0, &key, &is_alias);
}

bool core_commit_waits(const struct channel *ch)
{
	for (size_t i = 0; i < ch->tx_publishes_len && keys_is_loading(&ch->core->keys); i++)
		if (core_publish_waits(ch->core, message_properties(ch->tx_publishes[i].message)))
			return true;
	return false;
}
