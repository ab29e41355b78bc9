#include "auth/permission.h"

#include <criterion/criterion.h>

static struct permission *permission(const char *configure, const char *write, const char *read)
{
	char why[300];
	struct bytes patterns[] = { bytes_str(configure), bytes_str(write), bytes_str(read) };
	struct permission *made = permission_create(patterns, false, why, sizeof why);
	cr_assert_not_null(made, "%s", why);
	return made;
}

static bool allows(const char *pattern, const char *name)
{
	struct permission *p = permission("", "", pattern);
	bool does = permission_allows(p, PERMISSION_READ, bytes_str(name));
	permission_destroy(p);
	return does;
}

/* As RabbitMQ 3.10.8 answered for a queue declared, one whose name has a q inside, one that the
 * server named, and the default exchange. */
Test(permission, is_searched_for_in_the_name_as_rabbitmq_does)
{
	static const char *const names[] = { "q", "aqa", "amq.gen-c6rqMOwK7QetvSNF-v2aKA",
					     "amq.default" };
	static const struct {
		const char *pattern;
		bool is_allowed[4];
	} rows[] = {
		{ "^$", { false, false, false, false } },
		{ "", { false, false, false, false } },
		{ " ", { false, false, false, false } },
		{ "q", { true, true, true, true } },
		{ "^q", { true, false, false, false } },
		{ "^Q$", { false, false, false, false } },
		{ "(?i)^Q$", { true, false, false, false } },
		{ ".", { true, true, true, true } },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		for (size_t j = 0; j < 4; j++)
			cr_assert_eq(allows(rows[i].pattern, names[j]), rows[i].is_allowed[j],
				     "'%s' on '%s'", rows[i].pattern, names[j]);
}

Test(permission, that_is_empty_permits_the_empty_name_only)
{
	cr_assert(allows("", ""));
	cr_assert(allows("^$", ""));
	cr_assert_not(allows("", "q"));
}

Test(permission, of_each_kind_is_its_own)
{
	struct permission *p = permission("^c", "^w", "^r");
	static const char *const names[] = { "c", "w", "r" };
	for (enum permission_kind kind = 0; kind < PERMISSION_KINDS; kind++)
		for (size_t i = 0; i < PERMISSION_KINDS; i++)
			cr_assert_eq(permission_allows(p, kind, bytes_str(names[i])), kind == i);
	cr_assert(bytes_equal_str(permission_pattern(p, PERMISSION_WRITE), "^w"));
	permission_destroy(p);
}

Test(permission, that_is_missing_permits_nothing)
{
	cr_assert_not(permission_allows(NULL, PERMISSION_READ, bytes_str("q")));
	cr_assert_not(permission_allows(NULL, PERMISSION_READ, bytes_str("")));
}

Test(permission, that_would_search_for_ever_does_not_permit)
{
	cr_assert_not(allows("(*NO_AUTO_POSSESS)(*NO_START_OPT)^(a+)+$",
			     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"));
}

Test(permission, on_what_is_no_utf8_is_refused)
{
	cr_assert_not(allows(".", "\xff"));
}

Test(permission, that_is_no_expression_is_not_made)
{
	char why[300], longest[PERMISSION_PATTERN_MAX + 2];
	struct bytes patterns[] = { bytes_str(".*"), bytes_str("(secret"), bytes_str(".*") };
	cr_assert_null(permission_create(patterns, false, why, sizeof why));
	cr_assert_not_null(strstr(why, "write: no regular expression"), "%s", why);
	cr_assert_null(strstr(why, "secret"));
	memset(longest, 'a', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	patterns[1] = bytes_str(longest);
	cr_assert_null(permission_create(patterns, false, why, sizeof why));
	cr_assert_str_eq(why, "write: longer than 1024 bytes");
	patterns[1].len--;
	struct permission *p = permission_create(patterns, false, why, sizeof why);
	cr_assert_not_null(p);
	permission_destroy(p);
}
