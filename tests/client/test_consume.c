/* Consuming: pull and callback, settling, what a lost connection does, transactions. */
#include "world.h"

TestSuite(consume, .init = world_set_up, .fini = world_tear_down);

static struct lev_consumer *begin(struct lev_consume o)
{
	struct lev_consumer *c;
	o.queue = "q";
	cr_assert_eq(lev_declare_queue(lev, "q", NULL, SOON), LEV_OK);
	cr_assert_eq(lev_consume(lev, &o, &c, SOON), LEV_OK);
	return c;
}

static void send(const char *body)
{
	cr_assert_eq(lev_send(lev, "", "q", body, strlen(body), SOON), LEV_OK);
}

static struct lev_message *next(struct lev_consumer *c, const char *body)
{
	struct lev_message *m;
	cr_assert_eq(lev_next(c, &m, SOON), LEV_OK);
	cr_assert_str_eq((const char *)m->body, body);
	return m;
}

static uint32_t count(void)
{
	struct lev_queue_info info;
	cr_assert_eq(lev_queue_info(lev, "q", &info, SOON), LEV_OK);
	return info.messages;
}

Test(consume, settles_one_by_one_in_any_order)
{
	struct lev_consumer *c = begin((struct lev_consume){ .prefetch = 3 });
	struct lev_message *m, *held[3];
	send("a");
	send("b");
	send("c");
	send("d");
	for (int i = 0; i < 3; i++)
		held[i] = next(c, (const char *[]){ "a", "b", "c" }[i]);
	cr_assert_eq(lev_next(c, &m, lev_in(20)), LEV_TIMEOUT);
	cr_assert_eq(lev_ack(held[1]), LEV_OK);
	cr_assert_eq(lev_ack(held[2]), LEV_OK);
	cr_assert_eq(lev_ack(held[0]), LEV_OK);
	m = next(c, "d");
	cr_assert(!m->is_redelivered);
	cr_assert_eq(lev_requeue(m), LEV_OK);
	m = next(c, "d");
	cr_assert(m->is_redelivered);
	cr_assert_eq(lev_reject(m), LEV_OK);
	cr_assert_eq(lev_cancel(c, SOON), LEV_OK);
	cr_assert_eq(count(), 0);
}

Test(consume, is_back_after_a_cut_and_what_was_held_is_stale)
{
	struct lev_consumer *c = begin((struct lev_consume){ .prefetch = 10 });
	send("a");
	send("b");
	struct lev_message *m = next(c, "a");
	take_broker_down();
	lev_mock_cut(mock, false);
	cr_assert_eq(lev_ack(m), LEV_STALE);
	for (int i = 0; i < 2; i++) {
		m = next(c, i == 0 ? "a" : "b");
		cr_assert(m->is_redelivered);
		cr_assert_eq(lev_ack(m), LEV_OK);
	}
	cr_assert_eq(lev_cancel(c, SOON), LEV_OK);
	cr_assert_eq(count(), 0);
}

Test(consume, cancelling_gives_back_what_nobody_has_seen_and_waits_for_the_rest)
{
	struct lev_consumer *c = begin((struct lev_consume){ .prefetch = 10 });
	for (int i = 0; i < 5; i++)
		send("x");
	struct lev_message *m = next(c, "x");
	cr_assert_eq(lev_cancel(c, lev_in(20)), LEV_TIMEOUT);
	cr_assert_eq(lev_ack(m), LEV_STALE);
	cr_assert_eq(count(), 5);
}

Test(consume, ends_with_its_queue)
{
	struct lev_consumer *c = begin((struct lev_consume){ 0 }), *none = NULL;
	struct lev_message *m;
	cr_assert_eq(lev_delete_queue(lev, "q", NULL, SOON), LEV_OK);
	cr_assert_eq(lev_next(c, &m, SOON), LEV_CLOSED);
	cr_assert(strstr(lev_reason(), "deleted") != NULL);
	cr_assert_eq(lev_cancel(c, SOON), LEV_OK);
	cr_assert_eq(lev_consume(lev, &(struct lev_consume){ .queue = "q" }, &none, SOON),
		     LEV_REFUSED);
	cr_assert_null(none);
}

struct called {
	atomic_int messages, cancelled;
};

static void on_message(void *arg, struct lev_message *m)
{
	struct called *called = arg;
	cr_assert_eq(lev_ack(m), LEV_OK);
	atomic_fetch_add(&called->messages, 1);
}

