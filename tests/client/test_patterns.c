/* Patterns without a broker: time is an argument. */
#include <criterion/criterion.h>
#include <leveret/patterns.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- circuit breaker --- */

static void fail_times(struct lev_breaker *b, int times, uint64_t now)
{
	for (int i = 0; i < times; i++) {
		cr_assert(lev_breaker_allows(b, now));
		lev_breaker_record(b, false, now);
	}
}

Test(breaker, opens_after_failures_in_a_row_and_closes_after_a_probe)
{
	const struct lev_breaker_options o = { .failures = 3, .open_ms = 1000 };
	struct lev_breaker b;
	lev_breaker_init(&b, &o);
	fail_times(&b, 2, 0);
	cr_assert(lev_breaker_allows(&b, 0));
	lev_breaker_record(&b, true, 0);
	fail_times(&b, 3, 10);
	cr_assert_eq(lev_breaker_state(&b, 10), LEV_BREAKER_OPEN);
	cr_assert(!lev_breaker_allows(&b, 1009));
	cr_assert_eq(lev_breaker_state(&b, 1010), LEV_BREAKER_HALF_OPEN);
	cr_assert(lev_breaker_allows(&b, 1010));
	cr_assert(!lev_breaker_allows(&b, 1010)); /* One probe at a time. */
	lev_breaker_record(&b, false, 1020);
	cr_assert(!lev_breaker_allows(&b, 2019));
	cr_assert(lev_breaker_allows(&b, 2020));
	lev_breaker_record(&b, true, 2021);
	cr_assert_eq(lev_breaker_state(&b, 2021), LEV_BREAKER_CLOSED);
	fail_times(&b, 2, 2022);
	cr_assert_eq(lev_breaker_state(&b, 2022), LEV_BREAKER_CLOSED);
}

Test(breaker, opens_when_too_many_of_the_last_calls_failed)
{
	const struct lev_breaker_options o = { .failures = 100, .rate_percent = 50, .window = 10 };
	struct lev_breaker b;
	lev_breaker_init(&b, &o);
	for (int i = 0; i < 40; i++) {
		cr_assert(lev_breaker_allows(&b, 0), "%d", i);
		lev_breaker_record(&b, i % 10 < 6, 0);
	}
	cr_assert(lev_breaker_allows(&b, 0));
	lev_breaker_record(&b, false, 0);
	lev_breaker_record(&b, false, 0);
	lev_breaker_record(&b, false, 0);
	lev_breaker_record(&b, false, 0);
	lev_breaker_record(&b, false, 0);
	cr_assert(!lev_breaker_allows(&b, 0));
	cr_assert(!lev_breaker_allows(&b, 29999));
	cr_assert(lev_breaker_allows(&b, 30000));
}

Test(breaker, takes_no_notice_of_what_began_before_it_opened)
{
	const struct lev_breaker_options o = { .failures = 1, .open_ms = 10 };
	struct lev_breaker b;
	lev_breaker_init(&b, &o);
	lev_breaker_allows(&b, 0);
	lev_breaker_allows(&b, 0);
	lev_breaker_record(&b, false, 0);
	lev_breaker_record(&b, true, 1);
	cr_assert(!lev_breaker_allows(&b, 9));
}

/* Five calls that fail, and others that are still on their way when it opens. */
static uint64_t open_with_one_late(struct lev_breaker *b)
{
	const struct lev_breaker_options o = { .open_ms = 1000, .probe_ms = 500 };
	lev_breaker_init(b, &o);
	uint64_t late = lev_breaker_begin(b, 0);
	for (int i = 0; i < 5; i++)
		lev_breaker_end(b, lev_breaker_begin(b, 0), LEV_TIMEOUT, 0);
	cr_assert_eq(lev_breaker_state(b, 0), LEV_BREAKER_OPEN);
	return late;
}

Test(breaker, a_late_result_does_not_speak_for_the_probe)
{
	static const int results[] = { LEV_OK, LEV_TIMEOUT };
	for (int i = 0; i < 2; i++) {
		struct lev_breaker b;
		uint64_t late = open_with_one_late(&b), probe = lev_breaker_begin(&b, 1000);
		cr_assert_neq(probe, 0);
		lev_breaker_end(&b, late, results[i], 1001);
		cr_assert_eq(lev_breaker_state(&b, 1001), LEV_BREAKER_HALF_OPEN);
		cr_assert_eq(lev_breaker_begin(&b, 1001), 0);
		lev_breaker_end(&b, probe, LEV_OK, 1002);
		cr_assert_eq(lev_breaker_state(&b, 1002), LEV_BREAKER_CLOSED);
		for (int j = 0; j < 10; j++)
			lev_breaker_end(&b, late, LEV_TIMEOUT, 1003);
		cr_assert_eq(lev_breaker_state(&b, 1003), LEV_BREAKER_CLOSED);
	}
}

