#include "core/message/message.h"
#include "core/message/headers.h"

#include "table.h"

#include <assert.h>
#include <stdlib.h>

enum { FIRST_BODY_MAX = 16 * 1024 }; /* Set aside for a body before any of it has come. */

void message_pool_init(struct message_pool *pool)
{
	slab_init(&pool->slab);
	pool->bytes = pool->count = 0;
}

void message_pool_fini(struct message_pool *pool)
{
	assert(pool->count == 0);
	slab_fini(&pool->slab);
}

/* Everything but what the header holds. */
static struct message *create(struct message_pool *pool, size_t exchange_len,
			      size_t routing_key_len, size_t header_len, uint64_t body_len)
{
	size_t before_body = 2 + exchange_len + routing_key_len + header_len;
	size_t cap = before_body + (size_t)(body_len < FIRST_BODY_MAX ? body_len : FIRST_BODY_MAX);
	struct message *m = slab_alloc(&pool->slab, sizeof *m + cap);
	if (m == NULL)
		return NULL;
	*m = (struct message){
		.refs = 1,
		.exchange_len = (uint8_t)exchange_len,
		.routing_key_len = (uint8_t)routing_key_len,
		.header_len = (uint32_t)header_len,
		.body_len = body_len,
		.cap = cap,
	};
	pool->bytes += slab_rounded(sizeof *m + cap);
	pool->count++;
	return m;
}

struct message *message_create(struct message_pool *pool, struct bytes exchange,
			       struct bytes routing_key, struct bytes properties, uint64_t body_len)
{
	struct message *m = create(pool, exchange.len, routing_key.len,
				   CONTENT_FLAGS_AT + properties.len, body_len);
	if (m == NULL)
		return NULL;
	struct writer w = writer_of(m->data, m->cap);
	write_shortstr(&w, exchange);
	write_shortstr(&w, routing_key);
	write_u16(&w, CLASS_BASIC);
	write_u16(&w, 0);
	write_u64(&w, m->body_len);
	write_bytes(&w, properties);
	assert(!w.failed);
	return m;
}

struct message *message_create_wire(struct message_pool *pool, struct bytes tail,
				    struct bytes header, uint64_t body_len)
{
	size_t exchange_len = tail.data[0], routing_key_len = tail.data[1 + exchange_len];
	assert(tail.len == 2 + exchange_len + routing_key_len && header.len >= CONTENT_FLAGS_AT);
	struct message *m = create(pool, exchange_len, routing_key_len, header.len, body_len);
	if (m == NULL)
		return NULL;
	memcpy(m->data, tail.data, tail.len);
	memcpy(m->data + tail.len, header.data, header.len);
	return m;
}

/* Room for `need` bytes of data, by doubling and never beyond the announced body. */
static bool grow(struct message_pool *pool, struct message **m, size_t need, size_t most)
{
	size_t cap = (*m)->cap * 2 > need ? (*m)->cap * 2 : need;
	if (cap > most)
		cap = most;
	struct message *bigger = slab_alloc(&pool->slab, sizeof *bigger + cap);
	if (bigger == NULL)
		return false;
	size_t old = sizeof *bigger + (*m)->cap;
	memcpy(bigger, *m, old);
	bigger->cap = cap;
	slab_free(&pool->slab, *m, old);
	pool->bytes += slab_rounded(sizeof *bigger + cap) - slab_rounded(old);
	*m = bigger;
	return true;
}

bool message_append(struct message_pool *pool, struct message **m, struct bytes part)
{
	assert((*m)->refs == 1);
	assert(part.len <= (*m)->body_len - (*m)->body_filled);
	size_t before_body = message_tail(*m).len + (*m)->header_len;
	size_t at = before_body + (size_t)(*m)->body_filled;
	if (at + part.len > (*m)->cap &&
	    !grow(pool, m, at + part.len, before_body + (size_t)(*m)->body_len))
		return false;
	if (part.len > 0)
		memcpy((*m)->data + at, part.data, part.len);
	(*m)->body_filled += part.len;
	return true;
}

struct message *message_remake(struct message_pool *pool, const struct message *old,
			       struct bytes exchange, struct bytes routing_key,
			       const struct properties *properties)
{
	size_t size = properties_size(properties);
	uint8_t *wire = malloc(size);
	if (wire == NULL)
		return NULL;
	struct writer w = writer_of(wire, size);
	properties_encode(&w, properties);
	assert(!w.failed && w.at == w.end);
	struct message *m =
		message_create(pool, exchange, routing_key, bytes_of(wire, size), old->body_len);
	free(wire);
	if (m == NULL)
		return NULL;
	if (!message_append(pool, &m, message_body(old))) {
		message_unref(pool, m);
		return NULL;
	}
	m->is_persistent = old->is_persistent;
	m->time_ms = old->time_ms;
	m->expires_ms = old->expires_ms;
	m->priority = old->priority;
	return m;
}

struct bytes message_headers(const struct message *m)
{
	struct bytes properties = message_properties(m);
	struct reader r = reader_of(properties.data, properties.len);
	uint16_t flags = read_u16(&r);
	if ((flags & HAS_headers) == 0 || (flags & 1) != 0)
		return bytes_of(NULL, 0);
	if (flags & HAS_content_type)
		read_shortstr(&r);
	if (flags & HAS_content_encoding)
		read_shortstr(&r);
	struct bytes table = read_longstr(&r);
	return r.failed ? bytes_of(NULL, 0) : table;
}

