#include "properties.h"
#include "table.h"

#include <criterion/criterion.h>

static struct properties full(uint8_t *headers, size_t size)
{
	struct writer w = writer_of(headers, size);
	table_write_int(&w, "a", 1);
	return (struct properties){
		.flags = 0xfffc,
		.content_type = bytes_str("text/plain"),
		.content_encoding = bytes_str("gzip"),
		.headers = bytes_of(headers, (size_t)(w.at - headers)),
		.delivery_mode = 2,
		.priority = 9,
		.correlation_id = bytes_str("c"),
		.reply_to = bytes_str("r"),
		.expiration = bytes_str("1000"),
		.message_id = bytes_str("m"),
		.timestamp = 1234567890123,
		.type = bytes_str("t"),
		.user_id = bytes_str("guest"),
		.app_id = bytes_str("app"),
		.cluster_id = bytes_str(""),
	};
}

Test(properties, all_of_them_round_trip)
{
	uint8_t headers[32], wire[256], again[256];
	struct properties p = full(headers, sizeof headers), q;
	struct writer w = writer_of(wire, sizeof wire), v = writer_of(again, sizeof again);
	properties_encode(&w, &p);
	size_t len = (size_t)(w.at - wire);
	cr_assert_eq(len, properties_size(&p));
	cr_assert(properties_decode(&q, bytes_of(wire, len)));
	cr_assert_eq(q.timestamp, 1234567890123);
	cr_assert(bytes_equal_str(q.user_id, "guest"));
	properties_encode(&v, &q);
	cr_assert_arr_eq(wire, again, len);
}

Test(properties, every_prefix_is_refused)
{
	uint8_t headers[32], wire[256];
	struct properties p = full(headers, sizeof headers), q;
	struct writer w = writer_of(wire, sizeof wire);
	properties_encode(&w, &p);
	for (size_t len = 0; len < (size_t)(w.at - wire); len++)
		cr_assert_not(properties_decode(&q, bytes_of(wire, len)), "%zu", len);
}

Test(properties, unknown_flags_and_trailing_bytes_are_refused)
{
	struct properties p;
	cr_assert_not(properties_decode(&p, bytes_of("\0\1", 2)), "a second flags word");
	cr_assert_not(properties_decode(&p, bytes_of("\0\2", 2)));
	cr_assert_not(properties_decode(&p, bytes_of("\0\0x", 3)));
	cr_assert(properties_decode(&p, bytes_of("\0\0", 2)));
}
