/* Publishing: exactly one outcome for each message, whatever happens to the connection. */
#include "world.h"

TestSuite(publish, .init = world_set_up, .fini = world_tear_down);

static void declare(void)
{
	cr_assert_eq(lev_declare_queue(lev, "q", NULL, SOON), LEV_OK);
}

static uint32_t count(const char *queue)
{
	struct lev_queue_info info;
	cr_assert_eq(lev_queue_info(lev, queue, &info, SOON), LEV_OK);
	return info.messages;
}

Test(publish, has_every_outcome_that_there_is)
{
	struct lev_table *full = lev_table_create();
	const struct lev_queue small = { .arguments = full };
	lev_table_set_int(full, "x-max-length", 0);
	lev_table_set_str(full, "x-overflow", "reject-publish");
	declare();
	cr_assert_eq(lev_declare_queue(lev, "full", &small, SOON), LEV_OK);
	lev_table_destroy(full);
	struct lev_publish p = to_queue("q", "paid");
	p.key = "order-1";
	p.step = "pay";
	cr_assert_eq(lev_publish_wait(lev, &p, SOON), LEV_OK);
	cr_assert_eq(lev_publish_wait(lev, &p, SOON), LEV_DUPLICATE);
	p.body = "owed";
	cr_assert_eq(lev_publish_wait(lev, &p, SOON), LEV_CONFLICT);
	cr_assert_eq(lev_send(lev, "", "nowhere", "x", 1, SOON), LEV_UNROUTABLE);
	cr_assert_eq(lev_send(lev, "", "full", "x", 1, SOON), LEV_REFUSED);
	cr_assert_eq(lev_send(lev, "no such", "", "x", 1, SOON), LEV_REFUSED);
	cr_assert(strstr(lev_reason(), "404 NOT_FOUND - no exchange 'no such'") != NULL);
	lev_mock_stick_disk(mock, true);
	cr_assert_eq(lev_send(lev, "", "q", "x", 1, lev_in(50)), LEV_UNKNOWN);
	lev_mock_stick_disk(mock, false);
	cr_assert_eq(count("q"), 2);
}

Test(publish, nobody_need_be_there_for_an_optional_one)
{
	struct lev_publish p = to_queue("nowhere", "x");
	p.is_optional = true;
	cr_assert_eq(lev_publish_wait(lev, &p, SOON), LEV_OK);
}

Test(publish, survives_a_cut_at_every_byte)
{
	struct tally t = { 0 };
	declare();
	for (size_t bytes = 1; bytes < 700; bytes += 7) {
		lev_mock_cut_after(mock, bytes);
		for (int i = 0; i < 5; i++) {
			struct lev_publish p = to_queue("q", "once");
			cr_assert_eq(lev_publish(lev, &p, count_outcome, &t, SOON), LEV_OK);
		}
		cr_assert_eq(lev_flush(lev, SOON), LEV_OK);
	}
	cr_assert_eq(tally_of(&t, LEV_OK), 500);
	cr_assert_eq(atomic_load(&t.all), 500);
	cr_assert_eq(count("q"), 500);
}

Test(publish, keeps_their_order_over_cuts)
{
	struct lev_consumer *consumer;
	declare();
	for (int i = 0; i < 3000; i++) {
		char body[16];
		snprintf(body, sizeof body, "%d", i);
		struct lev_publish p = to_queue("q", body);
		cr_assert_eq(lev_publish(lev, &p, NULL, NULL, SOON), LEV_OK);
		if (i % 500 == 250)
			lev_mock_cut(mock, false);
	}
	cr_assert_eq(lev_flush(lev, SOON), LEV_OK);
	cr_assert_eq(lev_consume(lev, &(struct lev_consume){ .queue = "q" }, &consumer, SOON),
		     LEV_OK);
	for (int i = 0; i < 3000; i++) {
		struct lev_message *m;
		cr_assert_eq(lev_next(consumer, &m, SOON), LEV_OK);
		cr_assert_eq(atoi(m->body), i);
		lev_ack(m);
	}
	cr_assert_eq(lev_cancel(consumer, SOON), LEV_OK);
}

