/* A stand-in for the part of Criterion that these tests use, in one process: Criterion's sandbox
 * wants memory at addresses that ThreadSanitizer keeps for itself. The first failure ends the
 * program. */
#ifndef LEV_TESTS_INLINE_CRITERION_H
#define LEV_TESTS_INLINE_CRITERION_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct inline_options {
	int timeout;
	void (*init)(void);
	void (*fini)(void);
};

struct inline_test {
	const char *suite;
	const char *name;
	void (*run)(void);
	struct inline_test *next;
};

struct inline_suite {
	const char *name;
	struct inline_options options;
	struct inline_suite *next;
};

extern struct inline_test *inline_tests;
extern struct inline_suite *inline_suites;

#define Test(suite_, name_, ...)                                                            \
	static void suite_##_##name_##_run(void);                                           \
	__attribute__((constructor)) static void suite_##_##name_##_add(void)               \
	{                                                                                   \
		static struct inline_test test = { #suite_, #name_, suite_##_##name_##_run, \
						   NULL };                                  \
		test.next = inline_tests;                                                   \
		inline_tests = &test;                                                       \
	}                                                                                   \
	static void suite_##_##name_##_run(void)

#define TestSuite(suite_, ...)                                                         \
	__attribute__((constructor)) static void suite_##_suite_add(void)              \
	{                                                                              \
		static struct inline_suite suite = { #suite_, { __VA_ARGS__ }, NULL }; \
		suite.next = inline_suites;                                            \
		inline_suites = &suite;                                                \
	}

/* Says what failed, and the test's own words if it has any. */
static inline _Noreturn void inline_failed(const char *file, int line, const char *what, ...)
{
	va_list args;
	va_start(args, what);
	fprintf(stderr, "%s:%d: %s\n", file, line, what);
	const char *format = va_arg(args, const char *);
	if (format != NULL) {
		vfprintf(stderr, format, args);
		fputc('\n', stderr);
	}
	va_end(args);
	exit(1);
}

#define cr_assert(what, ...)                                                                   \
	do {                                                                                   \
		if (!(what))                                                                   \
			inline_failed(__FILE__, __LINE__, #what, ##__VA_ARGS__, (char *)NULL); \
	} while (0)
#define cr_assert_not(what, ...)         cr_assert(!(what), ##__VA_ARGS__)
#define cr_assert_eq(a, b, ...)          cr_assert((a) == (b), ##__VA_ARGS__)
#define cr_assert_neq(a, b, ...)         cr_assert((a) != (b), ##__VA_ARGS__)
#define cr_assert_lt(a, b, ...)          cr_assert((a) < (b), ##__VA_ARGS__)
#define cr_assert_leq(a, b, ...)         cr_assert((a) <= (b), ##__VA_ARGS__)
#define cr_assert_gt(a, b, ...)          cr_assert((a) > (b), ##__VA_ARGS__)
#define cr_assert_geq(a, b, ...)         cr_assert((a) >= (b), ##__VA_ARGS__)
#define cr_assert_null(a, ...)           cr_assert((a) == NULL, ##__VA_ARGS__)
#define cr_assert_not_null(a, ...)       cr_assert((a) != NULL, ##__VA_ARGS__)
#define cr_assert_str_eq(a, b, ...)      cr_assert(strcmp(a, b) == 0, ##__VA_ARGS__)
#define cr_assert_str_neq(a, b, ...)     cr_assert(strcmp(a, b) != 0, ##__VA_ARGS__)
#define cr_assert_str_empty(a, ...)      cr_assert((a)[0] == '\0', ##__VA_ARGS__)
#define cr_assert_arr_eq(a, b, len, ...) cr_assert(memcmp(a, b, len) == 0, ##__VA_ARGS__)
#define cr_assert_fail(...)              cr_assert(false, ##__VA_ARGS__)

/* An expectation that fails ends the program, too. */
#define cr_expect          cr_assert
#define cr_expect_not      cr_assert_not
#define cr_expect_eq       cr_assert_eq
#define cr_expect_neq      cr_assert_neq
#define cr_expect_lt       cr_assert_lt
#define cr_expect_leq      cr_assert_leq
#define cr_expect_gt       cr_assert_gt
#define cr_expect_geq      cr_assert_geq
#define cr_expect_null     cr_assert_null
#define cr_expect_not_null cr_assert_not_null
#define cr_expect_str_eq   cr_assert_str_eq
#define cr_expect_str_neq  cr_assert_str_neq
#define cr_expect_arr_eq   cr_assert_arr_eq
#define cr_expect_fail     cr_assert_fail

#endif
