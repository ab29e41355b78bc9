#include "journal.h"

#include "base/alloc.h"
#include "store.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* Two batches: the owner fills `filling`, the writer commits `writing`. At the end of a turn the writer may take what has
 * been filled; during a turn (is_turn) it must wait for its end. The mutex guards everything below it. */
struct journal {
	struct store *store;
	struct live live;
	uint64_t next_segment;
	uint64_t sequence; /* Of the batch being filled. */
	int event_fd;
	pthread_t thread;
	bool is_started;
	uint64_t read_segment; /* The segment looked up last within a read, and what was found. */
	struct bytes read_bytes;
	struct segment_head read_head;
	bool is_read_valid;

	pthread_mutex_t mutex;
	pthread_cond_t wake; /* The writer waits on it. */
	struct batch batches[2];
	struct batch *filling;
	bool is_turn;
	bool is_submitted; /* `filling` holds whole turns. */
	bool is_stopping;
	uint64_t durable;
	uint64_t writing_bytes;
	enum journal_state state;
	char reason[320];
};

static const uint64_t map_bytes_default = (uint64_t)1 << 40;

enum { RETRY_MS = 100 };

/* --- the writer's thread --------------------------------------------------------------------------------------- */

static void tell_owner(struct journal *j)
{
	uint64_t one = 1;
	if (write(j->event_fd, &one, sizeof one) != sizeof one)
		abort(); /* A counter that cannot overflow: the descriptor is broken. */
}

static void set_state(struct journal *j, enum journal_state state, const char *reason)
{
	pthread_mutex_lock(&j->mutex);
	bool is_new = j->state != state;
	j->state = state;
	snprintf(j->reason, sizeof j->reason, "%s", reason);
	pthread_mutex_unlock(&j->mutex);
	if (is_new)
		tell_owner(j);
}

static void set_durable(struct journal *j, uint64_t sequence)
{
	pthread_mutex_lock(&j->mutex);
	j->durable = sequence;
	pthread_mutex_unlock(&j->mutex);
	tell_owner(j);
}

/* Waits for whole turns and takes them. With may_wait false: NULL if nothing waits to be written right now. */
static struct batch *take(struct journal *j, bool may_wait)
{
	struct batch *taken = NULL;
	pthread_mutex_lock(&j->mutex);
	while ((!j->is_submitted || j->is_turn) && may_wait && !(j->is_stopping && !j->is_submitted))
		pthread_cond_wait(&j->wake, &j->mutex);
	if (j->is_submitted && !j->is_turn) {
		taken = j->filling;
		batch_close(taken);
		j->sequence++;
		j->writing_bytes = taken->bytes;
		j->filling = taken == &j->batches[0] ? &j->batches[1] : &j->batches[0];
		j->is_submitted = false;
	}
	pthread_mutex_unlock(&j->mutex);
	return taken;
}

static bool is_stopping(struct journal *j)
{
	pthread_mutex_lock(&j->mutex);
	bool is_set = j->is_stopping;
	pthread_mutex_unlock(&j->mutex);
	return is_set;
}

/* A full disk is waited out, with the batch kept; anything else that fails is the end. */
static bool commit(struct journal *j, const struct batch *batch)
{
	for (;;) {
		int rc = store_commit(j->store, batch);
		if (rc == STORE_OK) {
			set_state(j, JOURNAL_OK, "");
			return true;
		}
		set_state(j, rc == STORE_FULL ? JOURNAL_FULL : JOURNAL_FAILED, store_error(j->store));
		if (rc == STORE_FAILED || is_stopping(j))
			return false;
		nanosleep(&(struct timespec){ .tv_nsec = RETRY_MS * 1000000L }, NULL);
	}
}

