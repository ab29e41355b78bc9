/* Requester: requests in flight, until each has its reply or its time is up. Made with the handle's
 * first request. */
#ifndef LEV_CLIENT_REQUESTER_H
#define LEV_CLIENT_REQUESTER_H

#include "user.h"

struct requester;

/* Frees one; NULL is fine. */
void requester_destroy(struct requester *r);

#endif
