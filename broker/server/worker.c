#include "server/worker.h"

#include "base/alloc.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct worker {
	int fd; /* Says that something has been done. */
	struct event *event;
	pthread_t thread;
	pthread_mutex_t lock; /* Of all below. */
	pthread_cond_t wake;
	struct list waiting;
	struct list done;
	bool is_ending;
};

static struct job *take(struct list *jobs)
{
	struct job *job = list_entry(jobs->next, struct job, in_jobs);
	list_remove(&job->in_jobs);
	return job;
}

static void *run(void *arg)
{
	struct worker *w = arg;
	pthread_mutex_lock(&w->lock);
	while (!w->is_ending) {
		if (list_is_empty(&w->waiting)) {
			pthread_cond_wait(&w->wake, &w->lock);
			continue;
		}
		struct job *job = take(&w->waiting);
		pthread_mutex_unlock(&w->lock);
		job->run(job);
		pthread_mutex_lock(&w->lock);
		list_push_tail(&w->done, &job->in_jobs);
		eventfd_write(w->fd, 1);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static struct job *take_done(struct worker *w)
{
	pthread_mutex_lock(&w->lock);
	struct job *job = list_is_empty(&w->done) ? NULL : take(&w->done);
	pthread_mutex_unlock(&w->lock);
	return job;
}

static void on_done(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;
	struct job *job;
	eventfd_t n;
	(void)what;
	eventfd_read(fd, &n);
	while ((job = take_done(w)) != NULL)
		job->done(job);
}

void worker_do(struct worker *w, struct job *job)
{
	pthread_mutex_lock(&w->lock);
	list_push_tail(&w->waiting, &job->in_jobs);
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
}

static bool start(struct worker *w, struct event_base *base)
{
	w->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->fd == -1)
		return false;
	w->event = event_new(base, w->fd, EV_READ | EV_PERSIST, on_done, w);
	if (w->event == NULL || event_add(w->event, NULL) != 0)
		return false;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wake, NULL);
	errno = pthread_create(&w->thread, NULL, run, w);
	return errno == 0;
}

struct worker *worker_create(struct event_base *base)
{
	struct worker *w = alloc_zeroed(sizeof *w);
	list_init(&w->waiting);
	list_init(&w->done);
	if (start(w, base))
		return w;
	int error = errno;
	if (w->event != NULL)
		event_free(w->event);
	if (w->fd != -1)
		close(w->fd);
	free(w);
	errno = error;
	return NULL;
}

void worker_destroy(struct worker *w)
{
	if (w == NULL)
		return;
	pthread_mutex_lock(&w->lock);
	w->is_ending = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	event_free(w->event);
	close(w->fd);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->wake);
	free(w);
}
