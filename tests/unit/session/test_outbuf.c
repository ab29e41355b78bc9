#include "base/prng.h"
#include "session/outbuf.h"

#include <criterion/criterion.h>

Test(outbuf, gives_back_what_went_in_whatever_the_writes)
{
	static uint8_t in[300000], out_bytes[300000];
	struct message_pool messages;
	struct outbuf_pool pool;
	struct outbuf out;
	struct prng prng = { 2 };
	message_pool_init(&messages);
	outbuf_pool_init(&pool, &messages);
	outbuf_init(&out, &pool);
	struct message *m =
		message_create(&messages, bytes_str(""), bytes_str(""), bytes_of("\0\0", 2), 50000);
	for (size_t i = 0; i < sizeof in; i++)
		in[i] = (uint8_t)prng_next(&prng);
	message_append(&messages, &m, bytes_of(in + 100000, 50000));
	outbuf_copy(&out, bytes_of(in, 100000));
	outbuf_refer(&out, m, message_body(m));
	memcpy(outbuf_room(&out, 16), in + 150000, 16);
	outbuf_commit(&out, 16);
	outbuf_copy(&out, bytes_of(in + 150016, sizeof in - 150016));
	message_unref(&messages, m);
	cr_assert_eq(out.len, sizeof in);
	for (size_t at = 0; out.len > 0;) {
		struct iovec iov[4];
		cr_assert_gt(outbuf_iovec(&out, iov, 4), 0);
		size_t n = 1 + prng_below(&prng, (uint32_t)iov[0].iov_len);
		memcpy(out_bytes + at, iov[0].iov_base, n);
		outbuf_consume(&out, n);
		at += n;
	}
	cr_assert_arr_eq(in, out_bytes, sizeof in);
	cr_assert_eq(messages.count, 0);
	cr_assert_null(out.head, "an empty outbuf holds no memory");
	outbuf_fini(&out);
	outbuf_pool_fini(&pool);
	message_pool_fini(&messages);
}
