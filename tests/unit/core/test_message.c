#include "core/message.h"

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
