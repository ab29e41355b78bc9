#include "journal_state.h"

#include "base/alloc.h"
#include "verify.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

static const uint64_t map_bytes_default = (uint64_t)1 << 40;

enum { RETRY_MS = 100 };

/* --- any thread --- */

/* The flag follows the event: who sees it finds something to read. */
void journal_tell_owner(struct journal *j)
{
	uint64_t one = 1;
	if (write(j->event_fd, &one, sizeof one) != sizeof one)
		abort(); /* A counter that cannot overflow: the descriptor is broken. */
	atomic_store(&j->is_told, true);
}

/* is_full: the flag of the thread that calls. */
void journal_set_state(struct journal *j, bool *is_full, bool is_full_now, bool is_failed,
		       const char *reason)
{
	pthread_mutex_lock(&j->mutex);
	enum journal_state before = j->state;
	*is_full = is_full_now;
	if (is_failed || j->state == JOURNAL_FAILED)
		j->state = JOURNAL_FAILED;
	else
		j->state = j->is_writer_full || j->is_keeper_full ? JOURNAL_FULL : JOURNAL_OK;
	if (j->state != before)
		snprintf(j->reason, sizeof j->reason, "%s", reason);
	pthread_cond_broadcast(&j->work); /* The keeper need not wait for what will not come. */
	pthread_cond_signal(&j->progress);
	bool is_new = j->state != before;
	pthread_mutex_unlock(&j->mutex);
	if (is_new)
		journal_tell_owner(j);
}

bool journal_is_stopping(struct journal *j)
{
	pthread_mutex_lock(&j->mutex);
	bool is_set = j->is_stopping;
	pthread_mutex_unlock(&j->mutex);
	return is_set;
}

void journal_wait_for_space(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = RETRY_MS * NS_PER_MS }, NULL);
}

/* --- life --- */

static_assert((int)SINK_OK == LOGFILE_OK && (int)SINK_FULL == LOGFILE_FULL &&
		      (int)SINK_FAILED == LOGFILE_FAILED,
	      "the log is a sink");

static int log_take(void *log, const struct batch *batch)
{
	int rc = logfile_write(log, batch);
	return rc == LOGFILE_OK ? logfile_sync(log) : rc;
}

static const char *log_error(const void *log)
{
	return logfile_error(log);
}

static bool verify(struct journal *j, const struct store_options *options, char *why,
		   size_t why_size)
{
	struct verdict verdict;
	if (verify_store_is_there(options->dir, why, why_size) != 0)
		return false;
	if (verify_store(options, &verdict, why, why_size) != 0)
		return false;
	j->damaged_unread = verdict.damaged_unread;
	return true;
}

int journal_open(struct journal **out, const struct journal_options *options, char *why,
		 size_t why_size)
{
	struct journal *j = alloc_zeroed(sizeof *j);
	struct store_options store = {
		.dir = options->dir,
		.map_bytes = options->map_bytes == 0 ? map_bytes_default : options->map_bytes,
		.is_read_only = options->is_read_only,
	};
	j->is_read_only = options->is_read_only;
	j->event_fd = -1;
	j->dir = strdup(options->dir);
	pthread_mutex_init(&j->mutex, NULL);
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&j->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	pthread_cond_init(&j->work, NULL);
	pthread_cond_init(&j->progress, NULL);
	space_init(&j->space);
	fetch_init(&j->fetch);
	batch_init(&j->batches[0], &j->space, &j->changes);
	batch_init(&j->batches[1], &j->space, &j->changes);
	j->filling = &j->batches[0];
	j->sequence = 1;
	if (!verify(j, &store, why, why_size) ||
	    store_open(&j->store, &store, why, why_size) != STORE_OK ||
	    verify_log_is_there(options->dir, store_checkpoint(j->store), why, why_size) != 0 ||
	    logfile_open(&j->log, options->dir, options->is_read_only, why, why_size) !=
		    LOGFILE_OK) {
		journal_close(j);
		return -1;
	}
	j->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (j->event_fd == -1) {
		snprintf(why, why_size, "cannot create an event descriptor: %m");
		journal_close(j);
		return -1;
	}
	j->sink = options->sink != NULL ? *options->sink
					: (struct sink){ log_take, log_error, j->log };
	*out = j;
	return 0;
}

