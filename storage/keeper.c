/* Keeper: the journal's thread that puts checkpoints into the store, and makes slots of the log
 * ready before they are needed; and what the owner hands to it. */
#include "ballast.h"
#include "journal_state.h"

enum {
	SPARE_SLOTS = 2,              /* Kept ready. */
	FILL_BATCH_BYTES = 128 << 10, /* With batches below this, slots are filled with zeros before
					 they are used. */
};

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
		journal_tell_owner(j);
	if (!is_done)
		journal_wait_for_space();
}

static bool keep(struct journal *j)
{
	for (;;) {
		int rc = store_commit(j->store, &j->job, &j->job_checkpoint);
		if (rc != STORE_OK || j->is_keeper_full)
			journal_set_state(j, &j->is_keeper_full, rc == STORE_FULL,
					  rc == STORE_FAILED,
					  rc == STORE_OK ? "" : store_error(j->store));
		if (rc == STORE_OK) {
			ballast_take(j->dir);
			return true;
		}
		if (rc == STORE_FULL && ballast_drop(j->dir))
			continue; /* It was kept for this. */
		if (rc == STORE_FAILED || journal_is_stopping(j))
			return false;
		journal_wait_for_space();
	}
}

void *keeper_run(void *arg)
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
		journal_tell_owner(j);
	}
	return NULL;
}

/* --- the owner's side --- */

/* With the mutex. A slot that is ready is a slot that is there when the disk is full. */
void keeper_see_to_spares(struct journal *j)
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
