/* Worker: a thread for what takes long and touches nothing that is the loop's: to parse large texts
 * and to write them. Jobs are done one after the other. */
#ifndef LEV_SERVER_WORKER_H
#define LEV_SERVER_WORKER_H

#include "base/list.h"

struct event_base;
struct worker;

/* Embedded in what is worked on, which lives until done() is called, or the worker is destroyed. */
struct job {
	void (*run)(struct job *job);  /* By the worker's thread. */
	void (*done)(struct job *job); /* Then, by the loop. */
	struct list in_jobs;           /* --- worker.c --- */
};

/* NULL, and errno: there is no thread for it. */
struct worker *worker_create(struct event_base *base);
/* Jobs that have not been done are forgotten. NULL is fine. */
void worker_destroy(struct worker *worker);
void worker_do(struct worker *worker, struct job *job);

#endif
