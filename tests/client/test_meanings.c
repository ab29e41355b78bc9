/* The table of what results mean: every result has its row, and every pattern does what it says. */
#include "world.h"

#include <leveret/patterns.h>

struct row {
	int result;
	struct lev_meaning means;
};

static const struct row rows[] = {
#define X(name, step, retry, breaker, worker)                                               \
	{ name,                                                                             \
	  { LEV_STEP_##step, LEV_RETRY_##retry, LEV_BREAKER_##breaker, LEV_WORKER_##worker } },
	LEV_MEANINGS(X)
#undef X
	{ -77, { LEV_STEP_MAYBE, LEV_RETRY_AGAIN, LEV_BREAKER_BAD, LEV_WORKER_BACK } },
};
enum { ROWS = sizeof rows / sizeof *rows };

Test(meanings, every_result_has_its_row)
{
	static const int results[] = {
#define X(name, value, text) name,
		LEV_RESULTS(X)
#undef X
	};
	cr_assert_eq(ROWS, sizeof results / sizeof *results + 1);
	for (int i = 0; i < ROWS - 1; i++) {
		struct lev_meaning m = lev_result_meaning(results[i]);
		cr_assert_eq(rows[i].result, results[i]);
		cr_assert_eq(memcmp(&m, &rows[i].means, sizeof m), 0);
	}
}

static int undone;

static int give(const struct lev_saga_call *call)
{
	return *(int *)call->arg;
}

static int undo(const struct lev_saga_call *call)
{
	(void)call;
	undone++;
	return LEV_OK;
}

static int forget(void *arg, const char *id, const struct lev_saga_state *state, const void *data,
		  size_t data_len)
{
	(void)arg;
	(void)id;
	(void)state;
	(void)data;
	(void)data_len;
	return LEV_OK;
}

Test(meanings, sagas_keep_to_it)
{
	const struct lev_saga_step step = { "step", give, undo };
	const struct lev_saga saga = { &step, 1, NULL };
	const struct lev_saga_log log = { forget, NULL };
	for (int i = 0; i < ROWS; i++) {
		int result = rows[i].result;
		bool is_done = rows[i].means.step == LEV_STEP_DONE;
		undone = 0;
		cr_assert_eq(lev_saga_run(&saga, &log, "s", NULL, 0, &result),
			     is_done ? LEV_OK : LEV_UNDONE, "%d", result);
		cr_assert_eq(undone, rows[i].means.step == LEV_STEP_MAYBE, "%d", result);
	}
}

struct attempts {
	int result;
	int len;
};

static int try(void *arg)
{
	struct attempts *a = arg;
	a->len++;
	return a->result;
}

Test(meanings, retries_keep_to_it)
{
	const struct lev_retry_options o = { .first_ms = 1, .max_ms = 1, .attempts = 2 };
	for (int i = 0; i < ROWS; i++) {
		struct attempts a = { rows[i].result, 0 };
		bool is_final = rows[i].means.retry == LEV_RETRY_FINAL;
		cr_assert_eq(lev_retry_call(&o, try, &a), is_final ? a.result : LEV_GIVEN_UP);
		cr_assert_eq(a.len, is_final ? 1 : 2, "%d", a.result);
	}
}

Test(meanings, breakers_keep_to_it)
{
	const struct lev_breaker_options o = { .failures = 2 };
	for (int i = 0; i < ROWS; i++) {
		struct attempts a = { rows[i].result, 0 }, bad = { LEV_TIMEOUT, 0 };
		struct lev_breaker b;
		lev_breaker_init(&b, &o);
		lev_breaker_call(&b, try, NULL, &bad);
		lev_breaker_call(&b, try, NULL, &a);
		bool is_open = lev_breaker_state(&b, lev_now()) == LEV_BREAKER_OPEN;
		cr_assert_eq(is_open, rows[i].means.breaker == LEV_BREAKER_BAD, "%d", a.result);
		lev_breaker_call(&b, try, NULL, &bad); /* In a row, unless it was GOOD. */
		bool is_closed = lev_breaker_state(&b, lev_now()) == LEV_BREAKER_CLOSED;
		cr_assert_eq(is_closed, rows[i].means.breaker == LEV_BREAKER_GOOD, "%d", a.result);
	}
}

static int answer_once(void *arg, const struct lev_message *m)
{
	int result = (int)strtol(m->body, NULL, 10);
	atomic_fetch_add((atomic_int *)arg, 1);
	return m->is_redelivered ? LEV_OK : result;
}

TestSuite(meanings_of_jobs, .init = world_set_up, .fini = world_tear_down);

Test(meanings_of_jobs, workers_keep_to_it)
{
	struct lev_worker *w;
	atomic_int seen = 0;
	const struct lev_worker_options o = { .queue = "j", .handler = answer_once, .arg = &seen };
	cr_assert_eq(lev_declare_with_dlq(lev, "j", NULL, SOON), LEV_OK);
	int expected = 0;
	for (int i = 0; i < ROWS; i++) {
		char body[16];
		snprintf(body, sizeof body, "%d", rows[i].result);
		cr_assert_eq(lev_send(lev, "", "j", body, strlen(body), SOON), LEV_OK);
		expected += rows[i].means.worker == LEV_WORKER_ACK ? 1 : 2;
	}
	cr_assert_eq(lev_worker_start(lev, &o, &w, SOON), LEV_OK);
	wait_until(&seen, expected);
	cr_assert_eq(lev_worker_stop(w, SOON), LEV_OK);
	cr_assert_eq(atomic_load(&seen), expected);
	expect_empty("j");
	expect_empty("j.dlq");
}
