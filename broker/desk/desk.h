/* Desk: where what another thread asks of the broker is done, in turns of the loop that owns it,
 * and handed back. The data path does not notice: a turn does a few steps at most, and each step is
 * bounded by whoever wrote it.
 *
 * There are two sides. The asker's thread runs an event base of its own: it puts jobs, and hears of
 * them there when they are done. The loop's thread takes steps. A job is its maker's; the desk has
 * it from desk_put() until done. */
#ifndef LEV_DESK_DESK_H
#define LEV_DESK_DESK_H

#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>

struct desk;
struct desk_job;
struct event_base;

enum desk_step {
	DESK_DONE,  /* Back to the asker, when the journal has job->awaited. */
	DESK_AGAIN, /* Another step, in a turn to come. */
	DESK_LATER, /* Another step after desk_wake(). */
};

struct desk_job {
	struct list in_desk;
	/* Within a turn, on the loop's thread. */
	enum desk_step (*step)(struct desk_job *job);
	/* On the asker's thread. is_dropped: the desk closes, and there was no answer; then it is
	 * called on the thread that closes it. */
	void (*done)(struct desk_job *job, bool is_dropped);
	uint64_t awaited; /* Sequence of the journal; 0: none. */
};

struct desk_options {
	struct event_base *loop;  /* Borrowed, as all here. */
	struct event_base *asker; /* Not run by any thread yet. */
	void (*begin_turn)(void *arg);
	void *arg;
};

/* NULL, and errno: no descriptors. */
struct desk *desk_create(const struct desk_options *options);
/* When the asker's thread has ended: jobs that are there are dropped. NULL is fine. */
void desk_destroy(struct desk *desk);

/* --- the asker's thread --- */

void desk_put(struct desk *desk, struct desk_job *job);

/* --- the loop's thread --- */

/* Within a turn: takes some steps. True: there is more to do at once. NULL is fine. */
bool desk_work(struct desk *desk);
/* The journal has everything up to this sequence: what waited for it goes back. NULL is fine. */
void desk_durable(struct desk *desk, uint64_t durable);
/* A job that has no steps: straight to its done, on the asker's thread. */
void desk_tell(struct desk *desk, struct desk_job *job);
/* A job that is later can go on: in the next turn. */
void desk_wake(struct desk *desk, struct desk_job *job);

#endif
