#include "journal.h"

#include "ballast.h"
#include "base/alloc.h"
#include "chunk.h"
#include "fetch.h"
#include "logfile.h"
#include "store.h"
#include "survivors.h"
#include "tail.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum keeping { KEEPER_IDLE, KEEPER_HAS_WORK, KEEPER_IS_DONE };

/* Two batches: the owner fills `filling`, the writer writes the other. At the end of a turn the
 * writer may take what has been filled; during a turn (is_turn) it must wait for its end. The mutex
 * guards everything below it; space and changes belong to whoever may touch `filling`. */
struct journal {
	char *dir;
	bool is_read_only;
	struct store *store;
	struct logfile *log;
	struct space space;
	struct changes changes; /* For the next checkpoint. */
	uint32_t generation;
	uint64_t sequence; /* Of the batch being filled. */
	int event_fd;
	atomic_bool is_told; /* The event descriptor is readable. */
	pthread_t writer;
	pthread_t keeper;
	bool is_started;
	struct fetch fetch;
	uint64_t read_end_at;
	unsigned here_pause;   /* Turns. */
	uint64_t clear_at;     /* Of the slot that is being cleared: what comes next. */
	uint64_t clear_places; /* Living ones found so far. */
	uint8_t *clear_buffer;
	size_t clear_cap;

	pthread_mutex_t mutex;
	pthread_cond_t wake;     /* The writer waits on it, */
	pthread_cond_t work;     /* and the keeper on this; */
	pthread_cond_t progress; /* the owner, when it stops. */
	struct batch batches[2];
	struct batch *filling;
	bool is_turn;
	bool is_submitted;          /* `filling` holds whole turns. */
	struct timespec lazy_until; /* When it is written even if nobody waits for it. */
	bool is_stopping;
	uint64_t durable;
	uint64_t durable_at;     /* Where the log ends, as far as it is durable. */
	struct batch *writing;   /* By the writer, or by the owner. */
	uint64_t writing_end_at; /* Where the log ends with it. */
	uint64_t writing_bytes;
	bool is_held_up;   /* The writer waits for a turn to end, */
	bool is_dozing;    /* or for something to be submitted, however long that takes. */
	bool is_active;    /* Something has been submitted since it last had nothing to do. */
	bool is_left_over; /* The owner could not write it. */
	bool is_writer_full;
	bool is_keeper_full;
	enum journal_state state;
	char reason[320];

	bool is_preparing;   /* The keeper makes a slot ready, */
	bool is_prepared;    /* or has done so. */
	bool is_spare_short; /* Or could not: the disk is full. */
	bool is_reserved;    /* For it. */
	uint32_t preparing;
	bool is_filling;      /* With zeros. */
	uint64_t batch_bytes; /* Of the batch that was written last. */
	enum keeping keeping;
	struct changes job; /* The keeper's, while it has work. */
	struct store_checkpoint job_checkpoint;
	uint64_t job_sequence; /* Must be durable before. */
};

static const uint64_t map_bytes_default = (uint64_t)1 << 40;

enum {
	RETRY_MS = 100,
	HERE_BYTES = 4096,      /* The owner writes no more than this itself, */
	HERE_NS_MAX = 1000000,  /* and if that took longer than this, */
	HERE_PAUSE = 1000,      /* not for this many turns. */
	LAZY_MS = 5,            /* How long what nobody waits for (acks, mostly) may be gathered, */
	LAZY_BYTES = 256 << 10, /* and how much of it. */
	NS_PER_MS = 1000000,
	SPARE_SLOTS = 2,              /* Kept ready. */
	FILL_BATCH_BYTES = 128 << 10, /* With batches below this, slots are filled with zeros before
					 they are used. */
};

/* --- both threads --- */

/* The flag follows the event: who sees it finds something to read. */
static void tell_owner(struct journal *j)
{
	uint64_t one = 1;
	if (write(j->event_fd, &one, sizeof one) != sizeof one)
		abort(); /* A counter that cannot overflow: the descriptor is broken. */
	atomic_store(&j->is_told, true);
}

