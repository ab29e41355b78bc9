/* Idempotency keys: which of them mean the same publish, and what follows from it. */
#include "core/state.h"

#include "base/alloc.h"
#include "table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static const char key_header[] = "x-idempotency-key";
static const char alias_header[] = "x-deduplication-header";
static const char producer_header[] = "x-producer-id";
static const char epoch_header[] = "x-producer-epoch";
static const char sequence_header[] = "x-producer-seq";

/* --- what a publish says ------------------------------------------------------------------------------------------- */

static bool check_text(struct bytes headers, const char *name, struct refusal *refusal)
{
	struct table_value v;
	if (!table_find(headers, name, &v))
		return true;
	if (v.type != 'S')
		return refuse(refusal, REPLY_PRECONDITION_FAILED, "invalid header %s: expected string, got %s", name,
			      table_type_name(v.type));
	if (v.bytes.len == 0 || v.bytes.len > UINT8_MAX)
		return refuse(refusal, REPLY_PRECONDITION_FAILED, "invalid header %s: expected 1 to 255 bytes, got %zu", name,
			      v.bytes.len);
	return true;
}

static bool check_number(struct bytes headers, const char *name, bool is_needed, struct refusal *refusal)
{
	struct table_value v;
	if (!table_find(headers, name, &v))
		return !is_needed ||
		       refuse(refusal, REPLY_PRECONDITION_FAILED, "header %s needs header %s", producer_header, name);
	if (!table_value_is_integer(&v))
		return refuse(refusal, REPLY_PRECONDITION_FAILED, "invalid header %s: expected integer, got %s", name,
			      table_type_name(v.type));
	return v.integer >= 0 ||
	       refuse(refusal, REPLY_PRECONDITION_FAILED, "invalid header %s: {value_negative,%" PRId64 "}", name, v.integer);
}

/* Integers that have been checked; 0 if there is none. */
static uint64_t number(struct bytes headers, const char *name)
{
	struct table_value v;
	return table_find(headers, name, &v) ? (uint64_t)v.integer : 0;
}

static bool find_producer(struct bytes headers, struct identity *id)
{
	struct table_value v;
	if (!table_find(headers, producer_header, &v))
		return false;
	id->producer_name = v.bytes;
	id->epoch = number(headers, epoch_header);
	id->sequence = number(headers, sequence_header);
	return id->has_producer = true;
}

bool identity_check(struct core *core, const struct properties *p, struct refusal *refusal)
{
	struct table_value v;
	struct identity id = { 0 };
	if (!check_text(p->headers, key_header, refusal))
		return false;
	if (!table_find(p->headers, producer_header, &v))
		return true;
	return check_text(p->headers, producer_header, refusal) && check_number(p->headers, epoch_header, false, refusal) &&
	       check_number(p->headers, sequence_header, true, refusal) && find_producer(p->headers, &id) &&
	       producer_check(core, &id, refusal);
}

