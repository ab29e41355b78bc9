/* Sessions: who has logged in on the page. A cookie that scripts cannot read names one; what
 * changes something has to bring its token, too, which pages of other sites do not know. They end
 * 12 hours after they began, half an hour after they were used last, and with any change of their
 * user. The api's thread. */
#ifndef LEV_API_SESSIONS_H
#define LEV_API_SESSIONS_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

enum { SESSIONS_MAX = 1000, SESSION_SECRET_CHARS = 43 };

struct page_session {
	struct bytes user;
	uint64_t version; /* Of the user, when it began. */
	const char *csrf; /* SESSION_SECRET_CHARS, and a NUL. */
};

struct sessions;

struct sessions *sessions_create(uint64_t seed);
void sessions_destroy(struct sessions *sessions); /* NULL is fine. */

/* secret becomes the cookie's value, a string. If there are too many, the one that has not been
 * used for longest ends. */
void sessions_begin(struct sessions *sessions, struct bytes user, uint64_t version, uint64_t now_ms,
		    char secret[SESSION_SECRET_CHARS + 1]);
/* By the value of a Cookie header. False: there is none. Valid until the next call. */
bool sessions_find(struct sessions *sessions, struct bytes cookies, uint64_t now_ms,
		   struct page_session *session);
void sessions_end(struct sessions *sessions, struct bytes cookies);

#endif
