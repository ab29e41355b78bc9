/* Patterns of services that talk by messages: workers, request and response, circuit breaker,
 * retry, saga. Each stands alone, and is built on leveret.h, whose rules hold here, too.
 *
 * Breaker, retry and saga are small state machines that do no input or output: time is passed to
 * them, so programs can test theirs in no time. A breaker may be shared by threads; retries and
 * sagas belong to one. */
#ifndef LEVERET_PATTERNS_H
#define LEVERET_PATTERNS_H

#include <leveret/leveret.h>
#include <pthread.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- what results mean --- */

/* What each pattern makes of a result, one row for each of LEV_RESULTS. Of a negative one that is
 * not among them, which is the program's own: MAYBE, AGAIN, BAD.
 *
 * Saga     of a step: DONE, the next one follows. NOT: surely not done; those before it are undone.
 *          MAYBE: it may have been done; it is undone, too.
 * Retry    AGAIN: it is tried again. FINAL: that would not help; it is what lev_retry_call()
 *          returns - but not NOT when an earlier attempt was MAYBE: then that is LEV_UNKNOWN.
 * Breaker  GOOD or BAD: whoever was called answers, or does not. NONE: says nothing about it.
 * Worker   as the result of a handler: ACK, or BACK to its place, like LEV_JOB_RETRY. (Rejected is
 *          only what is LEV_JOB_REJECT.) */
#define LEV_MEANINGS(X)                                \
	/* result         saga   retry  breaker worker */ \
	X(LEV_OK,           DONE,  FINAL, GOOD, ACK)   \
	X(LEV_DUPLICATE,    DONE,  FINAL, GOOD, ACK)   \
	X(LEV_UNDONE,       DONE,  FINAL, GOOD, ACK)   \
	X(LEV_TIMEOUT,      MAYBE, AGAIN, BAD,  BACK)  \
	X(LEV_NO_MEMORY,    MAYBE, AGAIN, NONE, BACK)  \
	X(LEV_INVALID,      NOT,   FINAL, NONE, BACK)  \
	X(LEV_CLOSED,       MAYBE, FINAL, NONE, BACK)  \
	X(LEV_DISCONNECTED, MAYBE, AGAIN, BAD,  BACK)  \
	X(LEV_REFUSED,      NOT,   FINAL, BAD,  BACK)  \
	X(LEV_UNREACHABLE,  MAYBE, AGAIN, BAD,  BACK)  \
	X(LEV_TLS,          MAYBE, FINAL, BAD,  BACK)  \
	X(LEV_PROTOCOL,     MAYBE, AGAIN, BAD,  BACK)  \
	X(LEV_UNSUPPORTED,  MAYBE, FINAL, NONE, BACK)  \
	X(LEV_IN_CALLBACK,  MAYBE, FINAL, NONE, BACK)  \
	X(LEV_FULL,         MAYBE, AGAIN, BAD,  BACK)  \
	X(LEV_EMPTY,        MAYBE, AGAIN, GOOD, BACK)  \
	X(LEV_STALE,        MAYBE, FINAL, BAD,  BACK)  \
	X(LEV_UNROUTABLE,   NOT,   AGAIN, BAD,  BACK)  \
	X(LEV_CONFLICT,     MAYBE, FINAL, GOOD, BACK)  \
	X(LEV_NOT_SENT,     NOT,   AGAIN, BAD,  BACK)  \
	X(LEV_UNKNOWN,      MAYBE, AGAIN, BAD,  BACK)  \
	X(LEV_NO_RESPONDER, NOT,   AGAIN, BAD,  BACK)  \
	X(LEV_CIRCUIT_OPEN, NOT,   AGAIN, NONE, BACK)  \
	X(LEV_GIVEN_UP,     MAYBE, FINAL, BAD,  BACK)  \
	X(LEV_SYSTEM,       MAYBE, AGAIN, BAD,  BACK)  \
	X(LEV_FORKED,       MAYBE, FINAL, NONE, BACK)

