/* Durable: what a turn writes into the journal of definitions and of queues. In the order of
 * enum definition_kind they are recovered: what a binding joins must be there before it. */
#ifndef LEV_CORE_RECORD_DURABLE_H
#define LEV_CORE_RECORD_DURABLE_H

#include <stdbool.h>

struct binding;
struct core;
struct exchange;
struct queue;

void durable_counters(struct core *core);
void durable_exchange(struct exchange *exchange, bool is_deleted);
void durable_queue(struct queue *queue, bool is_deleted);
void durable_binding(struct binding *binding, bool is_deleted);

enum definition_kind {
	DEFINITION_EXCHANGE = '1',
	DEFINITION_QUEUE = '2',
	DEFINITION_BINDING = '3',
};

enum definition_flags {
	DEFINITION_AUTO_DELETE = 1,
	DEFINITION_INTERNAL = 2,
	DEFINITION_DELIVERED = 4, /* Of a message in a queue record. */
	DEFINITION_EMPTIED =
		16, /* Of a queue: keys of its messages are gone from some position on down. */
	DEFINITION_DELAYED = 8, /* Of an exchange: its guise. */
	DEFINITION_DEDUPLICATING = 32,
};

#endif
