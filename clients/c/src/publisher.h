/* Publisher: publishes in flight, in a ring, until each has its outcome.
 *
 *   head            next             tail
 *   | done . sent sent | waiting waiting |          positions; slot = position modulo the ring's
 *                                                   size
 *
 * What was sent when a connection ended goes again in order when the next one opens, unless sending
 * it twice could store it twice. After a channel.close, whose cause may be any of those sent, they
 * go one by one until each has shown that it is not the one.
 *
 * A slot is occupied until its outcome has been reported, so outcomes need no memory of their own.
 * All under the handle's lock. */
#ifndef LEV_CLIENT_PUBLISHER_H
#define LEV_CLIENT_PUBLISHER_H

#include "content.h"
#include "user.h"

enum slot_state {
	SLOT_FREE,
	SLOT_WAITING, /* To be sent, for the first time or again. */
	SLOT_SENT,    /* On the present channel, under `tag`. */
	SLOT_DONE,    /* Its outcome is to be reported. */
};

/* Somebody who waits for an outcome. */
struct publish_waiter {
	bool is_done;
	struct reason outcome;
};

struct slot {
	enum slot_state state;
	struct content_block content;
	uint64_t tag;      /* On the present channel. */
	uint64_t deadline; /* LEV_NEVER: none. */
	bool was_sent; /* On this connection or another, and nothing says that it did not arrive. */
	bool is_repeat;     /* It had been sent before, when it was sent last. */
	bool is_identified; /* A broker that knows idempotency can tell its repeat. */
	bool is_mandatory;
	uint16_t return_code; /* It was returned: 312, or 208 and 409 with idempotency. */
	int result;
	uint16_t reply_code;
	char *text; /* Owned; NULL: the result's. */
	lev_outcome_fn *on_outcome;
	void *arg;
	struct publish_waiter *waiter;
	struct slot *next_done;
};

struct publisher {
	struct user user;
	struct slot *slots;
	uint64_t *positions; /* Of tags, by tag modulo the ring's size. */
	uint64_t mask;
	uint32_t window;
	size_t window_bytes;
	size_t bytes; /* In flight. */
	uint64_t head;
	uint64_t next; /* To be sent. */
	uint64_t tail;
	uint64_t tag_low; /* The lowest without an answer. */
	uint64_t tag_next;
	uint64_t careful_until; /* Positions below it go one by one. */
	uint64_t sequence;      /* The next one of the handle's own. */
	uint64_t nearest;       /* No deadline is before it. */
	struct slot *done_first;
	struct slot **done_end;
	bool has_given_up;  /* On the present channel there was a publish whose outcome did not wait
			       for its answer. */
	bool is_identified; /* Publishes carry a producer's sequence, */
	bool is_named; /* which is the caller's to give: its name has been used before, perhaps. */
	bool is_repeating;        /* Even without one they may be sent twice. */
	bool is_idempotent;       /* The broker knows idempotency. */
	struct bytes producer_id; /* Borrowed from the handle. */
	uint64_t epoch;
};

/* LEV_NO_MEMORY. The rest of the fields are the caller's to set. Becomes one of the handle's users.
 */
int publisher_init(struct publisher *p, struct lev *lev, uint32_t window, size_t window_bytes);
void publisher_fini(struct publisher *p);

/* True if there is room for a publish of this size. */
bool publisher_has_room(const struct publisher *p, size_t body_len);

/* Takes it into a slot, where there must be room. LEV_INVALID, LEV_NO_MEMORY. */
int publisher_add(struct publisher *p, const struct lev_publish *publish, struct slot **out);

/* Sends what may be sent. */
void publisher_pump(struct publisher *p);

/* A waiter leaves: its outcome, as far as it is known. */
void publisher_forget(struct publisher *p, struct slot *slot, struct reason *outcome);

static inline bool publisher_is_idle(const struct publisher *p)
{
	return p->head == p->tail;
}

#endif
