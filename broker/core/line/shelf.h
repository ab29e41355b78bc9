/* Shelf: the messages of a queue that do not simply stand in line (fifo.h): those that came back,
 * have a priority, a time to leave, or wait for a time to come.
 *
 * An item is ready, or waits until a time, or is held back for as long as its owner says. Ready
 * items leave by priority, highest first, then by position. All that happens by the clock is found
 * through one heap of due times, whatever the depth; what is due at the same time comes by
 * position. */
#ifndef LEV_CORE_LINE_SHELF_H
#define LEV_CORE_LINE_SHELF_H

#include "core/time/heap.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NEVER UINT64_MAX

enum { SHELF_ITEM_BYTES = 112 }; /* Of memory, with its entries in heaps. */

enum shelf_state {
	SHELF_FREE,
	SHELF_READY,
	SHELF_WAITING, /* Until until_ms: a retry. */
	SHELF_HELD,    /* Behind another message of its group (group.c). */
	SHELF_DYING,   /* Its dead-letter target refused it: tried again at until_ms. */
};

struct shelf_item {
	uint64_t position;
	uint64_t slot;       /* See fifo.h. */
	uint64_t time_ms;    /* When it was published; 0: the message must be read to know. */
	uint64_t expires_ms; /* Whatever its queue says; NEVER. */
	uint64_t until_ms;
	uint32_t size;  /* Bytes of its body. */
	uint32_t count; /* Failed deliveries. */
	uint32_t stamp;
	uint8_t priority;
	uint8_t state;     /* enum shelf_state */
	uint8_t death;     /* DYING: enum death_reason. */
	bool is_delivered; /* At least once. */
};

/* Items of one priority, by position. */
struct shelf_level {
	struct heap heap;
	uint8_t priority;
};

/* Those that are ready, or those that are held, in the order in which they leave. */
struct shelf_order {
	struct shelf_level *levels; /* Highest priority first. */
	size_t levels_len;
	uint32_t len;
	uint64_t bytes; /* Of their bodies. */
};

/* Of all shelves. */
struct shelf_totals {
	uint64_t items;
	uint64_t standing; /* Those that are ready or held, */
	uint64_t bytes;    /* and of their bodies. */
};

/* Zeroed it is empty. */
struct shelf {
	struct shelf_item *items;
	uint32_t cap;  /* Of items. */
	uint32_t used; /* Of items: the others have never been in use. */
	uint32_t *free;
	size_t free_len;
	size_t free_cap;
	uint32_t len;
	uint32_t unlooked;  /* Items with messages in memory that paging has not looked at yet. */
	uint32_t evictable; /* Where paging goes on. */
	struct shelf_totals *totals; /* NULL: nobody wants to know. */
	uint64_t ttl_ms; /* Of the queue: the lower of it and an item's own holds; NEVER: none. */
	struct heap due;
	struct shelf_order ready;
	struct shelf_order held;
};

void shelf_fini(struct shelf *shelf); /* What items refer to is the caller's. */

/* item's state is one of READY, WAITING, HELD and DYING; its stamp is ignored. Returns the item's
 * id. */
uint32_t shelf_add(struct shelf *shelf, struct shelf_item item);
void shelf_remove(struct shelf *shelf, struct shelf_item *item);
/* After a change of what its place in the order depends on, state included. */
void shelf_update(struct shelf *shelf, struct shelf_item *item, enum shelf_state state);
/* Another time to live for all. */
void shelf_set_ttl(struct shelf *shelf, uint64_t ttl_ms);

/* What of a message on disk was not known before it was read. */
void shelf_complete(struct shelf *shelf, struct shelf_item *item, uint64_t time_ms, uint32_t size);

/* The next item of those that are ready, or held; NULL: none. The oldest of the lowest priority.
 * The one that is due next, and when. Valid until the next call that adds. */
struct shelf_item *shelf_first(struct shelf *shelf, struct shelf_order *order);
struct shelf_item *shelf_lowest(struct shelf *shelf, struct shelf_order *order);
struct shelf_item *shelf_due(struct shelf *shelf, uint64_t *due_ms);

/* When the item expires; NEVER. */
uint64_t shelf_expires(const struct shelf *shelf, const struct shelf_item *item);

/* When the clock has something to do with the item; NEVER. */
uint64_t shelf_leaves_ms(const struct shelf *shelf, const struct shelf_item *item);

/* The item after this one, in no order; the first with NULL. */
struct shelf_item *shelf_next(const struct shelf *shelf, const struct shelf_item *item);

/* The item of a slot that lies in the shelf; NULL: it does not. */
struct shelf_item *shelf_item_of_slot(const struct shelf *shelf, const uint64_t *slot);

static inline uint32_t shelf_id(const struct shelf *shelf, const struct shelf_item *item)
{
	return (uint32_t)(item - shelf->items);
}

/* The item if it is still the one that had this stamp. */
static inline struct shelf_item *shelf_get(const struct shelf *shelf, uint32_t id, uint32_t stamp)
{
	return id < shelf->used && shelf->items[id].stamp == stamp ? &shelf->items[id] : NULL;
}

#endif