/* A commit leaves its last page unsynced: it becomes durable with the next commit, or with a flush when none follows. */
static void *writer(void *arg)
{
	struct journal *j = arg;
	uint64_t committed = 0;
	for (;;) {
		bool is_flush_due = committed > 0;
		struct batch *batch = take(j, !is_flush_due);
		if (batch != NULL) {
			if (!commit(j, batch))
				return NULL;
			if (is_flush_due)
				set_durable(j, committed);
			committed = batch->sequence;
			batch_clear(batch);
		} else if (is_flush_due) {
			if (store_flush(j->store) != STORE_OK) {
				set_state(j, JOURNAL_FAILED, store_error(j->store));
				return NULL;
			}
			set_durable(j, committed);
			committed = 0;
		} else {
			return NULL; /* Stopping, and all is written. */
		}
	}
}

/* --- the owner's side ------------------------------------------------------------------------------------------ */

int journal_open(struct journal **out, const struct journal_options *options, char *why, size_t why_size)
{
	struct journal *j = alloc_zeroed(sizeof *j);
	uint64_t map_bytes = options->map_bytes == 0 ? map_bytes_default : options->map_bytes;
	if (store_open(&j->store, options->dir, map_bytes, why, why_size) != STORE_OK) {
		free(j);
		return -1;
	}
	j->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (j->event_fd == -1) {
		snprintf(why, why_size, "cannot create an event descriptor: %m");
		store_close(j->store);
		free(j);
		return -1;
	}
	live_init(&j->live);
	batch_init(&j->batches[0], &j->next_segment, &j->live);
	batch_init(&j->batches[1], &j->next_segment, &j->live);
	j->filling = &j->batches[0];
	j->sequence = j->next_segment = 1;
	pthread_mutex_init(&j->mutex, NULL);
	pthread_cond_init(&j->wake, NULL);
	*out = j;
	return 0;
}

/* Signals are the owner's: the writer's thread must not be the one they interrupt. */
int journal_start(struct journal *journal)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int rc = pthread_create(&journal->thread, NULL, writer, journal);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	journal->is_started = rc == 0;
	return rc;
}

bool journal_stop(struct journal *j)
{
	pthread_mutex_lock(&j->mutex);
	j->is_stopping = true;
	pthread_cond_signal(&j->wake);
	pthread_mutex_unlock(&j->mutex);
	if (!j->is_started)
		return false;
	pthread_join(j->thread, NULL);
	j->is_started = false;
	return j->state == JOURNAL_OK && !j->is_submitted;
}

void journal_close(struct journal *j)
{
	if (j == NULL)
		return;
	journal_stop(j);
	store_close(j->store);
	for (int i = 0; i < 2; i++)
		batch_fini(&j->batches[i]);
	live_fini(&j->live);
	close(j->event_fd);
	pthread_mutex_destroy(&j->mutex);
	pthread_cond_destroy(&j->wake);
	free(j);
}

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

uint64_t journal_submit(struct journal *j)
{
	pthread_mutex_lock(&j->mutex);
	j->is_turn = false;
	bool has_news = !batch_is_empty(j->filling);
	j->is_submitted |= has_news;
	uint64_t sequence = has_news ? j->sequence : j->sequence - 1;
	if (has_news)
		pthread_cond_signal(&j->wake);
	pthread_mutex_unlock(&j->mutex);
	return sequence;
}

void journal_mark_clean(struct journal *j)
{
	assert(j->is_turn);
	j->filling->is_clean = true;
}

uint64_t journal_durable(struct journal *j)
{
	uint64_t count;
	if (read(j->event_fd, &count, sizeof count) == -1)
		count = 0; /* Nothing new; the number below is right anyway. */
	pthread_mutex_lock(&j->mutex);
	uint64_t durable = j->durable;
	pthread_mutex_unlock(&j->mutex);
	return durable;
}

