/* Worker: a thread that drives connections by readiness and time. What a connection does is in its
 * link's functions. */
#ifndef LEV_BENCH_WORKER_H
#define LEV_BENCH_WORKER_H

#include "options.h"
#include "peer.h"
#include "stats.h"

#include <pthread.h>

struct worker;

/* What all workers go by. */
struct control {
	const struct options *options;
	uint64_t start_ns;        /* When producers begin. */
	atomic_bool is_producing; /* False: producers send nothing more. */
	atomic_bool is_over;      /* Workers end. */
	atomic_uint producers_left;
	atomic_uint consumers_left; /* Of those with a limit. */
};

/* A connection in a worker's hands. Embedded as the first member of what it belongs to. */
struct link {
	struct peer peer;
	struct worker *worker;
	uint32_t index; /* In the worker. */
	bool can_read;
	bool can_write;
	bool is_paused; /* Input waits. */
	bool is_queued; /* To be run again at once. */
	uint8_t *left;  /* Owned: input that makes no whole frame, or waits. */
	size_t left_len;
	uint8_t *out; /* Owned: output that waits. */
	size_t out_at;
	size_t out_len;
	size_t out_cap;
	/* Does what can be done now. True: there is more to do at once. */
	bool (*run)(struct link *link, uint64_t now);
	/* A frame has come, with the time of the read that brought it. */
	void (*on_frame)(struct link *link, const struct frame *frame, uint64_t now);
};

struct worker *worker_create(struct control *control);
void worker_add(struct worker *worker,
		struct link *link); /* Before it starts. The connection must be non-blocking. */
void worker_start(struct worker *worker);
void worker_join(struct worker *worker);
void worker_destroy(struct worker *worker); /* Closes its connections; links are their owners'. */
struct stats *worker_stats(struct worker *worker);
struct control *worker_control(struct worker *worker);

/* --- for links, from their functions --- */

/* Reads what has come and hands frames to on_frame, until there is no more or the link is paused.
 * True: there may be more. */
bool link_read(struct link *link);

/* Room for len bytes of output, and how much of it was used. */
uint8_t *link_room(struct link *link, size_t len);
void link_commit(struct link *link, size_t len);

/* Writes what waits. True if nothing waits any more. */
bool link_flush(struct link *link);

/* To be run at this time; UINT64_MAX: not. */
void link_set_due(struct link *link, uint64_t due_ns);

#endif