enum lev_step_meaning { LEV_STEP_DONE, LEV_STEP_NOT, LEV_STEP_MAYBE };
enum lev_retry_meaning { LEV_RETRY_FINAL, LEV_RETRY_AGAIN };
enum lev_breaker_meaning { LEV_BREAKER_GOOD, LEV_BREAKER_BAD, LEV_BREAKER_NONE };
enum lev_worker_meaning { LEV_WORKER_ACK, LEV_WORKER_BACK };

struct lev_meaning {
	enum lev_step_meaning step;
	enum lev_retry_meaning retry;
	enum lev_breaker_meaning breaker;
	enum lev_worker_meaning worker;
};

/* The table's row. */
LEV_EXPORT struct lev_meaning lev_result_meaning(int result);

/* --- workers: threads that share a queue's work --- */

/* What a job came to; or a result of this library's, see LEV_MEANINGS: 1 and 2 are acked. */
enum {
	LEV_JOB_OK = 0, /* Acked. */
	/* Back to its place; the queue says how long it rests and how often (x-retry-...,
	   x-delivery-limit). */
	LEV_JOB_RETRY = -1,
	LEV_JOB_REJECT = -100, /* To the dead letters. No result is it by chance. */
	/* 3 and more: back after so many milliseconds; on a broker without retry_after like
	   LEV_JOB_RETRY. */
};

struct lev_worker;

struct lev_worker_options {
	const char *queue;
	uint16_t prefetch; /* Messages taken and not settled, all threads together; twice the
			      threads. */
	uint16_t threads;  /* 1 to 1,024; 1. */
	uint64_t
		lease_ms; /* As of struct lev_consume: a job that takes longer keeps its message, */
	uint64_t lease_max_ms; /* for so long. */
	/* Called in one of the threads; may wait, publish, and take its time. The message stays the
	 * library's, which settles it. */
	int (*handler)(void *arg, const struct lev_message *message);
	void *arg;
};

/* *out is the caller's. Results as of lev_consume(). */
LEV_EXPORT int lev_worker_start(struct lev *lev, const struct lev_worker_options *options,
				struct lev_worker **out, uint64_t deadline);

/* Takes no more; waits for the jobs that run, for as long as they take; what was prefetched goes
 * back. LEV_TIMEOUT: they took longer than the deadline, and what they did comes again. Frees it.
 * Not in a handler. NULL is fine. */
LEV_EXPORT int lev_worker_stop(struct lev_worker *worker, uint64_t deadline);

/* LEV_OK while it works; LEV_CLOSED, with a reason, when its queue is gone. */
LEV_EXPORT int lev_worker_check(struct lev_worker *worker);

/* --- request and response (direct reply-to) --- */

/* result LEV_OK: reply is the callee's, to be freed with lev_message_free(). LEV_TIMEOUT,
 * LEV_NO_RESPONDER (no queue there), LEV_UNKNOWN (the connection broke, it may have been carried
 * out), LEV_CLOSED: reply is NULL. */
typedef void lev_reply_fn(void *arg, int result, struct lev_message *reply);

/* Sends a request; on_reply is called once. The request expires at the broker when the deadline
 * comes (LEV_NEVER: it does not). Transient unless its properties say otherwise; correlation_id and
 * reply_to are the library's. Many can be in flight: up to 65,536, then LEV_FULL. LEV_INVALID,
 * LEV_NO_MEMORY, LEV_DISCONNECTED (not sent). */
LEV_EXPORT int lev_request_async(struct lev *lev, const struct lev_publish *request,
				 lev_reply_fn *on_reply, void *arg, uint64_t deadline);

/* The same, and waits. *reply is the caller's. Waits for the connection, too. */
LEV_EXPORT int lev_request(struct lev *lev, const struct lev_publish *request,
			   struct lev_message **reply, uint64_t deadline);

/* Answers a request, on the channel that it came on, so before it is settled. properties may be
 * NULL. LEV_INVALID: it wants no answer. LEV_STALE. */
LEV_EXPORT int lev_reply(const struct lev_message *request, const void *body, size_t body_len,
			 const struct lev_properties *properties);

/* --- circuit breaker --- */

enum lev_breaker_state { LEV_BREAKER_CLOSED, LEV_BREAKER_OPEN, LEV_BREAKER_HALF_OPEN };