/* Opens a gap in the only copy of a message. */
static bool open_gap(struct message_pool *pool, struct message **m, size_t at, size_t len)
{
	size_t used = message_tail(*m).len + (*m)->header_len + (size_t)(*m)->body_filled;
	(*m)->cap = slab_usable(sizeof **m + (*m)->cap) - sizeof **m;
	if (used + len > (*m)->cap && !grow(pool, m, used + len, used + len))
		return false;
	memmove((*m)->data + at + len, (*m)->data + at, used - at);
	(*m)->header_len += (uint32_t)len;
	return true;
}

static void close_gap(struct message *m, size_t at, size_t len)
{
	size_t used = message_tail(m).len + m->header_len + (size_t)m->body_filled;
	memmove(m->data + at, m->data + at + len, used - at - len);
	m->header_len -= (uint32_t)len;
}

/* Of a message that has no headers, or that others have, too. */
static struct message *remake_with_headers(struct message_pool *pool, struct message *m,
					   struct bytes table)
{
	struct properties p;
	if (!properties_decode(&p, message_properties(m)))
		return m;
	p.flags |= HAS_headers;
	p.headers = table;
	struct message *made =
		message_remake(pool, m, message_exchange(m), message_routing_key(m), &p);
	if (made == NULL)
		return m;
	made->is_keyed = m->is_keyed;
	message_unref(pool, m);
	return made;
}

static struct message *remake_with_header(struct message_pool *pool, struct message *m,
					  struct bytes field)
{
	struct bytes table = message_headers(m);
	size_t len = table.len + field.len;
	uint8_t *headers = malloc(len);
	if (headers == NULL)
		return m;
	struct writer w = writer_of(headers, len);
	write_bytes(&w, table);
	write_bytes(&w, field);
	m = remake_with_headers(pool, m, bytes_of(headers, len));
	free(headers);
	return m;
}

struct message *message_set_headers(struct message_pool *pool, struct message *m,
				    struct bytes table)
{
	struct bytes old = message_headers(m);
	if (old.len == 0 || m->refs > 1)
		return m->body_filled == m->body_len ? remake_with_headers(pool, m, table) : m;
	size_t at = (size_t)(old.data - m->data);
	if (table.len < old.len)
		close_gap(m, at + table.len, old.len - table.len);
	else if (!open_gap(pool, &m, at + old.len, table.len - old.len))
		return m;
	memcpy(m->data + at, table.data, table.len);
	store_u32(m->data + at - 4, (uint32_t)table.len);
	return m;
}

struct message *message_add_header(struct message_pool *pool, struct message *m, const char *name,
				   struct bytes field)
{
	struct table_value v;
	struct bytes table = message_headers(m);
	if (table_find(table, name, &v))
		return m;
	if (table.len == 0 || m->refs > 1)
		return m->body_filled == m->body_len ? remake_with_header(pool, m, field) : m;
	size_t at = (size_t)(table.data - m->data);
	if (!open_gap(pool, &m, at + table.len, field.len))
		return m;
	memcpy(m->data + at + table.len, field.data, field.len);
	store_u32(m->data + at - 4, (uint32_t)(table.len + field.len));
	return m;
}

uint8_t properties_priority(struct bytes properties)
{
	struct properties p;
	if (properties.len < 2 || (load_u16(properties.data) & HAS_priority) == 0)
		return 0;
	return properties_decode(&p, properties) ? p.priority : 0;
}

/* Older releases kept and delivered what is for the broker only: who published it again, as it was,
 * would be taken for its producer. */
static struct message *without_old_headers(struct message_pool *pool, struct message *m)
{
	struct bytes table = message_headers(m), rest = table, name;
	struct table_value v;
	if (!table_find(table, "x-producer-id", &v))
		return m;
	uint8_t *kept = malloc(table.len);
	if (kept == NULL)
		return m;
	struct writer w = writer_of(kept, table.len);
	while (table_next(&rest, &name, &v))
		if (!header_is_for_broker(name))
			table_write_value(&w, name, &v);
	m = message_set_headers(pool, m, bytes_of(kept, (size_t)(w.at - kept)));
	free(kept);
	return m;
}

struct message *message_recall(struct message_pool *pool, const struct message_record *record)
{
	struct message *m = message_create(pool, record->exchange, record->routing_key,
					   record->properties, record->body.len);
	if (m == NULL)
		return NULL;
	if (!message_append(pool, &m, record->body)) {
		message_unref(pool, m);
		return NULL;
	}
	m->time_ms = record->time_ms;
	m->expires_ms = record->expiry_ms;
	m->priority = properties_priority(record->properties);
	m->is_keyed =
		record->is_keyed || (record->is_old && message_headers(m).len > 0); /* Perhaps. */
	return record->is_old ? without_old_headers(pool, m) : m;
}

bool message_wants_persistence(const struct message *m)
{
	struct properties p;
	return properties_decode(&p, message_properties(m)) &&
	       p.delivery_mode == DELIVERY_MODE_PERSISTENT;
}

struct message *message_ref(struct message *m)
{
	assert(m->refs > 0);
	m->refs++;
	return m;
}

void message_unref(struct message_pool *pool, struct message *m)
{
	assert(m->refs > 0);
	if (--m->refs > 0)
		return;
	size_t size = sizeof *m + m->cap;
	pool->bytes -= slab_rounded(size);
	pool->count--;
	slab_free(&pool->slab, m, size);
}
