/* State: the structs that the core's own files share. Nothing outside core/ includes this.
 *
 * Ownership: core owns vhosts and connections; a vhost its exchanges and queues; an exchange the bindings that leave it; a
 * queue its ready messages; a connection its channels; a channel its consumers and unacked deliveries. */
#ifndef LEV_CORE_STATE_H
#define LEV_CORE_STATE_H

#include "core/core.h"
#include "core/fifo.h"
#include "core/topic.h"

#include "base/list.h"
#include "base/map.h"

enum exchange_type {
	EXCHANGE_DIRECT,
	EXCHANGE_FANOUT,
	EXCHANGE_TOPIC,
	EXCHANGE_HEADERS,
};

struct exchange {
	struct vhost *vhost;
	struct bytes name; /* Owned. */
	enum exchange_type type;
	bool is_default; /* The one named "": routes by queue name. */
	bool is_durable;
	bool is_auto_delete;
	bool is_internal;
	bool is_predeclared;
	struct bytes arguments; /* Owned. */
	struct bytes alternate; /* View into arguments; empty: none. */
	struct list bindings;   /* That leave it, by binding.in_source. */
	struct list inbound;    /* Bindings whose destination it is. */
	struct map identities;  /* identity -> struct binding */
	struct map keys;        /* direct: routing key -> first struct binding of the chain */
	struct topic *topic;    /* topic: values are struct binding. */
	struct map memo;        /* routing key -> struct route */
	uint64_t memo_version;  /* The core's topology when the memo was begun. */
	uint64_t seen;          /* Routing step that last came by. */
};

enum headers_match { MATCH_ALL, MATCH_ANY, MATCH_ALL_WITH_X, MATCH_ANY_WITH_X };

struct binding {
	struct exchange *source;
	struct queue *queue; /* The destination: one of the two. */
	struct exchange *exchange;
	struct bytes identity; /* Owned; routing_key and arguments are views into it. */
	struct bytes routing_key;
	struct bytes arguments;
	enum headers_match match;
	struct list in_source;
	struct list in_destination;
	struct binding *same_key; /* direct: the next one of the chain. */
	uint64_t id;              /* Of its definition; 0: not durable. */
};

/* A routing decision that is remembered. */
struct route {
	size_t queues_len;
	struct bytes routing_key; /* View into the memory behind queues. */
	struct queue *queues[];
};

/* Where a channel's last publish went: the next one mostly goes there, too. */
struct last_route {
	uint64_t topology; /* It holds as long as this is the core's. */
	struct exchange *exchange;
	uint16_t tail_len;
	uint8_t tail[2 * (1 + UINT8_MAX)]; /* message_tail() of that publish. */
	size_t queues_len;
	struct queue **queues; /* Owned. */
	size_t queues_cap;
};

/* A message that was delivered and came back; or that was recovered as such. */
struct returned {
	uint64_t position;
	uint64_t slot;
	uint32_t count; /* Failed deliveries. */
};

/* Consumers of one priority. */
struct level {
	int64_t priority;
	struct list ready; /* Those that can take a message now; the next one in turn is first. */
	uint32_t consumers_len;
};

struct ranges {
	struct range *items;
	size_t len;
	size_t cap;
};

/* How many messages a queue's consumers take, see throttle.c. */
struct pace {
	uint64_t since_ms; /* When counting began. */
	uint32_t taken;    /* Since then, */
	uint32_t before;   /* and in the stretch of time before. */
};

/* What recovery knows of a queue until core_recovered(). */
struct recovery;

struct queue {
	struct vhost *vhost;
	struct bytes name; /* Owned. */
	uint32_t id;       /* Of its definition and its places in the journal; 0: not durable. */
	uint32_t index_id; /* Of its index chunks: id, or one that means nothing to the next process; 0: none yet. */
	bool is_durable;   /* As declared. */
	bool is_auto_delete;
	bool is_counting;           /* Tells consumers how often a message was delivered (quorum). */
	bool is_exclusive_consumer; /* Its one consumer is exclusive. */
	uint64_t delivery_limit;    /* With more failed deliveries than this a message is dead-lettered. */
	struct connection *owner;   /* Exclusive to it; NULL: not exclusive. */
	struct list in_owner;
	struct bytes arguments; /* Owned. */
	struct list inbound;    /* Bindings whose destination it is. */

