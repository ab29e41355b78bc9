/* Sink: what makes a batch durable: the log on this disk, or whatever else a broker trusts more.
 *
 * The journal hands over one closed batch at a time, in order of their sequences, from the writer's
 * thread or, in its place, the owner's; the next one only after the one before has been taken. */
#ifndef LEV_STORAGE_SINK_H
#define LEV_STORAGE_SINK_H

#include "batch.h"

enum sink_result {
	SINK_OK = 0,
	SINK_FULL = -1,   /* No space, nothing is lost: the same batch will be handed over again. */
	SINK_FAILED = -2, /* It is not known what is durable: the journal stops. */
};

struct sink {
	/* Returns when the batch is durable, or cannot be. It is borrowed for the call. */
	int (*take)(void *arg, const struct batch *batch);
	/* What went wrong last, for an operator; of the thread that called take(). */
	const char *(*error)(const void *arg);
	void *arg; /* Borrowed; it must outlive the journal. */
};

#endif
