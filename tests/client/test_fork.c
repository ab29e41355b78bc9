/* A child process leaves its parent's handle alone, and is told so. */
#include "world.h"

#include <leveret/patterns.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(forking, .init = world_set_up, .fini = world_tear_down);

static struct lev_consumer *consumer;
static struct lev_message *held;

/* Each must answer at once: the deadline is for ever. Returns the number of the one that did not
 * answer as it should. */
static int try_everything(void)
{
	struct lev_publish p = to_queue("q", "from the child");
	struct lev_message *m;
	struct lev_queue_info info;
	const struct lev_consume consume = { .queue = "q" };
	struct lev_consumer *c;
	const int results[] = {
		lev_publish(lev, &p, NULL, NULL, LEV_NOW),
		lev_publish(lev, &p, NULL, NULL, LEV_NEVER),
		lev_publish_wait(lev, &p, LEV_NEVER),
		lev_flush(lev, LEV_NEVER),
		lev_get(lev, "q", &m, LEV_NEVER),
		lev_next(consumer, &m, LEV_NEVER),
		lev_consume(lev, &consume, &c, LEV_NEVER),
		lev_queue_info(lev, "q", &info, LEV_NEVER),
		lev_delete_queue(lev, "q", NULL, LEV_NEVER),
		lev_request(lev, &p, &m, LEV_NEVER),
		lev_request_async(lev, &p, NULL, NULL, LEV_NEVER),
		lev_ack(held),
		lev_cancel(consumer, LEV_NEVER),
		lev_close(lev, LEV_NEVER),
	};
	for (size_t i = 0; i < sizeof results / sizeof *results; i++)
		if (results[i] != LEV_FORKED)
			return (int)i + 1;
	return lev_is_connected(lev) ? 99 : 0;
}

Test(forking, a_childs_copy_answers_at_once_and_harms_nobody)
{
	int status;
	cr_assert_eq(lev_declare_queue(lev, "q", NULL, SOON), LEV_OK);
	const struct lev_consume consume = { .queue = "q", .prefetch = 1 };
	cr_assert_eq(lev_consume(lev, &consume, &consumer, SOON), LEV_OK);
	cr_assert_eq(lev_send(lev, "", "q", "held", 4, SOON), LEV_OK);
	cr_assert_eq(lev_next(consumer, &held, SOON), LEV_OK);
	for (int i = 0; i < 20; i++) { /* At any moment of the other thread. */
		struct lev_publish p = to_queue("q", "busy");
		for (int j = 0; j < 50; j++)
			cr_assert_eq(lev_publish(lev, &p, NULL, NULL, SOON), LEV_OK);
		pid_t child = fork();
		if (child == 0)
			_exit(try_everything());
		cr_assert_eq(waitpid(child, &status, 0), child);
		cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "call %d",
			  WEXITSTATUS(status));
	}
	cr_assert_eq(lev_flush(lev, SOON), LEV_OK);
	cr_assert_eq(lev_ack(held), LEV_OK); /* Still of the first connection. */
	cr_assert_eq(lev_cancel(consumer, SOON), LEV_OK);
	struct lev_queue_info info;
	cr_assert_eq(lev_queue_info(lev, "q", &info, SOON), LEV_OK);
	cr_assert_eq(info.messages, 1000);
}

#ifndef __SANITIZE_THREAD__ /* It knows nothing of threads that begin in a child. */
Test(forking, a_child_may_open_its_own)
{
	int status;
	cr_assert_eq(lev_declare_queue(lev, "q", NULL, SOON), LEV_OK);
	pid_t child = fork();
	if (child == 0) {
		struct lev *own;
		int rc = lev_connect(&own, lev_mock_uri(mock), SOON);
		if (rc == LEV_OK)
			rc = lev_send(own, "", "q", "own", 3, SOON);
		_exit(rc == LEV_OK ? lev_close(own, SOON) : 1);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	expect_message("q", "own");
}
#endif