/* is_full: the flag of the thread that calls. */
static void set_state(struct journal *j, bool *is_full, bool is_full_now, bool is_failed,
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
		tell_owner(j);
}

static bool is_stopping(struct journal *j)
{
	pthread_mutex_lock(&j->mutex);
	bool is_set = j->is_stopping;
	pthread_mutex_unlock(&j->mutex);
	return is_set;
}

static void wait_for_space(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = RETRY_MS * NS_PER_MS }, NULL);
}

/* --- the writer --- */

/* Somebody waits for it, or it is too much to be gathered any longer. */
static bool is_wanted(const struct journal *j)
{
	return j->filling->is_awaited || j->filling->bytes >= LAZY_BYTES || j->is_stopping;
}

static bool is_urgent(const struct journal *j)
{
	struct timespec now;
	if (is_wanted(j))
		return true;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec > j->lazy_until.tv_sec ||
	       (now.tv_sec == j->lazy_until.tv_sec && now.tv_nsec >= j->lazy_until.tv_nsec);
}

/* With the mutex: what has been submitted becomes the batch that is written. */
static struct batch *take_filling(struct journal *j)
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

static struct timespec in_a_while(void)
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
		struct timespec until = in_a_while();
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
			taken = take_filling(j);
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
		int rc = logfile_write(j->log, batch);
		if (rc == LOGFILE_OK)
			rc = logfile_sync(j->log);
		if (rc != LOGFILE_OK || j->is_writer_full)
			set_state(j, &j->is_writer_full, rc == LOGFILE_FULL, rc == LOGFILE_FAILED,
				  rc == LOGFILE_OK ? "" : logfile_error(j->log));
		if (rc == LOGFILE_OK)
			return true;
		if (rc == LOGFILE_FAILED || is_stopping(j))
			return false;
		wait_for_space();
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

static void *writer(void *arg)
{
	struct journal *j = arg;
	for (struct batch *batch; (batch = take(j)) != NULL;) {
		if (!batch_is_empty(batch) && !write_batch(j, batch))
			return NULL;
		set_durable(j);
		tell_owner(j);
	}
	return NULL;
}

/* --- the keeper --- */

enum work { WORK_CHECKPOINT, WORK_PREPARE, WORK_NONE };

/* Waits for a checkpoint whose turn is durable, or a slot to be made ready. WORK_NONE: there is
 * nothing more to do. */
static enum work take_work(struct journal *j)
{
	enum work work = WORK_NONE;
	pthread_mutex_lock(&j->mutex);
	for (;;) {
		bool is_ready = j->keeping == KEEPER_HAS_WORK && j->durable >= j->job_sequence;
		bool is_over = j->is_stopping &&
			       (j->keeping != KEEPER_HAS_WORK || j->durable + 1 < j->sequence);
		if (j->state == JOURNAL_FAILED)
			break;
		work = is_ready                             ? WORK_CHECKPOINT
		       : j->is_preparing && !j->is_stopping ? WORK_PREPARE
							    : WORK_NONE;
		if (work != WORK_NONE || is_over)
			break;
		pthread_cond_wait(&j->work, &j->mutex);
	}
	pthread_mutex_unlock(&j->mutex);
	return work;
}

/* While the disk is full this is tried again and again: that is how it is noticed when it is no
 * longer. */
static void prepare(struct journal *j)
{
	bool is_done = logfile_prepare(j->log, j->preparing, j->is_filling) == LOGFILE_OK;
	pthread_mutex_lock(&j->mutex);
	bool is_short = !is_done && j->is_preparing; /* Otherwise it is not needed any more. */
	bool is_news = is_done || is_short != j->is_spare_short;
	j->is_spare_short = is_short;
	j->is_preparing = j->is_preparing && !is_done;
	j->is_prepared = is_done;
	pthread_mutex_unlock(&j->mutex);
	if (is_news)
		tell_owner(j);
	if (!is_done)
		wait_for_space();
}

