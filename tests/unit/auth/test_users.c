#include "auth/access.h"
#include "auth/users.h"

#include <criterion/criterion.h>
#include <stdio.h>

static const uint8_t secret[16] = { 1, 2, 3 };

static bool permit(struct users *users, struct user *user, const char *vhost, const char *configure,
		   const char *write, const char *read)
{
	char why[300];
	const struct bytes patterns[] = { bytes_str(configure), bytes_str(write), bytes_str(read) };
	return users_permit(users, user, bytes_str(vhost), patterns, why, sizeof why);
}

Test(users, what_was_right_once_is_known_until_the_password_changes)
{
	static const struct password none = { .kind = PASSWORD_NONE };
	struct users *users = users_create(1, secret);
	struct user *bob = users_put(users, bytes_str("bob"));
	cr_assert_not(users_is_verified(users, bob, bytes_str("secret")));
	users_set_verified(users, bob, bytes_str("secret"));
	cr_assert(users_is_verified(users, bob, bytes_str("secret")));
	cr_assert_not(users_is_verified(users, bob, bytes_str("Secret")));
	cr_assert_not(users_is_verified(users, bob, bytes_str("")));
	user_set_password(bob, &none);
	cr_assert_not(users_is_verified(users, bob, bytes_str("secret")));
	users_destroy(users);
}

Test(users, tags_are_whole_words)
{
	struct users *users = users_create(1, secret);
	struct user *bob = users_put(users, bytes_str("bob"));
	cr_assert_not(user_has_tag(bob, "a"));
	user_set_tags(bob, bytes_str("management,administrator"));
	cr_assert(user_has_tag(bob, "administrator"));
	cr_assert(user_has_tag(bob, "management"));
	cr_assert_not(user_has_tag(bob, "admin"));
	cr_assert_not(user_has_tag(bob, "manage"));
	users_destroy(users);
}

Test(users, a_user_that_is_held_outlives_its_deletion_and_may_do_nothing)
{
	struct users *users = users_create(1, secret);
	struct user *bob = users_put(users, bytes_str("bob"));
	struct access access;
	cr_assert(permit(users, bob, "/", ".*", ".*", ".*"));
	access_init(&access, bob, bytes_str("/"), 7);
	cr_assert(access_allows(&access, PERMISSION_READ, bytes_str("q")));
	users_delete(users, bob);
	cr_assert_null(users_find(users, bytes_str("bob")));
	cr_assert_not(access_allows(&access, PERMISSION_READ, bytes_str("q")));
	cr_assert(access.user->is_deleted);
	cr_assert_not(users_put(users, bytes_str("bob"))->is_deleted);
	access_fini(&access);
	users_destroy(users);
}

Test(users, a_change_holds_at_once_whatever_was_remembered)
{
	struct users *users = users_create(1, secret);
	struct user *bob = users_put(users, bytes_str("bob"));
	struct access access;
	permit(users, bob, "/", "", "^q", "");
	access_init(&access, bob, bytes_str("/"), 7);
	for (int i = 0; i < 2; i++) {
		cr_assert(access_allows(&access, PERMISSION_WRITE, bytes_str("q1")));
		cr_assert_not(access_allows(&access, PERMISSION_WRITE, bytes_str("x")));
		cr_assert_not(access_allows(&access, PERMISSION_READ, bytes_str("q1")));
	}
	cr_assert_not(access_is_stale(&access));
	permit(users, bob, "/", "", "^x", "^q");
	cr_assert(access_is_stale(&access));
	cr_assert_not(access_allows(&access, PERMISSION_WRITE, bytes_str("q1")));
	cr_assert(access_allows(&access, PERMISSION_WRITE, bytes_str("x")));
	cr_assert(access_allows(&access, PERMISSION_READ, bytes_str("q1")));
	cr_assert(user_forbid(bob, bytes_str("/")));
	cr_assert_not(access_allows(&access, PERMISSION_READ, bytes_str("q1")));
	cr_assert_not(user_forbid(bob, bytes_str("/")));
	access_fini(&access);
	users_destroy(users);
}

