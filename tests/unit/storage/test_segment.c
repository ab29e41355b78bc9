#include "segment.h"

#include <criterion/criterion.h>

enum { BASE_MS = 1000000, AT = 42 * SEGMENT_ALIGN };

/* A sealed segment with one message and one change; returns its length. */
static size_t build(uint8_t *data)
{
	static const struct place places[] = { { 1, 7 }, { 300, UINT64_MAX / 2 } };
	static const struct range ranges[] = { { 100, 3 }, { 5, 1 }, { 1ull << 40, 9 } };
	struct message_record m = {
		.time_ms = BASE_MS - 5,
		.expiry_ms = BASE_MS + 60000,
		.places = places,
		.places_len = 2,
		.exchange = bytes_str("x"),
		.routing_key = bytes_str("a.b"),
		.properties = bytes_of("\0\0", 2),
		.body = bytes_str("hello"),
	};
	size_t len = SEGMENT_HEAD_BYTES;
	struct writer w = writer_of(data + len, 1000);
	entry_write_message(&w, &m);
	len = ((size_t)(w.at - data) + 7) & ~(size_t)7;
	w = writer_of(data + len, 1000);
	entry_write_ranges(&w, ENTRY_REMOVED, 9, ranges, 3);
	len = ((size_t)(w.at - data) + 7) & ~(size_t)7;
	segment_seal(data, (struct segment_head){ .at = AT, .bytes = (uint32_t)len, .entries = 2 });
	return len;
}

Test(segment, entries_are_read_back_as_written)
{
	static uint8_t data[4096];
	struct bytes segment = bytes_of(data, build(data));
	struct segment_head head;
	struct entry e;
	struct place place;
	struct range range;
	uint32_t next;
	cr_assert(segment_open(segment, AT, &head));
	cr_assert_eq(entry_read(segment, AT, SEGMENT_HEAD_BYTES, &e, &next), ENTRY_OK);
	cr_assert_eq(e.message.time_ms, BASE_MS - 5);
	cr_assert_eq(e.message.expiry_ms, BASE_MS + 60000);
	cr_assert(bytes_equal_str(e.message.body, "hello"));
	cr_assert(bytes_equal_str(e.message.routing_key, "a.b"));
	cr_assert(entry_next_place(&e, &place) && place.queue == 1 && place.position == 7);
	cr_assert(entry_next_place(&e, &place) && place.queue == 300 &&
		  place.position == UINT64_MAX / 2);
	cr_assert_not(entry_next_place(&e, &place));

	cr_assert_eq(entry_read(segment, AT, next, &e, &next), ENTRY_OK);
	cr_assert_eq(e.kind, ENTRY_REMOVED);
	cr_assert_eq(e.queue, 9);
	cr_assert(entry_next_range(&e, &range) && range.start == 100 && range.len == 3);
	cr_assert(entry_next_range(&e, &range) && range.start == 5 && range.len == 1);
	cr_assert(entry_next_range(&e, &range) && range.start == 1ull << 40 && range.len == 9);
	cr_assert_not(entry_next_range(&e, &range));
	cr_assert_eq(entry_read(segment, AT, next, &e, &next), ENTRY_END);
}

/* Whatever bit is flipped, nothing wrong is ever read: either the header or the entry that holds it
 * is refused. */
Test(segment, every_flipped_bit_is_noticed)
{
	static uint8_t data[4096], good[4096];
	size_t len = build(data);
	memcpy(good, data, len);
	for (size_t bit = 0; bit < len * 8; bit++) {
		struct segment_head head;
		struct entry e;
		uint32_t next, damaged = 0, at = SEGMENT_HEAD_BYTES;
		data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		bool is_open = segment_open(bytes_of(data, len), AT, &head);
		for (int rc = ENTRY_OK; is_open && rc != ENTRY_END && at != 0; at = next) {
			rc = entry_read(bytes_of(data, len), AT, at, &e, &next);
			damaged += rc == ENTRY_DAMAGED;
		}
		bool is_padding = bit / 8 >= SEGMENT_HEAD_BYTES && is_open && damaged == 0;
		if (is_padding) /* Between entries, nothing is stored. */
			cr_assert_eq(good[bit / 8], 0);
		memcpy(data, good, len);
	}
}

Test(segment, belongs_to_its_number)
{
	static uint8_t data[4096];
	struct segment_head head;
	size_t len = build(data);
	cr_assert_not(segment_open(bytes_of(data, len), AT + SEGMENT_ALIGN, &head));
	cr_assert_not(segment_open(bytes_of(data, SEGMENT_HEAD_BYTES - 1), AT, &head));
}

Test(segment, a_location_keeps_address_and_kind)
{
	uint64_t at = 1ull << 60;
	cr_assert_eq(location_at(location_of(at, false)), at);
	cr_assert_eq(location_at(location_of(at, true)), at);
	cr_assert(location_is_volatile(location_of(at, true)));
	cr_assert_not(location_is_volatile(location_of(at, false)));
}

Test(segment, a_skip_stands_for_bytes_that_may_be_anything)
{
	static uint8_t data[4096];
	uint32_t next;
	struct entry e;
	memset(data, 0xee, sizeof data);
	entry_write_skip(data, 3000);
	cr_assert_eq(entry_read(bytes_of(data, 3000), 0, 0, &e, &next), ENTRY_OK);
	cr_assert_eq(e.kind, ENTRY_SKIP);
	cr_assert_eq(next, 3000);
	cr_assert_eq(entry_read(bytes_of(data, 2992), 0, 0, &e, &next), ENTRY_DAMAGED,
		     "not beyond the segment");
}

Test(segment, definitions_are_read_back_as_written)
{
	static uint8_t data[100];
	uint32_t next;
	struct entry e;
	struct writer w = writer_of(data, sizeof data);
	entry_write_put(&w, ENTRY_PUT, bytes_str("key"), bytes_str("value"));
	size_t len = (size_t)(w.at - data);
	cr_assert_eq(entry_read(bytes_of(data, len), 0, 0, &e, &next), ENTRY_OK);
	cr_assert(bytes_equal_str(e.key, "key"));
	cr_assert(bytes_equal_str(e.value, "value"));
}