	struct fifo fifo;          /* Never delivered. */
	uint64_t volatile_len;     /* Messages in it that will not survive. */
	struct returned *returned; /* A heap, lowest position first; all of them before the fifo. */
	size_t returned_len;
	size_t returned_cap;
	uint64_t tail;       /* The next position. */
	uint64_t cursor;     /* Every position from here on has never been delivered. */
	struct list unacked; /* struct delivery, in_queue. */
	uint64_t unacked_len;

	struct list consumers; /* All of them, by in_queue. */
	struct level **levels; /* Highest priority first. */
	size_t levels_len;
	uint32_t consumers_len;

	struct list in_dirty;   /* May have something to deliver. */
	struct list in_loading; /* Its first message is to be read from the journal. */
	struct list in_parked;  /* As above, the index first. */
	uint32_t burst;         /* Deliveries since it came to the front of the dirty list. */

	struct list in_changed; /* Has something below to be written at the end of the turn. */
	struct ranges removed_ranges;
	struct ranges returned_ranges;
	bool is_limit_changed;
	uint64_t granted;        /* The limit on disk, see grant.c: positions below it may go out. */
	uint64_t asked;          /* The limit recorded last, */
	uint64_t asked_sequence; /* and when it is on disk. */
	uint64_t delivered_ms;   /* When a message that the journal has went out last. */
	struct pace pace;
	struct list in_granting; /* `asked` is not on disk yet. */
	struct list in_loose;    /* `asked` runs ahead of what was delivered. */
	struct list in_stale;    /* Differs from its record: to be written at the next checkpoint. */
	struct list in_saving;   /* Has chunks in the running checkpoint. */
	struct list in_core;
	uint64_t routed;        /* Routing step that last chose it. */
	uint64_t survey_cursor; /* The cursor at the last survey. */
	struct recovery *recovery;
};

struct consumer {
	struct bytes tag; /* Owned. */
	struct channel *channel;
	struct queue *queue;
	struct level *level;
	bool is_no_ack;
	bool is_ready;
	bool is_closing;   /* Its channel is being closed: it takes nothing more. */
	uint16_t prefetch; /* 0: no limit. */
	uint32_t unacked_len;
	struct list in_level; /* On level->ready, if is_ready. */
	struct list in_queue; /* All consumers of the queue. */
};

/* A message on its way: delivered and not yet settled. */
struct delivery {
	struct list in_queue;
	struct queue *queue;       /* NULL: deleted meanwhile. */
	struct consumer *consumer; /* NULL: by basic.get, or cancelled meanwhile. */
	struct message *message;   /* One reference; NULL if the queue is gone. */
	uint64_t position;
	uint64_t tag;
	uint32_t count;  /* Failed deliveries before this one. */
	bool is_limited; /* Counts for the channel's prefetch. */
};

struct tag_slot {
	uint64_t tag;
	struct delivery *delivery; /* NULL: settled. */
};

/* The unacked deliveries of a channel in order of tag: a ring with tombstones. */
struct deliveries {
	struct tag_slot *slots;
	size_t cap; /* Power of two. */
	size_t first;
	size_t len; /* Slots, tombstones included. */
	size_t alive;
};

/* Publishes up to a tag wait for a sequence. */
struct pending_confirm {
	uint64_t tag;
	uint64_t sequence;
};

struct pending_publish {
	struct message *message;
	bool is_mandatory;
};

enum settlement { SETTLE_ACK, SETTLE_REJECT, SETTLE_REQUEUE };

/* An ack or reject that waits for tx.commit. */
struct pending_settle {
	struct delivery *delivery;
	enum settlement how;
};