Test(users, permissions_are_by_vhost_and_the_default_exchange_has_a_name)
{
	struct users *users = users_create(1, secret);
	struct user *bob = users_put(users, bytes_str("bob"));
	struct access here, there;
	permit(users, bob, "a", ".*", ".*", ".*");
	permit(users, bob, "b", "", "^amq\\.default$", "");
	access_init(&here, bob, bytes_str("a"), 7);
	access_init(&there, bob, bytes_str("b"), 7);
	cr_assert(access_allows(&here, PERMISSION_CONFIGURE, bytes_str("q")));
	cr_assert_not(access_allows(&there, PERMISSION_CONFIGURE, bytes_str("q")));
	cr_assert(access_allows(&there, PERMISSION_WRITE, bytes_str("")));
	users_forget_vhost(users, bytes_str("a"));
	cr_assert_not(access_allows(&here, PERMISSION_CONFIGURE, bytes_str("q")));
	access_fini(&here);
	access_fini(&there);
	users_destroy(users);
}

Test(users, more_names_are_asked_for_than_are_remembered)
{
	struct users *users = users_create(1, secret);
	struct user *bob = users_put(users, bytes_str("bob"));
	struct access access;
	permit(users, bob, "/", "", "^even", "");
	access_init(&access, bob, bytes_str("/"), 7);
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 1000; i++) {
			char name[32];
			snprintf(name, sizeof name, "%s%d", i % 2 == 0 ? "even" : "odd", i);
			cr_assert_eq(access_allows(&access, PERMISSION_WRITE, bytes_str(name)),
				     i % 2 == 0);
		}
	cr_assert_leq(access.names.len, 256);
	access_fini(&access);
	users_destroy(users);
}

static bool topic(struct users *users, struct user *user, const char *write, const char *read)
{
	char why[300];
	return users_permit_topic(users, user, bytes_str("az"), bytes_str("to"), bytes_str(write),
				  bytes_str(read), why, sizeof why);
}

Test(users, topics_count_where_something_is_said_of_them)
{
	struct users *users = users_create(1, secret);
	struct user *bob = users_put(users, bytes_str("b.b"));
	struct access access;
	struct bytes to = bytes_str("to");
	permit(users, bob, "az", ".*", ".*", ".*");
	access_init(&access, bob, bytes_str("az"), 7);
	cr_assert(access_allows_topic(&access, PERMISSION_WRITE, to, bytes_str("k")));
	cr_assert(topic(users, bob, "^{username}\\.", "^{vhost}\\."));
	cr_assert(access_allows_topic(&access, PERMISSION_WRITE, to, bytes_str("b.b.x")));
	cr_assert_not(access_allows_topic(&access, PERMISSION_WRITE, to, bytes_str("bob.x")));
	cr_assert_not(access_allows_topic(&access, PERMISSION_WRITE, to, bytes_str("az.x")));
	cr_assert(access_allows_topic(&access, PERMISSION_READ, to, bytes_str("az.x")));
	cr_assert(access_allows_topic(&access, PERMISSION_WRITE, bytes_str("amq.topic"),
				      bytes_str("x")));
	cr_assert(topic(users, bob, "", ""));
	cr_assert(access_allows_topic(&access, PERMISSION_WRITE, to, bytes_str("")));
	cr_assert_not(access_allows_topic(&access, PERMISSION_WRITE, to, bytes_str("a")));
	cr_assert_not(topic(users, bob, "(", ""));
	cr_assert(user_forbid_topic(bob, bytes_str("az"), NULL));
	cr_assert(access_allows_topic(&access, PERMISSION_WRITE, to, bytes_str("a")));
	access_fini(&access);
	users_destroy(users);
}

Test(users, operator_may_everything_everywhere_and_is_none_of_them)
{
	struct users *users = users_create(1, secret);
	struct user *operator = users_operator(users);
	struct access access;
	size_t at = 0;
	cr_assert_eq(operator, users_operator(users));
	cr_assert(user_has_tag(operator, "administrator"));
	cr_assert_not_null(user_grant(operator, bytes_str("any")));
	access_init(&access, operator, bytes_str("any"), 7);
	cr_assert(access_allows(&access, PERMISSION_CONFIGURE, bytes_str("q")));
	cr_assert(access_allows_topic(&access, PERMISSION_WRITE, bytes_str("x"), bytes_str("k")));
	access_fini(&access);
	cr_assert_null(users_find(users, operator->name));
	cr_assert_null(users_next(users, &at));
	users_destroy(users);
}
