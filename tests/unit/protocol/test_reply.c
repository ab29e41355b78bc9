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
		cr_assert_leq(strlen(r.text), 255);
		cr_assert_geq(strlen(r.text), 254);
		cr_assert_eq((unsigned char)r.text[strlen(r.text) - 1], 0xa4);
	}
}

Test(reply, hard_errors_close_the_connection)
{
	cr_assert(reply_is_hard(REPLY_FRAME_ERROR));
	cr_assert_not(reply_is_hard(REPLY_PRECONDITION_FAILED));
	cr_assert(reply_is_hard(999));
}