struct lev_breaker_options {
	uint32_t failures;     /* So many in a row open it; 5. */
	uint32_t rate_percent; /* Or so many of the last `window` calls; 0: rate does not matter. */
	uint32_t window;       /* 1 to 64; 20. */
	uint64_t open_ms;      /* How long it stays open before calls are tried again; 30,000. */
	uint32_t probes;       /* Calls at a time while half open, and successes in a row that close
				  it; 1. */
	uint64_t probe_ms;     /* What has no result for so long is lost, and another probe goes
				  out; open_ms. */
};

/* May be shared by threads. Not to be copied while in use; nothing has to be freed. */
struct lev_breaker {
	struct lev_breaker_options options;
	pthread_mutex_t lock;
	enum lev_breaker_state state;
	uint64_t generation; /* Counts changes of state: a call's ticket. */
	uint64_t until_ms;   /* Open: until then. Half open: when its probes count as lost. */
	uint32_t row;        /* Failures in a row; half open: successes. */
	uint32_t pending;    /* Calls of this generation on their way. */
	uint32_t late;       /* Those of earlier ones; of lev_breaker_record() only: */
	bool is_late_good;   /* one of them was a success since it is half open. */
	uint64_t last;       /* The last calls, a bit each: 1 failed. */
	uint32_t last_len;
};

/* options NULL: the defaults. */
LEV_EXPORT void lev_breaker_init(struct lev_breaker *breaker,
				 const struct lev_breaker_options *options);

/* A ticket if a call may be made now, which is owed to lev_breaker_end() with the call's result; 0:
 * it may not. A call that began before the breaker last opened, closed or gave its probes up says
 * nothing new when it ends. */
LEV_EXPORT uint64_t lev_breaker_begin(struct lev_breaker *breaker, uint64_t now_ms);

/* result: see LEV_MEANINGS. */
LEV_EXPORT void lev_breaker_end(struct lev_breaker *breaker, uint64_t ticket, int result,
				uint64_t now_ms);

/* The same for programs that have no place to keep a ticket. When calls overlap, it is not known
 * whose result is recorded. While half open, those that began before are thought to come first; the
 * last one decides, and is good if any of them was. */
LEV_EXPORT bool lev_breaker_allows(struct lev_breaker *breaker, uint64_t now_ms);
LEV_EXPORT void lev_breaker_record(struct lev_breaker *breaker, bool is_success, uint64_t now_ms);

LEV_EXPORT enum lev_breaker_state lev_breaker_state(const struct lev_breaker *breaker,
						    uint64_t now_ms);

/* Calls `call`, or, if it may not be called or fails (a negative result), `fallback` - which may
 * publish to a retry queue, say. Without a fallback: LEV_CIRCUIT_OPEN, or what the call returned.
 * Reads the clock itself. */
LEV_EXPORT int lev_breaker_call(struct lev_breaker *breaker, int (*call)(void *arg),
				int (*fallback)(void *arg), void *arg);

/* --- retry --- */

struct lev_retry_options {
	uint64_t first_ms; /* The first pause, 1,000; then */
	double multiplier; /* so many times the last one, 2, */
	uint64_t max_ms;   /* but no longer than this; 8,000. */
	uint32_t attempts; /* In all; 5. */
	double jitter;     /* 0 to 1: by how much of it a pause may be shorter; 0. */
	uint64_t total_ms; /* No pause ends later than this after the beginning; 0: no limit. */
};

struct lev_retry {
	struct lev_retry_options options;
	uint64_t began_ms;
	uint32_t failed;
	uint64_t random;
};

/* options NULL: the defaults: at once, after 1, 2, 4 and 8 s. seed: any number; the same one gives
 * the same jitter. */
LEV_EXPORT void lev_retry_init(struct lev_retry *retry, const struct lev_retry_options *options,
			       uint64_t seed, uint64_t now_ms);

/* After an attempt that failed: LEV_OK and how long to wait, or LEV_GIVEN_UP. */
LEV_EXPORT int lev_retry_next(struct lev_retry *retry, uint64_t now_ms, uint64_t *wait_ms);

