/* Vhosts: virtual hosts come and go. */
#ifndef LEV_CORE_TOPOLOGY_VHOSTS_H
#define LEV_CORE_TOPOLOGY_VHOSTS_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

struct core;
struct vhost;

/* Makes "/". */
void vhosts_init(struct core *core);
/* For the core's end, when queues and connections are gone: nothing is recorded. Bindings first:
 * queues cannot go before them. */
void vhosts_drop_exchanges(struct core *core);
void vhosts_fini(struct core *core);
/* From its record. */
struct vhost *vhost_recover(struct core *core, uint32_t id, struct bytes name, bool is_going);
/* A bounded part of what is to be deleted goes. */
void vhosts_begin(struct core *core);
/* The next turn has something to delete. */
bool vhosts_are_going(const struct core *core);

#endif