Test(publish, one_that_is_refused_with_its_channel_takes_no_others_along)
{
	struct tally t = { 0 };
	declare();
	for (int i = 0; i < 300; i++) {
		struct lev_publish p = to_queue("q", "good");
		if (i % 50 == 25)
			p.exchange = "no such";
		cr_assert_eq(lev_publish(lev, &p, count_outcome, &t, SOON), LEV_OK);
	}
	cr_assert_eq(lev_flush(lev, SOON), LEV_OK);
	cr_assert_eq(tally_of(&t, LEV_REFUSED), 6);
	cr_assert_eq(tally_of(&t, LEV_OK), 294);
	cr_assert_eq(count("q"), 294);
}

Test(publish, without_identity_is_unknown_after_a_cut_and_not_sent_again)
{
	struct tally t = { 0 };
	struct lev_options o = { .uri = lev_mock_uri(mock),
				 .is_anonymous = true,
				 .backoff_min_ms = 1 };
	struct lev_publish p = to_queue("q", "once at most");
	struct lev *other;
	declare();
	cr_assert_eq(lev_open(&other, &o, SOON), LEV_OK);
	lev_mock_stick_disk(mock, true);
	cr_assert_eq(lev_publish(other, &p, count_outcome, &t, SOON), LEV_OK);
	struct lev_publish keyed = p;
	keyed.key = "k";
	cr_assert_eq(lev_publish(other, &keyed, count_outcome, &t, SOON), LEV_OK);
	for (uint64_t deadline = SOON; count("q") < 2;) /* Both have been sent by now. */
		cr_assert_lt(lev_now(), deadline);
	lev_mock_cut(mock, false);
	lev_mock_stick_disk(mock, false);
	cr_assert_eq(lev_flush(other, SOON), LEV_OK);
	cr_assert_eq(tally_of(&t, LEV_UNKNOWN), 1);
	cr_assert_eq(tally_of(&t, LEV_OK), 1);
	lev_close(other, SOON);
	cr_assert_eq(count("q"), 2);
}

/* A program that publishes what it has received, headers and all: it is a message of its own. */
Test(publish, what_was_received_can_be_published_as_it_is)
{
	struct lev_message *m;
	struct lev_publish p = to_queue("q", "job");
	declare();
	p.key = "k";
	cr_assert_eq(lev_publish_wait(lev, &p, SOON), LEV_OK);
	for (int round = 0; round < 3; round++) {
		cr_assert_eq(lev_get(lev, "q", &m, SOON), LEV_OK);
		struct lev_table *headers = lev_table_create();
		char uid[24];
		struct lev_field f;
		for (size_t at = 0; lev_table_next(m->properties.headers, &at, &f);)
			cr_assert(strncmp(f.name, "x-producer-", 11) != 0);
		cr_assert(lev_table_str(m->properties.headers, "x-message-uid", uid, sizeof uid));
		lev_table_set_str(headers, "x-idempotency-key", "k");
		lev_table_set_str(headers, "x-message-uid", uid);
		lev_table_set_str(headers, "x-producer-id", "somebody else's");
		lev_table_set_int(headers, "x-producer-seq", 1);
		struct lev_properties properties = { .headers = headers };
		struct lev_publish copy = to_queue("q", "job");
		copy.properties = &properties;
		cr_assert_eq(lev_publish_wait(lev, &copy, SOON), LEV_OK);
		cr_assert_eq(lev_publish_wait(lev, &copy, SOON), LEV_DUPLICATE);
		cr_assert_eq(count("q"), 1, "round %d", round);
		cr_assert_eq(lev_ack(m), LEV_OK);
		lev_table_destroy(headers);
	}
}

Test(publish, waits_for_the_window_no_longer_than_it_should)
{
	struct tally t = { 0 };
	struct lev_options o = { .uri = lev_mock_uri(mock), .window = 4 };
	struct lev_publish p = to_queue("q", "x");
	struct lev *other;
	declare();
	cr_assert_eq(lev_open(&other, &o, SOON), LEV_OK);
	lev_mock_stick_disk(mock, true);
	for (int i = 0; i < 4; i++)
		cr_assert_eq(lev_publish(other, &p, count_outcome, &t, LEV_NOW), LEV_OK);
	cr_assert_eq(lev_publish(other, &p, count_outcome, &t, LEV_NOW), LEV_FULL);
	cr_assert_eq(lev_publish(other, &p, count_outcome, &t, lev_in(20)), LEV_TIMEOUT);
	cr_assert_eq(lev_in_flight(other), 4);
	lev_mock_stick_disk(mock, false);
	cr_assert_eq(lev_publish(other, &p, count_outcome, &t, SOON), LEV_OK);
	cr_assert_eq(lev_close(other, SOON), LEV_OK);
	cr_assert_eq(tally_of(&t, LEV_OK), 5);
}

