#include "base/bytes.h"

#include <criterion/criterion.h>

Test(bytes, reader_keeps_its_error)
{
	uint8_t data[] = { 1, 2, 3 };
	struct reader r = reader_of(data, sizeof data);
	cr_assert_eq(read_u16(&r), 0x0102);
	cr_assert_eq(read_u32(&r), 0);
	cr_assert(r.failed);
	cr_assert_eq(read_u8(&r), 0, "nothing is read after a failure, though a byte is left");
}

Test(bytes, a_claimed_length_beyond_the_end_fails)
{
	uint8_t data[] = { 0xff, 0xff, 0xff, 0xff, 'x' };
	struct reader r = reader_of(data, sizeof data);
	struct bytes b = read_longstr(&r);
	cr_assert(r.failed);
	cr_assert_eq(b.len, 0);
}

Test(bytes, writer_never_passes_its_end)
{
	uint8_t data[5] = { 0, 0, 0, 0, 0xaa };
	struct writer w = writer_of(data, 4);
	write_u16(&w, 0x1234);
	write_u32(&w, 1);
	cr_assert(w.failed);
	cr_assert_eq(data[4], 0xaa);
	cr_assert_eq(data[0], 0x12);
}

Test(bytes, long_short_strings_are_refused)
{
	uint8_t data[600], text[256] = { 0 };
	struct writer w = writer_of(data, sizeof data);
	write_shortstr(&w, bytes_of(text, 256));
	cr_assert(w.failed);
}

Test(bytes, varints_round_trip)
{
	static const uint64_t values[] = {
		0, 1, 127, 128, 300, UINT32_MAX, UINT64_MAX, 1ull << 63
	};
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		uint8_t data[VARINT_MAX];
		struct writer w = writer_of(data, sizeof data);
		write_varint(&w, values[i]);
		cr_assert_not(w.failed);
		struct reader r = reader_of(data, (size_t)(w.at - data));
		cr_assert_eq(read_varint(&r), values[i]);
		cr_assert_eq(reader_left(&r), 0);
	}
}

Test(bytes, overlong_varint_fails)
{
	uint8_t data[11] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0 };
	struct reader r = reader_of(data, sizeof data);
	read_varint(&r);
	cr_assert(r.failed);
}

Test(bytes, utf8_is_checked_strictly)
{
	static const char *const good[] = { "",
					    "plain ascii of some length",
					    "h\xc3\xa4se",
					    "\xe2\x82\xac",
					    "\xf0\x9f\x90\x87",
					    "12345678\xc3\xa4" };
	static const char *const bad[] = { "\xff",
					   "\xc0\x80",
					   "\xe0\x80\x80",
					   "\xed\xa0\x80",
					   "\xf4\x90\x80\x80",
					   "abc\xc3",
					   "\xf8\x88\x80\x80\x80",
					   "12345678\x80" };
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		cr_assert(bytes_is_utf8(bytes_str(good[i])), "%zu", i);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		cr_assert_not(bytes_is_utf8(bytes_str(bad[i])), "%zu", i);
}
