/* Control: calls that the broker answers one after the other, on a channel of their own:
 * declarations, basic.get, ... A call whose connection is lost is made again on the next one, until
 * its deadline: all of them may be repeated.
 *
 * What a program declares for its connection alone (exclusive and auto-deleted queues, and their
 * bindings) is recorded and declared again. A queue that the broker still holds for the connection
 * before, which it has not noticed to be gone, is owed: all else goes on, and it is tried again
 * until that one must have timed out. */
#ifndef LEV_CLIENT_CONTROL_H
#define LEV_CLIENT_CONTROL_H

#include "settler.h"

struct call {
	const struct method *request; /* Borrowed until it is done. */
	uint32_t reply;               /* The method that answers it. */
	bool is_done;
	struct reason why; /* Of its failure. */
	uint32_t messages;
	uint32_t consumers;
	struct message *message; /* Of basic.get; NULL: the queue is empty. */
	struct list node;
};

struct control {
	struct user user;
	struct settler settler;
	struct list calls;    /* Waiting; the first one may be on its way: */
	bool is_asking;       /* an answer is to come. */
	bool is_unacked;      /* A message that answers it wants an ack. */
	bool is_eager;        /* Its channel opens first, and is for what all others need. */
	struct call *current; /* Whose; NULL: nobody's, the caller has left. */
	struct list records;
	struct list *replaying; /* The record that is being declared again; NULL: none. */
	uint64_t owed_ms;       /* When those that were refused for now are tried again; 0: none. */
};

void control_init(struct control *c, struct lev *lev, bool is_eager);

/* Makes a call and waits for its answer. The lock is held. */
int control_call(struct control *c, struct call *call, uint64_t deadline);

/* Has the request repeated on each connection to come. LEV_NO_MEMORY. */
int control_record(struct control *c, const struct method *request, const char *queue);
void control_unrecord(struct control *c, const struct method *request);
/* All of a queue. */
void control_forget(struct control *c, const char *queue);
/* The broker does not let it be declared yet: it still holds the last connection. */
bool control_is_owed(const struct control *c, const char *queue);
bool control_has_records(const struct control *c, const char *queue);

#endif