/* The key, from the header of that name or, where an exchange or queue asks for it, from its other name. */
static bool find_key(struct bytes headers, bool takes_alias, struct bytes *key, bool *is_alias)
{
	struct table_value v;
	*is_alias = false;
	if (!table_find(headers, key_header, &v)) {
		*is_alias = takes_alias && table_find(headers, alias_header, &v);
		if (!*is_alias)
			return false;
	}
	*key = v.type == 'S' ? v.bytes : v.raw; /* The other header may be of any type. */
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
static struct key_name exchange_scope(const struct core *core, struct bytes exchange, struct bytes routing_key,
				      const uint64_t key[2])
{
	uint8_t scope[2 * (1 + UINT8_MAX) + 1 + 16];
	struct writer w = writer_of(scope, sizeof scope);
	write_shortstr(&w, exchange);
	write_shortstr(&w, routing_key);
	write_u8(&w, routing_key.data == NULL);
	write_raw(&w, key, 16);
	return name_of(core, scope, (size_t)(w.at - scope));
}

/* Queue and key: a queue that is declared anew under an old name is another one. */
static struct key_name queue_scope(const struct queue *q, const uint64_t key[2])
{
	uint64_t scope[] = { q->id != 0 ? q->id : ~q->serial, key[0], key[1] };
	return name_of(q->vhost->core, scope, sizeof scope);
}

bool identity_find(struct core *core, const struct message *m, const struct properties *p, struct identity *id)
{
	struct bytes key;
	*id = (struct identity){ .has_key = false };
	bool has_producer = find_producer(p->headers, id);
	bool takes_alias = core->alias_users > 0;
	if (!find_key(p->headers, takes_alias, &key, &id->is_alias))
		return has_producer;
	id->has_key = true;
	hash_key(core, key, id->key);
	id->name =
		exchange_scope(core, message_exchange(m), id->is_alias ? bytes_of(NULL, 0) : message_routing_key(m), id->key);
	struct bytes body = message_body(m);
	id->print = XXH3_64bits(body.data, body.len);
	return true;
}

/* --- how a key holds ------------------------------------------------------------------------------------------------ */

/* By its own arguments or, if its exchange says so, as long as the message is there. */
static enum dedup_mode queue_mode(const struct exchange *x, const struct queue *q, const struct identity *id)
{
	if (q->settings.dedup.mode != DEDUP_UNSET && (!id->is_alias || q->settings.dedup.takes_alias))
		return q->settings.dedup.mode;
	return x != NULL && x->dedup.mode == DEDUP_WHILE_QUEUED ? DEDUP_WHILE_QUEUED : DEDUP_UNSET;
}

/* If all queues see to it themselves, an exchange that was asked for nothing keeps out of it. */
static void choose_scopes(const struct exchange *x, struct identity *id, struct queue **queues, size_t queues_len)
{
	size_t own = 0;
	for (size_t i = 0; i < queues_len; i++)
		own += queue_mode(x, queues[i], id) != DEDUP_UNSET;
	enum dedup_mode mode = x == NULL ? DEDUP_UNSET : x->dedup.mode;
	bool is_meant = !id->is_alias || (x != NULL && x->dedup.takes_alias);
	id->is_by_queue = own > 0;
	id->is_by_exchange = is_meant && mode != DEDUP_WHILE_QUEUED && !(mode == DEDUP_UNSET && own > 0 && own == queues_len);
}

static uint64_t window_ms(const struct core *core, const struct dedup *d)
{
	return d->window_ms != 0 ? d->window_ms : core->options.key_window_ms;
}

/* With a key that holds while its message is queued stands in which queue, and half of the fingerprint. */
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

/* What is known of a key; one whose time is over is forgotten. */
static struct judgement judge(struct core *core, struct key_name name, uint64_t print, const struct dedup *d)
{
	uint64_t time_ms, position = keys_find(&core->keys, name);
	struct judgement new = { VERDICT_NEW, 0 };
	if (position == KEYS_NONE)
		return new;
	const struct key *k = keys_at(&core->keys, position, &time_ms);
	bool is_queued = k->when & KEY_IS_QUEUED;
	bool is_over = is_queued ? !identity_is_queued(core, k, position)
				 : core->now_ms >= time_ms && core->now_ms - time_ms >= window_ms(core, d);
	if (is_over) {
		keylog_remove(core, position);
		return new;
	}
	struct judgement j = { VERDICT_DUPLICATE, keylog_sequence(core, position) };
	if (is_queued ? k->print >> 32 != (uint32_t)print : k->print != print) {
		core->figures.key_conflicts++;
		j.verdict = d->rejects_conflicts ? VERDICT_CONFLICT : VERDICT_DUPLICATE;
	}
	if (d->mode == DEDUP_SLIDING && !is_queued) {
		struct key was = *k;
		keylog_remove(core, position);
		keylog_add(core, name, was.print, was.when & KEY_IS_VOLATILE, false);
	}
	return j;
}

/* The queues that do not have the message yet. */
static struct judgement judge_by_queue(struct core *core, const struct exchange *x, const struct identity *id,
				       struct queue ***queues, size_t *queues_len)
{
	struct judgement all = { VERDICT_DUPLICATE, 0 };
	struct queue **kept = alloc_resize(NULL, (*queues_len + 1) * sizeof(struct queue *));
	size_t len = 0;
	for (size_t i = 0; i < *queues_len; i++) {
		struct queue *q = (*queues)[i];
		struct judgement j = { VERDICT_NEW, 0 };
		if (queue_mode(x, q, id) != DEDUP_UNSET)
			j = judge(core, queue_scope(q, id->key), id->print, &q->settings.dedup);
		if (j.verdict == VERDICT_NEW)
			kept[len++] = q;
		if (j.verdict == VERDICT_CONFLICT)
			all.verdict = VERDICT_CONFLICT;
		if (j.sequence > all.sequence)
			all.sequence = j.sequence;
	}
	*queues = kept;
	bool is_new = len > 0 || *queues_len == 0;
	*queues_len = len;
	if (all.verdict == VERDICT_DUPLICATE && is_new)
		all = (struct judgement){ VERDICT_NEW, all.sequence };
	return all;
}

/* Clients that know of it are told; so is the operator, of conflicts. */
static void tell(struct channel *ch, const struct message *m, struct judgement j, bool is_conflict)
{
	struct core *core = ch->core;
	core->figures.key_hits += j.verdict == VERDICT_DUPLICATE;
	if (!is_conflict && !ch->connection->knows_duplicates)
		return;
	uint8_t headers[32];
	struct writer w = writer_of(headers, sizeof headers);
	table_write_long(&w, "x-publish-tag", (int64_t)ch->published + 1);
	struct properties p = { .flags = HAS_headers, .headers = bytes_of(headers, (size_t)(w.at - headers)) };
	uint8_t wire[64];
	struct writer e = writer_of(wire, sizeof wire);
	properties_encode(&e, &p);
	struct message *notice = message_create(&core->messages, message_exchange(m), message_routing_key(m),
						bytes_of(wire, (size_t)(e.at - wire)), 0);
	if (notice == NULL)
		return; /* Out of memory: the confirm will do. */
	struct effect *effect = effect_push(core, EFFECT_REPEATED, ch);
	effect->repeated.message = notice;
	effect->repeated.is_conflict = is_conflict;
}

struct judgement identity_judge(struct channel *ch, const struct exchange *x, struct identity *id, struct message *m,
				struct queue ***queues, size_t *queues_len)
{
	struct core *core = ch->core;
	struct judgement j = { VERDICT_NEW, 0 };
	uint64_t conflicts = core->figures.key_conflicts;
	if (id->has_producer)
		j = producer_judge(core, id);
	if (id->has_key && j.verdict == VERDICT_NEW) {
		static const struct dedup plain = { .mode = DEDUP_UNSET };
		choose_scopes(x, id, *queues, *queues_len);
		if (id->is_by_exchange)
			j = judge(core, id->name, id->print, x == NULL ? &plain : &x->dedup);
		if (j.verdict == VERDICT_NEW && id->is_by_queue)
			j = judge_by_queue(core, x, id, queues, queues_len);
	}
	if (j.verdict != VERDICT_NEW || core->figures.key_conflicts > conflicts)
		tell(ch, m, j, core->figures.key_conflicts > conflicts);
	return j;
}

/* --- remembering ---------------------------------------------------------------------------------------------------- */

static void add_queued(struct core *core, struct queue *q, struct key_name name, uint64_t print, bool is_volatile)
{
	if (q->id == 0 && q->key_number == 0) {
		q->key_number = queue_number(q);
		map_put(&core->key_queues, bytes_of(&q->key_number, sizeof q->key_number), q);
	}
	keylog_add(core, name, queued_print(q, print), is_volatile, true);
}

void identity_remember(struct core *core, const struct exchange *x, const struct identity *id, struct message *m,
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
		m->is_keyed |= mode == DEDUP_WHILE_QUEUED;
		if (mode == DEDUP_WHILE_QUEUED)
			add_queued(core, q, queue_scope(q, id->key), id->print, is_volatile);
		else if (mode != DEDUP_UNSET)
			keylog_add(core, queue_scope(q, id->key), id->print, is_volatile, false);
	}
}

