#include "target.h"

#include <criterion/criterion.h>
#include <string.h>

static char why[300];

Test(target, what_is_left_out_has_defaults)
{
	struct target t;
	cr_assert(target_parse(&t, "amqp://", why, sizeof why));
	cr_assert_str_eq(t.host, "127.0.0.1");
	cr_assert_str_eq(t.port, "5672");
	cr_assert_str_eq(t.user, "guest");
	cr_assert_str_eq(t.vhost, "/");
	cr_assert_not(t.is_tls);
	cr_assert(target_parse(&t, "amqps://broker", why, sizeof why));
	cr_assert_str_eq(t.port, "5671");
	cr_assert(t.is_tls);
}

Test(target, all_parts_are_read_and_decoded)
{
	struct target t;
	cr_assert(target_parse(&t, "amqp://ann%40home:p%3Aw@[::1]:5673/%2Fa?heartbeat=5", why,
			       sizeof why));
	cr_assert_str_eq(t.user, "ann@home");
	cr_assert_str_eq(t.password, "p:w");
	cr_assert_str_eq(t.host, "::1");
	cr_assert_str_eq(t.port, "5673");
	cr_assert_str_eq(t.vhost, "/a");
}

Test(target, what_is_no_uri_is_refused)
{
	static const char *const bad[] = { "",           "localhost",      "http://x",
					   "amqp://x:0", "amqp://x:99999", "amqp://x:y",
					   "amqp://%zz", "amqp://a@[::1",  "amqp://x/%4" };
	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct target t;
		cr_assert_not(target_parse(&t, bad[i], why, sizeof why), "%s", bad[i]);
		cr_assert(strlen(why) > 0);
	}
}