enum channel_mode { CHANNEL_PLAIN, CHANNEL_CONFIRM, CHANNEL_TX };

struct channel {
	struct core *core;
	struct connection *connection;
	void *owner;
	struct list in_connection;
	enum channel_mode mode;
	struct last_route *last_route; /* Owned; NULL: nothing has been published. */
	struct map consumers;          /* tag -> struct consumer */
	struct bytes reply_token;      /* Owned; direct reply-to is on if not empty. */
	struct bytes reply_tag;        /* Owned; its consumer. */
	struct deliveries deliveries;
	uint64_t last_tag;
	uint16_t prefetch;    /* Of each of its consumers. */
	uint16_t limit;       /* Of the whole channel; 0: none. */
	uint32_t limited_len; /* Unacked deliveries that count for it. */

	uint64_t published; /* Tag of the last publish in confirm mode. */
	uint64_t confirmed; /* Answered so far. */
	struct list in_confirming;
	struct pending_confirm *confirms; /* Ring, oldest first. */
	size_t confirms_cap;
	size_t confirms_first;
	size_t confirms_len;

	struct pending_publish *tx_publishes;
	size_t tx_publishes_len;
	size_t tx_publishes_cap;
	struct pending_settle *tx_settles;
	size_t tx_settles_len;
	size_t tx_settles_cap;
};

struct connection {
	struct core *core;
	struct vhost *vhost;
	struct bytes user; /* Owned. */
	bool is_writable;
	uint32_t consumers_len;   /* On all its channels. */
	struct queue *flooded;    /* It publishes faster than this queue's consumers take; NULL: it does not. */
	struct list in_throttled; /* If there is such a queue. */
	struct list in_core;
	struct list channels;
	struct list exclusive; /* Queues. */
};

struct vhost {
	struct core *core;
	struct bytes name; /* Owned. */
	struct map exchanges;
	struct map queues;
	struct exchange *default_exchange;
};

/* Effects of inputs, kept until they are drained; deliveries and confirms are found when asked for. */
struct effect_ring {
	struct effect *items;
	size_t cap;
	size_t first;
	size_t len;
};

/* A stretch of an index that was purged: the chunks are read once more, for what they refer to, and deleted. */
struct doomed {
	struct list in_core;
	uint32_t queue; /* Its index_id. */
	uint64_t from;  /* Positions. */
	uint64_t until;
	bool is_stored; /* The store knows of it. */
	bool is_over;
};

/* The working memory of one routing decision. */
struct router {
	uint64_t step;
	struct queue **queues;
	size_t queues_len;
	size_t queues_cap;
	struct exchange **exchanges; /* In the order in which they are asked. */
	size_t exchanges_len;
	size_t exchanges_cap;
	bool depends_on_headers; /* The decision holds for this message only. */
	bool is_matched;         /* The exchange being asked had a binding that matched. */
};

/* How paging stands at the end of a turn. */
enum paging {
	PAGING_DONE,     /* The budget holds, or nothing more can be done. */
	PAGING_WAITS,    /* For what is on its way to the disk. */
	PAGING_HAS_MORE, /* Its share of this turn is used up. */
};

