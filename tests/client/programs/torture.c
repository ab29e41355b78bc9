/* Fails every allocation of the client library in turn, and then every one from the n-th on: what a
 * program asked for answers LEV_NO_MEMORY, or works when it has come again on another connection;
 * nothing crashes, leaks or is forgotten, and each publish has one outcome. */
#include "fake.h"

#include <leveret/patterns.h>
#include <stdio.h>
#include <stdlib.h>

static unsigned taken, outcomes, requests, replies;

static void on_outcome(void *arg, const struct lev_outcome *o)
{
	(void)arg;
	(void)o;
	outcomes++;
}

static void on_reply(void *arg, int result, struct lev_message *reply)
{
	(void)arg;
	(void)result;
	replies++;
	lev_message_free(reply);
}

static void check(bool is_good, const char *what)
{
	if (is_good)
		return;
	fprintf(stderr, "allocation %lu%s: %s: %s\n", fake.fail_at,
		fake.fails_after ? " and all after it" : "", what, lev_reason());
	exit(1);
}

/* Failing, a call says that it was memory, or what came of that. */
static bool may_be(int rc)
{
	return rc >= 0 || rc == LEV_NO_MEMORY || rc == LEV_TIMEOUT || rc == LEV_DISCONNECTED ||
	       rc == LEV_STALE || rc == LEV_UNKNOWN || rc == LEV_NOT_SENT ||
	       rc == LEV_UNREACHABLE || rc == LEV_CLOSED;
}

static void publish_some(struct lev *lev)
{
	struct lev_table *headers = lev_table_create();
	struct lev_properties properties = { .content_type = "text/plain", .headers = headers };
	lev_table_set_str(headers, "name", "value");
	for (int i = 0; i < 5; i++) {
		struct lev_publish p = { .routing_key = "q",
					 .body = "hello",
					 .body_len = 5,
					 .properties = &properties,
					 .key = i == 3 ? "key" : NULL };
		int rc = lev_publish(lev, &p, on_outcome, NULL, lev_in(100));
		check(may_be(rc), "publish");
		taken += rc == LEV_OK;
		if (i == 2)
			fake_cut();
	}
	check(may_be(lev_flush(lev, lev_in(1000))), "flush");
	check(may_be(lev_send(lev, "", "q", "x", 1, lev_in(1000))), "send");
	lev_table_destroy(headers);
}

static void consume_some(struct lev *lev, bool is_tx)
{
	struct lev_consumer *c;
	struct lev_message *m;
	struct lev_publish p = { .routing_key = "q", .body = "t", .body_len = 1 };
	fake.deliveries = 3;
	int rc = lev_consume(lev,
			     &(struct lev_consume){ .queue = "q", .is_tx = is_tx, .lease_ms = 10 },
			     &c, lev_in(100));
	check(may_be(rc), "consume");
	if (rc != LEV_OK)
		return;
	for (int i = 0; i < 3; i++) {
		rc = lev_next(c, &m, lev_in(100));
		check(may_be(rc), "next");
		if (rc != LEV_OK)
			continue;
		if (is_tx)
			check(may_be(lev_tx_publish(c, &p)), "tx_publish");
		rc = i == 1 && !is_tx ? lev_retry_after(m, 5) : lev_ack(m);
		check(may_be(rc), "settle");
		if (rc == LEV_NO_MEMORY)
			lev_message_free(m);
	}
	if (is_tx)
		check(may_be(lev_commit(c, lev_in(100))), "commit");
	check(may_be(lev_cancel(c, lev_in(100))), "cancel");
}

static void topology(struct lev *lev)
{
	const struct lev_queue own = { .is_exclusive = true };
	struct lev_message *m;
	check(may_be(lev_declare_queue(lev, "own", &own, lev_in(100))), "declare");
	check(may_be(lev_bind(lev, "own", "amq.topic", "#", NULL, lev_in(100))), "bind");
	check(may_be(lev_declare_with_dlq(lev, "jobs", NULL, lev_in(100))), "declare_with_dlq");
	int rc = lev_get(lev, "q", &m, lev_in(100));
	check(may_be(rc), "get");
	if (rc == LEV_OK)
		lev_ack(m);
}

static void request_some(struct lev *lev)
{
	struct lev_publish p = { .routing_key = "q", .body = "?", .body_len = 1 };
	for (int i = 0; i < 3; i++) {
		int rc = lev_request_async(lev, &p, on_reply, NULL, lev_in(20));
		check(may_be(rc), "request");
		requests += rc == LEV_OK;
	}
}

/* What is held, or waits to be taken, keeps its lease: it is extended three times in each, on the
 * channel that it came on. */
static void keep_a_lease(void)
{
	struct lev *lev;
	struct lev_consumer *c;
	struct lev_message *m;
	struct lev_options o = { .uri = "amqp://a", .is_loop = true };
	fake_reset();
	fake.deliveries = 1;
	check(lev_open(&lev, &o, lev_in(100)) == LEV_OK, "open");
	check(lev_consume(lev, &(struct lev_consume){ .queue = "q", .lease_ms = 300 }, &c,
			  lev_in(100)) == LEV_OK,
	      "consume");
	check(lev_next(c, &m, lev_in(100)) == LEV_OK, "next");
	unsigned before = fake.publishes;
	for (unsigned i = 0; i < 3000; i++, fake.now_ms++)
		lev_process(lev);
	check(fake.publishes - before >= 29 && fake.publishes - before <= 31,
	      "a lease is extended");
	check(lev_ack(m) == LEV_OK, "ack");
	before = fake.publishes;
	for (unsigned i = 0; i < 3000; i++, fake.now_ms++)
		lev_process(lev);
	check(fake.publishes == before, "of nothing there is none");
	check(lev_cancel(c, lev_in(100)) == LEV_OK && lev_close(lev, lev_in(100)) == LEV_OK,
	      "close");
}

