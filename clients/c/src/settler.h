/* Settler: takes acks of messages that came on a channel. Acks of messages in order are one
 * basic.ack for all of them, put when the channel is flushed; whatever else goes to the channel
 * flushes them first.
 *
 * It lives as long as messages point to it: whoever embeds it gets `released` when the last one is
 * gone after settler_leave(). */
#ifndef LEV_CLIENT_SETTLER_H
#define LEV_CLIENT_SETTLER_H

#include "user.h"

struct settler {
	struct user *user;
	struct lev *lev;      /* Also after the user has gone. */
	size_t held;          /* Messages that are not settled. */
	uint64_t acked;       /* All tags up to here are, */
	uint64_t unsent;      /* and this one is still to be told; 0: none. */
	struct list messages; /* Those, by message.in_settler. */
	bool is_gone;
	bool needs_no_ack;
	bool is_used;        /* Something was put on the channel since this was last cleared, */
	bool is_stale;       /* or would have been, had it been the same one. For transactions. */
	uint64_t used_epoch; /* The channel's then. */
	void (*released)(struct settler *s);
};

void settler_init(struct settler *s, struct user *user, void (*released)(struct settler *s));

/* A new channel: tags begin anew. */
void settler_restart(struct settler *s);

/* The message is given out, and points here. */
void settler_hold(struct settler *s, struct message *m);

/* Nobody but messages needs it any more. */
void settler_leave(struct settler *s);

void settler_flush(struct settler *s);

/* Asks the broker something about a message (NULL: about all of the channel), on the channel that
 * it came on (docs/extensions.md): "amq.lease.extend", or "amq.retry.after" with a delay (0: none
 * given). LEV_NO_MEMORY with the thread's reason. */
int settler_request(struct settler *s, const char *what, const struct message *m,
		    uint64_t delay_ms);

/* Something is about to be put on the channel. */
void settler_use(struct settler *s);

/* Puts the message back at the broker, which was never given out. */
void settler_return(struct settler *s, struct message *m);

#endif
