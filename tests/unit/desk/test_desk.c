#include "desk/desk.h"

#include <criterion/criterion.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

/* Both sides; the asker's runs here, too, unless a test gives it a thread. */
struct office {
	struct event_base *loop;
	struct event_base *asker;
	struct desk *desk;
	unsigned turns;
};

struct task {
	struct desk_job job;
	struct office *office;
	unsigned again; /* Steps before the last one, */
	unsigned later; /* after which it waits to be woken so often. */
	uint64_t awaits;
	unsigned steps;
	unsigned done;
	bool is_dropped;
	unsigned done_at; /* How many were done before. */
};

static unsigned done_len;

static void begin_turn(void *arg)
{
	((struct office *)arg)->turns++;
}

static struct office open_office(void)
{
	return (struct office){ .loop = event_base_new(), .asker = event_base_new() };
}

static void open_desk(struct office *o)
{
	struct desk_options options = {
		.loop = o->loop, .asker = o->asker, .begin_turn = begin_turn, .arg = o
	};
	done_len = 0;
	o->desk = desk_create(&options);
	cr_assert_not_null(o->desk);
}

static void close_office(struct office *o)
{
	desk_destroy(o->desk);
	event_base_free(o->loop);
	event_base_free(o->asker);
}

static enum desk_step step(struct desk_job *job)
{
	struct task *t = list_entry(job, struct task, job);
	t->steps++;
	if (t->again > 0) {
		t->again--;
		return DESK_AGAIN;
	}
	if (t->later > 0) {
		t->later--;
		return DESK_LATER;
	}
	job->awaited = t->awaits;
	return DESK_DONE;
}

static void done(struct desk_job *job, bool is_dropped)
{
	struct task *t = list_entry(job, struct task, job);
	t->done++;
	t->is_dropped = is_dropped;
	t->done_at = done_len++;
}

static void put(struct office *o, struct task *t)
{
	t->office = o;
	t->job.step = step;
	t->job.done = done;
	desk_put(o->desk, &t->job);
}

static void look(struct event_base *base)
{
	event_base_loop(base, EVLOOP_NONBLOCK);
}

/* All that can be done without being woken or the disk. */
static void work(struct office *o)
{
	look(o->loop);
	while (desk_work(o->desk))
		;
	look(o->asker);
}

Test(desk, does_steps_in_turns_and_hands_back)
{
	struct office o = open_office();
	struct task t = { .again = 2 };
	open_desk(&o);
	put(&o, &t);
	cr_assert_eq(t.steps, 0);
	look(o.loop);
	cr_assert_eq(o.turns, 1);
	cr_assert_eq(t.steps, 0);
	cr_assert_not(desk_work(o.desk));
	cr_assert_eq(t.steps, 3);
	cr_assert_eq(t.done, 0);
	look(o.asker);
	cr_assert_eq(t.done, 1);
	cr_assert_not(t.is_dropped);
	close_office(&o);
}

Test(desk, takes_a_few_steps_in_a_turn_and_each_its_share)
{
	enum { TASKS = 7, STEPS = 10 };
	struct office o = open_office();
	struct task t[TASKS] = { 0 };
	unsigned turns = 0, before = 0;
	open_desk(&o);
	for (int i = 0; i < TASKS; i++) {
		t[i].again = STEPS - 1;
		put(&o, &t[i]);
	}
	look(o.loop);
	for (bool is_more = true; is_more; turns++) {
		unsigned steps = 0, least = UINT32_MAX, most = 0;
		is_more = desk_work(o.desk);
		for (int i = 0; i < TASKS; i++) {
			steps += t[i].steps;
			least = t[i].steps < least ? t[i].steps : least;
			most = t[i].steps > most ? t[i].steps : most;
		}
		cr_assert_leq(steps - before, 4);
		cr_assert_leq(most - least, 1);
		before = steps;
	}
	cr_assert_eq(before, TASKS * STEPS);
	cr_assert_eq(turns, (TASKS * STEPS + 3) / 4);
	close_office(&o);
}

Test(desk, waits_for_the_journal)
{
	struct office o = open_office();
	struct task t[] = { { .awaits = 10 }, { .awaits = 5 }, { .awaits = 0 } };
	open_desk(&o);
	for (int i = 0; i < 3; i++)
		put(&o, &t[i]);
	work(&o);
	cr_assert_eq(t[2].done, 1);
	desk_durable(o.desk, 9);
	look(o.asker);
	cr_assert_eq(t[0].done, 0);
	cr_assert_eq(t[1].done, 1);
	desk_durable(o.desk, 10);
	look(o.asker);
	cr_assert_eq(t[0].done, 1);
	close_office(&o);
}

Test(desk, a_job_that_was_put_again_waits_for_nothing_of_before)
{
	struct office o = open_office();
	struct task t = { .awaits = 10 };
	open_desk(&o);
	put(&o, &t);
	work(&o);
	desk_durable(o.desk, 10);
	look(o.asker);
	t.awaits = 0;
	put(&o, &t);
	work(&o);
	cr_assert_eq(t.done, 2);
	close_office(&o);
}

