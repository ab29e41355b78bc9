#include "http/gzip.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <zlib.h>

static size_t unpack(struct bytes packed, uint8_t *out, size_t cap)
{
	z_stream z = { .next_in = (uint8_t *)packed.data,
		       .avail_in = (uInt)packed.len,
		       .next_out = out,
		       .avail_out = (uInt)cap };
	cr_assert_eq(inflateInit2(&z, 15 + 16), Z_OK);
	cr_assert_eq(inflate(&z, Z_FINISH), Z_STREAM_END);
	size_t len = z.total_out;
	inflateEnd(&z);
	return len;
}

Test(http_gzip, gives_back_what_it_was_given)
{
	enum { LEN = 300000 };
	uint8_t *text = malloc(LEN), *out = malloc(LEN + 1);
	struct bytes packed;
	for (size_t i = 0; i < LEN; i++)
		text[i] = (uint8_t)((size_t)"{\"name\":"[i % 8] + i / 1000 % 7);
	cr_assert(gzip_compress(bytes_of(text, LEN), &packed));
	cr_assert_lt(packed.len, LEN / 10);
	cr_assert_eq(unpack(packed, out, LEN + 1), LEN);
	cr_assert_arr_eq(out, text, LEN);
	free((void *)packed.data);
	free(text);
	free(out);
}

Test(http_gzip, leaves_what_would_not_be_shorter)
{
	uint8_t text[2000];
	uint32_t x = 1;
	struct bytes packed = bytes_str("untouched");
	for (size_t i = 0; i < sizeof text; i++) {
		x = x * 1664525 + 1013904223;
		text[i] = (uint8_t)(x >> 24);
	}
	cr_assert_not(gzip_compress(bytes_of(text, sizeof text), &packed));
	cr_assert_not(gzip_compress(bytes_of(NULL, 0), &packed));
	cr_assert(bytes_equal_str(packed, "untouched"));
}
