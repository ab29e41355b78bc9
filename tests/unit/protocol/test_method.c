#include "base/prng.h"
#include "method.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static const uint32_t all[] = {
#define METHOD(symbol, name, class, method, content, fields) METHOD_##symbol,
#include "methods.def"
#undef METHOD
};
enum { METHODS = sizeof all / sizeof *all };

/* Fills a method with random values that the wire can carry: through its own decoder, from random
 * bytes. */
static void random_method(struct prng *prng, uint32_t id, struct method *m, uint8_t *buffer)
{
	struct method blank = { .id = id };
	struct writer w = writer_of(buffer, 4096);
	method_encode(&w, &blank);
	size_t len = (size_t)(w.at - buffer);
	cr_assert_eq(method_decode(m, bytes_of(buffer, len)), METHOD_OK);
	for (size_t i = 4; i < len; i++)
		buffer[i] = (uint8_t)prng_below(prng, 3); /* Small lengths, and some bits. */
	for (size_t more = 0; more < 60 && method_decode(m, bytes_of(buffer, len)) != METHOD_OK;
	     more++)
		buffer[len++] = (uint8_t)prng_below(prng, 2);
}

Test(method, every_method_round_trips)
{
	struct prng prng = { 11 };
	size_t decoded = 0;
	for (size_t i = 0; i < METHODS; i++)
		for (int round = 0; round < 200; round++) {
			static uint8_t buffer[4096], again[4096], twice[4096];
			struct method m, n;
			random_method(&prng, all[i], &m, buffer);
			if (m.id != all[i])
				continue;
			size_t size = method_size(&m);
			struct writer w = writer_of(again, sizeof again);
			method_encode(&w, &m);
			if (w.failed)
				continue;
			cr_assert_eq((size_t)(w.at - again), size, "%s", method_name(m.id));
			if (method_decode(&n, bytes_of(again, size)) != METHOD_OK)
				continue;
			struct writer v = writer_of(twice, sizeof twice);
			method_encode(&v, &n);
			cr_assert_eq(memcmp(again, twice, size), 0, "%s", method_name(m.id));
			decoded++;
		}
	cr_assert_gt(decoded, METHODS * 100);
}

Test(method, every_prefix_is_truncated_and_one_byte_more_is_too_many)
{
	for (size_t i = 0; i < METHODS; i++) {
		uint8_t buffer[512];
		struct method m = { .id = all[i] }, out;
		struct writer w = writer_of(buffer, sizeof buffer);
		method_encode(&w, &m);
		size_t len = (size_t)(w.at - buffer);
		for (size_t cut = 0; cut < len;
		     cut++) { /* A copy of just that size, for the sanitizers to guard. */
			uint8_t *exact = malloc(cut + 1);
			memcpy(exact, buffer, cut);
			cr_assert_eq(method_decode(&out, bytes_of(exact, cut)), METHOD_TRUNCATED,
				     "%s", method_name(all[i]));
			free(exact);
		}
		buffer[len] = 0;
		cr_assert_eq(method_decode(&out, bytes_of(buffer, len + 1)), METHOD_TRUNCATED);
	}
}

Test(method, bits_share_an_octet)
{
	uint8_t buffer[64];
	struct method m = { .id = METHOD_queue_declare };
	m.queue_declare.passive = true;
	m.queue_declare.exclusive = true;
	m.queue_declare.nowait = true;
	struct writer w = writer_of(buffer, sizeof buffer);
	method_encode(&w, &m);
	cr_assert_eq(buffer[4 + 2 + 1], 1 << 0 | 1 << 2 | 1 << 4);
	cr_assert_eq(w.at - buffer, 4 + 2 + 1 + 1 + 4);
}

Test(method, unknown_ones_have_no_name)
{
	uint8_t data[] = { 0, 50, 0, 99 };
	struct method m;
	cr_assert_eq(method_decode(&m, bytes_of(data, sizeof data)), METHOD_UNKNOWN);
	cr_assert_null(method_name(m.id));
	cr_assert_str_eq(method_name(METHOD_basic_publish), "basic.publish");
	cr_assert(method_has_content(METHOD_basic_publish));
	cr_assert_not(method_has_content(METHOD_basic_ack));
}

Test(method, short_strings_must_be_utf8)
{
	uint8_t data[] = { 0, 50, 0, 30, 0, 0, 2, 0xff, 0xfe, 0 };
	struct method m;
	cr_assert_eq(method_decode(&m, bytes_of(data, sizeof data)), METHOD_NOT_UTF8);
}
