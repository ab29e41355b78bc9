#include "core/message/message.h"

#include "table.h"

#include <criterion/criterion.h>

Test(message, is_assembled_from_parts_and_keeps_its_wire_form)
{
	static uint8_t body[100000];
	struct message_pool pool;
	message_pool_init(&pool);
	for (size_t i = 0; i < sizeof body; i++)
		body[i] = (uint8_t)(i * 7);
	struct message *m = message_create(&pool, bytes_str("ex"), bytes_str("key"),
					   bytes_of("\0\0", 2), sizeof body);
	for (size_t at = 0; at < sizeof body;) {
		size_t part = sizeof body - at < 3333 ? sizeof body - at : 3333;
		cr_assert(message_append(&pool, &m, bytes_of(body + at, part)));
		at += part;
	}
	cr_assert(bytes_equal_str(message_exchange(m), "ex"));
	cr_assert(bytes_equal_str(message_routing_key(m), "key"));
	cr_assert(bytes_equal(message_tail(m), bytes_of("\2ex\3key", 7)));
	cr_assert(bytes_equal(message_body(m), bytes_of(body, sizeof body)));
	cr_assert_eq(load_u64(message_header(m).data + 4), sizeof body);
	message_unref(&pool, message_ref(m));
	cr_assert_eq(pool.count, 1);
	message_unref(&pool, m);
	cr_assert_eq(pool.bytes, 0);
	message_pool_fini(&pool);
}

Test(message, an_announced_body_takes_no_memory_until_it_comes)
{
	struct message_pool pool;
	message_pool_init(&pool);
	struct message *m = message_create(&pool, bytes_str(""), bytes_str("q"),
					   bytes_of("\0\0", 2), 128 << 20);
	cr_assert_lt(pool.bytes, 20000);
	message_unref(&pool, m);
	message_pool_fini(&pool);
}

/* --- headers --- */

static struct bytes encode(uint8_t *wire, size_t size, struct bytes table)
{
	struct properties p = { .flags = HAS_headers | HAS_message_id,
				.headers = table,
				.message_id = bytes_str("after the headers") };
	struct writer w = writer_of(wire, size);
	properties_encode(&w, &p);
	cr_assert_not(w.failed);
	return bytes_of(wire, (size_t)(w.at - wire));
}

Test(message, gets_other_headers_before_and_after_its_body)
{
	static const size_t lens[] = { 0, 10, 40, 300 };
	for (int round = 0; round < 32; round++) {
		uint8_t first[400], second[400], wire[500];
		struct writer a = writer_of(first, sizeof first),
			      b = writer_of(second, sizeof second);
		struct properties p;
		struct message_pool pool;
		memset(wire, 'x', sizeof wire);
		if (round % 4 > 0)
			table_write_str(&a, "old", bytes_of(wire, lens[round % 4]));
		table_write_str(&b, "new", bytes_of(wire, lens[round / 4 % 4]));
		struct bytes table = bytes_of(second, (size_t)(b.at - second));
		struct bytes before = bytes_of(first, (size_t)(a.at - first));
		message_pool_init(&pool);
		struct message *m = message_create(&pool, bytes_str("ex"), bytes_str("key"),
						   encode(wire, sizeof wire, before), 4);
		struct message *other = NULL;
		bool is_early = round >= 16 && before.len > 0;
		if (!is_early)
			cr_assert(message_append(&pool, &m, bytes_str("body")));
		if (round % 3 == 0 && !is_early)
			other = message_ref(m);
		m = message_set_headers(&pool, m, table);
		if (is_early)
			cr_assert(message_append(&pool, &m, bytes_str("body")));
		cr_assert(properties_decode(&p, message_properties(m)));
		cr_assert(bytes_equal(p.headers, table), "round %d", round);
		cr_assert(bytes_equal_str(p.message_id, "after the headers"));
		cr_assert(bytes_equal_str(message_body(m), "body"));
		cr_assert(bytes_equal_str(message_routing_key(m), "key"));
		if (other != NULL) {
			cr_assert(bytes_equal(message_headers(other), before));
			message_unref(&pool, other);
		}
		message_unref(&pool, m);
		cr_assert_eq(pool.bytes, 0);
		message_pool_fini(&pool);
	}
}

/* An older release stored, and delivered, what is for the broker only. */
Test(message, of_an_older_release_comes_back_without_its_producers_number)
{
	uint8_t headers[200], wire[300];
	struct message_pool pool;
	struct writer h = writer_of(headers, sizeof headers);
	struct table_value v;
	table_write_str(&h, "x-producer-id", bytes_str("relay"));
	table_write_long(&h, "x-producer-seq", 7);
	table_write_str(&h, "kept", bytes_str("yes"));
	table_write_long(&h, "x-producer-epoch", 1);
	struct message_record record = {
		.exchange = bytes_str("ex"),
		.routing_key = bytes_str("key"),
		.properties =
			encode(wire, sizeof wire, bytes_of(headers, (size_t)(h.at - headers))),
		.body = bytes_str("body"),
		.time_ms = 5,
		.expiry_ms = 6,
	};
	message_pool_init(&pool);
	for (int i = 0; i < 2; i++) {
		record.is_old = i == 1;
		struct message *m = message_recall(&pool, &record);
		struct bytes table = message_headers(m);
		cr_assert_eq(table_find(table, "x-producer-id", &v), !record.is_old);
		cr_assert_eq(table_find(table, "x-producer-seq", &v), !record.is_old);
		cr_assert_eq(table_find(table, "x-producer-epoch", &v), !record.is_old);
		cr_assert(table_find(table, "kept", &v));
		cr_assert(bytes_equal_str(message_body(m), "body"));
		cr_assert_eq(m->time_ms, 5);
		cr_assert_eq(m->expires_ms, 6);
		cr_assert_eq(m->is_keyed, record.is_old); /* Perhaps. */
		message_unref(&pool, m);
	}
	message_pool_fini(&pool);
}