struct core {
	struct core_options options;
	struct message_pool messages;
	struct vhost vhost; /* "/" */
	struct list connections;
	struct list queues;
	struct map queues_by_id; /* Durable ones; the key is the queue's own id field. */
	struct map replies;      /* Direct reply-to: token -> struct channel */
	struct batch *batch;     /* Of this turn; NULL between turns. */
	uint64_t now_ms;
	uint64_t durable;  /* Sequence. */
	uint64_t topology; /* Grows with every change that may alter a route. */
	struct router router;
	struct effect_ring effects;
	struct list dirty;     /* Queues. */
	struct list loading;   /* Queues. */
	struct list changed;   /* Queues. */
	struct list stale;     /* Queues. */
	struct list saving;    /* Queues. */
	struct list parked;    /* Queues whose next messages are in the middle of their fifo, and wanted. */
	struct list doomed;    /* struct doomed. */
	struct list throttled; /* Connections. */
	uint64_t *survey;      /* Sorted locations of delivered messages, one for each place, see survey.c. */
	size_t survey_len;
	size_t survey_cap;
	uint32_t doomed_work;   /* Chunks of it that may still be read in this turn. */
	struct queue *indexing; /* The answer to EFFECT_INDEX is for this queue; NULL: for the first of doomed. */
	uint32_t *orphans;      /* Ids of queues whose records are to be deleted: they were deleted shortly before a crash. */
	size_t orphans_len;
	size_t orphans_cap;
	uint32_t generation; /* Of this process. */
	uint32_t volatile_id_last;
	const struct journal_index *index; /* During recovery. */
	struct list granting;              /* Queues. */
	struct list loose;                 /* Queues. */
	struct list confirming;            /* Channels with pending confirms that wait for the journal. */
	struct list confirmable;           /* Channels with pending confirms to be looked at. */
	struct message *handed_out;        /* Of the effect handed out last: one reference, or NULL. */
	struct list *evict_queue;          /* Where paging goes on. */
	enum paging paging;
	bool is_resting; /* Nothing has been published between the last two calls of core_rest(). */
	uint64_t published_before;
	uint32_t queue_id_last;
	uint64_t binding_id_last;
	uint64_t exchanges_len;
	uint64_t queues_len;
	uint64_t bindings_len;
	uint64_t reply_last;
	struct bytes cancelled_tag;  /* Owned: of the EFFECT_CANCELLED handed out last. */
	struct core_figures figures; /* Only the running totals. */
};

/* --- exchange.c ------------------------------------------------------------------------------------------------- */

struct exchange *exchange_create(struct vhost *vhost, struct bytes name, enum exchange_type type);
void exchange_destroy(struct exchange *exchange); /* Its bindings must be gone. */
struct exchange *exchange_find(const struct vhost *vhost, struct bytes name);
const char *exchange_type_name(enum exchange_type type);
bool exchange_type_find(struct bytes name, enum exchange_type *type);

struct binding *binding_find(const struct exchange *source, struct bytes identity);
/* identity: see binding_identity(); exactly one of queue and exchange. */
struct binding *binding_create(struct exchange *source, struct queue *queue, struct exchange *exchange, struct bytes identity);
void binding_destroy(struct binding *binding);
/* Writes the identity of a binding: destination kind and name, routing key, arguments. Returns a view into buffer. */
struct bytes binding_identity(struct writer *buffer, char kind, struct bytes destination, struct bytes routing_key,
			      struct bytes arguments);
enum { BINDING_IDENTITY_OVERHEAD = 3 };
bool headers_match_parse(struct bytes arguments, enum headers_match *match);

/* --- route.c --------------------------------------------------------------------------------------------------- */

/* The queues for a message; valid until the next call or change of topology. CC and BCC are honoured. */
struct queue **route(struct core *core, struct exchange *exchange, const struct message *message,
		     const struct properties *properties, size_t *queues_len);
void route_memo_clear(struct exchange *exchange);
/* True if the channel's last publish was to the same exchange, with the same key, and nothing has changed since. */
bool route_is_last(const struct channel *channel, const struct message *message);
/* As route(), for a message that the channel publishes now; is_last is what route_is_last() says. */
struct queue **route_publish(struct channel *channel, struct exchange *exchange, bool is_last, const struct message *message,
			     const struct properties *properties, size_t *queues_len);
void route_forget_last(struct channel *channel); /* For the channel's end. */

/* --- queue.c --------------------------------------------------------------------------------------------------- */

