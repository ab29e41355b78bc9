/* Permit: whether a user may do what is asked of the core. The points at which it is asked, and
 * which refusal wins, are RabbitMQ's: before all but the type of an exchange, the default exchange,
 * and reserved names of queues.
 *
 * access is of the virtual host; NULL: of one who may do everything. Each returns true, or false
 * and a refusal with RabbitMQ's text. */
#ifndef LEV_PERMIT_PERMIT_H
#define LEV_PERMIT_PERMIT_H

#include "base/bytes.h"

#include <stdbool.h>

struct access;
struct bind;
struct exchange_declare;
struct queue_declare;
struct refusal;
struct vhost;

bool permit_exchange_declare(struct access *access, const struct vhost *vhost,
			     const struct exchange_declare *d, struct refusal *refusal);
bool permit_queue_declare(struct access *access, const struct vhost *vhost,
			  const struct queue_declare *d, struct refusal *refusal);
bool permit_exchange_delete(struct access *access, struct bytes name, struct refusal *refusal);
bool permit_queue_delete(struct access *access, struct bytes name, struct refusal *refusal);
/* Of binding and unbinding. */
bool permit_bind(struct access *access, const struct vhost *vhost, const struct bind *b,
		 struct refusal *refusal);
/* To take from a queue, or to empty it. */
bool permit_read(struct access *access, struct bytes queue, struct refusal *refusal);
bool permit_publish(struct access *access, const struct vhost *vhost, struct bytes exchange,
		    struct bytes routing_key, struct refusal *refusal);

#endif