static bool keep(struct journal *j)
{
	for (;;) {
		int rc = store_commit(j->store, &j->job, &j->job_checkpoint);
		if (rc != STORE_OK || j->is_keeper_full)
			set_state(j, &j->is_keeper_full, rc == STORE_FULL, rc == STORE_FAILED,
				  rc == STORE_OK ? "" : store_error(j->store));
		if (rc == STORE_OK) {
			ballast_take(j->dir);
			return true;
		}
		if (rc == STORE_FULL && ballast_drop(j->dir))
			continue; /* It was kept for this. */
		if (rc == STORE_FAILED || is_stopping(j))
			return false;
		wait_for_space();
	}
}

static void *keeper(void *arg)
{
	struct journal *j = arg;
	for (enum work work; (work = take_work(j)) != WORK_NONE;) {
		if (work == WORK_PREPARE) {
			prepare(j);
			continue;
		}
		if (!keep(j))
			return NULL;
		changes_clear(&j->job);
		pthread_mutex_lock(&j->mutex);
		j->keeping = KEEPER_IS_DONE;
		pthread_cond_signal(&j->progress);
		pthread_mutex_unlock(&j->mutex);
		tell_owner(j);
	}
	return NULL;
}

/* --- the owner's side: life --- */

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
	if (store_open(&j->store, &store, why, why_size) != STORE_OK ||
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
	*out = j;
	return 0;
}

