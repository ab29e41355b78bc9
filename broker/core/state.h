/* State: the structs that the core's own files share. Nothing outside core/ includes this, but for
 * tests of what cannot be seen from there.
 *
 * Ownership: core owns vhosts and connections; a vhost its exchanges and queues; an exchange the
 * bindings that leave it; a queue its ready messages; a connection its channels; a channel its
 * consumers and unacked deliveries. */
#ifndef LEV_CORE_STATE_H
#define LEV_CORE_STATE_H

#include "core/check.h"
#include "core/core.h"
#include "core/fifo.h"
#include "core/headers.h"
#include "core/identity.h"
#include "core/shelf.h"
#include "core/timer.h"
#include "core/topic.h"

#include "base/list.h"
#include "base/map.h"
#include "base/siphash.h"

enum exchange_type {
	EXCHANGE_DIRECT,
	EXCHANGE_FANOUT,
	EXCHANGE_TOPIC,
	EXCHANGE_HEADERS,
	EXCHANGE_CONSISTENT_HASH,
	EXCHANGE_MODULUS_HASH,
};
enum { EXCHANGE_TYPES = EXCHANGE_MODULUS_HASH + 1 };

/* Types of RabbitMQ's plugins that route as another type does. */
enum exchange_guise {
	GUISE_NONE,
	GUISE_DELAYED,       /* x-delayed-message: as its x-delayed-type says. */
	GUISE_DEDUPLICATING, /* x-message-deduplication: a fanout that takes x-deduplication-header
				as a key. */
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
	uint64_t duplicates; /* Publishes that it dropped. */
	struct dedup dedup;
	enum exchange_guise guise;
	struct bytes arguments; /* Owned. */
	struct bytes alternate; /* View into arguments or a policy; empty: none. */
	struct list bindings;   /* That leave it, by binding.in_source. */
	struct list inbound;    /* Bindings whose destination it is. */
	struct map identities;  /* identity -> struct binding */
	struct map keys;        /* direct: routing key -> first struct binding of the chain */
	struct topic *topic;    /* topic: values are struct binding. */
	struct map memo;        /* routing key -> struct route */
	uint64_t memo_version;  /* The core's topology when the memo was begun. */
	uint64_t defined;       /* The sequence of the journal that has it as it is. */
	uint64_t seen;          /* Routing step that last came by. */
};

/* A field of a table, and several by name: views into it. */
struct field {
	struct bytes name;
	struct table_value value;
};

