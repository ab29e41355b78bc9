/* Connecting, losing the connection, loop mode. */
#include "world.h"

#include <poll.h>

TestSuite(connection, .init = world_set_up, .fini = world_tear_down);

Test(connection, says_what_the_broker_can)
{
	cr_assert(lev_is_connected(lev));
	cr_assert(lev_broker_can(lev, "idempotency"));
	cr_assert(!lev_broker_can(lev, "flying"));
}

Test(connection, tries_several_brokers_in_turn)
{
	char uris[200];
	struct lev *other;
	snprintf(uris, sizeof uris, "amqp://127.0.0.1:1, %s", lev_mock_uri(mock));
	cr_assert_eq(lev_connect(&other, uris, SOON), LEV_OK);
	cr_assert_eq(lev_close(other, SOON), LEV_OK);
}

Test(connection, a_wrong_password_is_told_at_once)
{
	char uri[200];
	struct lev *other = NULL;
	snprintf(uri, sizeof uri, "amqp://guest:wrong@%s", lev_mock_uri(mock) + strlen("amqp://"));
	cr_assert_eq(lev_connect(&other, uri, LEV_NEVER), LEV_REFUSED);
	cr_assert(strstr(lev_reason(), "403 ACCESS_REFUSED") != NULL);
	cr_assert_null(other);
}

Test(connection, a_broker_that_is_not_there_is_waited_for_until_the_deadline)
{
	struct lev *other = NULL;
	cr_assert_eq(lev_connect(&other, "amqp://127.0.0.1:1", lev_in(50)), LEV_UNREACHABLE);
	cr_assert(strstr(lev_reason(), "refused") != NULL);
}

Test(connection, uris_that_make_no_sense_are_refused)
{
	static const char *const bad[] = {
		"",
		"http://x",
		"amqp://h:0",
		"amqp://h:99999",
		"amqp://%zz",
		"amqp://h/?no_such=1",
		"amqp://h?heartbeat=x",
		"amqp://[::1",
		"amqp://u:%00@h",
		"amqp://h/%0",
	};
	struct lev *other = NULL;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		cr_assert_eq(lev_connect(&other, bad[i], SOON), LEV_INVALID, "%s", bad[i]);
	cr_assert_null(other);
}

struct events {
	atomic_int connected, disconnected, blocked, unblocked;
};

static void on_event(void *arg, enum lev_event event, const char *text)
{
	struct events *e = arg;
	atomic_int *counters[] = { &e->connected, &e->disconnected, &e->blocked, &e->unblocked };
	cr_assert(event == LEV_EVENT_UNBLOCKED || text[0] != '\0');
	atomic_fetch_add(counters[event], 1);
}

Test(connection, comes_back_and_says_so)
{
	struct events e = { 0 };
	struct lev_options o = { .uri = lev_mock_uri(mock),
				 .on_event = on_event,
				 .arg = &e,
				 .backoff_min_ms = 1,
				 .backoff_max_ms = 5 };
	struct lev *other;
	cr_assert_eq(lev_open(&other, &o, SOON), LEV_OK);
	wait_until(&e.connected, 1);
	lev_mock_cut(mock, false);
	wait_until(&e.disconnected, 1);
	wait_until(&e.connected, 2);
	cr_assert_eq(lev_declare_queue(other, "q", NULL, SOON), LEV_OK);
	cr_assert_eq(lev_send(other, "", "q", "x", 1, SOON), LEV_OK);
	lev_mock_block(mock, "low on disk");
	wait_until(&e.blocked, 1);
	struct lev_publish p = to_queue("q", "late");
	cr_assert_eq(lev_publish_wait(other, &p, lev_in(30)), LEV_NOT_SENT);
	lev_mock_block(mock, NULL);
	wait_until(&e.unblocked, 1);
	cr_assert_eq(lev_send(other, "", "q", "y", 1, SOON), LEV_OK);
	lev_close(other, SOON);
}

