#include "template.h"

#include "frame.h"
#include "method.h"
#include "properties.h"
#include "table.h"

#include <criterion/criterion.h>
#include <stdlib.h>

/* Takes the next frame off the front of *rest. */
static struct frame next(struct bytes *rest)
{
	struct frame f;
	size_t used = 0;
	cr_assert_eq(frame_parse(*rest, 4096, &f, &used), FRAME_OK);
	*rest = bytes_of(rest->data + used, rest->len - used);
	return f;
}

Test(template, what_it_puts_is_a_publish_with_keys_and_a_stamp)
{
	struct template t;
	struct template_of of = {
		.channel = 7,
		.frame_max = 4096,
		.exchange = bytes_str("ex"),
		.routing_key = bytes_str("a.b"),
		.has_key_digits = true,
		.is_persistent = true,
		.idempotency_key = "me-",
		.size = 9000,
	};
	template_init(&t, &of);
	uint8_t *wire = malloc(t.len);
	struct stamp stamp = { 1234, 5, 6 }, found;
	template_put(&t, wire, &stamp, 42, 0xabc);
	struct bytes rest = bytes_of(wire, t.len);
	struct method m;
	cr_assert_eq(method_decode(&m, next(&rest).payload), METHOD_OK);
	cr_assert(bytes_equal_str(m.basic_publish.routing_key, "a.b.0000042"));
	cr_assert(bytes_equal_str(m.basic_publish.exchange, "ex"));
	struct bytes header = next(&rest).payload;
	struct properties p;
	struct bytes key;
	cr_assert_eq(load_u64(header.data + 4), 9000);
	cr_assert(properties_decode(
		&p, bytes_of(header.data + CONTENT_FLAGS_AT, header.len - CONTENT_FLAGS_AT)));
	cr_assert_eq(p.delivery_mode, 2);
	cr_assert(table_find_string(p.headers, "x-idempotency-key", &key));
	cr_assert(bytes_equal_str(key, "me-0000000000000abc"));
	size_t body = 0;
	for (bool is_first = true; rest.len > 0; is_first = false) {
		struct frame f = next(&rest);
		cr_assert_eq(f.type, FRAME_BODY);
		cr_assert_eq(f.channel, 7);
		if (is_first)
			memcpy(&found, f.payload.data, sizeof found);
		body += f.payload.len;
	}
	cr_assert_eq(body, 9000);
	cr_assert(found.due_ns == 1234 && found.stream == 5 && found.sequence == 6);
	free(wire);
	template_fini(&t);
}

Test(template, a_body_too_short_for_a_stamp_has_none)
{
	struct template t;
	struct template_of of = {
		.channel = 1, .frame_max = 4096, .routing_key = bytes_str("q"), .size = 15
	};
	template_init(&t, &of);
	cr_assert_eq(t.stamp_at, 0);
	template_fini(&t);
	of.size = 0;
	template_init(&t, &of);
	struct bytes rest = bytes_of(t.wire, t.len);
	next(&rest);
	next(&rest);
	cr_assert_eq(rest.len, 0);
	template_fini(&t);
}