struct fields {
	struct field *items; /* Owned. */
	size_t len;
	size_t cap;
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
	struct fields wanted; /* Of a headers exchange: the arguments that a message must have. */
	struct list in_source;
	struct list in_destination;
	struct binding *same_key; /* direct: the next one of the chain. */
	uint64_t id;              /* Of its definition; 0: not durable. */
	uint64_t defined;         /* The sequence of the journal that has it. */
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

/* Ten years, as in RabbitMQ: the longest time to live, of messages and of queues. */
#define TIME_MAX_MS UINT64_C(315360000000)

enum overflow { OVERFLOW_DROP_HEAD, OVERFLOW_REJECT, OVERFLOW_REJECT_DLX, OVERFLOW_DROP_LOWEST };

enum death_reason { DEATH_REJECTED, DEATH_EXPIRED, DEATH_MAXLEN, DEATH_DELIVERY_LIMIT };

enum { RETRY_STEPS_MAX = 32 };

/* How long a message that failed waits before it is delivered again. */
struct retry {
	uint64_t initial_ms; /* 0: it does not wait. */
	uint64_t max_ms;
	double multiplier;
	double jitter;    /* Part of the wait by which it may be shorter or longer, 0 to 1. */
	size_t steps_len; /* An explicit schedule; 0: none. The last one holds for all after it. */
	uint64_t steps_ms[RETRY_STEPS_MAX];
};

/* What a queue goes by: its arguments and the policies that match it, taken together (settings.c).
 * NEVER: no limit. */
struct settings {
	uint64_t ttl_ms;
	uint64_t expires_ms;
	uint64_t length_max;
	uint64_t bytes_max;
	uint64_t delivery_limit; /* With more failed deliveries than this a message is
				    dead-lettered. */
	uint64_t lease_ms;       /* How long a consumer may have a message unacked. */
	enum overflow overflow;
	bool has_dead_letter_exchange;
	bool has_dead_letter_key;
	bool is_single_active;
	bool is_counting;                  /* Tells consumers how often a message was delivered. */
	int max_priority;                  /* -1: priorities do not count. */
	struct bytes dead_letter_exchange; /* Views into the queue's arguments or a policy. */
	struct bytes dead_letter_key;
	struct dedup dedup;
	struct bytes
		group_header; /* Names the header whose value is a message's group; empty: none. */
	struct retry retry;
};

/* Where a queue's next message is. */
struct head {
	uint64_t *slot;          /* NULL: there is none, or its index is to be read first. */
	struct shelf_item *item; /* NULL: it is the fifo's. */
	uint64_t position;
	bool is_new; /* It has never been delivered. */
};

/* A message that was taken off a queue. */
struct taken {
	struct message *message;
	uint64_t position;
	uint32_t count;
	bool is_redelivered;
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

/* Deliveries that must be settled within the same time. */
struct lease {
	uint64_t ms;            /* NEVER: no lease. */
	struct list deliveries; /* By in_lease, the one that is due first is first. */
	struct timer timer;
};

struct queue {
	struct vhost *vhost;
	struct bytes name;   /* Owned. */
	uint32_t id;         /* Of its definition and its places in the journal; 0: not durable. */
	uint32_t key_number; /* A transient one's in key_queues; 0: it is not there. */
	uint64_t serial;     /* Of all queues of this process. */
	uint64_t defined;    /* The sequence of the journal that has it as it is, */
	uint64_t purged;     /* and the last time it was purged. */
	uint64_t duplicates; /* Publishes that it dropped, which others may have taken. */
	uint64_t keys_from;  /* Keys of its messages at lower positions are gone: it was emptied. */
	uint32_t index_id;   /* Of its index chunks: id, or one that means nothing to the next
				process; 0: none yet. */
	bool is_durable;     /* As declared. */
	bool is_auto_delete;
	bool is_exclusive_consumer; /* Its one consumer is exclusive. */
	bool is_delaying;           /* It holds the vhost's delayed messages (delay.c). */
	struct settings settings;
	struct connection *owner; /* Exclusive to it; NULL: not exclusive. */
	struct list in_owner;
	struct bytes arguments; /* Owned. */
	struct list inbound;    /* Bindings whose destination it is. */

	struct fifo fifo;      /* Never delivered. */
	uint64_t volatile_len; /* Messages in it that will not survive, */
	uint64_t fifo_bytes;   /* and bytes of the bodies of all. */
	struct shelf shelf;    /* Those that do not simply stand in line. */
	uint64_t kept_bytes;   /* Of bodies that the journal has, unacked ones included. */
	uint64_t dying_len;    /* Messages whose dead-letter target refuses them. */
	uint64_t tail;         /* The next position. */
	uint64_t cursor;     /* Of the fifo every position from here on has never been delivered, */
	uint64_t reached;    /* and of shelf and fifo. */
	struct list unacked; /* struct delivery, in_queue. */
	uint64_t unacked_len;

	struct list consumers; /* All of them, by in_queue. */
	struct level **levels; /* Highest priority first. */
	size_t levels_len;
	uint32_t consumers_len;

	struct list in_dirty;   /* May have something to deliver. */
	struct list in_loading; /* Its first message is to be read from the journal. */
	struct list in_parked;  /* As above, the index first. */
	struct list in_late;    /* Has more to be done by the clock than fits in a turn. */
	struct timer tend;      /* When the next message expires, or has waited. */
	struct timer unused;    /* When the queue goes, if nobody uses it. */
	uint64_t loading_item;  /* Stamp and id of the shelf's item that is to be read; NEVER: none.
				 */
	bool is_loading_fifo;   /* The head of the fifo is, whatever comes before it. */
	bool is_woken;          /* Something has become deliverable. */
	struct lease lease;     /* Of its deliveries, if they have one. */
	struct map groups;      /* Value of the group header -> struct group. */
	uint32_t held_len;      /* Messages that wait for others of their group. */
	struct consumer *active; /* The single active one. */
	uint32_t burst;          /* Deliveries since it came to the front of the dirty list. */

