/* Vhost: a world of exchanges and queues of its own, with its policies and limits. It owns them.
 *
 * Names, keys, producers and reply addresses hold within one. In the journal it goes by its id,
 * which is never used again; "/" has 0 and is there from the first start on. One that is being
 * deleted is not found any more and goes when it is empty and its last connection has gone. */
#ifndef LEV_CORE_VHOST_VHOST_H
#define LEV_CORE_VHOST_VHOST_H

#include "core/vhost/policy.h"

#include "base/bytes.h"
#include "base/list.h"
#include "base/map.h"

#include <stdbool.h>
#include <stdint.h>

struct core;
struct exchange;
struct queue;

struct vhost {
	struct core *core;
	uint32_t id;
	struct bytes name; /* Owned. */
	struct list in_core;
	struct map exchanges;
	struct map queues;
	struct exchange *default_exchange;
	struct queue *delayed; /* NULL: nothing has been delayed yet. */
	struct policies policies;
	uint64_t policies_version; /* Grows each time they are set. */
	uint64_t topology;         /* Grows with every change that may alter a route. */
	int64_t queues_max;        /* -1: no limit. */
	int64_t connections_max;   /* For whoever opens them. */
	bool is_quorum_default; /* Queues whose type is not said are quorum ones, if they can be. */
	struct bytes notes;     /* Owned: its owner's, see struct vhost_settings. */
	uint64_t connections_len;
	uint64_t defined; /* The sequence of the journal that has it as it is. */
	bool is_going;    /* It is being deleted, */
	size_t going_at;  /* and this far in a map. */
};

struct vhosts {
	struct map by_name; /* Without those that are going. */
	struct map by_id;
	struct list all; /* By in_core; those that are going come first. */
	uint32_t id_last;
};

/* What a vhost is made with but for its exchanges; it must be empty when it is destroyed. */
struct vhost *vhost_create(struct core *core, uint32_t id, struct bytes name);
void vhost_destroy(struct vhost *vhost);
/* It is not found by its name any more. */
void vhost_set_going(struct vhost *vhost);
struct vhost *vhost_by_id(const struct core *core, uint32_t id); /* NULL: there is none. */

struct exchange *exchange_find(const struct vhost *vhost, struct bytes name);
struct queue *queue_find(const struct vhost *vhost, struct bytes name);

#endif
