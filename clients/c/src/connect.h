/* Connecting: how a handle comes to a connection, and to the next one when that is lost. The lock
 * is held; only resolving a name lets go of it. */
#ifndef LEV_CLIENT_CONNECT_H
#define LEV_CLIENT_CONNECT_H

struct lev;

/* Begins an attempt when it is time, and takes the present one further, until the link can be
 * started. */
void connect_turn(struct lev *lev);

/* Ends an attempt that takes too long. */
void connect_check(struct lev *lev);

/* The link is down: says so to its users. The same broker is tried again first. */
void connect_lost(struct lev *lev);

void connect_forget_addresses(struct lev *lev);

#endif
