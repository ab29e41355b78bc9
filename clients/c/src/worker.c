/* Worker: threads that take messages of one consumer, each settled as its handler says. */
#include "consumer.h"
#include "handle.h"

#include <leveret/patterns.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { THREADS_MAX = 1024 };

struct lev_worker {
	struct lev *lev;
	struct lev_consumer *consumer;
	struct lev_worker_options options;
	atomic_bool is_stopping;
	unsigned running; /* Threads, under the lock of the handle. */
	size_t threads_len;
	pthread_t threads[];
};

/* A rest that cannot be asked for is as long as the queue has it. */
static void retry_after(struct lev_message *m, uint64_t ms)
{
	int rc = lev_retry_after(m, ms);
	if (rc == LEV_UNSUPPORTED || rc == LEV_NO_MEMORY)
		lev_requeue(m);
}

static void settle(struct lev_message *m, int verdict)
{
	if (verdict == LEV_JOB_REJECT)
		lev_reject(m);
	else if (verdict > LEV_UNDONE)
		retry_after(m, (uint64_t)verdict);
	else if (lev_result_meaning(verdict).worker == LEV_WORKER_ACK)
		lev_ack(m);
	else
		lev_requeue(m);
}

static void *work(void *arg)
{
	struct lev_worker *w = arg;
	struct lev_message *m;
	while (!atomic_load(&w->is_stopping) && lev_next(w->consumer, &m, LEV_NEVER) == LEV_OK)
		settle(m, w->options.handler(w->options.arg, m));
	handle_lock(w->lev);
	w->running--;
	handle_changed(w->lev);
	handle_unlock(w->lev);
	return NULL;
}

static int start_threads(struct lev_worker *w)
{
	sigset_t all, before;
	int error = 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (w->threads_len < w->options.threads && error == 0) {
		handle_lock(w->lev);
		w->running++;
		handle_unlock(w->lev);
		error = pthread_create(&w->threads[w->threads_len], NULL, work, w);
		w->threads_len += error == 0;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error == 0)
		return LEV_OK;
	handle_lock(w->lev);
	w->running--;
	handle_unlock(w->lev);
	return lev_fail(LEV_SYSTEM, "no thread");
}

int lev_worker_start(struct lev *lev, const struct lev_worker_options *o, struct lev_worker **out,
		     uint64_t deadline)
{
	if (lev == NULL)
		return handle_missing();
	uint16_t threads = o->threads == 0 ? 1 : o->threads;
	if (lev->is_forked)
		return handle_gone(lev);
	if (threads > THREADS_MAX || o->handler == NULL)
		return lev_fail(LEV_INVALID, "a worker has 1 to %d threads, and a handler",
				THREADS_MAX);
	if (lev->is_loop)
		return lev_fail(LEV_INVALID,
				"a worker's threads need a handle that is not in loop mode");
	struct lev_worker *w = calloc(1, sizeof *w + threads * sizeof *w->threads);
	if (w == NULL)
		return fail_plainly(LEV_NO_MEMORY);
	w->lev = lev;
	w->options = *o;
	w->options.threads = threads;
	struct lev_consume consume = {
		.queue = o->queue,
		.prefetch = o->prefetch != 0 ? o->prefetch : (uint16_t)(2 * threads),
		.lease_ms = o->lease_ms,
		.lease_max_ms = o->lease_max_ms,
	};
	int rc = lev_consume(lev, &consume, &w->consumer, deadline);
	if (rc != LEV_OK) {
		free(w);
		return rc;
	}
	rc = start_threads(w);
	if (rc == LEV_OK)
		*out = w;
	else
		lev_worker_stop(w, LEV_NEVER);
	return rc;
}

static bool has_none_running(const void *arg)
{
	return ((const struct lev_worker *)arg)->running == 0;
}

int lev_worker_stop(struct lev_worker *w, uint64_t deadline)
{
	if (w == NULL)
		return LEV_OK;
	if (w->lev->is_forked)
		return handle_gone(w->lev);
	if (handle_is_calling(w->lev))
		return fail_plainly(LEV_IN_CALLBACK);
	atomic_store(&w->is_stopping, true);
	handle_lock(w->lev);
	consumer_unsubscribe(w->consumer);
	int rc = handle_wait(w->lev, has_none_running, w, deadline);
	if (rc != LEV_OK)
		consumer_give_up(w->consumer); /* What still runs can settle nothing any more. */
	handle_unlock(w->lev);
	for (size_t i = 0; i < w->threads_len; i++)
		pthread_join(w->threads[i], NULL);
	lev_cancel(w->consumer, deadline);
	free(w);
	return rc;
}

int lev_worker_check(struct lev_worker *w)
{
	if (w == NULL)
		return handle_missing();
	handle_lock(w->lev);
	int rc = consumer_check(w->consumer);
	handle_unlock(w->lev);
	return rc;
}
