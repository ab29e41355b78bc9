/* Inputs: what peers ask of the core: connections, channels, definitions, messages, transactions.
 * Within a turn, see core.h, which also says who owns what. */
#ifndef LEV_CORE_INPUTS_H
#define LEV_CORE_INPUTS_H

#include "core/core.h"
#include "core/message/message.h"

#include "base/bytes.h"
#include "reply.h"

#include <stdbool.h>
#include <stdint.h>

struct channel;
struct connection;
struct core;
struct effect;
struct properties;
struct vhost;

/* --- connections and channels --- */

struct connection *connection_open(struct core *core, struct vhost *vhost, struct bytes user);
/* Whose it is, as views tell it; NULL at first. */
void connection_set_owner(struct connection *connection, void *owner);
/* Closes its channels: what was unacked goes back to its place, exclusive queues are deleted. */
void connection_close(struct connection *connection);
/* False: its consumers get nothing until it is true again. */
void connection_set_writable(struct connection *connection, bool is_writable);
/* It is to be told of duplicates and conflicts (EFFECT_REPEATED); otherwise of conflicts only, for
 * the operator. */
void connection_tell_repeated(struct connection *connection);
/* It publishes faster than consumers take, and should not be read for a while: until this is false.
 */
bool connection_is_throttled(struct connection *connection);
struct bytes vhost_name(const struct vhost *vhost);
/* It is being deleted: whoever is in it is to leave. */
bool vhost_is_going(const struct vhost *vhost);
/* What there is in it, for those who must know before they ask. */
bool vhost_has_queue(const struct vhost *vhost, struct bytes name);
bool vhost_has_exchange(const struct vhost *vhost, struct bytes name);
bool vhost_has_topic_exchange(const struct vhost *vhost, struct bytes name);
struct vhost *connection_vhost(const struct connection *connection);
/* It may publish with any user_id. */
void connection_let_impersonate(struct connection *connection);
/* owner comes back with each effect. */
struct channel *channel_open(struct connection *connection, void *owner);
void channel_close(struct channel *channel);
/* What the answer to the definition, removal, purge or commit just made must wait for: what it says
 * may have been decided earlier, for somebody else, and not be on disk yet. A sequence of the
 * journal that is not durable, or 0: nothing. */
uint64_t core_awaited(const struct core *core);
bool core_is_durable(const struct core *core, uint64_t sequence);

/* --- definitions: true, or false and *refusal --- */

struct exchange_declare;
/* Of what core_exchange_declare() would say, the part on the type. */
bool core_exchange_type_check(const struct exchange_declare *d, struct refusal *refusal);

struct exchange_declare {
	struct bytes name;
	struct bytes type;
	bool is_passive;
	bool is_durable;
	bool is_auto_delete;
	bool is_internal;
	bool is_dry;            /* Only whether it could be made new, whatever is there. */
	struct bytes arguments; /* A table that table_check() has seen. */
};

bool core_exchange_declare(struct connection *connection, const struct exchange_declare *d,
			   struct refusal *refusal);
bool core_exchange_delete(struct connection *connection, struct bytes name, bool if_unused,
			  struct refusal *refusal);

struct queue_declare {
	struct bytes name;
	bool is_passive;
	bool is_durable;
	bool is_exclusive;
	bool is_auto_delete;
	bool is_dry;       /* As of an exchange. */
	bool is_generated; /* The broker made the name: it may begin with "amq.". */
	struct bytes arguments;
};

struct queue_counts {
	uint64_t messages; /* Ready ones. */
	uint32_t consumers;
};

bool core_queue_declare(struct channel *channel, const struct queue_declare *d,
			struct queue_counts *counts, struct refusal *refusal);
bool core_queue_delete(struct connection *connection, struct bytes name, bool if_unused,
		       bool if_empty, uint64_t *messages, struct refusal *refusal);
bool core_queue_purge(struct connection *connection, struct bytes name, uint64_t *messages,
		      struct refusal *refusal);

struct bind {
	struct bytes source;
	struct bytes destination;
	bool is_to_exchange;
	struct bytes routing_key;
	struct bytes arguments;
};

bool core_bind(struct connection *connection, const struct bind *b, struct refusal *refusal);
bool core_unbind(struct connection *connection, const struct bind *b, struct refusal *refusal);

/* --- messages --- */

/* The header of a message that is being published on the channel has come, and nothing has been
 * checked; of its body there need not be anything. What can be done best by now is done. The next
 * core_publish() of the channel must be of this message, unless that is given up. Takes the
 * reference and gives one. Optional. */
struct message *core_publish_begins(struct channel *channel, struct message *message);
/* Takes the reference to message, also when it refuses. properties are those of the message,
 * decoded: views into it or into what it was made from. */
bool core_publish(struct channel *channel, struct message *message,
		  const struct properties *properties, bool is_mandatory, struct refusal *refusal);
/* The last core_publish() of the channel, which is in no transaction, was taken: by a queue, or by the
 * broker itself. */
bool channel_has_taken_last(const struct channel *channel);
/* After a start, while the keys of the last process are being loaded: a publish with these
 * properties, or a commit, cannot be judged yet. To be tried again in the next turn. */
bool core_publish_waits(const struct core *core, struct bytes properties);
bool core_commit_waits(const struct channel *channel);
void core_confirm_select(struct channel *channel);
bool channel_is_confirm(const struct channel *channel);
/* prefetch_count 0: no limit. is_global: for the channel as a whole; otherwise for each of its
 * consumers, those that began before included (docs/decisions/prefetch.md). At once either way. */
void core_qos(struct channel *channel, uint16_t prefetch_count, bool is_global);

struct consume {
	struct bytes queue;
	struct bytes tag;
	bool is_no_ack;
	bool is_exclusive;
	struct bytes arguments;
};

/* A tag that is in use on the channel is refused. */
bool core_consume(struct channel *channel, const struct consume *c, struct refusal *refusal);
/* An unknown tag is fine. */
void core_cancel(struct channel *channel, struct bytes tag);
/* The same, but not at its client's wish, who is told (EFFECT_CANCELLED). */
void core_expel(struct channel *channel, struct bytes tag);
/* Calls visit for each consumer of a queue; it changes nothing. */
void channel_each_consumer(const struct channel *channel,
			   void (*visit)(void *arg, struct bytes tag, struct bytes queue),
			   void *arg);

enum get_result {
	GET_OK, /* *effect is the delivery, without a consumer tag; *messages are left. */
	GET_EMPTY,
	GET_REFUSED,
	GET_LATER, /* The journal must be read or written first: ask again when this turn is
		      durable. */
};

enum get_result core_get(struct channel *channel, struct bytes queue, bool is_no_ack,
			 struct effect *effect, uint64_t *messages, struct refusal *refusal);
bool core_ack(struct channel *channel, uint64_t tag, bool is_multiple, struct refusal *refusal);
bool core_reject(struct channel *channel, uint64_t tag, bool is_multiple, bool is_requeue,
		 struct refusal *refusal);
/* Everything unacked on the channel goes back. */
void core_recover(struct channel *channel);

/* --- transactions --- */

void core_tx_select(struct channel *channel);
bool channel_is_tx(const struct channel *channel);
/* Publishes and acks since the last commit happen in this turn, hence all or none of them. */
void core_tx_commit(struct channel *channel);
void core_tx_rollback(struct channel *channel);

#endif
