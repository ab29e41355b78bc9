/* User: a part of a handle that has a channel of its own: the publisher, a consumer, ... The handle
 * opens its channel on each connection and drives it; everything happens under the handle's lock,
 * except that report() may let go of it to call the program. */
#ifndef LEV_CLIENT_USER_H
#define LEV_CLIENT_USER_H

#include "base/list.h"
#include "link.h"

struct lev;
struct user;

struct user_ops {
	/* The connection is there: open the channel, if it is wanted. */
	void (*restore)(struct user *user);
	/* Puts what is to be sent into the link's output. NULL: there is never anything. */
	void (*flush)(struct user *user);
	/* What is due by the clock, and when the next thing will be. NULL, both: never. */
	void (*tick)(struct user *user, uint64_t now_ms);
	uint64_t (*due)(const struct user *user);
	/* Calls the program back for what has happened. NULL: it never does. */
	void (*report)(struct user *user);
	/* The handle ends: whoever waits for something learns that it will not come; report() is
	 * called once more. NULL: nobody does. */
	void (*stop)(struct user *user);
	/* It has ended: memory that nobody needs any more is freed. */
	void (*end)(struct user *user);
};

struct user {
	struct channel channel; /* First. */
	const struct user_ops *does;
	struct lev *lev;
	struct list node; /* In lev->users. */
};

#endif
