/* Producers: publishers that number what they publish. What has been seen of each is a few bytes,
 * however much it publishes. */
#include "core/dedup/producer.h"
#include "core/admin.h"
#include "core/dedup/claim.h"
#include "core/dedup/identity.h"
#include "core/message/message.h"
#include "core/state.h"

#include "base/alloc.h"
#include "reply.h"
#include "store.h"
#include "table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

void producers_init(struct producers *producers, uint64_t seed)
{
	map_init(&producers->by_name, seed);
	list_init(&producers->all);
	list_init(&producers->noted);
	list_init(&producers->dirty);
}

static void destroy(struct producers *producers, struct producer *p)
{
	map_remove(&producers->by_name, p->name);
	list_remove(&p->in_core);
	list_remove(&p->in_noted);
	list_remove(&p->in_dirty);
	free((void *)p->name.data);
	free(p);
}

void producers_fini(struct producers *producers)
{
	while (!list_is_empty(&producers->all))
		destroy(producers, list_entry(producers->all.next, struct producer, in_core));
	map_fini(&producers->by_name);
}

struct producer *producer_find(const struct core *core, struct bytes name)
{
	return map_get(&core->producers.by_name, name);
}

static struct bytes record_key(uint8_t *buffer, const struct producer *p)
{
	struct writer w = writer_of(buffer, 1 + PRODUCER_NAME_MAX);
	write_u8(&w, STORE_KEY_PRODUCER);
	write_bytes(&w, p->name);
	return bytes_of(buffer, (size_t)(w.at - buffer));
}

static struct producer *create(struct core *core, struct bytes name)
{
	struct producers *all = &core->producers;
	struct producer *p = alloc_zeroed(sizeof *p);
	p->name = alloc_copy(name);
	list_init(&p->in_core);
	list_init(&p->in_noted);
	list_init(&p->in_dirty);
	list_push_tail(&all->all, &p->in_core);
	map_put(&all->by_name, p->name, p);
	return p;
}

/* The one that has been quiet for longest makes room. */
static void make_room(struct core *core)
{
	uint8_t key[1 + PRODUCER_NAME_MAX];
	struct producers *all = &core->producers;
	if (all->by_name.len < core->options.producers_max || list_is_empty(&all->all))
		return;
	struct producer *quiet = list_entry(all->all.next, struct producer, in_core);
	changes_delete(core->batch->changes, record_key(key, quiet));
	destroy(all, quiet);
	core->figures.producer_evictions++;
}

/* --- what has been seen --- */

static bool has_seen(const struct producer *p, uint64_t sequence)
{
	uint64_t back = p->high - sequence;
	return sequence <= p->high && back < PRODUCER_WINDOW &&
	       (p->seen[back / 64] >> back % 64 & 1);
}

/* Moves the window up. */
static void shift(struct producer *p, uint64_t by)
{
	uint64_t words = by / 64, bits = by % 64;
	for (int i = PRODUCER_WORDS - 1; i >= 0; i--) {
		uint64_t from = (uint64_t)i >= words ? p->seen[(uint64_t)i - words] : 0;
		uint64_t below = (uint64_t)i > words ? p->seen[(uint64_t)i - words - 1] : 0;
		p->seen[i] = bits == 0 ? from : from << bits | below >> (64 - bits);
	}
}

static void see(struct producer *p, uint64_t sequence)
{
	if (sequence > p->high) {
		uint64_t by = sequence - p->high;
		shift(p, by < PRODUCER_WINDOW ? by : PRODUCER_WINDOW);
		p->high = sequence;
	}
	uint64_t back = p->high - sequence;
	p->seen[back / 64] |= (uint64_t)1 << back % 64;
}

bool producer_check(struct core *core, const struct claim *claim, struct refusal *refusal)
{
	const struct producer *p = producer_find(core, claim_producer(claim));
	if (p == NULL || claim->epoch > p->epoch)
		return true;
	if (claim->epoch < p->epoch) {
		core->figures.producers_fenced++;
		return refuse(refusal, REPLY_PRECONDITION_FAILED,
			      "producer '%.*s' is fenced: its epoch is %" PRIu64 ", and %" PRIu64
			      " has published since",
			      BYTES_ARG(producer_text(p->name)), claim->epoch, p->epoch);
	}
	if (claim->sequence > p->high || p->high - claim->sequence < PRODUCER_WINDOW)
		return true;
	return refuse(refusal, REPLY_PRECONDITION_FAILED,
		      "sequence %" PRIu64 " of producer '%.*s' is too old to be told from a "
		      "duplicate: the last one is %" PRIu64,
		      claim->sequence, BYTES_ARG(producer_text(p->name)), p->high);
}

/* In a transaction things may have moved on since the check: what is fenced or too old by now is as
 * good as published. */
struct judgement producer_judge(const struct core *core, const struct claim *claim)
{
	const struct producer *p = producer_find(core, claim_producer(claim));
	if (p == NULL || claim->epoch > p->epoch ||
	    (claim->epoch == p->epoch && claim->sequence > p->high))
		return (struct judgement){ .verdict = VERDICT_NEW };
	bool is_told = claim->epoch == p->epoch && p->high - claim->sequence < PRODUCER_WINDOW;
	if (is_told && !has_seen(p, claim->sequence))
		return (struct judgement){ .verdict = VERDICT_NEW };
	return (struct judgement){ .verdict = VERDICT_DUPLICATE,
				   .sequence = p->sequence > core->durable ? p->sequence : 0 };
}

