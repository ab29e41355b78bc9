/* Workers, requests and responses. */
#include "world.h"

#include <leveret/patterns.h>

TestSuite(services, .init = world_set_up, .fini = world_tear_down);

static void send(const char *queue, const char *body)
{
	cr_assert_eq(lev_send(lev, "", queue, body, strlen(body), SOON), LEV_OK);
}

static atomic_int done, seen;

static int judge(void *arg, const struct lev_message *m)
{
	(void)arg;
	atomic_fetch_add(&seen, 1);
	if (strcmp(m->body, "bad") == 0)
		return LEV_JOB_REJECT;
	if (strcmp(m->body, "once more") == 0 && !m->is_redelivered)
		return LEV_JOB_RETRY;
	if (strcmp(m->body, "later") == 0 && !m->is_redelivered)
		return 60000;
	atomic_fetch_add(&done, 1);
	return LEV_JOB_OK;
}

Test(services, workers_settle_as_their_handler_says)
{
	struct lev_worker *w;
	const struct lev_worker_options o = { .queue = "jobs", .threads = 4, .handler = judge };
	atomic_store(&done, 0);
	atomic_store(&seen, 0);
	cr_assert_eq(lev_declare_with_dlq(lev, "jobs", NULL, SOON), LEV_OK);
	cr_assert_eq(lev_worker_start(lev, &o, &w, SOON), LEV_OK);
	for (int i = 0; i < 100; i++)
		send("jobs", "good");
	send("jobs", "bad");
	send("jobs", "once more");
	send("jobs", "later");
	wait_until(&seen, 104);
	cr_assert_eq(lev_worker_check(w), LEV_OK);
	for (uint64_t deadline = SOON;
	     atomic_load(&done) < 102;) { /* Its rest begins when the broker hears of it. */
		lev_mock_advance(mock, 60000);
		cr_assert_lt(lev_now(), deadline);
	}
	lev_mock_cut(mock, false);
	send("jobs", "after a cut");
	wait_until(&done, 103);
	cr_assert_eq(lev_worker_stop(w, SOON), LEV_OK);
	expect_message("jobs.dlq", "bad");
	expect_empty("jobs");
}

static atomic_int is_busy, may_go;

static int take_time(void *arg, const struct lev_message *m)
{
	(void)arg;
	(void)m;
	atomic_fetch_add(&is_busy, 1);
	while (atomic_load(&may_go) == 0) {
		const struct timespec moment = { 0, 1000000 };
		nanosleep(&moment, NULL);
	}
	return LEV_JOB_OK;
}

/* The job may end when so many messages lie in the queue. */
static void *let_go(void *arg)
{
	struct lev_queue_info info = { 0 };
	uint64_t deadline = SOON;
	while (info.messages != (uint32_t)(uintptr_t)arg && lev_now() < deadline)
		lev_queue_info(lev, "jobs", &info, SOON);
	atomic_store(&may_go, 1);
	return NULL;
}

Test(services, a_worker_drains_before_it_stops)
{
	struct lev_worker *w;
	pthread_t thread;
	const struct lev_worker_options o = {
		.queue = "jobs", .threads = 1, .prefetch = 10, .handler = take_time
	};
	atomic_store(&is_busy, 0);
	atomic_store(&may_go, 0);
	cr_assert_eq(lev_declare_queue(lev, "jobs", NULL, SOON), LEV_OK);
	for (int i = 0; i < 5; i++)
		send("jobs", "x");
	cr_assert_eq(lev_worker_start(lev, &o, &w, SOON), LEV_OK);
	wait_until(&is_busy, 1);
	cr_assert_eq(pthread_create(&thread, NULL, let_go, (void *)4), 0);
	cr_assert_eq(lev_worker_stop(w, SOON), LEV_OK);
	pthread_join(thread, NULL);
	struct lev_queue_info info;
	cr_assert_eq(lev_queue_info(lev, "jobs", &info, SOON), LEV_OK);
	cr_assert_eq(info.messages, 4);
}

Test(services, a_job_that_takes_too_long_comes_again)
{
	struct lev_worker *w;
	pthread_t thread;
	const struct lev_worker_options o = { .queue = "jobs", .handler = take_time };
	atomic_store(&is_busy, 0);
	atomic_store(&may_go, 0);
	cr_assert_eq(lev_declare_queue(lev, "jobs", NULL, SOON), LEV_OK);
	send("jobs", "slow");
	cr_assert_eq(lev_worker_start(lev, &o, &w, SOON), LEV_OK);
	wait_until(&is_busy, 1);
	cr_assert_eq(pthread_create(&thread, NULL, let_go, (void *)1), 0);
	cr_assert_eq(lev_worker_stop(w, lev_in(5)), LEV_TIMEOUT);
	pthread_join(thread, NULL);
	expect_message("jobs", "slow");
}

