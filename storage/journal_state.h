/* Journal state: what the files behind journal.h share - journal (the owner's side), writer,
 * keeper, clear, read, recover. Nothing else includes this.
 *
 * Two batches: the owner fills `filling`, the writer writes the other. At the end of a turn the
 * writer may take what has been filled; during a turn (is_turn) it must wait for its end. The mutex
 * guards everything below it; space and changes belong to whoever may touch `filling`. */
#ifndef LEV_STORAGE_JOURNAL_STATE_H
#define LEV_STORAGE_JOURNAL_STATE_H

#include "fetch.h"
#include "journal.h"
#include "logfile.h"
#include "store.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

enum keeping { KEEPER_IDLE, KEEPER_HAS_WORK, KEEPER_IS_DONE };

struct journal {
	char *dir;
	bool is_read_only;
	uint64_t damaged_unread; /* Values of the store that were bad when it was opened, of kinds
				    that recovery does not read. */
	struct store *store;
	struct logfile *log;
	struct sink sink; /* Where the writer puts batches. */
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

enum { NS_PER_MS = 1000000 };

/* --- journal.c, for any thread --- */

/* The event descriptor becomes readable: the owner looks at what has changed. */
void journal_tell_owner(struct journal *journal);
/* Of the thread that calls: is_full is its own flag, and whether it finds the disk full now; failed
 * is for good. The owner is told of a change. */
void journal_set_state(struct journal *journal, bool *is_full, bool is_full_now, bool is_failed,
		       const char *reason);
bool journal_is_stopping(struct journal *journal);
void journal_wait_for_space(void); /* A little, before what failed for want of it is tried again. */

/* --- writer.c --- */

void *writer_run(void *journal); /* A thread. */
/* The next four with the mutex held. What has been submitted becomes the batch that is written. */
struct batch *writer_take(struct journal *journal);
/* Somebody waits for what is being filled, or it is too much to be gathered any longer. */
bool writer_is_wanted(const struct journal *journal);
void writer_wake_if_needed(struct journal *journal);
/* When what is submitted now is written even if nobody waits for it. */
struct timespec writer_lazy_until(void);

/* --- keeper.c --- */

void *keeper_run(void *journal); /* A thread. */
/* With the mutex held, at the end of a turn: slots that are ready are taken, more are asked for. */
void keeper_see_to_spares(struct journal *journal);

#endif
