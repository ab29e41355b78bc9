/* Dead letters: what a message says of its last death (its header x-death). */
#ifndef LEV_API_DEAD_H
#define LEV_API_DEAD_H

#include "base/bytes.h"

#include <stdbool.h>

struct death {
	struct bytes queue; /* Where it died last; views. */
	struct bytes reason;
	struct bytes exchange; /* Where it had been published. */
};

/* headers: a table that need not have been checked. False: it has not died, or does not say where.
 */
bool death_read(struct bytes headers, struct death *death);

#endif
