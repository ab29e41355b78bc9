/* A program that did not look whether it got a handle is told so, and does not crash. */
#include "world.h"

#include <leveret/mock.h>
#include <leveret/patterns.h>

TestSuite(null);

Test(null, in_place_of_a_handle_is_invalid)
{
	struct lev *none = NULL;
	struct lev_publish p = to_queue("q", "x");
	struct lev_message *m = NULL;
	struct lev_queue_info info;
	struct lev_consumer *c = NULL;
	struct lev_worker *w = NULL;
	uint64_t n;
	const struct lev_consume consume = { .queue = "q" };
	const struct lev_worker_options worker = { .queue = "q" };
	const int results[] = {
		lev_open(&none, NULL, LEV_NOW),
		lev_publish(none, &p, NULL, NULL, LEV_NEVER),
		lev_publish_wait(none, &p, LEV_NEVER),
		lev_send(none, "", "q", "x", 1, LEV_NEVER),
		lev_flush(none, LEV_NEVER),
		lev_producer_info(none, "p", &n, &n, LEV_NEVER),
		lev_get(none, "q", &m, LEV_NEVER),
		lev_consume(none, &consume, &c, LEV_NEVER),
		lev_worker_start(none, &worker, &w, LEV_NEVER),
		lev_request(none, &p, &m, LEV_NEVER),
		lev_request_async(none, &p, NULL, NULL, LEV_NEVER),
		lev_declare_queue(none, "q", NULL, LEV_NEVER),
		lev_declare_with_dlq(none, "q", NULL, LEV_NEVER),
		lev_declare_exchange(none, "x", "fanout", NULL, LEV_NEVER),
		lev_queue_info(none, "q", &info, LEV_NEVER),
		lev_bind(none, "q", "x", "", NULL, LEV_NEVER),
		lev_unbind(none, "q", "x", "", NULL, LEV_NEVER),
		lev_bind_exchange(none, "x", "y", "", LEV_NEVER),
		lev_delete_queue(none, "q", NULL, LEV_NEVER),
		lev_purge(none, "q", NULL, LEV_NEVER),
		lev_delete_exchange(none, "x", LEV_NEVER),
	};
	for (size_t i = 0; i < sizeof results / sizeof *results; i++)
		cr_expect_eq(results[i], LEV_INVALID, "%zu: %s", i, lev_result_name(results[i]));
	cr_expect_null(none);
	cr_expect_not(lev_is_connected(none));
	cr_expect_not(lev_broker_can(none, "idempotency"));
	cr_expect_eq(lev_in_flight(none), 0);
	cr_expect_eq(lev_fd(none), -1);
	cr_expect_eq(lev_want(none), 0);
	cr_expect_eq(lev_due(none), LEV_NEVER);
	lev_process(none);
	cr_expect_eq(lev_close(none, LEV_NEVER), LEV_OK);
}

Test(null, in_place_of_what_hangs_on_a_handle_is_invalid)
{
	struct lev_publish p = to_queue("q", "x");
	struct lev_message *m = NULL;
	const int results[] = {
		lev_next(NULL, &m, LEV_NEVER),	  lev_tx_publish(NULL, &p),
		lev_commit(NULL, LEV_NEVER),	  lev_rollback(NULL),
		lev_worker_check(NULL),		  lev_ack(NULL),
		lev_requeue(NULL),		  lev_reject(NULL),
		lev_retry_after(NULL, 1),	  lev_reply(NULL, "x", 1, NULL),
		lev_saga_file_each(NULL, NULL, NULL),
	};
	for (size_t i = 0; i < sizeof results / sizeof *results; i++)
		cr_expect_eq(results[i], LEV_INVALID, "%zu: %s", i, lev_result_name(results[i]));
	cr_expect_null(lev_message_uid(NULL));
	cr_expect_eq(lev_cancel(NULL, LEV_NEVER), LEV_OK);
	cr_expect_eq(lev_worker_stop(NULL, LEV_NEVER), LEV_OK);
	lev_message_free(NULL);
	lev_saga_file_close(NULL);
	lev_mock_stop(NULL);
	lev_mock_advance(NULL, 1);
	cr_expect_str_eq(lev_mock_uri(NULL), "");
}