Test(breaker, a_lost_probe_is_followed_by_another)
{
	struct lev_breaker b;
	open_with_one_late(&b);
	uint64_t lost = lev_breaker_begin(&b, 1000);
	cr_assert_eq(lev_breaker_begin(&b, 1499), 0);
	uint64_t probe = lev_breaker_begin(&b, 1500);
	cr_assert_neq(probe, 0);
	cr_assert_eq(lev_breaker_begin(&b, 1999), 0); /* It has as long as the first one. */
	lev_breaker_end(&b, lost, LEV_TIMEOUT, 1501);
	cr_assert_eq(lev_breaker_state(&b, 1501), LEV_BREAKER_HALF_OPEN);
	lev_breaker_end(&b, probe, LEV_OK, 1502);
	cr_assert_eq(lev_breaker_state(&b, 1502), LEV_BREAKER_CLOSED);
}

Test(breaker, a_probe_that_says_nothing_makes_room_for_another)
{
	struct lev_breaker b;
	open_with_one_late(&b);
	lev_breaker_end(&b, lev_breaker_begin(&b, 1000), LEV_INVALID, 1001);
	cr_assert_eq(lev_breaker_state(&b, 1001), LEV_BREAKER_HALF_OPEN);
	cr_assert_neq(lev_breaker_begin(&b, 1001), 0);
}

Test(breaker, without_tickets_the_last_of_all_that_is_owed_decides)
{
	struct lev_breaker b;
	open_with_one_late(&b);
	cr_assert(lev_breaker_allows(&b, 1000));
	lev_breaker_record(&b, true, 1001);
	cr_assert_eq(lev_breaker_state(&b, 1001), LEV_BREAKER_HALF_OPEN);
	cr_assert(!lev_breaker_allows(&b, 1001));
	lev_breaker_record(&b, false, 1002); /* One of both answered. */
	cr_assert_eq(lev_breaker_state(&b, 1002), LEV_BREAKER_CLOSED);
	open_with_one_late(&b);
	cr_assert(lev_breaker_allows(&b, 1000));
	cr_assert(lev_breaker_allows(&b, 1500)); /* The first one, and the late one, are lost. */
	lev_breaker_record(&b, false, 1501);
	cr_assert_eq(lev_breaker_state(&b, 1501), LEV_BREAKER_OPEN);
}

static void *call_often(void *arg)
{
	for (int i = 0; i < 20000; i++) {
		uint64_t ticket = lev_breaker_begin(arg, (uint64_t)i);
		if (ticket != 0)
			lev_breaker_end(arg, ticket, i % 7 == 0 ? LEV_TIMEOUT : LEV_OK,
					(uint64_t)i);
	}
	return NULL;
}

Test(breaker, is_shared_by_threads)
{
	const struct lev_breaker_options o = { .failures = 2, .open_ms = 1 };
	struct lev_breaker b;
	pthread_t threads[4];
	lev_breaker_init(&b, &o);
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, call_often, &b);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	cr_assert_eq(b.pending, 0);
}

static int calls, fallbacks;

static int failing(void *arg)
{
	(void)arg;
	calls++;
	return LEV_TIMEOUT;
}

static int fallback(void *arg)
{
	(void)arg;
	fallbacks++;
	return 7;
}

Test(breaker, calls_the_fallback_instead)
{
	const struct lev_breaker_options o = { .failures = 2 };
	struct lev_breaker b;
	lev_breaker_init(&b, &o);
	calls = fallbacks = 0;
	for (int i = 0; i < 5; i++)
		cr_assert_eq(lev_breaker_call(&b, failing, fallback, NULL), 7);
	cr_assert_eq(calls, 2);
	cr_assert_eq(fallbacks, 5);
	cr_assert_eq(lev_breaker_call(&b, failing, NULL, NULL), LEV_CIRCUIT_OPEN);
}

/* --- retry --- */