struct queue *queue_create(struct vhost *vhost, struct bytes name);
/* Keeps the arguments and takes from them what the queue goes by. Once, after queue_create(). */
void queue_set_arguments(struct queue *queue, struct bytes arguments);
/* Drops its messages; bindings, consumers and definition must have been dealt with. */
void queue_destroy(struct queue *queue);
struct queue *queue_find(const struct vhost *vhost, struct bytes name);
uint64_t queue_ready(const struct queue *queue);
void queue_mark_dirty(struct queue *queue);
/* Takes a reference of the message. */
void queue_push(struct queue *queue, uint64_t position, struct message *message);
/* The first ready slot, NULL if there is none. is_new: it has never been delivered, and *position is set. */
uint64_t *queue_first(struct queue *queue, uint64_t *position, bool *is_new);
/* Takes the first ready message (which must be in memory) off the queue. The reference passes to the caller. */
struct message *queue_pop(struct queue *queue, uint64_t *position, uint32_t *count, bool *is_redelivered);
/* Puts a message back where it was. The slot's reference passes to the queue. */
void queue_put_back(struct queue *queue, uint64_t position, uint64_t slot, uint32_t count);
/* A message of the queue is gone for good: recorded, if the journal has it. The reference is given up. */
void queue_settle(struct queue *queue, uint64_t position, struct message *message);
/* The same, but the reference stays the caller's. */
void queue_release(struct queue *queue, uint64_t position, struct message *message);
/* The slot's reference to a message or to its place in the log is given up, nothing is recorded. */
void queue_forget_slot(struct queue *queue, uint64_t slot);
uint64_t queue_purge(struct queue *queue);
/* Forgets the first of the returned messages, whose slot refers to nothing any more; returns its position. */
uint64_t queue_drop_returned(struct queue *queue);

/* --- consumer.c ------------------------------------------------------------------------------------------------- */

struct consumer *consumer_create(struct channel *channel, struct queue *queue, const struct consume *c, int64_t priority);
void consumer_destroy(struct consumer *consumer);
/* Whether it can take messages may have changed. */
void consumer_update(struct consumer *consumer);
void channel_update_consumers(struct channel *channel);
/* The consumer whose turn it is, or NULL. */
struct consumer *queue_next_consumer(struct queue *queue);
void consumer_took_turn(struct consumer *consumer);

/* --- channel.c -------------------------------------------------------------------------------------------------- */

struct delivery *delivery_create(struct channel *channel, struct queue *queue, struct consumer *consumer,
				 struct message *message, uint64_t position, uint32_t count);
void deliveries_forget_consumer(struct channel *channel, struct consumer *consumer);
void channel_confirm(struct channel *channel, bool needs_journal);
bool confirm_next(struct core *core, struct effect *effect);
void channel_drop_tx(struct channel *channel);
void channel_drop_reply(struct channel *channel);
/* What waits to be handed out for this channel (or only what is delivered past all queues) must not be drained any more. */
void channel_drop_effects(struct channel *channel, bool only_deliveries);

/* --- publish.c -------------------------------------------------------------------------------------------------- */

/* Writes a message to the batch; returns its location. */
uint64_t message_write(struct core *core, const struct message *message, const struct place *places, uint32_t places_len,
		       bool is_volatile);
/* Gives the message to the queues, at least one, and the caller's reference with it; true if the journal has it. */
bool message_enqueue(struct core *core, struct message *message, struct queue **queues, size_t queues_len);
/* Routes a message whose exchange has been checked. Takes the reference. True if the journal has it. */
bool publish_now(struct channel *channel, struct message *message, bool is_mandatory);

/* --- declare.c -------------------------------------------------------------------------------------------------- */

void queue_delete(struct queue *queue);
/* A consumer has gone: an auto-delete queue goes with the last one. */
void queue_lost_consumer(struct queue *queue);
void exchange_delete(struct exchange *exchange);

/* --- arguments.c ------------------------------------------------------------------------------------------------- */

bool queue_arguments_check(const struct queue_declare *d, struct bytes vhost, struct refusal *refusal);
bool queue_arguments_equivalent(const struct queue *queue, struct bytes arguments, struct refusal *refusal);
/* Compares one argument of a declaration; what is "queue 'x' in vhost '/'". */
bool argument_equivalent(const char *name, struct bytes current, struct bytes received, const char *what,
			 struct refusal *refusal);

