#include "desk/desk.h"

#include "base/alloc.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { STEPS_A_TURN = 4 };

/* Jobs on their way from one thread to another. */
struct lane {
	pthread_mutex_t lock;
	struct list jobs;
	int fd; /* Readable while something may be in it. */
	struct event *event;
};

struct desk {
	struct desk_options options;
	struct lane asked;
	struct lane answered;
	struct list working; /* The loop's: each has a step to take, */
	struct list resting; /* will be woken, */
	struct list waiting; /* or waits for the journal. */
};

static struct desk_job *job_of(struct list *node)
{
	return list_entry(node, struct desk_job, in_desk);
}

/* --- lanes --- */

static bool lane_open(struct lane *lane, struct event_base *base, event_callback_fn run, void *arg)
{
	pthread_mutex_init(&lane->lock, NULL);
	list_init(&lane->jobs);
	lane->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (lane->fd == -1)
		return false;
	lane->event = event_new(base, lane->fd, EV_READ | EV_PERSIST, run, arg);
	return lane->event != NULL && event_add(lane->event, NULL) == 0;
}

static void lane_close(struct lane *lane)
{
	if (lane->event != NULL)
		event_free(lane->event);
	if (lane->fd > 0)
		close(lane->fd);
	pthread_mutex_destroy(&lane->lock);
}

static void lane_put(struct lane *lane, struct desk_job *job)
{
	pthread_mutex_lock(&lane->lock);
	list_push_tail(&lane->jobs, &job->in_desk);
	pthread_mutex_unlock(&lane->lock);
	eventfd_write(lane->fd, 1);
}

/* NULL: there is none. */
static struct desk_job *lane_take(struct lane *lane)
{
	struct desk_job *job = NULL;
	pthread_mutex_lock(&lane->lock);
	if (!list_is_empty(&lane->jobs)) {
		job = job_of(lane->jobs.next);
		list_remove(&job->in_desk);
	}
	pthread_mutex_unlock(&lane->lock);
	return job;
}

/* --- the asker --- */

void desk_put(struct desk *d, struct desk_job *job)
{
	job->awaited = 0;
	lane_put(&d->asked, job);
}

static void on_answered(evutil_socket_t fd, short what, void *arg)
{
	struct desk *d = arg;
	struct desk_job *job;
	eventfd_t n;
	(void)what;
	eventfd_read(fd, &n);
	while ((job = lane_take(&d->answered)) != NULL)
		job->done(job, false);
}

/* --- the loop --- */

/* Which begins a turn, at whose end there is work. */
static void on_asked(evutil_socket_t fd, short what, void *arg)
{
	struct desk *d = arg;
	struct desk_job *job;
	eventfd_t n;
	(void)what;
	eventfd_read(fd, &n);
	while ((job = lane_take(&d->asked)) != NULL)
		list_push_tail(&d->working, &job->in_desk);
	d->options.begin_turn(d->options.arg);
}

static void take_step(struct desk *d, struct desk_job *job)
{
	list_push_tail(&d->resting, &job->in_desk);
	switch (job->step(job)) {
	case DESK_DONE:
		list_remove(&job->in_desk);
		if (job->awaited == 0)
			lane_put(&d->answered, job);
		else
			list_push_tail(&d->waiting, &job->in_desk);
		break;
	case DESK_AGAIN:
		list_remove(&job->in_desk);
		list_push_tail(&d->working, &job->in_desk);
		break;
	case DESK_LATER: break;
	}
}

bool desk_work(struct desk *d)
{
	if (d == NULL)
		return false;
	for (int i = 0; i < STEPS_A_TURN && !list_is_empty(&d->working); i++) {
		struct desk_job *job = job_of(d->working.next);
		list_remove(&job->in_desk);
		take_step(d, job);
	}
	return !list_is_empty(&d->working);
}

void desk_durable(struct desk *d, uint64_t durable)
{
	if (d == NULL)
		return;
	list_each (node, &d->waiting) {
		struct desk_job *job = job_of(node);
		if (job->awaited > durable)
			continue;
		list_remove(node);
		lane_put(&d->answered, job);
	}
}

void desk_tell(struct desk *d, struct desk_job *job)
{
	lane_put(&d->answered, job);
}

void desk_wake(struct desk *d, struct desk_job *job)
{
	list_remove(&job->in_desk);
	list_push_tail(&d->working, &job->in_desk);
	d->options.begin_turn(d->options.arg);
}

/* --- life --- */

struct desk *desk_create(const struct desk_options *options)
{
	struct desk *d = alloc_zeroed(sizeof *d);
	d->options = *options;
	list_init(&d->working);
	list_init(&d->resting);
	list_init(&d->waiting);
	bool is_open = lane_open(&d->asked, options->loop, on_asked, d);
	is_open = lane_open(&d->answered, options->asker, on_answered, d) && is_open;
	if (is_open)
		return d;
	desk_destroy(d);
	return NULL;
}

static void drop_all(struct list *jobs)
{
	while (!list_is_empty(jobs)) {
		struct desk_job *job = job_of(jobs->next);
		list_remove(&job->in_desk);
		job->done(job, true);
	}
}

void desk_destroy(struct desk *d)
{
	if (d == NULL)
		return;
	drop_all(&d->asked.jobs);
	drop_all(&d->working);
	drop_all(&d->resting);
	drop_all(&d->waiting);
	drop_all(&d->answered.jobs);
	lane_close(&d->asked);
	lane_close(&d->answered);
	free(d);
}