Test(connection, a_lazy_one_takes_publishes_before_it_is_there)
{
	struct tally t = { 0 };
	struct lev_options o = {
		.uri = lev_mock_uri(mock), .is_lazy = true, .backoff_min_ms = 1, .backoff_max_ms = 5
	};
	struct lev_publish p = to_queue("q", "early");
	struct lev *other;
	cr_assert_eq(lev_declare_queue(lev, "q", NULL, SOON), LEV_OK);
	lev_mock_cut(mock, true);
	cr_assert_eq(lev_open(&other, &o, LEV_NOW), LEV_OK);
	cr_assert_eq(lev_publish(other, &p, count_outcome, &t, SOON), LEV_OK);
	lev_mock_cut(mock, false);
	cr_assert_eq(lev_flush(other, SOON), LEV_OK);
	cr_assert_eq(tally_of(&t, LEV_OK), 1);
	lev_close(other, SOON);
}

Test(connection, what_was_declared_for_it_alone_comes_back)
{
	const struct lev_queue exclusive = { .is_exclusive = true, .is_transient = true };
	cr_assert_eq(lev_declare_queue(lev, "mine", &exclusive, SOON), LEV_OK);
	cr_assert_eq(lev_bind(lev, "mine", "amq.topic", "a.*", NULL, SOON), LEV_OK);
	cr_assert_eq(lev_bind(lev, "mine", "amq.topic", "b.*", NULL, SOON), LEV_OK);
	cr_assert_eq(lev_unbind(lev, "mine", "amq.topic", "b.*", NULL, SOON), LEV_OK);
	lev_mock_cut(mock, false);
	cr_assert_eq(lev_send(lev, "amq.topic", "a.x", "one", 3, SOON), LEV_OK);
	cr_assert_eq(lev_send(lev, "amq.topic", "b.x", "two", 3, SOON), LEV_UNROUTABLE);
	expect_message("mine", "one");
	cr_assert_eq(lev_delete_queue(lev, "mine", NULL, SOON), LEV_OK);
	lev_mock_cut(mock, false);
	cr_assert_eq(lev_send(lev, "amq.topic", "a.x", "one", 3, SOON), LEV_UNROUTABLE);
}

static void run_until(struct lev *loop, bool (*is_done)(void *), void *arg)
{
	uint64_t deadline = SOON;
	while (!is_done(arg)) {
		struct pollfd fd = { .fd = lev_fd(loop), .events = lev_want(loop) };
		uint64_t due = lev_due(loop), now = lev_now();
		cr_assert_lt(now, deadline);
		poll(&fd, 1, due <= now ? 0 : due - now < 100 ? (int)(due - now) : 100);
		lev_process(loop);
	}
}

static bool all_known(void *arg)
{
	return atomic_load(&((struct tally *)arg)->all) == 200;
}

Test(connection, runs_in_the_programs_own_loop)
{
	struct tally t = { 0 };
	struct lev_options o = {
		.uri = lev_mock_uri(mock), .is_loop = true, .backoff_min_ms = 1, .backoff_max_ms = 5
	};
	struct lev_publish p = to_queue("q", "looped");
	struct lev *loop;
	cr_assert_eq(lev_open(&loop, &o, SOON), LEV_OK);
	cr_assert_eq(lev_declare_queue(loop, "q", NULL, SOON), LEV_OK);
	for (int i = 0; i < 200; i++) {
		cr_assert_eq(lev_publish(loop, &p, count_outcome, &t, LEV_NOW), LEV_OK);
		if (i == 100)
			lev_mock_cut(mock, false);
	}
	run_until(loop, all_known, &t);
	cr_assert_eq(tally_of(&t, LEV_OK), 200);
	struct lev_queue_info info;
	cr_assert_eq(lev_queue_info(loop, "q", &info, SOON), LEV_OK);
	cr_assert_eq(info.messages, 200);
	cr_assert_eq(lev_close(loop, SOON), LEV_OK);
}

Test(connection, closing_twice_or_nothing_is_harmless)
{
	cr_assert_eq(lev_close(NULL, LEV_NOW), LEV_OK);
}

Test(connection, messages_may_outlive_it)
{
	struct lev *other;
	struct lev_message *m;
	cr_assert_eq(lev_connect(&other, lev_mock_uri(mock), SOON), LEV_OK);
	cr_assert_eq(lev_declare_queue(other, "q", NULL, SOON), LEV_OK);
	cr_assert_eq(lev_send(other, "", "q", "x", 1, SOON), LEV_OK);
	cr_assert_eq(lev_get(other, "q", &m, SOON), LEV_OK);
	cr_assert_eq(lev_close(other, SOON), LEV_OK);
	cr_assert_str_eq((const char *)m->body, "x");
	cr_assert_eq(lev_ack(m), LEV_CLOSED);
}