static void on_cancelled(void *arg, const char *reason)
{
	struct called *called = arg;
	cr_assert(strstr(reason, "'q'") != NULL);
	atomic_fetch_add(&called->cancelled, 1);
}

Test(consume, calls_back)
{
	struct called called = { 0 };
	struct lev_consumer *c = begin((struct lev_consume){
		.on_message = on_message, .on_cancelled = on_cancelled, .arg = &called });
	for (int i = 0; i < 50; i++)
		send("x");
	wait_until(&called.messages, 50);
	cr_assert_eq(lev_delete_queue(lev, "q", NULL, SOON), LEV_OK);
	wait_until(&called.cancelled, 1);
	cr_assert_eq(lev_cancel(c, SOON), LEV_OK);
}

static struct lev_consumer *self;
static atomic_int seen;

static void cancel_self(void *arg, struct lev_message *m)
{
	(void)arg;
	cr_assert_eq(lev_ack(m), LEV_OK);
	cr_assert_eq(lev_cancel(self, LEV_NEVER), LEV_OK);
	atomic_fetch_add(&seen, 1);
}

Test(consume, can_be_cancelled_in_its_own_callback)
{
	atomic_store(&seen, 0);
	cr_assert_eq(lev_declare_queue(lev, "q", NULL, SOON), LEV_OK);
	for (int i = 0; i < 5; i++)
		send("x");
	lev_mock_stick_disk(mock, false);
	cr_assert_eq(lev_declare_queue(lev, "later", NULL, SOON), LEV_OK);
	struct lev_consume o = { .queue = "later", .on_message = cancel_self };
	cr_assert_eq(lev_consume(lev, &o, &self, SOON), LEV_OK);
	cr_assert_eq(lev_send(lev, "", "later", "go", 2, SOON), LEV_OK);
	cr_assert_eq(lev_send(lev, "", "later", "stay", 4, SOON), LEV_OK);
	wait_until(&seen, 1);
	for (uint64_t deadline = SOON;;) {
		struct lev_queue_info info;
		cr_assert_eq(lev_queue_info(lev, "later", &info, SOON), LEV_OK);
		if (info.messages == 1 && info.consumers == 0)
			break;
		cr_assert_lt(lev_now(), deadline);
	}
}

Test(consume, without_acks_is_bounded_by_what_is_taken)
{
	struct lev_consumer *c = begin((struct lev_consume){ .is_no_ack = true });
	size_t len = 1 << 20;
	char *body = calloc(1, len);
	for (int i = 0; i < 40; i++) {
		struct lev_publish p = { .routing_key = "q", .body = body, .body_len = len };
		struct lev_message *m;
		cr_assert_eq(lev_publish(lev, &p, NULL, NULL, SOON), LEV_OK);
		if (i >= 20) {
			cr_assert_eq(lev_next(c, &m, SOON), LEV_OK);
			lev_message_free(m);
		}
	}
	for (int i = 0; i < 20; i++) {
		struct lev_message *m;
		cr_assert_eq(lev_next(c, &m, SOON), LEV_OK);
		cr_assert_eq(lev_ack(m), LEV_OK);
	}
	free(body);
	cr_assert_eq(lev_cancel(c, SOON), LEV_OK);
}

Test(consume, a_message_can_rest_as_long_as_the_consumer_says)
{
	struct lev_consumer *c = begin((struct lev_consume){ 0 });
	struct lev_message *m;
	send("later");
	cr_assert_eq(lev_retry_after(next(c, "later"), 60000), LEV_OK);
	cr_assert_eq(lev_next(c, &m, lev_in(30)), LEV_TIMEOUT);
	lev_mock_advance(mock, 60000);
	m = next(c, "later");
	cr_assert(m->is_redelivered);
	lev_ack(m);
	cr_assert_eq(lev_cancel(c, SOON), LEV_OK);
}

/* --- transactions --- */

static struct lev_consumer *begin_tx(void)
{
	cr_assert_eq(lev_declare_queue(lev, "out", NULL, SOON), LEV_OK);
	return begin((struct lev_consume){ .is_tx = true });
}

static void produce(struct lev_consumer *c, const char *body)
{
	struct lev_publish p = to_queue("out", body);
	cr_assert_eq(lev_tx_publish(c, &p), LEV_OK);
}

