#include "core/vhost/argument.h"

#include <stddef.h>

const struct argument argument_table[ARGUMENTS] = {
#define ARGUMENT(id, name, policy, value, of, types, merge, meaning) \
	{ name, policy, VALUE_##value, OF_##of, TYPES_##types, MERGE_##merge, meaning },
#include "core/vhost/arguments.def"
#undef ARGUMENT
};
