#include "frame.h"

#include <criterion/criterion.h>

static const uint8_t whole[] = { 1, 0, 5, 0, 0, 0, 3, 'a', 'b', 'c', 0xce, 8 };

Test(frame, is_found_whole_and_only_whole)
{
	struct frame f;
	size_t used;
	for (size_t len = 0; len < 11; len++)
		cr_assert_eq(frame_parse(bytes_of(whole, len), 4096, &f, &used), FRAME_INCOMPLETE,
			     "%zu", len);
	cr_assert_eq(frame_parse(bytes_of(whole, sizeof whole), 4096, &f, &used), FRAME_OK);
	cr_assert_eq(used, 11);
	cr_assert_eq(f.channel, 5);
	cr_assert(bytes_equal_str(f.payload, "abc"));
}

Test(frame, too_large_is_known_from_its_head)
{
	uint8_t head[] = { 3, 0, 1, 0, 0, 0x10, 0 };
	struct frame f;
	size_t used;
	cr_assert_eq(frame_parse(bytes_of(head, sizeof head), 4096, &f, &used), FRAME_TOO_LARGE);
	cr_assert_eq(f.size, 4096);
	head[5] = 0x0f;
	head[6] = 0xf8;
	cr_assert_eq(frame_parse(bytes_of(head, sizeof head), 4096, &f, &used), FRAME_INCOMPLETE);
}

Test(frame, end_octet_is_checked)
{
	uint8_t bad[sizeof whole];
	struct frame f;
	size_t used;
	memcpy(bad, whole, sizeof whole);
	bad[10] = 0;
	cr_assert_eq(frame_parse(bytes_of(bad, sizeof bad), 4096, &f, &used), FRAME_BAD_END);
}
