/* Deed: what a query does with messages in the name of its user, over a connection and a channel of
 * its own in the core, which nobody sees. The loop's thread.
 *
 * What the core has to say to the channel comes as effects, of which the server asks first whether
 * they are for a deed. */
#ifndef LEV_API_DEED_H
#define LEV_API_DEED_H

#include "api/query.h"
#include "auth/access.h"

struct channel;
struct connection;
struct effect;
struct message;

struct deed {
	struct query *query;
	struct vhost *vhost;
	struct connection *connection;
	struct channel *channel;
	struct access access;
	uintptr_t key;      /* Of the api's map: its own address. */
	uint64_t published; /* By whoever counts, */
	uint64_t confirmed; /* and up to which publish it is confirmed. */
	bool is_confirmed;
	bool is_nack;
	bool is_returned;  /* Nowhere to go. */
	bool is_duplicate; /* It has been published before; */
	bool is_conflict;  /* something else has, under the same key. */
	json_t *reply;     /* Owned: the message that came back. */
};

/* Call->state becomes a deed in the virtual host that names[0] says. NULL: it is not there, and the
 * query is refused. */
struct deed *deed_begin(struct query *query);
bool deed_is_owner(const struct api *api, const void *owner);

#endif
