/* Writer: the journal's thread that appends batches to the log and syncs it; and the owner, where
 * it does that itself because it has nothing better to do. */
#include "journal_state.h"

enum {
	HERE_BYTES = 4096,      /* The owner writes no more than this itself, */
	HERE_NS_MAX = 1000000,  /* and if that took longer than this, */
	HERE_PAUSE = 1000,      /* not for this many turns. */
	LAZY_MS = 5,            /* How long what nobody waits for (acks, mostly) may be gathered, */
	LAZY_BYTES = 256 << 10, /* and how much of it. */
};

/* Somebody waits for it, or it is too much to be gathered any longer. */
bool writer_is_wanted(const struct journal *j)
{
	return j->filling->is_awaited || j->filling->bytes >= LAZY_BYTES || j->is_stopping;
}

static bool is_urgent(const struct journal *j)
{
	struct timespec now;
	if (writer_is_wanted(j))
		return true;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec > j->lazy_until.tv_sec ||
	       (now.tv_sec == j->lazy_until.tv_sec && now.tv_nsec >= j->lazy_until.tv_nsec);
}

/* With the mutex: what has been submitted becomes the batch that is written. */
struct batch *writer_take(struct journal *j)
{
	struct batch *taken = j->filling;
	batch_close(taken, j->generation);
	j->writing = taken;
	j->writing_end_at = j->space.next_at;
	j->writing_bytes = j->batch_bytes = taken->bytes;
	j->sequence++;
	j->filling = taken == &j->batches[0] ? &j->batches[1] : &j->batches[0];
	j->is_submitted = false;
	return taken;
}

struct timespec writer_lazy_until(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += LAZY_MS * NS_PER_MS;
	if (t.tv_nsec >= 1000 * NS_PER_MS) {
		t.tv_nsec -= 1000 * NS_PER_MS;
		t.tv_sec++;
	}
	return t;
}

/* With the mutex. While things are submitted now and then, the writer looks for them now and then,
 * so that the owner need not wake it for what can wait. */
static void wait_for_turn(struct journal *j)
{
	j->is_held_up = j->is_submitted;
	if (j->is_active && !j->is_held_up) {
		j->is_active = false;
		struct timespec until = writer_lazy_until();
		pthread_cond_timedwait(&j->wake, &j->mutex, &until);
	} else {
		j->is_dozing = !j->is_held_up;
		pthread_cond_wait(&j->wake, &j->mutex);
	}
	j->is_held_up = j->is_dozing = false;
}

/* Waits for whole turns and takes them, or takes over what the owner could not write. NULL:
 * stopping, and all is written. */
static struct batch *take(struct journal *j)
{
	struct batch *taken = NULL;
	pthread_mutex_lock(&j->mutex);
	while (taken == NULL) {
		bool is_there = j->is_submitted && !j->is_turn && j->writing == NULL;
		if (j->is_left_over) {
			j->is_left_over = false;
			taken = j->writing;
		} else if (is_there && is_urgent(j)) {
			taken = writer_take(j);
		} else if (j->is_stopping && !j->is_submitted) {
			break;
		} else if (is_there) {
			pthread_cond_timedwait(&j->wake, &j->mutex, &j->lazy_until);
		} else {
			wait_for_turn(j);
		}
	}
	pthread_mutex_unlock(&j->mutex);
	return taken;
}

/* A full disk is waited out, with the batch kept; anything else that fails is the end. */
static bool write_batch(struct journal *j, const struct batch *batch)
{
	for (;;) {
		int rc = j->sink.take(j->sink.arg, batch);
		if (rc != SINK_OK || j->is_writer_full)
			journal_set_state(j, &j->is_writer_full, rc == SINK_FULL, rc == SINK_FAILED,
					  rc == SINK_OK ? "" : j->sink.error(j->sink.arg));
		if (rc == SINK_OK)
			return true;
		if (rc == SINK_FAILED || journal_is_stopping(j))
			return false;
		journal_wait_for_space();
	}
}

/* What was being written is durable. */
static void set_durable(struct journal *j)
{
	uint64_t sequence = j->writing->sequence;
	batch_clear(j->writing);
	pthread_mutex_lock(&j->mutex);
	j->durable = sequence;
	j->durable_at = j->writing_end_at;
	j->writing = NULL;
	j->writing_bytes = 0;
	if (j->keeping == KEEPER_HAS_WORK)
		pthread_cond_broadcast(&j->work);
	pthread_cond_signal(&j->progress);
	pthread_mutex_unlock(&j->mutex);
}

void *writer_run(void *arg)
{
	struct journal *j = arg;
	for (struct batch *batch; (batch = take(j)) != NULL;) {
		if (!batch_is_empty(batch) && !write_batch(j, batch))
			return NULL;
		set_durable(j);
		journal_tell_owner(j);
	}
	return NULL;
}

/* --- the owner in its place --- */

/* With the mutex. */
void writer_wake_if_needed(struct journal *j)
{
	if (j->is_submitted && (j->is_dozing || j->is_held_up || writer_is_wanted(j)))
		pthread_cond_signal(&j->wake);
}

static int64_t ns_since(const struct timespec *begin)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - begin->tv_sec) * 1000 * NS_PER_MS + now.tv_nsec - begin->tv_nsec;
}

/* A slow disk must not stop the owner: after a slow write it is left alone for a while. */
static bool write_timed(struct journal *j, const struct batch *batch)
{
	struct timespec begin;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	bool is_written = j->sink.take(j->sink.arg, batch) == SINK_OK;
	if (ns_since(&begin) > HERE_NS_MAX)
		j->here_pause = HERE_PAUSE;
	return is_written;
}

/* The batch, if it is the owner's to write; otherwise the writer is told of it. */
static struct batch *take_here(struct journal *j, bool is_free)
{
	struct batch *batch = NULL;
	bool is_slow = j->here_pause > 0;
	j->here_pause -= is_slow;
	pthread_mutex_lock(&j->mutex);
	if (is_free && !is_slow && j->is_submitted && j->writing == NULL &&
	    j->state == JOURNAL_OK && j->filling->is_awaited && j->filling->bytes <= HERE_BYTES)
		batch = writer_take(j);
	else
		writer_wake_if_needed(j);
	pthread_mutex_unlock(&j->mutex);
	return batch;
}

bool journal_write_here(struct journal *j, bool is_free)
{
	assert(!j->is_turn);
	struct batch *batch = take_here(j, is_free);
	if (batch == NULL)
		return false;
	if (batch_is_empty(batch) || write_timed(j, batch)) {
		set_durable(j);
		return true;
	}
	pthread_mutex_lock(&j->mutex);
	j->is_left_over = true;
	pthread_cond_signal(&j->wake);
	pthread_mutex_unlock(&j->mutex);
	return false;
}