/* Calls until the result is not negative, or final (LEV_MEANINGS), sleeping in between. Otherwise
 * LEV_GIVEN_UP, with the last failure as reason: what was tried may have been done. LEV_UNKNOWN: it
 * surely failed in the end, but an earlier attempt may have been done. */
LEV_EXPORT int lev_retry_call(const struct lev_retry_options *options, int (*call)(void *arg),
			      void *arg);

/* --- saga: steps, and what undoes them --- */

/* One call of a step. */
struct lev_saga_call {
	const char *saga_id;
	const char *key; /* "saga id/step", or "saga id/step/undo": the idempotency key for whatever
			    the step does. */
	const void *data; /* As the saga was started with; not to be changed. */
	size_t data_len;
	void *arg;
};

/* Both may be called again with the same key after a crash, and must then have their effect once:
 * publish with the key, keep an inbox. */
struct lev_saga_step {
	const char *name;
	/* LEV_OK or positive: done. Negative: the saga fails, and what was done is undone in
	 * reverse order, this step first unless the result says that it is surely not done
	 * (LEV_MEANINGS). */
	int (*run)(const struct lev_saga_call *call);
	/* NULL: there is nothing to undo. A negative result: tried again, see `retry`; in the end
	 * LEV_GIVEN_UP, and the log still has it. */
	int (*undo)(const struct lev_saga_call *call);
};

struct lev_saga {
	const struct lev_saga_step *steps;
	size_t steps_len;                      /* 1 to 1,000. */
	const struct lev_retry_options *retry; /* Of undoing; NULL: the defaults. */
};

/* Where a saga stands: all that has to be remembered. */
enum lev_saga_phase { LEV_SAGA_RUNNING, LEV_SAGA_UNDOING, LEV_SAGA_COMPLETED, LEV_SAGA_UNDONE };

struct lev_saga_state {
	enum lev_saga_phase phase;
	uint32_t step; /* That runs, or is being undone. */
};

/* The state machine: where it stands after its present step ended with this result. A saga begins
 * at step 0, running. */
LEV_EXPORT struct lev_saga_state lev_saga_next(const struct lev_saga *saga,
					       struct lev_saga_state state, int result);

/* Where sagas are logged. save: durable when it returns LEV_OK; of a finished saga: it may be
 * forgotten. A log may also be a table of the program's database. */
struct lev_saga_log {
	int (*save)(void *arg, const char *id, const struct lev_saga_state *state, const void *data,
		    size_t data_len);
	void *arg;
};

/* Runs a saga from the beginning, each state saved before the step that it is about. LEV_OK:
 * completed. LEV_UNDONE. LEV_GIVEN_UP, or the log's failure: it stays in the log, to be resumed.
 * id: 1 to 150 bytes, never used twice. */
LEV_EXPORT int lev_saga_run(const struct lev_saga *saga, const struct lev_saga_log *log,
			    const char *id, const void *data, size_t data_len, void *arg);

/* The same, from where it stood. */
LEV_EXPORT int lev_saga_resume(const struct lev_saga *saga, const struct lev_saga_log *log,
			       const char *id, struct lev_saga_state state, const void *data,
			       size_t data_len, void *arg);

/* A log in a file: lines with checksums, synced one by one; what has finished is dropped when it is
 * opened. One process at a time (LEV_SYSTEM otherwise). */
struct lev_saga_file;
LEV_EXPORT int lev_saga_file_open(struct lev_saga_file **out, const char *path);
LEV_EXPORT void lev_saga_file_close(struct lev_saga_file *file); /* NULL is fine. */
LEV_EXPORT struct lev_saga_log lev_saga_file_log(struct lev_saga_file *file);

/* Sagas that had not finished when the file was opened: calls visit for each, which resumes it.
 * Stops at a negative result, and returns it. */
LEV_EXPORT int lev_saga_file_each(struct lev_saga_file *file,
				  int (*visit)(void *arg, const char *id,
					       struct lev_saga_state state, const void *data,
					       size_t data_len),
				  void *arg);

#ifdef __cplusplus
}
#endif
#endif