Test(publish, a_deadline_of_its_own_ends_the_waiting)
{
	struct tally t = { 0 };
	struct lev_publish p = to_queue("q", "x");
	declare();
	take_broker_down();
	p.deadline = lev_in(30);
	cr_assert_eq(lev_publish(lev, &p, count_outcome, &t, SOON), LEV_OK);
	cr_assert_eq(lev_flush(lev, SOON), LEV_OK);
	cr_assert_eq(tally_of(&t, LEV_NOT_SENT), 1);
	lev_mock_cut(mock, false);
	expect_empty("q");
}

Test(publish, closing_tells_what_is_left)
{
	struct tally t = { 0 };
	struct lev_publish p = to_queue("q", "x");
	struct lev *other;
	declare();
	cr_assert_eq(lev_connect(&other, lev_mock_uri(mock), SOON), LEV_OK);
	lev_mock_stick_disk(mock, true);
	cr_assert_eq(lev_publish(other, &p, count_outcome, &t, SOON), LEV_OK);
	cr_assert_eq(lev_close(other, lev_in(50)), LEV_TIMEOUT);
	cr_assert_eq(tally_of(&t, LEV_UNKNOWN), 1);
	lev_mock_stick_disk(mock, false);
}

static void publish_again(void *arg, const struct lev_outcome *outcome)
{
	struct lev_publish p = to_queue("q", "from a callback");
	struct lev_message *m;
	cr_assert_eq(outcome->result, LEV_OK);
	cr_assert_eq(lev_publish(lev, &p, count_outcome, arg, LEV_NEVER), LEV_OK);
	cr_assert_eq(lev_get(lev, "q", &m, SOON), LEV_IN_CALLBACK);
	cr_assert_eq(lev_publish_wait(lev, &p, SOON), LEV_IN_CALLBACK);
	cr_assert_eq(lev_flush(lev, SOON), LEV_IN_CALLBACK);
	cr_assert_eq(lev_close(lev, SOON), LEV_IN_CALLBACK);
}

Test(publish, can_be_done_in_callbacks)
{
	struct tally t = { 0 };
	struct lev_publish p = to_queue("q", "x");
	declare();
	cr_assert_eq(lev_publish(lev, &p, publish_again, &t, SOON), LEV_OK);
	wait_until(&t.all, 1);
	cr_assert_eq(tally_of(&t, LEV_OK), 1);
}

Test(publish, what_makes_no_sense_is_refused_before_it_is_sent)
{
	char long_name[300];
	struct lev_table *bad = lev_table_create();
	struct lev_properties properties = { .headers = bad };
	memset(long_name, 'x', sizeof long_name - 1);
	long_name[sizeof long_name - 1] = '\0';
	lev_table_set_str(bad, long_name, "too long a name");
	struct lev_publish ps[] = {
		{ .routing_key = long_name },
		{ .exchange = long_name },
		{ .routing_key = "\xff\xfe" },
		{ .body_len = 1 },
		{ .key = "" },
		{ .key = long_name },
		{ .key = "fine", .step = long_name + 10 },
		{ .properties = &properties },
	};
	for (size_t i = 0; i < sizeof ps / sizeof *ps; i++)
		cr_assert_eq(lev_publish(lev, &ps[i], NULL, NULL, SOON), LEV_INVALID, "%zu", i);
	cr_assert_eq(lev_in_flight(lev), 0);
	lev_table_destroy(bad);
}