Test(retry, waits_one_two_four_and_eight_seconds)
{
	static const uint64_t expected[] = { 1000, 2000, 4000, 8000 };
	struct lev_retry r;
	uint64_t ms;
	lev_retry_init(&r, NULL, 1, 0);
	for (int i = 0; i < 4; i++) {
		cr_assert_eq(lev_retry_next(&r, 0, &ms), LEV_OK);
		cr_assert_eq(ms, expected[i]);
	}
	cr_assert_eq(lev_retry_next(&r, 0, &ms), LEV_GIVEN_UP);
}

Test(retry, is_shortened_by_jitter_and_ends_with_its_total)
{
	const struct lev_retry_options o = {
		.first_ms = 100, .max_ms = 100, .attempts = 1000, .jitter = 0.5, .total_ms = 5000
	};
	struct lev_retry r;
	uint64_t ms, now = 7, least = 1000, most = 0;
	lev_retry_init(&r, &o, 42, now);
	while (lev_retry_next(&r, now, &ms) == LEV_OK) {
		now += ms;
		least = ms < least ? ms : least;
		most = ms > most ? ms : most;
	}
	cr_assert(now > 4850 && now <= 5007, "%d", (int)now);
	cr_assert(least >= 50 && least < 65 && most > 85 && most <= 100);
}

static int third_time_lucky(void *arg)
{
	return ++*(int *)arg < 3 ? LEV_TIMEOUT : LEV_OK;
}

static int refused(void *arg)
{
	++*(int *)arg;
	return LEV_REFUSED;
}

Test(retry, goes_on_until_it_is_of_no_use)
{
	const struct lev_retry_options o = { .first_ms = 1, .max_ms = 1, .attempts = 3 };
	int tries = 0;
	cr_assert_eq(lev_retry_call(&o, third_time_lucky, &tries), LEV_OK);
	tries = -10;
	cr_assert_eq(lev_retry_call(&o, third_time_lucky, &tries), LEV_GIVEN_UP);
	cr_assert(strstr(lev_reason(), "tried 3 times") != NULL);
	tries = 0;
	cr_assert_eq(lev_retry_call(&o, refused, &tries), LEV_REFUSED);
	cr_assert_eq(tries, 1);
}

static int worse_each_time(void *arg)
{
	static const int results[] = { LEV_NOT_SENT, LEV_UNKNOWN, LEV_REFUSED };
	return results[(*(int *)arg)++];
}

Test(retry, what_an_earlier_attempt_may_have_done_is_not_surely_undone)
{
	const struct lev_retry_options o = { .first_ms = 1, .max_ms = 1, .attempts = 9 };
	int tries = 0;
	cr_assert_eq(lev_retry_call(&o, worse_each_time, &tries), LEV_UNKNOWN);
	cr_assert(strstr(lev_reason(), "refused") != NULL);
	cr_assert_eq(tries, 3);
}

/* --- saga --- */

/* What a saga did, as a text; the step that fails, and the save after which the process dies. */
struct story {
	char text[400];
	const char *failing;
	int failure;
	int undo_failures;
	int saves_left;
	struct lev_saga_state saved;
};

static int tell(const struct lev_saga_call *call)
{
	struct story *s = call->arg;
	size_t len = strlen(s->text);
	snprintf(s->text + len, sizeof s->text - len, "%s ", call->key + strlen(call->saga_id) + 1);
	const char *step = strchr(call->key, '/') + 1;
	if (strstr(step, "/undo") != NULL)
		return s->undo_failures-- > 0 ? LEV_REFUSED : LEV_OK;
	return s->failing != NULL && strcmp(step, s->failing) == 0 ? s->failure : LEV_OK;
}

static int save(void *arg, const char *id, const struct lev_saga_state *state, const void *data,
		size_t data_len)
{
	struct story *s = arg;
	cr_assert_str_eq(id, "order-1");
	cr_assert_eq(data_len, 4);
	cr_assert_eq(memcmp(data, "data", 4), 0);
	if (s->saves_left-- == 0)
		return LEV_SYSTEM;
	s->saved = *state;
	return LEV_OK;
}

static const struct lev_saga_step steps[] = { { "order", tell, tell },
					      { "stock", tell, tell },
					      { "mail", tell, NULL },
					      { "pay", tell, tell } };
static const struct lev_retry_options at_once = { .first_ms = 1, .max_ms = 1 };
static const struct lev_saga saga = { steps, 4, &at_once };

static int run(struct story *s)
{
	const struct lev_saga_log log = { save, s };
	return lev_saga_run(&saga, &log, "order-1", "data", 4, s);
}

