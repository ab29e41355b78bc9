/* Answer: what topology refuses, in the words that clients know. All of them return false where
 * they refuse. */
#ifndef LEV_CORE_TOPOLOGY_ANSWER_H
#define LEV_CORE_TOPOLOGY_ANSWER_H

#include "base/bytes.h"

#include <stdbool.h>

struct connection;
struct queue;
struct refusal;
struct vhost;

bool exchange_check_not_default(struct bytes exchange, struct refusal *refusal);
/* kind: "exchange", "queue". Names that begin with "amq." are the broker's. */
bool name_check(const char *kind, struct bytes name, struct refusal *refusal);
bool refuse_not_found(const char *kind, struct bytes name, const struct vhost *vhost,
		      struct refusal *refusal);
/* A field of a declaration that must be as the one there is. */
bool field_check(const char *field, const char *received, const char *current, const char *kind,
		 struct bytes name, const struct vhost *vhost, struct refusal *refusal);
const char *bool_text(bool b);
bool queue_refuse_locked(const struct queue *queue, struct refusal *refusal);
bool queue_check_access(const struct connection *connection, const struct queue *queue,
			struct refusal *refusal);
/* The queue, if it is there and this connection may use it; NULL: refused. */
struct queue *queue_find_allowed(const struct connection *connection, struct bytes name,
				 struct refusal *refusal);

#endif
