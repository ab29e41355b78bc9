/* Policies: what a file of definitions may say, and that a core takes it. */
#include "server/policies.h"

#include "turn/diskless.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Loads a policy with this definition; NULL, or why not. */
static const char *load(const char *definition)
{
	static char why[300];
	struct diskless d;
	struct core_options limits = { .queues_max = 10, .exchanges_max = 20, .bindings_max = 10 };
	char path[] = "/tmp/policies.XXXXXX";
	int fd = mkstemp(path);
	cr_assert_geq(fd, 0);
	dprintf(fd, "{\"policies\": [{\"name\": \"p\", \"pattern\": \".\", \"definition\": %s}]}",
		definition);
	close(fd);
	diskless_init(&d, &limits, "test");
	diskless_begin(&d);
	bool is_good = policies_load(d.core, path, why, sizeof why);
	diskless_end(&d);
	diskless_fini(&d);
	unlink(path);
	return is_good ? NULL : why;
}

Test(policies, idempotency_can_be_asked_for)
{
	static const char *const good[] = {
		"{\"idempotency\": \"sliding\", \"idempotency-window\": 1000}",
		"{\"idempotency-conflict\": \"reject\"}",
		"{\"message-deduplication\": true, \"cache-ttl\": 1000}",
	};
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		cr_expect_null(load(good[i]), "%s", good[i]);
}

Test(policies, values_of_another_type_are_refused)
{
	cr_assert(strstr(load("{\"idempotency\": 5}"),
			 "policy 'p': the value of 'idempotency' is not of the right type"));
	cr_assert(strstr(load("{\"idempotence\": \"window\"}"),
			 "policy 'p': 'idempotence' is not known"));
}
