#include "world.h"

struct lev_mock *mock;
struct lev *lev;

void world_set_up(void)
{
	cr_assert_eq(lev_mock_start(&mock), LEV_OK);
	struct lev_options o = { .uri = lev_mock_uri(mock),
				 .backoff_min_ms = 1,
				 .backoff_max_ms = 20 };
	cr_assert_eq(lev_open(&lev, &o, SOON), LEV_OK);
}

void world_tear_down(void)
{
	lev_close(lev, SOON);
	lev_mock_stop(mock);
	lev = NULL;
	mock = NULL;
}

struct lev_publish to_queue(const char *queue, const char *body)
{
	return (struct lev_publish){ .routing_key = queue, .body = body, .body_len = strlen(body) };
}

void expect_message(const char *queue, const char *body)
{
	struct lev_message *m;
	cr_assert_eq(lev_get(lev, queue, &m, SOON), LEV_OK);
	cr_assert_str_eq((const char *)m->body, body);
	cr_assert_eq(lev_ack(m), LEV_OK);
}

void expect_empty(const char *queue)
{
	struct lev_message *m;
	cr_assert_eq(lev_get(lev, queue, &m, SOON), LEV_EMPTY);
}

void count_outcome(void *arg, const struct lev_outcome *outcome)
{
	struct tally *t = arg;
	atomic_fetch_add(&t->of[outcome->result + 32], 1);
	atomic_fetch_add(&t->all, 1);
}

int tally_of(struct tally *t, int result)
{
	return atomic_load(&t->of[result + 32]);
}

void take_broker_down(void)
{
	const struct timespec moment = { 0, 1000000 };
	uint64_t deadline = SOON;
	lev_mock_cut(mock, true);
	while (lev_is_connected(lev)) {
		cr_assert_lt(lev_now(), deadline);
		nanosleep(&moment, NULL);
	}
}

void wait_until(atomic_int *counter, int value)
{
	const struct timespec moment = { 0, 1000000 };
	uint64_t deadline = SOON;
	while (atomic_load(counter) < value) {
		cr_assert_lt(lev_now(), deadline);
		nanosleep(&moment, NULL);
	}
}