Test(publish, carries_every_property_there_and_back)
{
	struct lev_table *headers = lev_table_create();
	struct lev_properties p = { "text/plain", "gzip",     "c-1", "r", "m-1", "order", "guest",
				    "shop",       1700000000, 60000, 7,   false, headers };
	struct lev_publish publish = to_queue("q", "all of it");
	struct lev_message *m;
	char text[16];
	lev_table_set_str(headers, "where", "here");
	lev_table_set_int(headers, "many", INT64_C(1) << 40);
	lev_table_set_int(headers, "few", -1);
	lev_table_set_bool(headers, "true", true);
	publish.properties = &p;
	declare();
	cr_assert_eq(lev_publish_wait(lev, &publish, SOON), LEV_OK);
	cr_assert_eq(lev_get(lev, "q", &m, SOON), LEV_OK);
	const struct lev_properties *q = &m->properties;
	cr_assert_str_eq(q->content_type, "text/plain");
	cr_assert_str_eq(q->content_encoding, "gzip");
	cr_assert_str_eq(q->correlation_id, "c-1");
	cr_assert_str_eq(q->reply_to, "r");
	cr_assert_str_eq(q->message_id, "m-1");
	cr_assert_str_eq(q->type, "order");
	cr_assert_str_eq(q->user_id, "guest");
	cr_assert_str_eq(q->app_id, "shop");
	cr_assert_eq(q->timestamp, 1700000000);
	cr_assert_eq(q->expiration_ms, 60000);
	cr_assert_eq(q->priority, 7);
	cr_assert(!q->is_transient);
	cr_assert(lev_table_str(q->headers, "where", text, sizeof text));
	cr_assert_str_eq(text, "here");
	cr_assert_eq(lev_table_int(q->headers, "many", 0), INT64_C(1) << 40);
	cr_assert_eq(lev_table_int(q->headers, "few", 0), -1);
	cr_assert_eq(lev_table_int(q->headers, "true", 0), 1);
	cr_assert_eq(lev_table_int(q->headers, "none", 5), 5);
	cr_assert(lev_message_uid(m) != NULL);
	lev_ack(m);
	lev_table_destroy(headers);
}

Test(publish, large_bodies_go_in_many_frames)
{
	size_t len = 3 * 1024 * 1024 + 17;
	char *body = malloc(len);
	struct lev_message *m;
	for (size_t i = 0; i < len; i++)
		body[i] = (char)(i * 31);
	declare();
	cr_assert_eq(lev_send(lev, "", "q", body, len, SOON), LEV_OK);
	cr_assert_eq(lev_get(lev, "q", &m, SOON), LEV_OK);
	cr_assert_eq(m->body_len, len);
	cr_assert_eq(memcmp(m->body, body, len), 0);
	lev_ack(m);
	free(body);
}

Test(publish, can_be_delayed)
{
	struct lev_publish p = to_queue("q", "later");
	p.delay_ms = 60000;
	declare();
	cr_assert_eq(lev_publish_wait(lev, &p, SOON), LEV_OK);
	expect_empty("q");
	lev_mock_advance(mock, 60000);
	expect_message("q", "later");
}

Test(publish, a_relay_may_have_numbers_of_its_own)
{
	struct lev_options o = { .uri = lev_mock_uri(mock), .producer_id = "relay" };
	struct lev *relay;
	declare();
	for (int life = 0; life < 2; life++) {
		cr_assert_eq(lev_open(&relay, &o, SOON), LEV_OK);
		for (uint64_t row = 1; row <= 10; row++) {
			struct lev_publish p = to_queue("q", "row");
			p.sequence = row * 7;
			cr_assert_eq(lev_publish_wait(relay, &p, SOON),
				     life == 0 ? LEV_OK : LEV_DUPLICATE);
		}
		cr_assert_eq(lev_send(relay, "", "q", "x", 1, SOON),
			     LEV_INVALID); /* The library has no numbers for it. */
		lev_close(relay, SOON);
	}
	cr_assert_eq(count("q"), 10);
}

static void ignore_event(void *arg, enum lev_event event, const char *text)
{
	(void)arg;
	(void)event;
	(void)text;
}

/* Another handle, in loop mode, runs its own callbacks meanwhile. */
static void use_another(void *arg, const struct lev_outcome *outcome)
{
	struct lev_options o = { .uri = lev_mock_uri(mock),
				 .is_loop = true,
				 .on_event = ignore_event };
	struct lev *other;
	(void)outcome;
	cr_assert_eq(lev_open(&other, &o, SOON), LEV_OK);
	cr_assert_eq(lev_send(other, "", "q", "x", 1, SOON), LEV_OK);
	cr_assert_eq(lev_close(other, SOON), LEV_OK);
	cr_assert_eq(lev_flush(lev, SOON), LEV_IN_CALLBACK);
	atomic_fetch_add((atomic_int *)arg, 1);
}

Test(publish, a_callback_stays_one_when_another_handle_calls_back_within)
{
	atomic_int called = 0;
	struct lev_publish p = to_queue("q", "x");
	declare();
	cr_assert_eq(lev_publish(lev, &p, use_another, &called, SOON), LEV_OK);
	wait_until(&called, 1);
}
