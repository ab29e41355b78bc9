/* Logins: passwords are looked at off the loop, one at a time, by a thread of their own; a hash
 * takes some 50 ms and 16 MiB. Who has been found right once is let in at once as long as nothing
 * of the user changes. What waits takes the room of a name and a password, and each connection can
 * wait but once.
 *
 * All calls are the loop's. */
#ifndef LEV_SERVER_LOGINS_H
#define LEV_SERVER_LOGINS_H

#include "auth/guesses.h"
#include "auth/users.h"

#include "base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct logins;

/* Tells what became of a login: whose it is, and the user; NULL: refused. From an event of
 * the base, or within logins_ask() of somebody else. */
typedef void logins_told(void *arg, void *asker, struct user *user);

struct logins_options {
	struct event_base *base; /* Borrowed, as all here. */
	struct users *users;
	struct guesses *guesses;
	logins_told *told;
	void *arg;
};

/* NULL, and errno: no thread, or no descriptor. */
struct logins *logins_create(const struct logins_options *options);
void logins_destroy(struct logins *logins); /* Those that wait are told nothing. NULL is fine. */

enum logins_answer { LOGINS_REFUSED, LOGINS_TAKEN, LOGINS_LATER };

struct login_asked {
	struct bytes name;
	struct bytes password;
	uint8_t address[GUESSES_ADDRESS_BYTES];
	void *asker; /* For told(). */
	/* Told instead of that of the options, with the asker as its only argument of use; NULL:
	 * not. */
	void (*told)(void *asker, struct user *user);
};

/* With LOGINS_TAKEN, *user; with LOGINS_LATER told() follows. Name and password are copied. */
enum logins_answer logins_ask(struct logins *logins, const struct login_asked *asked,
			      struct user **user);
/* The asker goes: it is told nothing any more. */
void logins_forget(struct logins *logins, const void *asker);

#endif
