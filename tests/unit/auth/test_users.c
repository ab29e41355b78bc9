#include "auth/users.h"

#include <criterion/criterion.h>

static bool check(const struct users *users, const char *name, const char *password,
		  bool is_loopback)
{
	return users_check(users, bytes_str(name), bytes_str(password), is_loopback);
}

Test(users, only_the_right_password_lets_in)
{
	struct users *users = users_create(1);
	users_set(users, bytes_str("bob"), bytes_str("secret"), false);
	cr_assert(check(users, "bob", "secret", false));
	cr_assert_not(check(users, "bob", "Secret", true));
	cr_assert_not(check(users, "bob", "", true));
	cr_assert_not(check(users, "nobody", "secret", true));
	cr_assert_not(check(users, "", "", true));
	users_destroy(users);
}

Test(users, some_may_log_in_from_this_machine_only)
{
	struct users *users = users_create(1);
	users_set(users, bytes_str("guest"), bytes_str("guest"), true);
	cr_assert(check(users, "guest", "guest", true));
	cr_assert_not(check(users, "guest", "guest", false));
	users_destroy(users);
}

Test(users, a_changed_password_replaces_the_old_one)
{
	struct users *users = users_create(1);
	users_set(users, bytes_str("bob"), bytes_str("old"), false);
	users_set(users, bytes_str("bob"), bytes_str("new"), false);
	cr_assert_not(check(users, "bob", "old", true));
	cr_assert(check(users, "bob", "new", true));
	users_clear(users);
	cr_assert_not(check(users, "bob", "new", true));
	users_destroy(users);
}
