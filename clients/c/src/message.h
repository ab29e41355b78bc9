/* Message: one that was received, in one block of memory with everything it points to. */
#ifndef LEV_CLIENT_MESSAGE_H
#define LEV_CLIENT_MESSAGE_H

#include "base/list.h"
#include "table_build.h"

struct settler;

struct message {
	struct lev_message of; /* First: a struct lev_message is one of these. */
	struct lev_table headers;
	struct message *next;    /* On a queue of messages. */
	struct settler *settler; /* Who takes its ack; NULL: nobody waits for one. */
	struct list in_settler;  /* While it is given out. */
	uint64_t delivery_tag;
	uint64_t epoch; /* Of the settler's channel: when that has changed the message is stale. */
	uint64_t taken_ms; /* When it was given out; for leases. */
	char uid[24];      /* x-message-uid, if lev_message_uid() was asked. */
};

/* From a content header's payload, with room for its body. LEV_PROTOCOL if the header is none, or
 * the body is larger than body_max; LEV_NO_MEMORY. Properties that cannot be read are kept as they
 * came. *body_size is set. */
int message_create(struct message **out, struct bytes exchange, struct bytes routing_key,
		   struct bytes header, uint64_t body_max, uint64_t *body_size);
void message_destroy(struct message *message);

/* Where its body is to be written. */
uint8_t *message_body(struct message *message);

/* Messages in line. */
struct message_queue {
	struct message *first;
	struct message **end; /* Points to the last one's `next`, or to `first`. */
	size_t len;
};

static inline void message_queue_init(struct message_queue *q)
{
	*q = (struct message_queue){ .end = &q->first };
}

static inline void message_queue_push(struct message_queue *q, struct message *m)
{
	m->next = NULL;
	*q->end = m;
	q->end = &m->next;
	q->len++;
}

/* NULL: it is empty. */
static inline struct message *message_queue_pop(struct message_queue *q)
{
	struct message *m = q->first;
	if (m == NULL)
		return NULL;
	q->first = m->next;
	if (q->first == NULL)
		q->end = &q->first;
	q->len--;
	return m;
}

#endif