Test(consume, a_transaction_takes_and_gives_at_once_or_not_at_all)
{
	struct lev_consumer *c = begin_tx();
	send("in");
	struct lev_message *m = next(c, "in");
	produce(c, "first");
	cr_assert_eq(lev_ack(m), LEV_OK);
	cr_assert_eq(lev_rollback(c), LEV_OK);
	m = next(c, "in");
	expect_empty("out");
	produce(c, "second");
	cr_assert_eq(lev_ack(m), LEV_OK);
	cr_assert_eq(lev_commit(c, SOON), LEV_OK);
	expect_message("out", "second");
	expect_empty("out");
	cr_assert_eq(lev_cancel(c, SOON), LEV_OK);
	cr_assert_eq(count(), 0);
}

Test(consume, a_transaction_over_two_connections_is_none)
{
	struct lev_consumer *c = begin_tx();
	send("in");
	struct lev_message *m = next(c, "in");
	produce(c, "lost");
	take_broker_down();
	lev_mock_cut(mock, false);
	cr_assert_eq(lev_ack(m), LEV_STALE);
	cr_assert_eq(lev_commit(c, SOON), LEV_STALE);
	m = next(c, "in");
	produce(c, "kept");
	cr_assert_eq(lev_ack(m), LEV_OK);
	cr_assert_eq(lev_commit(c, SOON), LEV_OK);
	expect_message("out", "kept");
	expect_empty("out");
	cr_assert_eq(lev_cancel(c, SOON), LEV_OK);
}

Test(consume, a_commit_says_what_went_nowhere)
{
	struct lev_consumer *c = begin_tx();
	struct lev_publish p = to_queue("nowhere", "x");
	send("in");
	struct lev_message *m = next(c, "in");
	cr_assert_eq(lev_tx_publish(c, &p), LEV_OK);
	cr_assert_eq(lev_ack(m), LEV_OK);
	cr_assert_eq(lev_commit(c, SOON), LEV_UNROUTABLE);
	cr_assert_eq(lev_cancel(c, SOON), LEV_OK);
	cr_assert_eq(count(), 0);
}

/* --- topology --- */

Test(consume, what_is_rejected_lies_in_the_dead_letter_queue)
{
	struct lev_consumer *c;
	cr_assert_eq(lev_declare_with_dlq(lev, "jobs", NULL, SOON), LEV_OK);
	cr_assert_eq(lev_declare_with_dlq(lev, "jobs", NULL, SOON), LEV_OK);
	cr_assert_eq(lev_send(lev, "", "jobs", "bad", 3, SOON), LEV_OK);
	cr_assert_eq(lev_consume(lev, &(struct lev_consume){ .queue = "jobs" }, &c, SOON), LEV_OK);
	cr_assert_eq(lev_reject(next(c, "bad")), LEV_OK);
	cr_assert_eq(lev_cancel(c, SOON), LEV_OK);
	expect_message("jobs.dlq", "bad");
}

Test(consume, declaring_something_else_is_refused_and_harms_nothing)
{
	const struct lev_queue transient = { .is_transient = true };
	uint32_t messages;
	cr_assert_eq(lev_declare_queue(lev, "q", NULL, SOON), LEV_OK);
	cr_assert_eq(lev_declare_queue(lev, "q", &transient, SOON), LEV_REFUSED);
	cr_assert(strstr(lev_reason(), "406 PRECONDITION_FAILED") != NULL);
	cr_assert_eq(lev_declare_exchange(lev, "x", "fanout", NULL, SOON), LEV_OK);
	cr_assert_eq(lev_declare_exchange(lev, "x", "no such type", NULL, SOON), LEV_REFUSED);
	cr_assert_eq(lev_bind(lev, "q", "x", "", NULL, SOON), LEV_OK);
	cr_assert_eq(lev_bind_exchange(lev, "x", "amq.direct", "k", SOON), LEV_OK);
	cr_assert_eq(lev_send(lev, "amq.direct", "k", "x", 1, SOON), LEV_OK);
	cr_assert_eq(lev_purge(lev, "q", &messages, SOON), LEV_OK);
	cr_assert_eq(messages, 1);
	cr_assert_eq(lev_delete_exchange(lev, "x", SOON), LEV_OK);
	cr_assert_eq(lev_delete_queue(lev, "q", &messages, SOON), LEV_OK);
	cr_assert_eq(lev_queue_info(lev, "q", &(struct lev_queue_info){ 0 }, SOON), LEV_REFUSED);
}
