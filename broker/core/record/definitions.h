/* Definitions: exchanges, queues, bindings and counters as the journal has them. They are recovered
 * in the order of enum definition_kind: what a binding joins must be there before it. */
#ifndef LEV_CORE_RECORD_DEFINITIONS_H
#define LEV_CORE_RECORD_DEFINITIONS_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

struct binding;
struct core;
struct exchange;
struct queue;
struct vhost;

void durable_counters(struct core *core);
void durable_vhost(struct vhost *vhost, bool is_deleted);
void durable_exchange(struct exchange *exchange, bool is_deleted);
void durable_queue(struct queue *queue, bool is_deleted);
void durable_binding(struct binding *binding, bool is_deleted);

/* In the order in which they are recovered. */
enum definition_kind {
	DEFINITION_VHOST = '0',
	DEFINITION_EXCHANGE = '1',
	DEFINITION_QUEUE = '2',
	DEFINITION_BINDING = '3',
	DEFINITION_ELSEWHERE = 3, /* Is added to the kind of those that are not in "/". */
	DEFINITION_DOCUMENT_FIRST = 'A',
	DEFINITION_DOCUMENT_LAST = 'Z',
};

enum { VHOST_ID_BYTES = 4 };

enum definition_flags {
	DEFINITION_AUTO_DELETE = 1,
	DEFINITION_INTERNAL = 2,
	DEFINITION_DELIVERED = 4, /* Of a message in a queue record. */
	DEFINITION_EMPTIED =
		16, /* Of a queue: keys of its messages are gone from some position on down. */
	DEFINITION_DELAYED = 8, /* Of an exchange: its guise. */
	DEFINITION_DEDUPLICATING = 32,
	DEFINITION_GOING = 64, /* Of a vhost: it is being deleted, or, if it is "/", gone. */
};

enum { QUEUE_KEY_BYTES = 5 };

/* The key of a queue's record among the changes of a checkpoint; a view of `key`. */
struct bytes queue_key(uint8_t *key, uint32_t id);

#endif