bool identity_follows_queues(const struct core *core)
{
	return core->keys.queued > 0 || keys_is_loading(&core->keys);
}

/* What dead-lettering or a delay brought in has no key here, whatever its headers say. */
static bool find_message_key(const struct core *core, const struct message *m, uint64_t hash[2])
{
	struct properties p;
	struct table_value v;
	struct bytes key;
	bool is_alias;
	if (!properties_decode(&p, message_properties(m)) || (p.flags & HAS_headers) == 0 ||
	    table_find(p.headers, "x-death", &v) ||
	    (table_find(p.headers, "x-delay", &v) && table_value_is_integer(&v) && v.integer < 0) ||
	    !find_key(p.headers, true, &key, &is_alias))
		return false;
	hash_key(core, key, hash);
	return true;
}

void identity_left_queue(struct queue *q, const struct message *m)
{
	struct core *core = q->vhost->core;
	uint64_t hash[2], time_ms;
	if (!m->is_keyed || core->is_ending || !identity_follows_queues(core) || !find_message_key(core, m, hash))
		return;
	struct key_name name = queue_scope(q, hash);
	uint64_t position = keys_find(&core->keys, name);
	const struct key *k = position == KEYS_NONE ? NULL : keys_at(&core->keys, position, &time_ms);
	struct bytes body = message_body(m);
	if (k != NULL && (k->when & KEY_IS_QUEUED) && k->print == queued_print(q, XXH3_64bits(body.data, body.len)))
		keylog_remove(core, position);
	else if (k == NULL && keys_is_loading(&core->keys))
		keylog_forget(core, name);
}

