/* Claims: what a publish says of itself in headers that are for the broker, not for consumers.
 *
 * They are taken out of the message when its header has come, and x-message-uid takes their place:
 * what is delivered may be published again as it is, by any program, and is a new message. */
#include "core/dedup/claim.h"
#include "core/channel/channel.h"
#include "core/channel/connection.h"
#include "core/message/headers.h"
#include "core/message/message.h"
#include "core/state.h"

#include "base/alloc.h"
#include "table.h"

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static const char uid_header[] = "x-message-uid", origin_header[] = "x-original-uid";

enum { UID_FIELD_BYTES = 1 + sizeof uid_header - 1 + 1 + 4 + UID_BYTES, STACK_BYTES = 1024 };

bool claim_is_made(const struct headers *h)
{
	return header_is_set(&h->producer) || header_is_set(&h->uid) ||
	       header_is_set(&h->sequence) || header_is_set(&h->epoch) || header_is_set(&h->origin);
}

/* --- reading --- */

static bool read_number(const struct table_value *v, uint64_t *out)
{
	int64_t n;
	if (!table_value_integer(v, &n) || n < 0)
		return false;
	*out = (uint64_t)n;
	return true;
}

/* False: the headers make no sense, and the publish will be refused. */
static bool read_producer(const struct vhost *vhost, const struct headers *h, struct claim *claim)
{
	struct bytes name;
	claim->has_producer = header_is_set(&h->producer);
	claim->epoch = 0;
	if (!claim->has_producer)
		return true;
	if (!table_value_string(&h->producer, &name) || name.len == 0 || name.len > UINT8_MAX ||
	    !read_number(&h->sequence, &claim->sequence) ||
	    (header_is_set(&h->epoch) && !read_number(&h->epoch, &claim->epoch)))
		return false;
	claim->name_len = (uint16_t)producer_name(claim->name, vhost, name).len;
	return true;
}

struct bytes producer_name(uint8_t buffer[PRODUCER_NAME_MAX], const struct vhost *vhost,
			   struct bytes name)
{
	struct writer w = writer_of(buffer, PRODUCER_NAME_MAX);
	if (vhost->id != 0 || name.data[0] == 0) {
		write_u8(&w, 0);
		write_u32(&w, vhost->id);
	}
	write_bytes(&w, name);
	assert(!w.failed);
	return bytes_of(buffer, (size_t)(w.at - buffer));
}

struct bytes producer_text(struct bytes name)
{
	bool is_led = name.len > PRODUCER_PREFIX && name.data[0] == 0;
	return is_led ? bytes_of(name.data + PRODUCER_PREFIX, name.len - PRODUCER_PREFIX) : name;
}

void claim_hash_origin(const struct core *core, const struct table_value *v, uint64_t hash[2])
{
	XXH128_hash_t h = XXH3_128bits_withSeed(v->raw.data, v->raw.len,
						core->key_seed ^ (uint64_t)v->type << 56);
	hash[0] = h.low64;
	hash[1] = h.high64;
}

/* A client that knows of idempotency numbers what it publishes itself; from any other one, a
 * producer's number beside a uid is a part of the copy. */
static bool read_claim(const struct channel *ch, const struct headers *h, struct claim *claim)
{
	claim->is_copy = header_is_set(&h->uid);
	if (claim->is_copy)
		claim_hash_origin(ch->core, &h->uid, claim->origin);
	if (claim->is_copy && !ch->connection->knows_duplicates) {
		claim->has_producer = false;
		return true;
	}
	return read_producer(ch->connection->vhost, h, claim);
}

/* --- rewriting --- */

/* Numbers that are used once, made to look like chance: other brokers' are different ones. What is
 * mixed in here can be had back from a uid, so it is nothing that is used elsewhere. */
static uint64_t next_uid(struct core *core)
{
	const struct siphash_key key = { { core->key_seed, 0 } };
	uint64_t n = ((uint64_t)core->generation << 40 | ++core->uid_last) ^
		     siphash(&key, bytes_str("uid"));
	n = (n ^ n >> 32) * 0xd6e8feb86659fd93;
	n = (n ^ n >> 32) * 0xd6e8feb86659fd93;
	return n ^ n >> 32;
}

static void write_uid(struct core *core, struct writer *w)
{
	static const char digits[] = "0123456789abcdef";
	char text[UID_BYTES];
	uint64_t uid = next_uid(core);
	for (int i = UID_BYTES - 1; i >= 0; i--, uid >>= 4)
		text[i] = digits[uid & 15];
	table_write_str(w, uid_header, bytes_of(text, sizeof text));
}

/* False: the table is malformed, which is for others to say. */
static bool write_table(struct core *core, struct writer *w, struct bytes table,
			const struct headers *h, const struct claim *claim)
{
	struct bytes rest = table, name;
	struct table_value v;
	while (table_next(&rest, &name, &v))
		if (!header_is_for_broker(name) && !bytes_equal_str(name, uid_header) &&
		    !bytes_equal_str(name, origin_header))
			table_write_value(w, name, &v);
	if (claim->is_copy)
		table_write_value(w, bytes_str(origin_header), &h->uid);
	if (claim->is_copy || claim->has_producer)
		write_uid(core, w);
	return rest.len == 0 && !w->failed;
}

static struct message *rewrite(struct core *core, struct message *m, const struct headers *h,
			       const struct claim *claim)
{
	uint8_t few[STACK_BYTES];
	struct bytes table = message_headers(m);
	size_t cap = table.len + sizeof origin_header + UID_FIELD_BYTES;
	uint8_t *room = cap <= sizeof few ? few : alloc_resize(NULL, cap);
	struct writer w = writer_of(room, cap);
	if (write_table(core, &w, table, h, claim)) {
		m = message_set_headers(&core->messages, m, bytes_of(room, (size_t)(w.at - room)));
		m->has_uid = claim->is_copy || claim->has_producer;
	}
	if (room != few)
		free(room);
	return m;
}

struct message *claim_take(struct channel *ch, struct message *m, const struct headers *h)
{
	if (ch->claim == NULL)
		ch->claim = alloc_zeroed(sizeof *ch->claim);
	if (!read_claim(ch, h, ch->claim))
		return m;
	ch->has_claim = true;
	return rewrite(ch->core, m, h, ch->claim);
}

struct message *claim_give_back(struct core *core, struct message *m, const struct claim *claim)
{
	uint8_t few[STACK_BYTES];
	struct bytes table = message_headers(m);
	size_t cap = table.len + sizeof claim->name + UID_FIELD_BYTES * 3;
	uint8_t *room = cap <= sizeof few ? few : alloc_resize(NULL, cap);
	struct writer w = writer_of(room, cap);
	write_bytes(&w, table);
	table_write_str(&w, "x-producer-id", producer_text(claim_producer(claim)));
	table_write_long(&w, "x-producer-seq", (int64_t)claim->sequence);
	if (claim->epoch > 0)
		table_write_long(&w, "x-producer-epoch", (int64_t)claim->epoch);
	assert(!w.failed);
	m = message_set_headers(&core->messages, m, bytes_of(room, (size_t)(w.at - room)));
	if (room != few)
		free(room);
	return m;
}

/* --- x-message-uid --- */

struct message *message_with_uid(struct core *core, struct message *m)
{
	if (m->has_uid)
		return m;
	uint8_t field[UID_FIELD_BYTES];
	struct writer w = writer_of(field, sizeof field);
	write_uid(core, &w);
	assert(!w.failed && w.at == w.end);
	m = message_add_header(&core->messages, m, uid_header, bytes_of(field, sizeof field));
	m->has_uid = true;
	return m;
}
