/* Message: one immutable, reference-counted allocation with everything a delivery needs, in wire
 * form.
 *
 *   data: | exchange s | routing key s | class 2 | weight 2 | body size 8 | flags 2 | properties |
 * body |
 *           `------ tail ------------'   `------------- content header ------------------------'
 *
 * A deliver, get-ok or return ends its method frame with the tail as it stands; the content header
 * and the body follow in frames of their own. Fan-out shares the message. s: AMQP short string. Not
 * thread-safe: one core, one thread. */
#ifndef LEV_CORE_MESSAGE_H
#define LEV_CORE_MESSAGE_H

#include "base/bytes.h"
#include "base/slab.h"
#include "properties.h"
#include "segment.h"

struct message {
	uint32_t refs;
	bool is_persistent : 1; /* delivery_mode 2. */
	bool has_uid : 1;       /* It has been given a header x-message-uid. */
	bool is_keyed : 1;      /* Its idempotency key holds as long as it is in a queue: it was
				   published there, not moved. */
	uint8_t exchange_len;
	uint8_t routing_key_len;
	uint8_t priority;
	uint32_t header_len; /* Of the content header. */
	uint32_t places;     /* Queues in which it is durable and not settled, while it has not been
				written. */
	uint64_t body_len;   /* As announced. */
	uint64_t body_filled; /* What has arrived; equal to body_len in every message that the core
				 holds. */
	size_t cap;           /* Of data. */
	uint64_t location;    /* In the journal; 0: it is not there. */
	uint64_t sequence;    /* The journal's sequence that makes it durable; meaningful with a
				 location. */
	uint64_t time_ms;     /* When it was published, Unix time. */
	uint64_t expires_ms;  /* When it is to leave its queues, whatever they say; 0: never. */
	uint8_t data[];
};

/* Where messages live, and how many bytes they take. */
struct message_pool {
	struct slab slab;
	uint64_t bytes; /* Of all messages; what the memory alarm looks at. */
	uint64_t count;
};

void message_pool_init(struct message_pool *pool);
void message_pool_fini(struct message_pool *pool); /* Every message must be gone. */

/* A message with one reference and an empty body of which body_len bytes are to come. properties
 * are flags and properties as on the wire. Only what fits a small allocation is set aside at once:
 * a peer that announces much and sends nothing costs little. NULL when memory is gone. exchange and
 * routing key are at most 255 bytes. */
struct message *message_create(struct message_pool *pool, struct bytes exchange,
			       struct bytes routing_key, struct bytes properties,
			       uint64_t body_len);

/* The same from the wire: tail is exchange and routing key as two short strings, header a content
 * header's payload. */
struct message *message_create_wire(struct message_pool *pool, struct bytes tail,
				    struct bytes header, uint64_t body_len);

/* Appends to the body; part.len must not exceed what is missing. The message may move: *m is
 * updated. Only the creator may call it, before anybody else has a reference. False when memory is
 * gone (the message is unchanged). */
bool message_append(struct message_pool *pool, struct message **m, struct bytes part);

/* A message with the body of another, and what it knows of it, under another exchange, routing key
 * and properties. The caller's is one reference; the other message is unchanged. NULL when memory
 * is gone. */
struct message *message_remake(struct message_pool *pool, const struct message *old,
			       struct bytes exchange, struct bytes routing_key,
			       const struct properties *properties);

/* Its table of headers, which need not have been checked; empty if there is none. */
struct bytes message_headers(const struct message *message);

/* The message with one header more, unless it has it: `field` is its name, type and value as in a
 * table. Takes one reference and gives one, of the same message if nobody else has one. Cheapest
 * before the body comes. The message is unchanged when memory is gone. */
struct message *message_add_header(struct message_pool *pool, struct message *message,
				   const char *name, struct bytes field);

/* The message with another table of headers. Takes one reference and gives one, of the same message
 * if nobody else has one. The message is unchanged when memory is gone. */
struct message *message_set_headers(struct message_pool *pool, struct message *message,
				    struct bytes table);

/* A message that is read back: all that its entry in the journal, and its properties, say of it.
 * One reference; NULL when memory is gone. */
struct message *message_recall(struct message_pool *pool, const struct message_record *record);

/* The priority that encoded properties give; 0 if they give none. */
uint8_t properties_priority(struct bytes properties);

/* What its properties say of delivery_mode. */
bool message_wants_persistence(const struct message *message);

struct message *message_ref(struct message *m);
void message_unref(struct message_pool *pool, struct message *m);

static inline struct bytes message_exchange(const struct message *m)
{
	return bytes_of(m->data + 1, m->exchange_len);
}

static inline struct bytes message_routing_key(const struct message *m)
{
	return bytes_of(m->data + 2 + m->exchange_len, m->routing_key_len);
}

/* Exchange and routing key as two short strings. */
static inline struct bytes message_tail(const struct message *m)
{
	return bytes_of(m->data, (size_t)2 + m->exchange_len + m->routing_key_len);
}

static inline struct bytes message_header(const struct message *m)
{
	return bytes_of(m->data + 2 + m->exchange_len + m->routing_key_len, m->header_len);
}

/* Flags and properties. */
static inline struct bytes message_properties(const struct message *m)
{
	struct bytes header = message_header(m);
	return bytes_of(header.data + CONTENT_FLAGS_AT, header.len - CONTENT_FLAGS_AT);
}

static inline struct bytes message_body(const struct message *m)
{
	struct bytes header = message_header(m);
	return bytes_of(header.data + header.len, (size_t)m->body_len);
}

#endif
