/* Replies: direct reply-to. A consumer of no queue, to whose address others publish. */
#ifndef LEV_CORE_DISPATCH_REPLIES_H
#define LEV_CORE_DISPATCH_REPLIES_H

#include "base/bytes.h"

#include <stdbool.h>

struct channel;
struct consume;
struct core;
struct properties;
struct refusal;
struct vhost;

/* What a client consumes from, and with a dot and a token after it the address of such a consumer.
 */
#define REPLY_QUEUE "amq.rabbitmq.reply-to"

/* Whether the name is that of no queue, but of a consumer of replies that is there, or of all of
 * them. */
bool reply_is_queue(const struct vhost *vhost, struct bytes name);
/* Its publisher waits for a reply at an address that is to be made up. */
bool reply_is_wanted(const struct properties *properties);
bool reply_begin(struct channel *channel, const struct consume *consume, struct refusal *refusal);
void reply_end(struct channel *channel);

#endif