/* --- throttle.c -------------------------------------------------------------------------------------------------- */

/* A message of the queue has gone out. */
void throttle_delivered(struct queue *queue);
/* The connection has published to the queue. */
void throttle_published(struct connection *connection, struct queue *queue);
/* The queue is being destroyed: nobody waits for it any more. */
void throttle_forget_queue(struct queue *queue);

/* --- durable.c -------------------------------------------------------------------------------------------------- */

void durable_exchange(struct exchange *exchange, bool is_deleted);
void durable_queue(struct queue *queue, bool is_deleted);
void durable_binding(struct binding *binding, bool is_deleted);
/* The queue has something to write at the end of the turn, */
void queue_mark_changed(struct queue *queue);
/* or at the next checkpoint only. */
void queue_mark_stale(struct queue *queue);
void ranges_add(struct ranges *ranges, uint64_t position, uint64_t len);

/* --- grant.c ---------------------------------------------------------------------------------------------------- */

/* True if the message at this position, the queue's first, may go out now; otherwise the queue becomes dirty when it may. */
bool grant_covers(struct queue *queue, uint64_t position, const struct message *message);
/* It has gone out. */
void grant_used(struct queue *queue, uint64_t position, const struct message *message);
/* core->durable has moved. */
void grant_durable(struct core *core);

/* --- index.c ---------------------------------------------------------------------------------------------------- */

/* The queue's index_id. */
uint32_t queue_index_id(struct queue *queue);
/* Adds the chunks of the queue that the store should have to the changes of a checkpoint, and deletes those that it should not. */
void index_save(struct queue *queue);
/* That checkpoint is in the store: what it has may leave memory. */
void index_saved(struct queue *queue);
/* All of the queue's index goes: it is being deleted. */
void index_delete(struct queue *queue);
/* Positions that only the store knows are gone: what they refer to is to be given up. */
void index_doom(struct core *core, uint32_t queue, uint64_t from, uint64_t until, bool is_stored);
/* Adds what the store must know of that to the changes. */
void doomed_save(struct core *core);
void doomed_free(struct core *core);
/* Something of it has not been read yet. */
bool doomed_is_waiting(const struct core *core);
/* The next messages of the queue are in the middle of its fifo, and wanted. */
void queue_want_index(struct queue *queue);
bool index_next(struct core *core, struct effect *effect);

/* --- paging.c --------------------------------------------------------------------------------------------------- */

/* Lets bodies that the journal has leave memory, until the budget holds or this turn's share of work is done. */
void paging_evict(struct core *core);
/* Gives up copies in the log that were not needed after all. */
void paging_drop_spills(struct queue *queue);

/* --- deadletter.c ------------------------------------------------------------------------------------------------ */

/* The queue gives the message up: a copy goes to its dead-letter exchange, if it has one. The message stays the caller's. */
void dead_letter(struct queue *queue, const struct message *message, const char *reason);

/* --- deliver.c -------------------------------------------------------------------------------------------------- */

/* Takes the first message, which must be in memory, off the queue and hands it out through the channel. consumer: NULL for
 * basic.get. */
void deliver(struct queue *queue, struct channel *channel, struct consumer *consumer, bool is_no_ack, struct effect *effect);
bool deliver_next(struct core *core, struct effect *effect);
/* The queue's first message is on disk and somebody wants it. */
void queue_want_load(struct queue *queue);
bool load_next(struct core *core, struct effect *effect);

/* --- core.c ----------------------------------------------------------------------------------------------------- */

/* Keeps the message of the effect handed out last, whose reference it takes over. */
void hand_out(struct core *core, struct message *message);
struct effect *effect_push(struct core *core, enum effect_kind kind, struct channel *channel);
/* Gives up what an effect that nobody will see refers to. */
void effect_discard(struct core *core, struct effect *effect);

#endif
