/* Handle: a struct lev. It connects, drives its link and its users, and lets programs wait.
 *
 * One lock guards it all. The I/O thread (in loop mode: whoever calls lev_process()) holds it but
 * for system calls and callbacks. Calls of the program take it, leave what is to be sent in the
 * link's output, and wake the I/O thread if it sleeps. */
#ifndef LEV_CLIENT_HANDLE_H
#define LEV_CLIENT_HANDLE_H

#include "base/prng.h"
#include "control.h"
#include "publisher.h"
#include "requester.h"
#include "socket.h"

#include <pthread.h>

enum {
	HANDLE_OUT_BYTES_MAX =
		1024 * 1024, /* With more than this to be sent, publishes wait in the publisher. */
	HANDLE_READ_BYTES = 256 * 1024,
	HANDLE_HELD_MS = 500,
};

struct lev {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned waiters; /* On `changed`. */
	size_t held;      /* Messages that point here. */

	/* As it was opened. */
	char *name;
	struct uri *uris;
	size_t uris_len;
	bool is_loop;
	bool is_lazy;
	uint32_t connect_timeout_ms;
	uint32_t backoff_min_ms;
	uint32_t backoff_max_ms;
	uint64_t message_bytes_max;
	char producer_id[UINT8_MAX + 1];
	void (*on_event)(void *arg, enum lev_event event, const char *text);
	void *arg;

	/* The thread. */
	bool has_thread;
	pthread_t thread;
	int wake_fd;
	bool is_sleeping;
	bool is_woken;
	bool has_news;               /* Something was asked for since the turn began. */
	const struct lev *called_in; /* During a callback: of which other handle's callback it is
					part; NULL: none. */
	bool is_processing;          /* Loop mode: lev_process() is on the stack. */
	bool is_stopping;
	bool is_ended; /* Closed: it lives on for messages that are held. */
	bool is_forked; /* This is a child's copy: its thread and its connection are the parent's. */
	struct list among_handles; /* Of the process; fork.c. */

	/* Connecting. */
	struct prng random;
	uint64_t now_ms; /* As of the last turn. */
	size_t uri_at;
	size_t tried;    /* URIs, in this round. */
	size_t hopeless; /* Those that trying again will not help. */
	struct addrinfo *addresses;
	struct addrinfo *address;
	unsigned rounds;       /* That have failed, or led to a connection that did not last. */
	uint64_t paused_ms;    /* The last pause. */
	uint64_t opened_ms;    /* When the last connection was there. */
	uint64_t holding_ms;   /* Until then the broker may take the last one for alive. */
	uint64_t retry_ms;     /* When to try again; without a socket. */
	uint64_t attempt_ms;   /* When to give this one up. */
	struct reason failure; /* The last one. */
	bool was_ready;        /* At least once. */
	bool is_given_up;      /* No use in going on. */

	/* The connection. */
	struct socket socket;
	struct link link;
	struct buffer in;
	struct buffer writing; /* What is being sent; the link fills its own meanwhile. */
	unsigned restoring;    /* Consumers that are not back yet. */
	bool is_readable;      /* As far as is known. */
	unsigned full;         /* Users that have more than they can take: nothing is read. */
	bool is_set_up;        /* Users have their channels. */
	bool is_ready;         /* And consumers are back. */
	bool told_ready;
	bool told_blocked;

	struct content_block scratch; /* Of handle_publish(). */
	struct list users;
	struct user *reporting; /* Whose callbacks run. */
	struct publisher publisher;
	struct control control;
	struct control getter;
	struct requester *requester; /* NULL: nothing has been requested yet. */
};

void handle_lock(struct lev *lev);

/* Frees the handle if it has ended, and no message points to it any more. */
void handle_unlock(struct lev *lev);

/* What open.c needs of the rest: the I/O thread's function, with the handle; a turn's part for
 * users; callbacks for what has happened; and the end of all, when no lock is held. */
void *handle_run(void *lev);
void handle_run_users(struct lev *lev);
void handle_report(struct lev *lev);
void handle_destroy(struct lev *lev);

/* It has come to its end, or is the parent process's: LEV_CLOSED or LEV_FORKED. */
static inline bool handle_is_gone(const struct lev *lev)
{
	return lev->is_ended || lev->is_forked;
}
int handle_gone(const struct lev *lev);

/* What is answered where NULL stands for a handle: LEV_INVALID. */
int handle_missing(void);

/* Between creating and destroying it: the handle is locked around a fork(), so that the child's
 * copy is whole, and marked there. */
void fork_watch(struct lev *lev);
void fork_forget(struct lev *lev);

/* There is something to be sent. */
void handle_wake(struct lev *lev);

/* Something has happened that somebody may wait for. */
void handle_changed(struct lev *lev);

/* Waits until is_done(arg). LEV_OK, LEV_TIMEOUT, LEV_IN_CALLBACK, LEV_CLOSED, with the thread's
 * reason. The lock is held before and after. */
int handle_wait(struct lev *lev, bool (*is_done)(const void *arg), const void *arg,
		uint64_t deadline);

/* True in a callback of this handle. */
bool handle_is_calling(const struct lev *lev);

/* Around a call of the program: lets go of the lock, and takes it again. */
void handle_call_begin(struct lev *lev);
void handle_call_end(struct lev *lev);

/* Publishes on a user's open channel, for once: nobody waits for a confirm, and nothing is kept.
 * The body is not copied twice. */
int handle_publish(struct user *user, const struct lev_publish *publish,
		   const struct content_extra *extra);

/* Makes it one of the handle's users; it is driven from here on. */
void handle_add(struct lev *lev, struct user *user, const struct user_ops *does);
void handle_remove(struct user *user);

/* Channels may be opened: there is a connection, which has not failed in this turn. */
static inline bool handle_is_up(const struct lev *lev)
{
	return lev->is_set_up && lev->link.phase == LINK_OPEN;
}

/* The control channel is ready: the others may open theirs. */
void handle_set_up(struct lev *lev);

/* True if a refusal to have back what was this handle's alone (405, and 403 of an exclusive
 * consumer) may be because the broker has not noticed yet that the last connection is gone: it is
 * asked again, after HANDLE_HELD_MS. */
bool handle_is_held(const struct lev *lev, uint16_t reply_code);

/* A user that counted in `restoring` is back, or will not be. */
void handle_restored(struct lev *lev);

#endif