void identity_queue_emptied(struct queue *q)
{
	struct core *core = q->vhost->core;
	if (core->is_ending || !identity_follows_queues(core))
		return;
	q->keys_from = core->keys.next;
	list_each (node, &q->unacked) { /* Those stay, and their keys with them. */
		const struct message *m = list_entry(node, struct delivery, in_queue)->message;
		uint64_t hash[2], time_ms;
		if (!m->is_keyed || !find_message_key(core, m, hash))
			continue;
		uint64_t position = keys_find(&core->keys, queue_scope(q, hash));
		const struct key *k = position == KEYS_NONE ? NULL : keys_at(&core->keys, position, &time_ms);
		if (k == NULL || (k->when & KEY_IS_QUEUED) == 0)
			continue;
		struct key was = *k;
		keylog_remove(core, position);
		keylog_add(core, queue_scope(q, hash), was.print, was.when & KEY_IS_VOLATILE, true); /* From keys_from on. */
	}
	if (q->id != 0)
		durable_queue(q, false);
}

/* --- x-message-uid --------------------------------------------------------------------------------------------------- */

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
	return message_add_header(&core->messages, m, header, bytes_of(field, sizeof field));
}

/* --- for operators ----------------------------------------------------------------------------------------------------- */

static struct key_name wanted_name(const struct core *core, const struct key_wanted *wanted, const struct queue **queue)
{
	uint64_t hash[2];
	hash_key(core, wanted->key, hash);
	*queue = wanted->queue.len > 0 ? queue_find(&core->vhost, wanted->queue) : NULL;
	if (*queue != NULL)
		return queue_scope(*queue, hash);
	return exchange_scope(core, wanted->exchange, wanted->routing_key, hash);
}

bool core_key_find(const struct core *core, const struct key_wanted *wanted, struct key_found *found)
{
	const struct queue *q;
	uint64_t position = keys_find(&core->keys, wanted_name(core, wanted, &q));
	const struct key *k = position == KEYS_NONE ? NULL : keys_at(&core->keys, position, &found->time_ms);
	if (k == NULL || ((k->when & KEY_IS_QUEUED) && !identity_is_queued(core, k, position)))
		return false;
	found->print = k->print;
	found->is_transient = k->when & KEY_IS_VOLATILE;
	found->is_while_queued = k->when & KEY_IS_QUEUED;
	return true;
}

bool core_key_forget(struct core *core, const struct key_wanted *wanted)
{
	const struct queue *q;
	struct key_found found;
	if (!core_key_find(core, wanted, &found))
		return false;
	keylog_remove(core, keys_find(&core->keys, wanted_name(core, wanted, &q)));
	return true;
}

bool core_keys_are_loading(const struct core *core)
{
	return keys_is_loading(&core->keys);
}

/* --- waiting ----------------------------------------------------------------------------------------------------------- */

bool core_publish_waits(const struct core *core, struct bytes properties)
{
	struct properties p;
	struct bytes key;
	bool is_alias;
	return keys_is_loading(&core->keys) && properties_decode(&p, properties) && (p.flags & HAS_headers) &&
	       find_key(p.headers, core->alias_users > 0, &key, &is_alias);
}

bool core_commit_waits(const struct channel *ch)
{
	for (size_t i = 0; i < ch->tx_publishes_len && keys_is_loading(&ch->core->keys); i++)
		if (core_publish_waits(ch->core, message_properties(ch->tx_publishes[i].message)))
			return true;
	return false;
}
