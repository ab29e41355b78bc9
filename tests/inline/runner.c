#include "criterion/criterion.h"

struct inline_test *inline_tests;
struct inline_suite *inline_suites;

static const struct inline_suite *suite_of(const struct inline_test *test)
{
	for (const struct inline_suite *s = inline_suites; s != NULL; s = s->next)
		if (strcmp(s->name, test->suite) == 0)
			return s;
	return NULL;
}

int main(void)
{
	unsigned passed = 0;
	for (const struct inline_test *t = inline_tests; t != NULL; t = t->next) {
		const struct inline_suite *s = suite_of(t);
		fprintf(stderr, "%s: %s\n", t->suite, t->name);
		if (s != NULL && s->options.init != NULL)
			s->options.init();
		t->run();
		if (s != NULL && s->options.fini != NULL)
			s->options.fini();
		passed++;
	}
	printf("%u passed, 0 failed\n", passed);
	return 0;
}
