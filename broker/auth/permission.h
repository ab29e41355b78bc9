/* Permission: what a user may do, said by regular expressions on the names of exchanges and queues.
 *
 * An expression (PCRE2, UTF-8) is searched in the name, not anchored; upper and lower case differ;
 * an empty one permits the empty name only, as "^$" does. One that takes more than about a
 * millisecond does not permit. The default exchange is asked for as "amq.default".
 *
 * Nothing here is cached: who asks often remembers the answer for as long as nothing changes. An
 * expression is compiled when it is first asked (there may be a hundred thousand that never are), so
 * a permission belongs to one thread. */
#ifndef LEV_AUTH_PERMISSION_H
#define LEV_AUTH_PERMISSION_H

#include "base/bytes.h"

enum permission_kind { PERMISSION_CONFIGURE, PERMISSION_WRITE, PERMISSION_READ, PERMISSION_KINDS };

enum { PERMISSION_PATTERN_MAX = 1024 }; /* Bytes of one expression. */

struct permission;

/* patterns: by kind, copied; is_trusted: they have been found good before. NULL, and why says in a
 * line which one is wrong and how, without the expression itself. */
struct permission *permission_create(const struct bytes patterns[PERMISSION_KINDS],
				     bool is_trusted, char *why, size_t why_size);
void permission_destroy(struct permission *permission); /* NULL is fine. */

/* As it was given; borrowed until the permission goes. */
struct bytes permission_pattern(const struct permission *permission, enum permission_kind kind);

/* permission: NULL permits nothing. */
bool permission_allows(struct permission *permission, enum permission_kind kind,
		       struct bytes name);

#endif
