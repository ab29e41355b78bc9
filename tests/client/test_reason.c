/* Reasons quote what others said, and stay text in one line. */
#include "world.h"

static void expect(const char *given, const char *shown)
{
	cr_assert_eq(lev_fail(LEV_REFUSED, "row 7 (%s)", given), LEV_REFUSED);
	char all[300];
	snprintf(all, sizeof all, "row 7 (%s)", shown);
	cr_assert_str_eq(lev_reason(), all);
}

Test(reason, keeps_text_as_it_is)
{
	expect("bestellung.übermittelt \xe2\x82\xac 'x' \"y\" \\z",
	       "bestellung.übermittelt \xe2\x82\xac 'x' \"y\" \\z");
}

Test(reason, escapes_what_is_no_text)
{
	expect("\xff", "\\xff");
	expect("a\xc3", "a\\xc3");
	expect("\xc2\x9b"
	       "31m",
	       "\\xc2\\x9b31m");
	expect("\x1b[2J\x07\x7f", "\\x1b[2J\\x07\\x7f");
	expect("\xe2\x80\xae"
	       "txt",
	       "\\xe2\\x80\\xaetxt");
}

Test(reason, stays_in_one_line)
{
	expect("one\r\ntwo\tthree", "one  two three");
	lev_fail(LEV_REFUSED, "said by a database\n");
	cr_assert_str_eq(lev_reason(), "said by a database");
}

Test(reason, can_be_said_again)
{
	lev_fail(LEV_REFUSED, "a \xff");
	lev_fail(LEV_REFUSED, "once more: %s", lev_reason());
	cr_assert_str_eq(lev_reason(), "once more: a \\xff");
}

Test(reason, is_cut_between_characters)
{
	char text[700];
	for (size_t i = 0; i + 2 < sizeof text; i += 2)
		memcpy(text + i, "ü", 3);
	lev_fail(LEV_REFUSED, "x%s", text);
	cr_assert_eq(strlen(lev_reason()), 299);
	lev_fail(LEV_REFUSED, "%s", text);
	cr_assert_eq(strlen(lev_reason()), 298);
}