/* What a broker sends beyond the prefetch would have no bound. */
static void refuse_a_flood(void)
{
	struct lev *lev;
	struct lev_consumer *c;
	struct lev_options o = { .uri = "amqp://a", .is_loop = true };
	fake_reset();
	fake.deliveries = 4;
	check(lev_open(&lev, &o, lev_in(100)) == LEV_OK, "open");
	check(lev_consume(lev, &(struct lev_consume){ .queue = "q", .prefetch = 3 }, &c,
			  lev_in(1000)) == LEV_TIMEOUT,
	      "consume");
	check(fake.connections > 2, "a flood ends the connection");
	lev_close(lev, lev_in(100));
}

/* A broker that reads nothing for a while is waited for, not asked again and again. */
static void wait_for_the_deaf(void)
{
	struct lev *lev;
	struct lev_options o = { .uri = "amqp://a", .is_loop = true };
	struct lev_publish p = { .routing_key = "q" };
	fake_reset();
	check(lev_open(&lev, &o, lev_in(100)) == LEV_OK, "open");
	fake.is_deaf = true;
	check(lev_publish(lev, &p, NULL, NULL, LEV_NOW) == LEV_OK, "publish");
	lev_process(lev);
	fake.now_ms += 9000; /* Heartbeats of 10 s were agreed. */
	for (unsigned i = 0; i < 3; i++)
		lev_process(lev);
	check(lev_due(lev) > fake.now_ms, "there is nothing to be done");
	fake.is_deaf = false;
	check(lev_close(lev, lev_in(1000)) == LEV_OK, "close");
}

static int last_result;

static void keep_result(void *arg, const struct lev_outcome *o)
{
	(void)arg;
	last_result = o->result;
}

/* A channel that is closed for a publish whose deadline has passed: the one that is in flight alone
 * is not to blame. */
static void blame_nobody_else(void)
{
	struct lev *lev;
	struct lev_options o = { .uri = "amqp://a", .is_loop = true };
	struct lev_publish late = { .exchange = "none", .routing_key = "q", .deadline = 1 },
			   good = { .routing_key = "q" };
	struct method close = { .id = METHOD_channel_close };
	close.channel_close.reply_code = 404;
	close.channel_close.reply_text = bytes_str("NOT_FOUND - no exchange 'none' in vhost '/'");
	fake_reset();
	check(lev_open(&lev, &o, lev_in(100)) == LEV_OK, "open");
	fake.holds_confirms = true;
	late.deadline = lev_in(5);
	check(lev_publish(lev, &late, keep_result, NULL, LEV_NOW) == LEV_OK, "publish");
	for (unsigned i = 0; i < 10; i++, fake.now_ms++)
		lev_process(lev);
	check(last_result == LEV_UNKNOWN, "its deadline has passed");
	check(lev_publish(lev, &good, keep_result, NULL, LEV_NOW) == LEV_OK, "publish");
	for (unsigned i = 0; i < 3; i++)
		lev_process(lev);
	fake.holds_confirms = false;
	fake_say_method(2, &close);
	check(lev_flush(lev, lev_in(1000)) == LEV_OK && last_result == LEV_OK,
	      "the other one is stored");
	lev_close(lev, lev_in(100));
}

/* True if it took as many allocations as are to fail. */
static bool scenario(unsigned long fail_at, bool fails_after)
{
	struct lev *lev;
	struct lev_options o = { .uri = "amqp://a, amqp://b",
				 .is_loop = true,
				 .backoff_min_ms = 1,
				 .backoff_max_ms = 2,
				 .window = 4 };
	fake_reset();
	fake.fail_at = fail_at;
	fake.fails_after = fails_after;
	taken = outcomes = requests = replies = 0;
	int rc = lev_open(&lev, &o, lev_in(100));
	check(may_be(rc), "open");
	if (rc == LEV_OK) {
		topology(lev);
		publish_some(lev);
		consume_some(lev, false);
		consume_some(lev, true);
		request_some(lev);
		lev_close(lev, lev_in(100));
	}
	bool was_enough = fake.allocations >= fail_at;
	check(outcomes == taken, "outcomes");
	check(replies == requests, "replies");
	check(fake.outstanding == 0, "a leak");
	if (fail_at == 0)
		check(rc == LEV_OK && taken == 5 && requests == 3, "without failures");
	return was_enough;
}

int main(void)
{
	unsigned long n = 1;
	keep_a_lease();
	refuse_a_flood();
	blame_nobody_else();
	wait_for_the_deaf();
	scenario(0, false);
	while (scenario(n, false) && scenario(n, true))
		n++;
	if (n < 40) {
		fprintf(stderr, "only %lu allocations\n", n);
		return 1;
	}
	printf("%lu allocations failed in turn: 1 passed, 0 failed\n", n - 1);
	return 0;
}