/* Signals are the owner's: the threads must not be those they interrupt. */
int journal_start(struct journal *j)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int rc = pthread_create(&j->writer, NULL, writer_run, j);
	if (rc == 0) {
		pthread_setname_np(j->writer, "journal");
		rc = pthread_create(&j->keeper, NULL, keeper_run, j);
		j->is_started = true;
		if (rc != 0)
			j->keeper = j->writer;
		else
			pthread_setname_np(j->keeper, "checkpoint");
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

bool journal_stop(struct journal *j)
{
	pthread_mutex_lock(&j->mutex);
	j->is_stopping = true;
	pthread_cond_broadcast(&j->wake);
	pthread_mutex_unlock(&j->mutex);
	if (!j->is_started)
		return false;
	pthread_join(j->writer, NULL);
	pthread_mutex_lock(&j->mutex);
	pthread_cond_broadcast(&j->work);
	pthread_mutex_unlock(&j->mutex);
	if (!pthread_equal(j->keeper, j->writer))
		pthread_join(j->keeper, NULL);
	j->is_started = false;
	return j->state == JOURNAL_OK && !j->is_submitted && j->durable + 1 == j->sequence &&
	       j->keeping != KEEPER_HAS_WORK;
}

void journal_close(struct journal *j)
{
	if (j == NULL)
		return;
	journal_stop(j);
	store_close(j->store);
	logfile_close(j->log);
	for (int i = 0; i < 2; i++)
		batch_fini(&j->batches[i]);
	changes_fini(&j->changes);
	changes_fini(&j->job);
	space_fini(&j->space);
	fetch_fini(&j->fetch);
	free(j->clear_buffer);
	free(j->dir);
	if (j->event_fd != -1)
		close(j->event_fd);
	pthread_mutex_destroy(&j->mutex);
	pthread_cond_destroy(&j->wake);
	pthread_cond_destroy(&j->work);
	pthread_cond_destroy(&j->progress);
	free(j);
}

/* --- turns --- */

struct batch *journal_batch(struct journal *j, uint64_t now_ms)
{
	if (!j->is_turn) {
		pthread_mutex_lock(&j->mutex);
		j->is_turn = true;
		pthread_mutex_unlock(&j->mutex);
	}
	j->filling->now_ms = now_ms;
	j->filling->sequence = j->sequence;
	return j->filling;
}

static uint64_t submit(struct journal *j, bool is_here)
{
	pthread_mutex_lock(&j->mutex);
	keeper_see_to_spares(j);
	j->is_turn = false;
	bool has_news = !batch_is_empty(j->filling);
	if (has_news && !j->is_submitted)
		j->lazy_until = writer_lazy_until();
	j->is_submitted |= has_news;
	j->is_active |= has_news;
	uint64_t sequence = has_news ? j->sequence : j->sequence - 1;
	if (!is_here)
		writer_wake_if_needed(j);
	pthread_mutex_unlock(&j->mutex);
	return sequence;
}

uint64_t journal_submit(struct journal *j)
{
	return submit(j, false);
}

uint64_t journal_submit_here(struct journal *j)
{
	return submit(j, true);
}

/* A full disk is not waited out: whoever stops the broker wants it to stop. */
bool journal_wait(struct journal *j)
{
	pthread_mutex_lock(&j->mutex);
	assert(!j->is_turn);
	while (j->state == JOURNAL_OK &&
	       (j->keeping == KEEPER_HAS_WORK || j->is_submitted || j->durable + 1 < j->sequence))
		pthread_cond_wait(&j->progress, &j->mutex);
	bool is_settled = j->state == JOURNAL_OK;
	pthread_mutex_unlock(&j->mutex);
	return is_settled;
}

/* --- looks --- */

struct journal_look journal_look(struct journal *j)
{
	uint64_t count;
	if (atomic_exchange(&j->is_told, false) && read(j->event_fd, &count, sizeof count) == -1)
		count = 0; /* Nothing new; what is below is right anyway. */
	pthread_mutex_lock(&j->mutex);
	struct journal_look look = {
		.durable = j->durable,
		.backlog_bytes = j->filling->bytes + j->writing_bytes,
		.state = j->state,
		.is_short = j->is_spare_short,
	};
	pthread_mutex_unlock(&j->mutex);
	return look;
}

uint64_t journal_durable(struct journal *j)
{
	return journal_look(j).durable;
}

enum journal_state journal_state(struct journal *j)
{
	return journal_look(j).state;
}

void journal_reason(struct journal *j, char *why, size_t why_size)
{
	pthread_mutex_lock(&j->mutex);
	snprintf(why, why_size, "%s", j->reason);
	pthread_mutex_unlock(&j->mutex);
}

int journal_fd(const struct journal *journal)
{
	return journal->event_fd;
}

struct space *journal_space(struct journal *journal)
{
	return &journal->space;
}