enum journal_state journal_state(struct journal *j)
{
	pthread_mutex_lock(&j->mutex);
	enum journal_state state = j->state;
	pthread_mutex_unlock(&j->mutex);
	return state;
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

uint64_t journal_backlog_bytes(struct journal *j)
{
	pthread_mutex_lock(&j->mutex);
	uint64_t bytes = j->filling->bytes + (j->durable + 1 < j->sequence ? j->writing_bytes : 0);
	pthread_mutex_unlock(&j->mutex);
	return bytes;
}

struct live *journal_live(struct journal *journal)
{
	return &journal->live;
}

/* --- recovery -------------------------------------------------------------------------------------------------- */

static void recover_segment(struct journal *j, const struct journal_visitor *v, void *arg, uint64_t number,
			    struct bytes segment, bool is_tail)
{
	struct segment_head head;
	if (!segment_open(segment, number, &head)) {
		v->damage(arg, number, 0);
		return;
	}
	live_add(&j->live, number);
	uint32_t next = SEGMENT_HEAD_BYTES;
	struct entry entry;
	for (uint32_t at = next; next != 0; at = next) {
		int rc = entry_read(segment, head.time_ms, at, &entry, &next);
		if (rc == ENTRY_END)
			break;
		if (rc == ENTRY_DAMAGED)
			v->damage(arg, number, at);
		else if (entry.kind == ENTRY_MESSAGE || is_tail)
			v->entry(arg, location_of(number, at), &entry, is_tail);
	}
	live_unref(&j->live, number);
}

static void recover_segments(struct journal *j, const struct journal_visitor *v, void *arg, uint64_t checkpoint)
{
	struct bytes key = { NULL, 0 }, value;
	j->next_segment = checkpoint + 1;
	while (store_next(j->store, STORE_KEY_SEGMENT, &key, &value)) {
		uint64_t number = load_u64(key.data + 1);
		store_will_need(value);
		recover_segment(j, v, arg, number, value, number > checkpoint);
		if (number >= j->next_segment)
			j->next_segment = number + 1;
	}
}

void journal_recover(struct journal *j, const struct journal_visitor *v, void *arg)
{
	static const uint8_t checkpoint_key[] = { STORE_KEY_CHECKPOINT }, counters_key[] = { STORE_KEY_COUNTERS };
	struct store_checkpoint checkpoint = { 0 };
	struct bytes key = { NULL, 0 }, value;
	assert(!j->is_started);
	if (store_read_begin(j->store) != STORE_OK)
		return;
	if (store_get(j->store, bytes_of(checkpoint_key, 1), &value) && value.len == sizeof checkpoint)
		memcpy(&checkpoint, value.data, sizeof checkpoint);
	if (store_get(j->store, bytes_of(counters_key, 1), &value))
		v->counters(arg, value);
	while (store_next(j->store, STORE_KEY_DEFINITION, &key, &value))
		v->definition(arg, bytes_of(key.data + 1, key.len - 1), value);
	key.len = 0;
	while (store_next(j->store, STORE_KEY_QUEUE, &key, &value))
		v->queue(arg, load_u32(key.data + 1), value);
	recover_segments(j, v, arg, checkpoint.segment);
	store_read_end(j->store);
}

/* --- reading --------------------------------------------------------------------------------------------------- */

void journal_read_begin(struct journal *j)
{
	j->is_read_valid = false;
	j->read_segment = 0;
	if (store_read_begin(j->store) != STORE_OK)
		abort(); /* One reader at a time by contract: LMDB has a slot for it. */
}

bool journal_read(struct journal *j, uint64_t location, struct entry *entry)
{
	uint64_t number = location_segment(location);
	if (j->read_segment != number) {
		uint8_t key[16];
		j->read_segment = number;
		j->is_read_valid = store_get(j->store, store_segment_key(key, number), &j->read_bytes) &&
				   segment_open(j->read_bytes, number, &j->read_head);
		if (j->is_read_valid)
			store_will_need(j->read_bytes);
	}
	uint32_t next;
	return j->is_read_valid &&
	       entry_read(j->read_bytes, j->read_head.time_ms, location_offset(location), entry, &next) == ENTRY_OK &&
	       entry->kind == ENTRY_MESSAGE;
}

void journal_read_end(struct journal *j)
{
	store_read_end(j->store);
}