	struct list in_changed; /* Has something below to be written at the end of the turn. */
	struct ranges removed_ranges;
	struct ranges returned_ranges;
	bool is_limit_changed;
	uint64_t granted; /* The limit on disk, see grant.c: positions below it may go out. */
	uint64_t asked;   /* The limit recorded last, */
	uint64_t asked_sequence; /* and when it is on disk. */
	uint64_t delivered_ms;   /* When a message that the journal has went out last. */
	struct pace pace;
	struct list in_granting; /* `asked` is not on disk yet. */
	struct list in_loose;    /* `asked` runs ahead of what was delivered. */
	struct list in_stale;  /* Differs from its record: to be written at the next checkpoint. */
	struct list in_saving; /* Has chunks in the running checkpoint. */
	struct list in_core;
	uint64_t routed;        /* Routing step that last chose it. */
	uint64_t survey_cursor; /* The cursor at the last survey. */
	struct recovery *recovery;
};

/* Messages with the same value of the queue's group header: while one is unacked, all go to its
 * consumer. */
struct group {
	struct bytes value; /* Owned. */
	struct queue *queue;
	struct consumer *consumer; /* NULL: it has gone, or the message was got. */
	uint32_t unacked_len;
	bool is_released;        /* Its first held message is on its way. */
	struct heap held;        /* Shelf items by position. */
	struct list in_consumer; /* Has held messages that its consumer did not take for want of
				    credit. */
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
	struct list in_level;   /* On level->ready, if is_ready. */
	struct list in_queue;   /* All consumers of the queue, */
	struct list in_channel; /* and of the channel. */
	struct list groups;     /* Those that wait for its credit. */
	struct lease lease;     /* Of its own; NEVER: the queue's holds. */
};

/* A message on its way: delivered and not yet settled. */
struct delivery {
	struct list in_queue;
	struct queue *queue;       /* NULL: deleted meanwhile. */
	struct consumer *consumer; /* NULL: by basic.get, or cancelled meanwhile. */
	struct message *message;   /* One reference; NULL if the queue is gone. */
	struct channel *channel;
	struct group *group; /* NULL: none. */
	struct lease *lease; /* NULL: none; */
	struct list in_lease;
	uint64_t lease_due_ms; /* when it ends. */
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
	bool is_nack;
};

struct pending_publish {
	struct message *message;
	struct claim *claim; /* Owned; NULL: none. */
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
	struct claim *claim;           /* Owned; NULL: there has not been any. */
	bool has_claim;                /* It is of the publish that is on its way. */
	struct map consumers;          /* tag -> struct consumer */
	struct list turns; /* The same: who took something last is last, if there is a limit. */
	struct bytes reply_token; /* Owned; direct reply-to is on if not empty. */
	struct bytes reply_tag;   /* Owned; its consumer. */
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
	bool knows_duplicates;    /* It wants to hear of them. */
	uint32_t consumers_len;   /* On all its channels. */
	struct queue *flooded;    /* It publishes faster than this queue's consumers take; NULL: it
				     does not. */
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
	struct queue *delayed; /* NULL: nothing has been delayed yet. */
};

/* Effects of inputs, kept until they are drained; deliveries and confirms are found when asked for.
 */
struct effect_ring {
	struct effect *items;
	size_t cap;
	size_t first;
	size_t len;
};

/* A consumer whose queue is gone, and who is to hear of it when that is on disk. */
struct cancellation {
	struct list in_core;
	struct channel *channel;
	struct bytes tag; /* Owned. */
	uint64_t sequence;
};

/* A stretch of an index that was purged: the chunks are read once more, for what they refer to, and
 * deleted. */
struct doomed {
	struct list in_core;
	uint32_t queue; /* Its index_id. */
	uint64_t from;  /* Positions. */
	uint64_t until;
	bool is_stored; /* The store knows of it. */
	bool is_over;
};

/* Owned copies, as they were set. */
struct policies {
	struct policy *items;
	void **patterns; /* Of each, compiled (policy.c). */
	size_t len;
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
	struct fields headers;   /* Of the message, */
	bool has_read_headers;   /* if a headers exchange has been asked. */
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
	uint64_t removed;  /* The sequence that has the last removal of a definition. */
	uint64_t awaited;  /* See core_awaited(). */
	uint64_t topology; /* Grows with every change that may alter a route. */
	struct router router;
	struct effect_ring effects;
	struct list dirty;     /* Queues. */
	struct list loading;   /* Queues. */
	struct list changed;   /* Queues. */
	struct list stale;     /* Queues. */
	struct list saving;    /* Queues. */
	struct list parked;    /* Queues whose next messages are in the middle of their fifo, and
				  wanted. */
	struct list doomed;    /* struct doomed. */
	struct list throttled; /* Connections. */
	struct list late;      /* Queues whose tending goes on in the next turn. */
	struct timers timers;
	struct keys keys;
	struct untold untold;
	struct key_log key_log;
	struct map key_queues; /* Transient queues that keys refer to. */
	struct producers producers;
	struct siphash_key secret;
	uint64_t key_seed;    /* Names of keys are hashed with it: that of the first process. */
	uint64_t alias_users; /* Exchanges and queues that take x-deduplication-header as a key. */
	uint64_t uid_last;
	uint64_t serial_last; /* Of queues. */
	uint32_t tendable;    /* How many messages may still leave by themselves in this turn. */
	uint64_t shelved;     /* Items on the shelves of all queues. */
	struct policies policies;
	uint64_t *survey; /* Sorted locations of delivered messages, one for each place, see
			     survey.c. */
	size_t survey_len;
	size_t survey_cap;
	uint32_t doomed_work;   /* Chunks of it that may still be read in this turn. */
	struct queue *indexing; /* The answer to EFFECT_INDEX is for this queue; NULL: for the first
				   of doomed. */
	uint32_t *orphans;      /* Ids of queues whose records are to be deleted: they were deleted
				   shortly before a crash. */
	size_t orphans_len;
	size_t orphans_cap;
	uint32_t generation;        /* Of this process. */
	uint32_t volatile_id_first; /* Those up to here are of older processes. */
	uint32_t volatile_id_last;
	const struct journal_index *index; /* During recovery. */
	struct list granting;              /* Queues. */
	struct list loose;                 /* Queues. */
	struct list confirming;     /* Channels with pending confirms that wait for the journal. */
	struct list confirmable;    /* Channels with pending confirms to be looked at. */
	struct list cancelling;     /* struct cancellation, in order of sequence. */
	struct message *handed_out; /* Of the effect handed out last: one reference, or NULL. */
	struct list *evict_queue;   /* Where paging goes on. */
	enum paging paging;
	bool is_ending;  /* core_destroy(): nothing moves any more. */
	bool is_overdue; /* See core_is_overdue(). */
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
	struct check check;
};

/* --- exchange.c --- */

struct exchange *exchange_create(struct vhost *vhost, struct bytes name, enum exchange_type type);
void exchange_destroy(struct exchange *exchange); /* Its bindings must be gone. */
struct exchange *exchange_find(const struct vhost *vhost, struct bytes name);
const char *exchange_type_name(enum exchange_type type);
bool exchange_type_find(struct bytes name, enum exchange_type *type);
struct binding *binding_find(const struct exchange *source, struct bytes identity);
/* identity: see binding_identity(); exactly one of queue and exchange. */
struct binding *binding_create(struct exchange *source, struct queue *queue,
			       struct exchange *exchange, struct bytes identity);
void binding_destroy(struct binding *binding);
/* Writes the identity of a binding: destination kind and name, routing key, arguments. Returns a
 * view into buffer. */
struct bytes binding_identity(struct writer *buffer, char kind, struct bytes destination,
			      struct bytes routing_key, struct bytes arguments);
enum { BINDING_IDENTITY_OVERHEAD = 3 };
bool headers_match_parse(struct bytes arguments, enum headers_match *match);

/* --- match.c --- */

/* Takes from a new binding's arguments what messages must have. */
void match_bind(struct binding *binding);
/* The fields of a message's table of headers, for match(). */
void match_read(struct fields *fields, struct bytes headers);
bool match(const struct binding *binding, const struct fields *headers);

/* --- hash.c --- */

/* The binding key is a weight. */
bool hash_check_key(const struct exchange *exchange, struct bytes routing_key,
		    struct refusal *refusal);
bool hash_check_arguments(struct bytes arguments, struct refusal *refusal);
/* What of the message decides, hashed. */
uint64_t hash_subject(const struct exchange *exchange, struct bytes routing_key,
		      const struct properties *properties, bool *depends_on_headers);
/* NULL: there are no bindings. */
struct binding *hash_choose(const struct exchange *exchange, uint64_t subject);

/* --- route.c --- */

/* The queues for a message; valid until the next call or change of topology. CC and BCC are
 * honoured. */
struct queue **route(struct core *core, struct exchange *exchange, const struct message *message,
		     const struct properties *properties, size_t *queues_len);
void route_memo_clear(struct exchange *exchange);
/* True if the channel's last publish was to the same exchange, with the same key, and nothing has
 * changed since. */
bool route_is_last(const struct channel *channel, const struct message *message);
/* As route(), for a message that the channel publishes now; is_last is what route_is_last() says,
 * has_copies whether there is a header CC or BCC. */
struct queue **route_publish(struct channel *channel, struct exchange *exchange, bool is_last,
			     bool has_copies, const struct message *message,
			     const struct properties *properties, size_t *queues_len);
void route_forget_last(struct channel *channel); /* For the channel's end. */
/* Asserts that a route that the exchange remembers is what it would decide now. For check.h. */
uint64_t route_check_memo(struct exchange *exchange);

/* --- queue.c --- */

struct queue *queue_create(struct vhost *vhost, struct bytes name);
/* Keeps the arguments and takes from them what the queue goes by. Once, after queue_create(). */
void queue_set_arguments(struct queue *queue, struct bytes arguments);
uint64_t queue_ready_bytes(const struct queue *queue);
/* Drops its messages; bindings, consumers and definition must have been dealt with. */
void queue_destroy(struct queue *queue);
struct queue *queue_find(const struct vhost *vhost, struct bytes name);
uint64_t queue_ready(const struct queue *queue);
void queue_mark_dirty(struct queue *queue);
/* Takes a reference of the message. */
void queue_push(struct queue *queue, uint64_t position, struct message *message);
/* An item of the shelf for a message of the queue, ready. */
struct shelf_item queue_item(const struct queue *queue, uint64_t position, struct message *message);
/* A message's priority, as far as it counts here. */
uint8_t queue_priority(const struct queue *queue, uint8_t priority);
/* Whether a message that has never been delivered goes to the fifo; expires_ms NEVER: it has no
 * expiration of its own. */
bool queue_stands_in_line(const struct queue *queue, uint64_t expires_ms, uint8_t priority);
/* The next ready message. False: there is none, or the queue's index must be read first. */
bool queue_first(struct queue *queue, struct head *head);
/* Takes it (it must be in memory) off the queue. The reference passes to the caller. */
struct taken queue_take(struct queue *queue, const struct head *head);
/* Puts a message back where it was. The reference passes to the queue. The item is valid until the
 * next change. */
struct shelf_item *queue_put_back(struct queue *queue, const struct taken *taken, bool is_delivered,
				  enum shelf_state state, uint64_t until_ms);
/* The same after a failed delivery, which is counted: it rests for rest_ms before the next one, or,
 * if that is 0, as long as the queue has it. */
void queue_failed(struct queue *queue, uint64_t position, struct message *message, uint32_t count,
		  uint64_t rest_ms);
/* A message of the queue is gone for good: recorded, if the journal has it. The reference is given
 * up. */
void queue_settle(struct queue *queue, uint64_t position, struct message *message);
/* The same, but the reference stays the caller's. */
void queue_release(struct queue *queue, uint64_t position, struct message *message);
/* The slot's reference to a message or to its place in the log is given up, nothing is recorded. */
void queue_forget_slot(struct queue *queue, uint64_t slot);
uint64_t queue_purge(struct queue *queue);

/* --- consumer.c --- */

struct consumer *consumer_create(struct channel *channel, struct queue *queue,
				 const struct consume *c, int64_t priority);
void consumer_destroy(struct consumer *consumer);
/* The same because its queue is going, which is on disk with that sequence; 0: it need not be. */
void consumer_cancel(struct consumer *consumer, uint64_t sequence);
/* Of the channel with that tag, waiting to be told; NULL. */
struct cancellation *cancellation_find(const struct channel *channel, struct bytes tag);
void cancellation_drop(struct cancellation *cancellation);
void cancellations_drop(const struct channel *channel); /* For the channel's end. */
/* core->durable has moved. */
void cancellations_durable(struct core *core);
/* How many messages it may be given, by its prefetch and the channel's; NEVER: any number. */
uint64_t consumer_credit(const struct consumer *consumer);
/* Whether it may be given one now. */
bool consumer_can_take(const struct consumer *consumer);
/* Whether it can take messages may have changed. */
void consumer_update(struct consumer *consumer);
void channel_update_consumers(struct channel *channel);
/* The consumer whose turn it is, or NULL. */
struct consumer *queue_next_consumer(const struct queue *queue);
void consumer_took_turn(struct consumer *consumer);

/* --- channel.c --- */

struct delivery *delivery_create(struct channel *channel, struct queue *queue,
				 struct consumer *consumer, const struct taken *taken);
/* An unacked delivery; NULL. */
struct delivery *delivery_find(const struct channel *channel, uint64_t tag);
void deliveries_forget_consumer(struct channel *channel, struct consumer *consumer);
/* Headers x-delivery-tag and x-delay: that message goes back, and rests for so long. */
bool channel_retry_after(struct channel *channel, const struct properties *properties,
			 struct refusal *refusal);
/* sequence: of the journal, which must be durable before; 0: none. */
void channel_confirm(struct channel *channel, uint64_t sequence, bool is_nack);
/* What could be confirmed already goes out before what else the publisher is told. */
void channel_confirm_now(struct channel *channel);
bool confirm_next(struct core *core, struct effect *effect);
void channel_drop_tx(struct channel *channel);
void channel_drop_reply(struct channel *channel);
/* What waits to be handed out for this channel (or only what is delivered past all queues) must not
 * be drained any more. */
void channel_drop_effects(struct channel *channel, bool only_deliveries);

/* --- expiration.c --- */

/* False, and a refusal, if a property expiration is no number of milliseconds up to TIME_MAX_MS. */
bool expiration_check(struct bytes text, struct refusal *refusal);
/* Milliseconds; of one that has been checked. */
uint64_t expiration_ms(struct bytes text);

/* --- publish.c --- */

/* Writes a message to the batch; returns its location. */
uint64_t message_write(struct core *core, const struct message *message, const struct place *places,
		       uint32_t places_len, bool is_volatile);
/* Gives the message to the queues, at least one, and the caller's reference with it; true if the
 * journal has it. */
bool message_enqueue(struct core *core, struct message *message, struct queue **queues,
		     size_t queues_len);
/* Routes a message of a transaction. Takes the reference. Returns the sequence of the journal that
 * makes it durable; 0: it is not there. */
uint64_t publish_now(struct channel *channel, const struct pending_publish *publish);
/* The message without its header BCC, and under another reply address if the channel (NULL: none)
 * asked for one: what consumers may see. Takes one reference and gives one. */
struct message *message_for_consumers(struct core *core, const struct channel *channel,
				      struct message *message, const struct properties *properties);

/* --- declare.c --- */

void queue_delete(struct queue *queue);
/* A consumer has gone: an auto-delete queue goes with the last one. */
void queue_lost_consumer(struct queue *queue);
void exchange_delete(struct exchange *exchange);

/* --- arguments.c --- */

bool queue_arguments_check(const struct queue_declare *d, struct bytes vhost,
			   struct refusal *refusal);
bool queue_arguments_equivalent(const struct queue *queue, struct bytes arguments,
				struct refusal *refusal);
/* what: "exchange 'x' in vhost '/'". */
bool exchange_arguments_check(struct bytes arguments, const char *what, struct refusal *refusal);
bool exchange_arguments_equivalent(const struct exchange *exchange, struct bytes arguments,
				   const char *what, struct refusal *refusal);
/* Compares one argument of a declaration; what is "queue 'x' in vhost '/'". */
bool argument_equivalent(const char *name, struct bytes current, struct bytes received,
			 const char *what, struct refusal *refusal);

/* --- throttle.c --- */

/* A message of the queue has gone out. */
void throttle_delivered(struct queue *queue);
/* The connection has published to the queue. */
void throttle_published(struct connection *connection, struct queue *queue);
/* The queue is being destroyed: nobody waits for it any more. */
void throttle_forget_queue(struct queue *queue);

/* --- durable.c --- */

void durable_counters(struct core *core);
void durable_exchange(struct exchange *exchange, bool is_deleted);
void durable_queue(struct queue *queue, bool is_deleted);
void durable_binding(struct binding *binding, bool is_deleted);
/* The queue has something to write at the end of the turn, */
void queue_mark_changed(struct queue *queue);
/* or at the next checkpoint only. */
void queue_mark_stale(struct queue *queue);
void ranges_add(struct ranges *ranges, uint64_t position, uint64_t len);

/* --- grant.c --- */

/* True if the message at this position, the queue's first, may go out now; otherwise the queue
 * becomes dirty when it may. */
bool grant_covers(struct queue *queue, uint64_t position, const struct message *message);
/* It has gone out. */
void grant_used(struct queue *queue, uint64_t position, const struct message *message);
/* core->durable has moved. */
void grant_durable(struct core *core);

/* --- index.c --- */

/* The queue's index_id. */
uint32_t queue_index_id(struct queue *queue);
/* What older processes left under ids that mean nothing now is given up. */
void index_doom_volatile(struct core *core);
/* Adds the chunks of the queue that the store should have to the changes of a checkpoint, and
 * deletes those that it should not. */
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

/* --- paging.c --- */

/* Lets bodies that the journal has leave memory, until the budget holds or this turn's share of
 * work is done. */
void paging_evict(struct core *core);
/* Gives up copies in the log that were not needed after all. */
void paging_drop_spills(struct queue *queue);

/* --- deadletter.c --- */

/* The queue gives the message up: a copy goes to its dead-letter exchange, if it has one. The
 * message stays the caller's. False: a target has no room, and nothing has happened. */
bool dead_letter(struct queue *queue, const struct message *message, enum death_reason reason);

/* --- settings.c --- */

/* After a change of its arguments or of policies. */
void queue_apply_settings(struct queue *queue);
void exchange_apply_settings(struct exchange *exchange);
/* They are going: nothing counts them any more. */
void dedup_forget(struct core *core, struct dedup *dedup);
/* How long a message waits after its count-th failed delivery; 0: not at all. */
uint64_t queue_backoff_ms(const struct queue *queue, uint64_t position, uint32_t count);

/* --- policy.c --- */

enum policy_object { POLICY_QUEUES, POLICY_EXCHANGES };
/* The definitions that hold for an object; empty tables if none does. */
void policy_find(const struct core *core, enum policy_object object, struct bytes arguments,
		 struct bytes name, struct bytes *policy, struct bytes *operator_policy);
void policies_fini(struct policies *policies);

/* --- tend.c --- */

/* Something of the queue is due at that time. */
void queue_arm(struct queue *queue, uint64_t due_ms);
/* Somebody uses the queue: x-expires begins anew. */
void queue_used(struct queue *queue);
bool queue_needs_tending(const struct queue *queue);
/* The message is ready in a queue that has rules, or has one of its own: perhaps it is too much, or
 * due at once. */
void queue_brought(struct queue *queue, const struct message *message);
/* What is due, or is_blocked: nobody takes messages and there are too many of them, leaves. True:
 * an effect is to be answered first. */
bool queue_tend(struct queue *queue, bool is_blocked, struct effect *effect);
/* A message that has been taken off leaves the queue for a reason. Takes the reference. */
void queue_bury(struct queue *queue, const struct taken *taken, bool is_delivered,
		enum death_reason reason);
/* Where it was to go refuses it: it is tried again later, and nobody gets it meanwhile. Takes the
 * reference. */
void queue_keep_dying(struct queue *queue, const struct taken *taken, bool is_delivered,
		      enum death_reason reason);
/* It has no room for the message. */
bool queue_refuses(const struct queue *queue, const struct message *message);
/* The turn begins: what has become due is to be looked at. */
void tend_begin(struct core *core);

/* --- delay.c --- */

/* How long the message is to be kept before it is routed; 0: not at all. */
uint64_t delay_wanted_ms(const struct headers *headers);
/* Keeps it. Takes the reference. True if the journal has it. */
bool delay_begin(struct core *core, struct message *message, uint64_t delay_ms);
/* Its time has come: it is routed now. Takes the reference. */
void delay_is_over(struct queue *queue, const struct taken *taken);
extern const char delay_queue[];

/* --- lease.c --- */

void lease_init(struct lease *lease, uint64_t ms);
void lease_fini(struct core *core, struct lease *lease);
void lease_begin(struct delivery *delivery);
void lease_end(struct delivery *delivery);
void lease_is_due(struct lease *lease);
/* A publish that is no message but asks for more time. */
bool lease_extend(struct channel *channel, const struct properties *properties,
		  struct refusal *refusal);

/* --- group.c --- */

/* Who may take the queue's next message: the consumer of its group, or the one whose turn it is.
 * NULL: nobody now. */
struct consumer *group_consumer(struct queue *queue, const struct head *head,
				struct consumer *next);
/* Puts the next message aside until its group may go on. False: too many are aside already. */
bool group_set_aside(struct queue *queue, const struct head *head);
void group_delivered(struct delivery *delivery);
void group_settled(struct delivery *delivery);
void group_consumer_ready(struct consumer *consumer);
/* Nobody takes the queue's next message: whether a held one can go out instead, which is then
 * ready. */
bool groups_go_on(struct queue *queue);
void group_consumer_gone(struct consumer *consumer);
/* A ready message of its group has left the queue. */
void group_lost(struct queue *queue, const struct message *message);
/* There are no groups any more: what was held is ready. */
void groups_dissolve(struct queue *queue);
void groups_forget_held(struct queue *queue);
void groups_fini(struct queue *queue);

/* --- deliver.c --- */

/* Takes the next message, which must be in memory, off the queue and hands it out through the
 * channel. consumer: NULL for basic.get. */
void deliver(struct queue *queue, const struct head *head, struct channel *channel,
	     struct consumer *consumer, bool is_no_ack, struct effect *effect);
bool deliver_next(struct core *core, struct effect *effect);
/* The queue's first message is on disk and somebody wants it. */
void queue_want_load(struct queue *queue);
bool load_next(struct core *core, struct effect *effect);

/* --- core.c --- */

/* Keeps the message of the effect handed out last, whose reference it takes over. */
void hand_out(struct core *core, struct message *message);
struct effect *effect_push(struct core *core, enum effect_kind kind, struct channel *channel);
/* Gives up what an effect that nobody will see refers to. */
void effect_discard(struct core *core, struct effect *effect);

#endif