Test(saga, runs_its_steps)
{
	struct story s = { .saves_left = 100 };
	cr_assert_eq(run(&s), LEV_OK);
	cr_assert_str_eq(s.text, "order stock mail pay ");
	cr_assert_eq(s.saved.phase, LEV_SAGA_COMPLETED);
}

Test(saga, undoes_what_it_did_in_reverse)
{
	struct story s = { .saves_left = 100, .failing = "pay", .failure = LEV_REFUSED };
	cr_assert_eq(run(&s), LEV_UNDONE);
	cr_assert_str_eq(s.text, "order stock mail pay stock/undo order/undo ");
	s = (struct story){ .saves_left = 100, .failing = "pay", .failure = LEV_UNKNOWN };
	cr_assert_eq(run(&s), LEV_UNDONE);
	cr_assert_str_eq(s.text, "order stock mail pay pay/undo stock/undo order/undo ");
	s = (struct story){ .saves_left = 100, .failing = "order", .failure = LEV_REFUSED };
	cr_assert_eq(run(&s), LEV_UNDONE);
	cr_assert_str_eq(s.text, "order ");
}

static int never_known(void *arg)
{
	(void)arg;
	return LEV_UNKNOWN;
}

static int pay_with_retries(const struct lev_saga_call *call)
{
	const struct lev_retry_options o = { .first_ms = 1, .max_ms = 1, .attempts = 3 };
	tell(call);
	return lev_retry_call(&o, never_known, NULL);
}

Test(saga, undoes_a_step_that_gave_up)
{
	const struct lev_saga_step one[] = { { "pay", pay_with_retries, tell } };
	const struct lev_saga paying = { one, 1, &at_once };
	struct story s = { .saves_left = 100 };
	const struct lev_saga_log log = { save, &s };
	cr_assert_eq(lev_saga_run(&paying, &log, "order-1", "data", 4, &s), LEV_UNDONE);
	cr_assert_str_eq(s.text, "pay pay/undo ");
}

Test(saga, undoes_again_what_could_not_be_undone)
{
	struct story s = {
		.saves_left = 100, .failing = "pay", .failure = LEV_REFUSED, .undo_failures = 2
	};
	cr_assert_eq(run(&s), LEV_UNDONE);
	cr_assert_str_eq(s.text,
			 "order stock mail pay stock/undo stock/undo stock/undo order/undo ");
	s = (struct story){
		.saves_left = 100, .failing = "pay", .failure = LEV_REFUSED, .undo_failures = 100
	};
	cr_assert_eq(run(&s), LEV_GIVEN_UP);
	cr_assert_eq(s.saved.phase, LEV_SAGA_UNDOING);
	cr_assert_eq(s.saved.step, 1);
}

Test(saga, goes_on_from_wherever_it_died)
{
	for (int failing = 0; failing < 2; failing++)
		for (int saves = 1; saves < 8; saves++) {
			struct story s = { .saves_left = saves,
					   .failing = failing ? "pay" : NULL,
					   .failure = LEV_REFUSED };
			const struct lev_saga_log log = { save, &s };
			int rc = run(&s);
			if (rc == LEV_SYSTEM) {
				s.saves_left = 100;
				rc = lev_saga_resume(&saga, &log, "order-1", s.saved, "data", 4,
						     &s);
			}
			cr_assert_eq(rc, failing ? LEV_UNDONE : LEV_OK, "%d %d", failing, saves);
		}
}

Test(saga, takes_no_ids_that_a_log_could_not_hold)
{
	struct story s = { .saves_left = 100 };
	const struct lev_saga_log log = { save, &s };
	cr_assert_eq(lev_saga_run(&saga, &log, "", NULL, 0, NULL), LEV_INVALID);
	cr_assert_eq(lev_saga_run(&saga, &log, "a b", NULL, 0, NULL), LEV_INVALID);
	cr_assert_eq(lev_saga_run(&saga, &log, "a\nb", NULL, 0, NULL), LEV_INVALID);
	cr_assert_eq(lev_saga_resume(&saga, &log, "a",
				     (struct lev_saga_state){ LEV_SAGA_RUNNING, 4 }, NULL, 0, NULL),
		     LEV_INVALID);
}

/* --- the log in a file --- */

static char path[64];

static void begin_file(void)
{
	snprintf(path, sizeof path, "/tmp/leveret-saga-test.%d", (int)getpid());
	unlink(path);
}

