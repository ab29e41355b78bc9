#include "reply.h"

#include <criterion/criterion.h>
#include <string.h>

Test(reply, texts_begin_with_the_codes_name)
{
	struct refusal r = { 0 };
	cr_assert_not(refuse(&r, REPLY_NOT_FOUND, "no queue '%s'", "x"));
	cr_assert_eq(r.code, 404);
	cr_assert_str_eq(r.text, "NOT_FOUND - no queue 'x'");
}

Test(reply, texts_are_cut_on_a_characters_edge)
{
	struct refusal r = { 0 };
	char name[400] = "";
	for (int i = 0; i < 130; i++)
		strcat(name, "\xc3\xa4");
	for (int shift = 0; shift < 2; shift++) {
		refuse(&r, REPLY_NOT_FOUND, "%s%s", shift ? "x" : "", name);
		cr_assert_eq(strlen(r.text), r.text_len);
		cr_assert_leq(r.text_len, 255);
		cr_assert_geq(r.text_len, 254);
		cr_assert_str_eq(r.text + r.text_len - 4, "\xa4...");
	}
	name[255 - strlen("NOT_FOUND - ")] = '\0';
	name[254 - strlen("NOT_FOUND - ")] = 'x';
	refuse(&r, REPLY_NOT_FOUND, "%s", name);
	cr_assert_eq(r.text_len, 255);
	cr_assert_eq(r.text[254], 'x');
}

Test(reply, texts_may_have_zeros)
{
	struct refusal r = { 0 };
	cr_assert_not(refuse_bytes(&r, REPLY_NOT_FOUND, bytes_of("a\0b", 3)));
	cr_assert(bytes_equal(bytes_of(r.text, r.text_len), bytes_of("NOT_FOUND - a\0b", 15)));
}

/* They quote what a peer has said; clients take them for UTF-8, as the protocol has it. */
Test(reply, texts_are_utf8_whatever_they_quote)
{
	struct refusal r = { 0 };
	refuse(&r, REPLY_NOT_FOUND, "no queue '%s'", "\xff\xc3\xa4\xc3|\xe2\x98");
	cr_assert_str_eq(r.text, "NOT_FOUND - no queue '?\xc3\xa4?|?\?'");
}

Test(reply, hard_errors_close_the_connection)
{
	cr_assert(reply_is_hard(REPLY_FRAME_ERROR));
	cr_assert_not(reply_is_hard(REPLY_PRECONDITION_FAILED));
	cr_assert(reply_is_hard(999));
}