/* --- requests --- */

static void answer(void *arg, struct lev_message *m)
{
	char text[64];
	(void)arg;
	int len = snprintf(text, sizeof text, "re: %s", (const char *)m->body);
	if (strcmp(m->body, "silence") != 0)
		cr_assert_eq(lev_reply(m, text, (size_t)len, NULL), LEV_OK);
	cr_assert_eq(lev_ack(m), LEV_OK);
}

static struct lev_consumer *serve(void)
{
	struct lev_consumer *c;
	const struct lev_queue while_there = { .is_auto_delete = true, .is_transient = true };
	cr_assert_eq(lev_declare_queue(lev, "service", &while_there, SOON), LEV_OK);
	cr_assert_eq(lev_consume(lev,
				 &(struct lev_consume){ .queue = "service", .on_message = answer },
				 &c, SOON),
		     LEV_OK);
	return c;
}

Test(services, a_request_has_its_answer_or_a_reason)
{
	struct lev_publish ask = to_queue("service", "hello"),
			   hush = to_queue("service", "silence");
	struct lev_message *m;
	struct lev_consumer *c = serve();
	cr_assert_eq(lev_request(lev, &ask, &m, SOON), LEV_OK);
	cr_assert_str_eq((const char *)m->body, "re: hello");
	lev_message_free(m);
	cr_assert_eq(lev_request(lev, &hush, &m, lev_in(30)), LEV_TIMEOUT);
	cr_assert_eq(lev_cancel(c, SOON), LEV_OK);
	cr_assert_eq(lev_request(lev, &ask, &m, SOON), LEV_NO_RESPONDER);
	c = serve();
	cr_assert_eq(lev_request(lev, &ask, &m, SOON), LEV_OK);
	lev_message_free(m);
	lev_mock_cut(mock, false);
	send("service", "silence"); /* It is back. */
	ask.exchange = "no such";
	cr_assert_eq(lev_request(lev, &ask, &m, SOON), LEV_REFUSED);
	ask.exchange = NULL;
	cr_assert_eq(lev_request(lev, &ask, &m, SOON), LEV_OK);
	lev_message_free(m);
	lev_cancel(c, SOON);
}

static atomic_int answers, failures;

static void on_reply(void *arg, int result, struct lev_message *reply)
{
	char expected[32];
	if (result != LEV_OK) {
		cr_assert_null(reply);
		atomic_fetch_add(&failures, 1);
		return;
	}
	snprintf(expected, sizeof expected, "re: %d", (int)(intptr_t)arg);
	cr_assert_str_eq((const char *)reply->body, expected);
	lev_message_free(reply);
	atomic_fetch_add(&answers, 1);
}

Test(services, many_requests_are_in_flight)
{
	struct lev_consumer *c = serve();
	atomic_store(&answers, 0);
	atomic_store(&failures, 0);
	for (int i = 0; i < 3000; i++) {
		char body[16];
		snprintf(body, sizeof body, "%d", i);
		struct lev_publish ask = to_queue("service", body);
		cr_assert_eq(lev_request_async(lev, &ask, on_reply, (void *)(intptr_t)i, SOON),
			     LEV_OK);
	}
	wait_until(&answers, 3000);
	struct lev_publish hush = to_queue("service", "silence");
	for (int i = 0; i < 10; i++)
		cr_assert_eq(
			lev_request_async(lev, &hush, on_reply, NULL, i < 5 ? lev_in(20) : SOON),
			LEV_OK);
	wait_until(&failures, 5);
	lev_mock_cut(mock, false);
	wait_until(&failures, 10);
	lev_cancel(c, SOON);
}

Test(services, closing_ends_requests)
{
	struct lev *other;
	struct lev_consumer *c = serve();
	struct lev_publish hush = to_queue("service", "silence");
	atomic_store(&failures, 0);
	cr_assert_eq(lev_connect(&other, lev_mock_uri(mock), SOON), LEV_OK);
	cr_assert_eq(lev_request_async(other, &hush, on_reply, NULL, LEV_NEVER), LEV_OK);
	cr_assert_eq(lev_close(other, SOON), LEV_OK);
	cr_assert_eq(atomic_load(&failures), 1);
	lev_cancel(c, SOON);
}
