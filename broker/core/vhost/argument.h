/* Argument: the table of what declarations and policies may say of queues and exchanges
 * (arguments.def). */
#ifndef LEV_CORE_VHOST_ARGUMENT_H
#define LEV_CORE_VHOST_ARGUMENT_H

#include <stdbool.h>

enum argument_id {
#define ARGUMENT(id, ...) ARGUMENT_##id,
#include "core/vhost/arguments.def"
#undef ARGUMENT
	ARGUMENTS
};

enum argument_value {
	VALUE_COUNT,
	VALUE_COUNT_POSITIVE,
	VALUE_TIME,
	VALUE_TIME_POSITIVE,
	VALUE_PRIORITY,
	VALUE_VERSION,
	VALUE_NUMBER,
	VALUE_SCHEDULE,
	VALUE_FLAG,
	VALUE_TEXT,
	VALUE_EXCHANGE_NAME,
	VALUE_OVERFLOW,
	VALUE_QUEUE_TYPE,
	VALUE_LOCATOR,
	VALUE_STRATEGY,
	VALUE_IDEMPOTENCY,
	VALUE_CONFLICT,
	VALUE_MODE
};

enum argument_of { OF_QUEUES = 1, OF_EXCHANGES = 2, OF_BOTH = 3 };
enum argument_types { TYPES_NEITHER = 0, TYPES_CLASSIC = 1, TYPES_QUORUM = 2, TYPES_ANY = 3 };
enum argument_merge { MERGE_LOWEST, MERGE_FIRST, MERGE_IGNORED };

struct argument {
	const char *name;   /* NULL: policies alone have it. */
	const char *policy; /* NULL: they do not. */
	enum argument_value value;
	enum argument_of of;
	enum argument_types types;
	enum argument_merge merge;
	const char *meaning;
};

/* By enum argument_id. */
extern const struct argument argument_table[ARGUMENTS];

/* Milliseconds, messages, bytes and the like. */
static inline bool argument_is_integer(const struct argument *argument)
{
	return argument->value <= VALUE_VERSION;
}

#endif
