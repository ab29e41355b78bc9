#include "segment.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	      "the format is little-endian and so is every machine we build for");

static const uint64_t segment_magic = 0x0002474553564c00u | 'L'; /* "L", "LVSEG", version 2 */

static const uint64_t epoch_ms = 1577836800000u; /* 2020-01-01 */

enum message_flags {
	MESSAGE_IS_VOLATILE = 1,
	MESSAGE_IS_KEYED = 2,
	MESSAGE_IS_CURRENT = 4,
};

enum { RANGE_BYTES_MAX = 2 * VARINT_MAX, HEAD_CHECKSUM_AT = SEGMENT_HEAD_BYTES - 8 };

static uint32_t checksum(const uint8_t *data, size_t len)
{
	return (uint32_t)XXH3_64bits(data, len);
}

/* The head is filled in last, when the length is known. */
static uint8_t *entry_begin(struct writer *w, enum entry_kind kind)
{
	uint8_t *start = write_room(w, ENTRY_HEAD_BYTES);
	if (start != NULL)
		start[8] = (uint8_t)kind;
	return start;
}

static void entry_end(struct writer *w, uint8_t *start)
{
	assert(!w->failed);
	uint32_t len = (uint32_t)(w->at - start);
	memcpy(start + 4, &len, sizeof len);
	uint32_t sum = checksum(start + 4, len - 4);
	memcpy(start, &sum, sizeof sum);
}

void entry_write_message(struct writer *w, const struct message_record *m)
{
	uint8_t *start = entry_begin(w, ENTRY_MESSAGE);
	write_u8(w, (uint8_t)((m->is_volatile ? MESSAGE_IS_VOLATILE : 0) |
			      (m->is_keyed ? MESSAGE_IS_KEYED : 0) |
			      (m->is_old ? 0 : MESSAGE_IS_CURRENT)));
	write_varint(w, zigzag(m->time_ms - epoch_ms));
	write_varint(w, m->places_len);
	for (uint32_t i = 0; i < m->places_len; i++) {
		write_varint(w, m->places[i].queue);
		write_varint(w, m->places[i].position);
	}
	write_varint(w, m->expiry_ms == 0 ? 0 : zigzag(m->expiry_ms - epoch_ms) + 1);
	write_shortstr(w, m->exchange);
	write_shortstr(w, m->routing_key);
	write_varint(w, m->properties.len);
	write_bytes(w, m->properties);
	write_bytes(w, m->body);
	entry_end(w, start);
}

void entry_write_ranges(struct writer *w, enum entry_kind kind, uint32_t queue,
			const struct range *ranges, size_t ranges_len)
{
	uint8_t *start = entry_begin(w, kind);
	write_varint(w, queue);
	write_varint(w, ranges_len);
	uint64_t end = 0;
	for (size_t i = 0; i < ranges_len; i++) {
		write_varint(w, zigzag(ranges[i].start - end));
		write_varint(w, ranges[i].len);
		end = ranges[i].start + ranges[i].len;
	}
	entry_end(w, start);
}

void entry_write_put(struct writer *w, enum entry_kind kind, struct bytes key, struct bytes value)
{
	uint8_t *start = entry_begin(w, kind);
	write_varint(w, key.len);
	write_bytes(w, key);
	write_bytes(w, value);
	entry_end(w, start);
}

void entry_write_skip(uint8_t *data, uint32_t bytes)
{
	assert(bytes >= SKIP_BYTES);
	struct writer w = writer_of(data, SKIP_BYTES);
	uint8_t *start = entry_begin(&w, ENTRY_SKIP);
	write_raw(&w, &bytes, sizeof bytes);
	entry_end(&w, start);
}

size_t entry_message_size_max(const struct message_record *m)
{
	return ENTRY_HEAD_BYTES + 1 + 4 * VARINT_MAX + (size_t)m->places_len * 2 * VARINT_MAX + 1 +
	       m->exchange.len + 1 + m->routing_key.len + m->properties.len + m->body.len;
}

size_t entry_ranges_size_max(size_t ranges_len)
{
	return ENTRY_HEAD_BYTES + 2 * VARINT_MAX + ranges_len * RANGE_BYTES_MAX;
}

size_t entry_put_size_max(struct bytes key, struct bytes value)
{
	return ENTRY_HEAD_BYTES + VARINT_MAX + key.len + value.len;
}

void segment_seal(uint8_t *data, struct segment_head head)
{
	head.magic = segment_magic;
	head.checksum = XXH3_64bits(&head, HEAD_CHECKSUM_AT);
	memcpy(data, &head, sizeof head);
}

bool segment_open(struct bytes data, uint64_t at, struct segment_head *head)
{
	if (data.len < sizeof *head)
		return false;
	memcpy(head, data.data, sizeof *head);
	return head->magic == segment_magic && head->at == at && head->bytes >= sizeof *head &&
	       head->checksum == XXH3_64bits(head, HEAD_CHECKSUM_AT);
}

static bool places_skip(struct reader *r, uint32_t len)
{
	for (uint32_t i = 0; i < len && !r->failed; i++) {
		read_varint(r);
		read_varint(r);
	}
	return !r->failed;
}