/* Signals are the owner's: the threads must not be those they interrupt. */
int journal_start(struct journal *j)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int rc = pthread_create(&j->writer, NULL, writer, j);
	if (rc == 0) {
		pthread_setname_np(j->writer, "journal");
		rc = pthread_create(&j->keeper, NULL, keeper, j);
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

/* --- the owner's side: turns --- */

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

/* With the mutex. A slot that is ready is a slot that is there when the disk is full. */
static void see_to_spares(struct journal *j)
{
	if (j->is_prepared) {
		space_add_free(&j->space, j->preparing);
		j->is_prepared = j->is_reserved = false;
	}
	if (j->space.free_len >=
	    SPARE_SLOTS) { /* On a full disk: what was consumed has made room. */
		j->is_preparing = j->is_preparing && !j->is_spare_short;
		j->is_spare_short = false;
		return;
	}
	if (j->is_preparing)
		return;
	if (!j->is_reserved)
		j->preparing = j->space.file_slots++;
	j->is_reserved = j->is_preparing = true;
	j->is_filling = j->batch_bytes < FILL_BATCH_BYTES;
	pthread_cond_broadcast(&j->work);
}

/* With the mutex. */
static void wake_if_needed(struct journal *j)
{
	if (j->is_submitted && (j->is_dozing || j->is_held_up || is_wanted(j)))
		pthread_cond_signal(&j->wake);
}

static uint64_t submit(struct journal *j, bool is_here)
{
	pthread_mutex_lock(&j->mutex);
	see_to_spares(j);
	j->is_turn = false;
	bool has_news = !batch_is_empty(j->filling);
	if (has_news && !j->is_submitted)
		j->lazy_until = in_a_while();
	j->is_submitted |= has_news;
	j->is_active |= has_news;
	uint64_t sequence = has_news ? j->sequence : j->sequence - 1;
	if (!is_here)
		wake_if_needed(j);
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
	bool is_written =
		logfile_write(j->log, batch) == LOGFILE_OK && logfile_sync(j->log) == LOGFILE_OK;
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
		batch = take_filling(j);
	else
		wake_if_needed(j);
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

/* --- checkpoints --- */

struct changes *journal_checkpoint_begin(struct journal *j)
{
	assert(j->is_turn);
	pthread_mutex_lock(&j->mutex);
	bool is_idle = j->keeping == KEEPER_IDLE;
	pthread_mutex_unlock(&j->mutex);
	return is_idle ? &j->changes : NULL;
}

/* With nothing in the batch, the checkpoint is of what is durable by the batch before. */
void journal_checkpoint_end(struct journal *j, bool is_clean)
{
	batch_checkpoint(j->filling);
	space_checkpoint(&j->space, &j->changes);
	pthread_mutex_lock(&j->mutex);
	struct changes empty = j->job;
	j->job = j->changes;
	j->changes = empty;
	j->job_checkpoint = (struct store_checkpoint){
		.format = JOURNAL_FORMAT,
		.is_clean = is_clean,
		.generation = j->generation,
		.at = j->space.next_at,
	};
	j->job_sequence = batch_is_empty(j->filling) ? j->sequence - 1 : j->sequence;
	j->keeping = KEEPER_HAS_WORK;
	pthread_cond_broadcast(&j->work);
	pthread_mutex_unlock(&j->mutex);
}

bool journal_checkpointed(struct journal *j)
{
	pthread_mutex_lock(&j->mutex);
	bool is_done = j->keeping == KEEPER_IS_DONE;
	if (is_done)
		j->keeping = KEEPER_IDLE;
	pthread_mutex_unlock(&j->mutex);
	if (is_done)
		space_checkpointed(&j->space);
	return is_done;
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

/* --- clearing sparse slots --- */

bool journal_clear_begin(struct journal *j, uint64_t *from_at, uint64_t *until_at)
{
	const struct space_slot *slot = space_sparse(&j->space);
	if (slot == NULL)
		return false;
	*from_at = j->clear_at = slot->number * LOG_SLOT_BYTES;
	j->clear_places = 0;
	*until_at = (slot->number + slot->span) * LOG_SLOT_BYTES;
	return true;
}

/* The segment at clear_at; empty where there is none. */
static struct bytes read_segment(struct journal *j)
{
	uint8_t head_bytes[SEGMENT_HEAD_BYTES];
	struct segment_head head;
	uint64_t offset = space_offset(&j->space, j->clear_at);
	bool is_one =
		offset != UINT64_MAX &&
		logfile_read(j->log, offset, head_bytes, sizeof head_bytes) == sizeof head_bytes &&
		segment_open(bytes_of(head_bytes, sizeof head_bytes), j->clear_at, &head);
	if (!is_one)
		return (struct bytes){ NULL, 0 };
	j->clear_buffer = alloc_grow(j->clear_buffer, &j->clear_cap, head.bytes, 1);
	return bytes_of(j->clear_buffer, logfile_read(j->log, offset, j->clear_buffer, head.bytes));
}

static void copy_living(struct journal *j, struct bytes segment, journal_living *living, void *arg)
{
	struct survivors survivors = { .changes = &j->changes };
	struct entry e;
	uint32_t next = SEGMENT_HEAD_BYTES;
	for (uint32_t at = next; at != 0; at = next) {
		int rc = entry_read(segment, j->clear_at, at, &e, &next);
		if (rc == ENTRY_END)
			break;
		if (rc != ENTRY_OK || e.kind != ENTRY_MESSAGE)
			continue;
		uint32_t places = living(arg, location_of(e.at, e.message.is_volatile), &e);
		if (places > 0)
			survivors_add(&survivors, e.at,
				      bytes_of(segment.data + at, entry_length(segment.data + at)));
		j->clear_places += places;
	}
	survivors_finish(&survivors);
}

/* A slot ends where no segment follows, or where one is damaged. So what has been copied is
 * counted: if something that lives has not been found, the slot stays as it is. */
bool journal_clear_step(struct journal *j, journal_living *living, void *arg)
{
	struct space_slot *slot = space_slot_at(&j->space, j->clear_at);
	struct bytes segment = slot == NULL ? (struct bytes){ NULL, 0 } : read_segment(j);
	if (segment.len > 0) {
		copy_living(j, segment, living, arg);
		uint64_t next_at = align_up(j->clear_at + segment.len, SEGMENT_ALIGN);
		if (next_at < (slot->number + slot->span) * LOG_SLOT_BYTES) {
			j->clear_at = next_at;
			return true;
		}
	}
	if (slot != NULL) {
		bool is_whole = j->clear_places >= slot->places;
		*(is_whole ? &slot->is_copied : &slot->is_stuck) = true;
		slot->is_dirty = true;
	}
	free(j->clear_buffer);
	j->clear_buffer = NULL;
	j->clear_cap = 0;
	return false;
}

/* --- reading back --- */

void journal_read_begin(struct journal *j)
{
	if (store_read_begin(j->store) != STORE_OK)
		abort(); /* One reader at a time by contract: LMDB has a slot for it. */
	pthread_mutex_lock(&j->mutex);
	j->read_end_at = j->durable_at;
	pthread_mutex_unlock(&j->mutex);
}

void journal_read_end(struct journal *j)
{
	store_read_end(j->store);
}

/* What lives of a slot that has no place in the file any more: the part that begins at or before
 * the address. */
static bool read_survivor(struct journal *j, uint64_t at, struct entry *entry)
{
	uint8_t kind = STORE_KEY_SURVIVORS, wanted[9];
	wanted[0] = kind;
	store_u64(wanted + 1, at);
	struct bytes prefix = bytes_of(&kind, 1), key = bytes_of(wanted, sizeof wanted), part;
	bool is_there = store_seek(j->store, prefix, &key, &part);
	if (!is_there || load_u64(key.data + 1) != at)
		is_there = store_previous(j->store, prefix, &key, &part);
	return is_there && survivors_find(part, at, entry);
}

bool journal_read(struct journal *j, uint64_t location, struct entry *entry)
{
	uint64_t at = location_at(location);
	const struct space_slot *slot = space_slot_at(&j->space, at);
	if (slot == NULL)
		return false;
	bool is_read = slot->is_moved ? read_survivor(j, at, entry)
				      : fetch_entry(&j->fetch, j->log, &j->space, at,
						    j->read_end_at, entry);
	return is_read && entry->kind == ENTRY_MESSAGE;
}

bool journal_quarantine(struct journal *j, uint64_t location, char *name, size_t name_size)
{
	enum { MOST_BYTES = 1 << 20 };
	uint64_t at = location_at(location), offset = space_offset(&j->space, at);
	uint8_t head[ENTRY_HEAD_BYTES];
	if (offset == UINT64_MAX || logfile_read(j->log, offset, head, sizeof head) != sizeof head)
		return false;
	size_t len = entry_length(head) < MOST_BYTES ? entry_length(head) : MOST_BYTES;
	uint8_t *data = alloc_resize(NULL, len + 1);
	len = logfile_read(j->log, offset, data, len);
	snprintf(name, name_size, "%s/quarantine-%llu", j->dir, (unsigned long long)at);
	FILE *f = fopen(name, "we");
	bool is_kept = f != NULL && fwrite(data, 1, len, f) == len;
	is_kept = f != NULL && fclose(f) == 0 && is_kept;
	free(data);
	return is_kept;
}

static bool chunk_holds(struct bytes value, uint64_t base, uint64_t position)
{
	struct chunk_reader chunk;
	return chunk_open(&chunk, value) && position - base < chunk.left;
}

bool journal_get(struct journal *j, struct bytes key, struct bytes *value)
{
	return store_get(j->store, key, value);
}

bool journal_index_find(struct journal *j, uint32_t queue, uint64_t position, uint64_t *base,
			struct bytes *chunk)
{
	uint8_t wanted[STORE_INDEX_KEY_BYTES];
	struct bytes key = store_index_key(wanted, queue, position), prefix = bytes_of(wanted, 5);
	struct bytes before_key = key, before;
	bool is_there = store_seek(j->store, prefix, &key, chunk);
	*base = is_there ? store_index_position(key) : 0;
	if (is_there && *base == position)
		return true;
	if (store_previous(j->store, prefix, &before_key, &before) &&
	    chunk_holds(before, store_index_position(before_key), position)) {
		*base = store_index_position(before_key);
		*chunk = before;
		return true;
	}
	return is_there;
}

/* --- recovery --- */

struct recovery {
	struct journal *j;
	const struct journal_visitor *visitor;
	void *arg;
	struct tail tail;
	unsigned damaged; /* Values of the store. */
};

static bool find_index(void *arg, uint32_t queue, uint64_t position, uint64_t *base,
		       struct bytes *chunk)
{
	return journal_index_find(arg, queue, position, base, chunk);
}

static bool get_value(void *arg, struct bytes key, struct bytes *value)
{
	return journal_get(arg, key, value);
}

/* Calls visit for every key of a kind. */
static void each(struct recovery *r, uint8_t kind,
		 void (*visit)(struct recovery *r, struct bytes key, struct bytes value))
{
	uint8_t copy[CHANGES_KEY_MAX];
	struct bytes prefix = bytes_of(&kind, 1), key = prefix, value;
	struct store *store = r->j->store;
	bool is_there = store_seek(store, prefix, &key, &value);
	while (is_there) {
		size_t len = key.len;
		memcpy(copy, key.data, len);
		if (value.len == 0)
			r->damaged++;
		else
			visit(r, key, value);
		key = bytes_of(
			copy,
			len); /* The visitor may have moved the cursor by looking into the index. */
		is_there = store_seek(store, prefix, &key, &value) &&
			   store_next(store, prefix, &key, &value);
	}
}

static void load_slot(struct recovery *r, struct bytes key, struct bytes value)
{
	if (!space_load(&r->j->space, key, value))
		r->damaged++;
}

static void visit_counters(struct recovery *r, struct bytes key, struct bytes value)
{
	(void)key;
	r->visitor->counters(r->arg, value);
}

static void visit_definition(struct recovery *r, struct bytes key, struct bytes value)
{
	r->visitor->definition(r->arg, bytes_of(key.data + 1, key.len - 1), value);
}

static void visit_queue(struct recovery *r, struct bytes key, struct bytes value)
{
	if (key.len == 5)
		r->visitor->queue(r->arg, load_u32(key.data + 1), value);
}

static void visit_doomed(struct recovery *r, struct bytes key, struct bytes value)
{
	if (key.len == 13 && value.len == 8)
		r->visitor->doomed(r->arg, load_u32(key.data + 1), load_u64(value.data),
				   load_u64(key.data + 5));
}

static void visit_state(struct recovery *r, struct bytes key, struct bytes value)
{
	r->visitor->state(r->arg, key, value);
}

/* Calls visit for every whole entry of the tail, or of those of its segments that have definitions.
 */
static void each_entry(struct recovery *r, bool only_definitions,
		       void (*visit)(struct recovery *r, struct entry *entry))
{
	struct journal *j = r->j;
	for (size_t i = 0; i < r->tail.segments_len; i++) {
		const struct tail_segment *s = &r->tail.segments[i];
		if (only_definitions && !s->has_definitions)
			continue;
		struct bytes bytes = tail_read(&r->tail, j->log, &j->space, s);
		struct entry entry;
		uint32_t next = SEGMENT_HEAD_BYTES;
		for (uint32_t at = next; bytes.len > 0 && at != 0; at = next) {
			int rc = entry_read(bytes, s->at, at, &entry, &next);
			if (rc == ENTRY_END)
				break;
			if (rc == ENTRY_OK)
				visit(r, &entry);
		}
	}
}

static void redo(struct recovery *r, struct entry *e)
{
	if (e->kind == ENTRY_PUT)
		changes_put(&r->j->job, e->key, e->value);
	else if (e->kind == ENTRY_DELETE)
		changes_delete(&r->j->job, e->key);
}

static void visit_entry(struct recovery *r, struct entry *e)
{
	if (e->kind == ENTRY_MESSAGE && e->message.is_volatile)
		return;
	if (e->kind != ENTRY_PUT && e->kind != ENTRY_DELETE && e->kind != ENTRY_SKIP)
		r->visitor->entry(r->arg, location_of(e->at, false), e);
}

static void tell_damage(struct recovery *r)
{
	for (; r->damaged > 0; r->damaged--)
		r->visitor->damage(r->arg, 0);
	for (size_t i = 0; i < r->tail.gaps_len; i++)
		r->visitor->damage(r->arg, r->tail.gaps[i].at);
	for (size_t i = 0; i < r->tail.segments_len; i++)
		if (r->tail.segments[i].is_damaged)
			r->visitor->damage(r->arg, r->tail.segments[i].at);
}

static int begin_read(struct journal *j, char *why, size_t why_size)
{
	if (store_read_begin(j->store) == STORE_OK)
		return 0;
	snprintf(why, why_size, "cannot read the journal: %s", store_error(j->store));
	return -1;
}

/* Definitions that only the log has go into the store first, so that they are all found in one
 * place; and the generation of this process, before it writes anything. */
static int recover_definitions(struct recovery *r, struct store_checkpoint checkpoint, char *why,
			       size_t why_size)
{
	struct journal *j = r->j;
	each_entry(r, true, redo);
	if (checkpoint.format == 0)
		checkpoint.at = LOG_SLOT_BYTES;
	checkpoint.format = JOURNAL_FORMAT;
	checkpoint.is_clean = false;
	checkpoint.generation = j->generation = checkpoint.generation + 1;
	if (j->is_read_only)
		return 0; /* visit_definitions() sees to them. */
	int rc = store_commit(j->store, &j->job, &checkpoint);
	changes_clear(&j->job);
	if (rc == STORE_OK)
		return 0;
	snprintf(why, why_size, "cannot recover the journal: %s", store_error(j->store));
	return -1;
}

/* With a journal that is only looked at, what the log's tail says of a definition has not been put
 * into the store. */
static bool is_overridden(const struct recovery *r, size_t at, struct bytes key)
{
	struct change change;
	while (changes_next(&r->j->job, &at, &change))
		if (bytes_equal(change.key, key))
			return true;
	return false;
}

static void visit_stored_definition(struct recovery *r, struct bytes key, struct bytes value)
{
	if (!is_overridden(r, 0, key))
		visit_definition(r, key, value);
}

static void visit_definitions(struct recovery *r)
{
	struct change change;
	size_t at = 0;
	each(r, STORE_KEY_DEFINITION, visit_stored_definition);
	while (changes_next(&r->j->job, &at, &change))
		if (change.kind == CHANGE_PUT && change.key.data[0] == STORE_KEY_DEFINITION &&
		    !is_overridden(r, at, change.key))
			visit_definition(r, change.key, change.value);
}

static void visit_all(struct recovery *r)
{
	const struct journal_index index = { find_index, get_value, r->j };
	r->visitor->begin(r->arg, &index, r->j->generation);
	each(r, STORE_KEY_COUNTERS, visit_counters);
	visit_definitions(r);
	each(r, STORE_KEY_QUEUE, visit_queue);
	each(r, STORE_KEY_DOOMED, visit_doomed);
	each(r, STORE_KEY_KEYS_STATE, visit_state);
	each(r, STORE_KEY_PRODUCER, visit_state);
	each_entry(r, false, visit_entry);
	tell_damage(r);
	r->visitor->end(r->arg);
}

int journal_recover(struct journal *j, const struct journal_visitor *visitor, void *arg, char *why,
		    size_t why_size)
{
	struct recovery r = { .j = j, .visitor = visitor, .arg = arg };
	struct store_checkpoint checkpoint = store_checkpoint(j->store);
	assert(!j->is_started);
	if (begin_read(j, why, why_size) != 0)
		return -1;
	each(&r, STORE_KEY_SLOT, load_slot);
	store_read_end(j->store);
	tail_find(&r.tail, j->log, &j->space,
		  checkpoint.format == 0 ? LOG_SLOT_BYTES : checkpoint.at);
	int rc = recover_definitions(&r, checkpoint, why, why_size);
	if (rc == 0)
		rc = begin_read(j, why, why_size);
	if (rc == 0) {
		visit_all(&r);
		store_read_end(j->store);
	}
	j->durable_at = r.tail.end_at;
	tail_fini(&r.tail);
	return rc;
}