Test(desk, wakes_what_is_later)
{
	struct office o = open_office();
	struct task t = { .later = 2 };
	open_desk(&o);
	put(&o, &t);
	for (unsigned i = 1; i <= 2; i++) {
		work(&o);
		work(&o);
		cr_assert_eq(t.steps, i);
		unsigned turns = o.turns;
		desk_wake(o.desk, &t.job);
		cr_assert_eq(o.turns, turns + 1);
	}
	desk_wake(o.desk, &t.job);
	work(&o);
	cr_assert_eq(t.steps, 3);
	cr_assert_eq(t.done, 1);
	close_office(&o);
}

static enum desk_step step_and_wake(struct desk_job *job)
{
	struct task *t = list_entry(job, struct task, job);
	if (t->later > 0)
		desk_wake(t->office->desk, job);
	return step(job);
}

/* What it waits for came while it was asking for it. */
Test(desk, wakes_what_is_about_to_be_later)
{
	struct office o = open_office();
	struct task t = { .later = 1 };
	open_desk(&o);
	put(&o, &t);
	t.job.step = step_and_wake;
	work(&o);
	cr_assert_eq(t.done, 1);
	close_office(&o);
}

Test(desk, tells_without_a_step)
{
	struct office o = open_office();
	struct task t = { 0 };
	open_desk(&o);
	t.job.done = done;
	desk_tell(o.desk, &t.job);
	cr_assert_eq(t.done, 0);
	look(o.asker);
	cr_assert_eq(t.done, 1);
	close_office(&o);
}

/* At each place where a job can be. */
Test(desk, drops_each_once_when_it_closes)
{
	struct office o = open_office();
	struct task asked = { 0 }, working = { .again = 9 }, resting = { .later = 1 },
		    waiting = { .awaits = 1 }, answered = { 0 }, over = { 0 };
	struct task *all[] = { &asked, &working, &resting, &waiting, &answered };
	open_desk(&o);
	put(&o, &over);
	work(&o);
	put(&o, &resting);
	put(&o, &waiting);
	put(&o, &answered);
	put(&o, &working);
	look(o.loop);
	cr_assert(desk_work(o.desk));
	put(&o, &asked);
	close_office(&o);
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		cr_assert_eq(all[i]->done, 1, "%zu", i);
		cr_assert(all[i]->is_dropped, "%zu", i);
	}
	cr_assert_eq(over.done, 1);
	cr_assert_not(over.is_dropped);
	desk_destroy(NULL);
	cr_assert_not(desk_work(NULL));
	desk_durable(NULL, 1);
}

/* --- with a thread --- */

enum { TASKS = 3000, AT_ONCE = 50 };

struct crowd {
	struct office o;
	struct task tasks[TASKS];
	size_t put;
	size_t done;
	uint64_t seed;
};

static struct crowd crowd;

static uint64_t chance(uint64_t below)
{
	crowd.seed = crowd.seed * 6364136223846793005 + 1442695040888963407;
	return (crowd.seed >> 33) % below;
}

static void put_next(void);

static void on_done(struct desk_job *job, bool is_dropped)
{
	done(job, is_dropped);
	crowd.done++;
	put_next();
	if (crowd.done == TASKS)
		event_base_loopbreak(crowd.o.asker);
}

static void put_next(void)
{
	if (crowd.put == TASKS)
		return;
	struct task *t = &crowd.tasks[crowd.put++];
	t->again = (unsigned)chance(4);
	t->awaits = chance(2) ? 1 + chance(1000) : 0;
	put(&crowd.o, t);
	t->job.done = on_done;
}

static void *ask(void *arg)
{
	(void)arg;
	for (int i = 0; i < AT_ONCE; i++)
		put_next();
	event_base_loop(crowd.o.asker, EVLOOP_NO_EXIT_ON_EMPTY);
	return NULL;
}

static bool is_over(void)
{
	return event_base_got_break(crowd.o.asker);
}

Test(desk, does_all_that_a_thread_asks_once)
{
	pthread_t thread;
	if (getrandom(&crowd.seed, sizeof crowd.seed, 0) != (ssize_t)sizeof crowd.seed)
		abort();
	fprintf(stderr, "seed %llu\n", (unsigned long long)crowd.seed);
	crowd.o = open_office();
	open_desk(&crowd.o);
	cr_assert_eq(pthread_create(&thread, NULL, ask, NULL), 0);
	for (uint64_t durable = 0; pthread_tryjoin_np(thread, NULL) != 0; durable++) {
		look(crowd.o.loop);
		desk_work(crowd.o.desk);
		desk_durable(crowd.o.desk, durable);
	}
	cr_assert(is_over());
	for (size_t i = 0; i < TASKS; i++) {
		cr_assert_eq(crowd.tasks[i].done, 1);
		cr_assert_eq(crowd.tasks[i].again, 0);
		cr_assert_not(crowd.tasks[i].is_dropped);
	}
	close_office(&crowd.o);
}