static bool message_read(struct reader *r, struct entry *out)
{
	struct message_record *m = &out->message;
	uint8_t flags = read_u8(r);
	m->is_volatile = flags & MESSAGE_IS_VOLATILE;
	m->is_keyed = flags & MESSAGE_IS_KEYED;
	m->is_old = (flags & MESSAGE_IS_CURRENT) == 0;
	m->time_ms = epoch_ms + unzigzag(read_varint(r));
	uint64_t places_len = read_varint(r);
	if (places_len == 0 || places_len > reader_left(r))
		return false;
	m->places_len = (uint32_t)places_len;
	const uint8_t *places = r->at;
	if (!places_skip(r, m->places_len))
		return false;
	out->rest = reader_of(places, (size_t)(r->at - places));
	uint64_t expiry = read_varint(r);
	m->expiry_ms = expiry == 0 ? 0 : epoch_ms + unzigzag(expiry - 1);
	m->exchange = read_shortstr(r);
	m->routing_key = read_shortstr(r);
	m->properties = read_bytes(r, read_varint(r));
	m->body = read_bytes(r, reader_left(r));
	return !r->failed;
}

static bool ranges_read(struct reader *r, struct entry *out)
{
	out->queue = (uint32_t)read_varint(r);
	uint64_t ranges_len = read_varint(r);
	if (ranges_len > reader_left(r))
		return false;
	out->ranges_len = (uint32_t)ranges_len;
	out->rest = *r;
	out->range_end = 0;
	return !r->failed;
}

static bool put_read(struct reader *r, struct entry *out)
{
	out->key = read_bytes(r, read_varint(r));
	out->value = read_bytes(r, reader_left(r));
	return !r->failed && out->key.len > 0;
}

uint32_t entry_length(const uint8_t *start)
{
	uint32_t len;
	memcpy(&len, start + 4, sizeof len);
	return len < ENTRY_HEAD_BYTES ? 0 : len;
}

/* A skip's own few bytes have been read; what it stands for is longer. */
static bool skip_read(struct reader *r, uint32_t left, uint32_t *bytes)
{
	const uint8_t *p = read_raw(r, sizeof *bytes);
	if (p == NULL)
		return false;
	memcpy(bytes, p, sizeof *bytes);
	return *bytes >= SKIP_BYTES && *bytes <= left && *bytes % ENTRY_ALIGN == 0;
}

int entry_read(struct bytes segment, uint64_t segment_at, uint32_t offset, struct entry *out,
	       uint32_t *next)
{
	*next = 0;
	if (offset == segment.len)
		return ENTRY_END;
	if (offset > segment.len || segment.len - offset < ENTRY_HEAD_BYTES ||
	    offset % ENTRY_ALIGN != 0)
		return ENTRY_DAMAGED;
	const uint8_t *start = segment.data + offset;
	uint32_t sum, len = entry_length(start), left = (uint32_t)segment.len - offset, skipped;
	memcpy(&sum, start, sizeof sum);
	if (len == 0 || len > left)
		return ENTRY_DAMAGED;
	uint64_t padded = align_up((uint64_t)offset + len, ENTRY_ALIGN);
	*next = (uint32_t)(padded > segment.len ? segment.len : padded);
	if (sum != checksum(start + 4, len - 4))
		return ENTRY_DAMAGED;

	struct reader r = reader_of(start + ENTRY_HEAD_BYTES, len - ENTRY_HEAD_BYTES);
	*out = (struct entry){ .kind = (enum entry_kind)start[8], .at = segment_at + offset };
	switch (out->kind) {
	case ENTRY_MESSAGE: return message_read(&r, out) ? ENTRY_OK : ENTRY_DAMAGED;
	case ENTRY_REMOVED:
	case ENTRY_DELIVERED:
	case ENTRY_BYTES:
	case ENTRY_RETURNED: return ranges_read(&r, out) ? ENTRY_OK : ENTRY_DAMAGED;
	case ENTRY_PUT:
	case ENTRY_NOTE:
	case ENTRY_DELETE: return put_read(&r, out) ? ENTRY_OK : ENTRY_DAMAGED;
	case ENTRY_SKIP:
		if (!skip_read(&r, left, &skipped))
			return ENTRY_DAMAGED;
		*next = offset + skipped;
		return ENTRY_OK;
	}
	return ENTRY_DAMAGED;
}

bool entry_next_place(struct entry *e, struct place *place)
{
	if (reader_left(&e->rest) == 0)
		return false;
	place->queue = (uint32_t)read_varint(&e->rest);
	place->position = read_varint(&e->rest);
	return true;
}

bool entry_next_range(struct entry *e, struct range *range)
{
	if (e->ranges_len == 0)
		return false;
	e->ranges_len--;
	range->start = e->range_end + unzigzag(read_varint(&e->rest));
	range->len = read_varint(&e->rest);
	e->range_end = range->start + range->len;
	return !e->rest.failed;
}

bool entry_has_place(struct entry *e, struct place place)
{
	for (struct place next; entry_next_place(e, &next);)
		if (next.queue == place.queue && next.position == place.position)
			return true;
	return false;
}