static void end_file(void)
{
	unlink(path);
}

TestSuite(saga_file, .init = begin_file, .fini = end_file);

struct seen {
	int len;
	char ids[200];
};

static int see(void *arg, const char *id, struct lev_saga_state state, const void *data,
	       size_t data_len)
{
	struct seen *s = arg;
	size_t len = strlen(s->ids);
	snprintf(s->ids + len, sizeof s->ids - len, "%s:%d:%u:%.*s ", id, (int)state.phase,
		 state.step, (int)data_len, (const char *)data);
	s->len++;
	return LEV_OK;
}

static void expect_unfinished(const char *expected)
{
	struct lev_saga_file *f;
	struct seen s = { 0 };
	cr_assert_eq(lev_saga_file_open(&f, path), LEV_OK, "%s", lev_reason());
	cr_assert_eq(lev_saga_file_each(f, see, &s), LEV_OK);
	cr_assert_str_eq(s.ids, expected);
	lev_saga_file_close(f);
}

static void append(const char *text)
{
	FILE *f = fopen(path, "a");
	fputs(text, f);
	fclose(f);
}

Test(saga_file, remembers_what_has_not_finished)
{
	struct lev_saga_file *f, *second;
	expect_unfinished("");
	cr_assert_eq(lev_saga_file_open(&f, path), LEV_OK);
	struct lev_saga_log log = lev_saga_file_log(f);
	const struct lev_saga_state one = { LEV_SAGA_RUNNING, 1 }, back = { LEV_SAGA_UNDOING, 0 },
				    done = { LEV_SAGA_COMPLETED, 3 };
	cr_assert_eq(log.save(log.arg, "a", &one, "x", 1), LEV_OK);
	cr_assert_eq(log.save(log.arg, "b", &one, NULL, 0), LEV_OK);
	cr_assert_eq(log.save(log.arg, "c", &one, "y\n", 2), LEV_OK);
	cr_assert_eq(log.save(log.arg, "b", &done, NULL, 0), LEV_OK);
	cr_assert_eq(log.save(log.arg, "a", &back, "x", 1), LEV_OK);
	cr_assert_eq(lev_saga_file_open(&second, path), LEV_SYSTEM);
	cr_assert(strstr(lev_reason(), "in use") != NULL);
	lev_saga_file_close(f);
	expect_unfinished("a:1:0:x c:0:1:y\n ");
	append("0123456789abcdef 0 1 torn"); /* A crash in the middle of a line. */
	expect_unfinished("a:1:0:x c:0:1:y\n ");
	append("0123456789abcdef 0 1 damaged -\n");
	cr_assert_eq(lev_saga_file_open(&f, path), LEV_SYSTEM);
	cr_assert(strstr(lev_reason(), "line 3 is damaged") != NULL, "%s", lev_reason());
}

/* --- topics and URIs --- */

Test(topic, matches_as_the_broker_does)
{
	static const struct {
		const char *pattern, *key;
		bool is_match;
	} cases[] = {
		{ "notification.email.*", "notification.email.welcome", true },
		{ "notification.email.*", "notification.email", false },
		{ "notification.#", "notification", true },
		{ "#", "", true },
		{ "#", "a.b.c", true },
		{ "*", "", false },
		{ "*.*", "a.b", true },
		{ "#.b.#", "a.b.c", true },
		{ "#.b.#", "b", true },
		{ "#.b", "a.c", false },
		{ "a.#.*", "a", false },
		{ "a.#.*", "a.b", true },
		{ "a*", "ab", false },
		{ "", "", true },
		{ "", "a", false },
		{ "a.b", "a.b.", false },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		cr_assert_eq(lev_topic_matches(cases[i].pattern, cases[i].key), cases[i].is_match,
			     "%s %s", cases[i].pattern, cases[i].key);
}

Test(topic, patterns_that_are_mistakes_are_told)
{
	cr_assert_eq(lev_topic_check("order.*.paid"), LEV_OK);
	cr_assert_eq(lev_topic_check("#"), LEV_OK);
	cr_assert_eq(lev_topic_check(""), LEV_OK);
	cr_assert_eq(lev_topic_check("order.*paid"), LEV_INVALID);
	cr_assert(strstr(lev_reason(), "'*paid'") != NULL);
	cr_assert_eq(lev_topic_check("a.#b"), LEV_INVALID);
	cr_assert_eq(lev_topic_check("a..b"), LEV_INVALID);
}