void producer_remember(struct core *core, const struct claim *claim, bool is_in_journal)
{
	struct producer *p = producer_find(core, claim_producer(claim));
	if (p == NULL) {
		make_room(core);
		p = create(core, claim_producer(claim));
		p->epoch = claim->epoch;
		p->high = claim->sequence;
	}
	if (claim->epoch > p->epoch) {
		memset(p->seen, 0, sizeof p->seen);
		p->epoch = claim->epoch;
		p->high = claim->sequence;
	}
	see(p, claim->sequence);
	list_remove(&p->in_core);
	list_push_tail(&core->producers.all, &p->in_core);
	if (!is_in_journal)
		return;
	p->sequence = core->batch->sequence;
	if (list_is_empty(&p->in_noted))
		list_push_tail(&core->producers.noted, &p->in_noted);
	if (list_is_empty(&p->in_dirty))
		list_push_tail(&core->producers.dirty, &p->in_dirty);
}

struct message *producer_report(const struct vhost *vhost, struct bytes name)
{
	struct core *core = vhost->core;
	uint8_t room[PRODUCER_NAME_MAX];
	const struct producer *p =
		name.len == 0 ? NULL : producer_find(core, producer_name(room, vhost, name));
	uint8_t headers[2 * (1 + 20 + 1 + 8)], wire[128];
	char body[64];
	if (p == NULL)
		return NULL;
	struct writer h = writer_of(headers, sizeof headers), w = writer_of(wire, sizeof wire);
	table_write_long(&h, "x-producer-epoch", (int64_t)p->epoch);
	table_write_long(&h, "x-producer-seq", (int64_t)p->high);
	struct properties properties = { .flags = HAS_headers | HAS_content_type,
					 .content_type = bytes_str("application/json"),
					 .headers = bytes_of(headers, (size_t)(h.at - headers)) };
	properties_encode(&w, &properties);
	assert(!w.failed);
	int len = snprintf(body, sizeof body, "{\"epoch\":%" PRIu64 ",\"sequence\":%" PRIu64 "}",
			   p->epoch, p->high);
	struct message *m = message_create(&core->messages, bytes_str(""), producer_text(p->name),
					   bytes_of(wire, (size_t)(w.at - wire)), (uint64_t)len);
	if (m == NULL || !message_append(&core->messages, &m, bytes_of(body, (size_t)len)))
		abort(); /* Out of memory, for a hundred bytes. */
	return m;
}

/* --- journal --- */

enum { RECORD_BYTES_MAX = 2 * VARINT_MAX + PRODUCER_WINDOW / 8 };

static struct bytes record(uint8_t *buffer, const struct producer *p)
{
	struct writer w = writer_of(buffer, RECORD_BYTES_MAX);
	write_varint(&w, p->epoch);
	write_varint(&w, p->high);
	for (int i = 0; i < PRODUCER_WORDS; i++)
		write_u64(&w, p->seen[i]);
	assert(!w.failed);
	return bytes_of(buffer, (size_t)(w.at - buffer));
}

void producers_end(struct core *core)
{
	uint8_t key[1 + PRODUCER_NAME_MAX], value[RECORD_BYTES_MAX];
	while (!list_is_empty(&core->producers.noted)) {
		struct producer *p =
			list_entry(core->producers.noted.next, struct producer, in_noted);
		list_remove(&p->in_noted);
		batch_note(core->batch, record_key(key, p), record(value, p));
	}
}

void producers_save(struct core *core)
{
	uint8_t key[1 + PRODUCER_NAME_MAX], value[RECORD_BYTES_MAX];
	while (!list_is_empty(&core->producers.dirty)) {
		struct producer *p =
			list_entry(core->producers.dirty.next, struct producer, in_dirty);
		list_remove(&p->in_dirty);
		changes_put(core->batch->changes, record_key(key, p), record(value, p));
	}
}

/* From the store or, newer, from the log's tail: that is to reach the store with the next
 * checkpoint. */
void producers_on_record(struct core *core, struct bytes key, struct bytes value)
{
	struct reader r = reader_of(value.data, value.len);
	struct bytes name = bytes_of(key.data + 1, key.len - 1);
	struct producer was = { .epoch = read_varint(&r), .high = read_varint(&r) };
	for (int i = 0; i < PRODUCER_WORDS; i++)
		was.seen[i] = read_u64(&r);
	if (r.failed || name.len == 0 || name.len > PRODUCER_NAME_MAX) {
		core->figures.damaged++;
		return;
	}
	struct producer *p = producer_find(core, name);
	if (p == NULL)
		p = create(core, name);
	p->epoch = was.epoch;
	p->high = was.high;
	memcpy(p->seen, was.seen, sizeof p->seen);
	if (list_is_empty(&p->in_dirty))
		list_push_tail(&core->producers.dirty, &p->in_dirty);
}

/* --- for operators --- */

bool core_producer_find(const struct vhost *vhost, struct bytes name, struct producer_found *found)
{
	uint8_t room[PRODUCER_NAME_MAX];
	const struct producer *p = producer_find(vhost->core, producer_name(room, vhost, name));
	if (p != NULL)
		*found = (struct producer_found){ p->epoch, p->high };
	return p != NULL;
}
