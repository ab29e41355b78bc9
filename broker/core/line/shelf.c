#include "core/line/shelf.h"
#include "core/time/heap.h"

#include "base/alloc.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { NEXT = 4, STALE_MIN = 64, KEPT_ITEMS = 1024 };

static void order_fini(struct shelf_order *order)
{
	for (size_t i = 0; i < order->levels_len; i++)
		heap_fini(&order->levels[i].heap);
	free(order->levels);
}

static void count(struct shelf *shelf, struct shelf_order *order, int64_t items, int64_t bytes)
{
	order->len += (uint32_t)items;
	order->bytes += (uint64_t)bytes;
	if (shelf->totals != NULL) {
		shelf->totals->standing += (uint64_t)items;
		shelf->totals->bytes += (uint64_t)bytes;
	}
}

static void forget_all(struct shelf *shelf)
{
	heap_fini(&shelf->due);
	order_fini(&shelf->ready);
	order_fini(&shelf->held);
	free(shelf->items);
	free(shelf->free);
	if (shelf->totals != NULL)
		shelf->totals->items -= shelf->len;
	count(shelf, &shelf->ready, -(int64_t)shelf->ready.len, -(int64_t)shelf->ready.bytes);
	count(shelf, &shelf->held, -(int64_t)shelf->held.len, -(int64_t)shelf->held.bytes);
	*shelf = (struct shelf){ .ttl_ms = shelf->ttl_ms, .totals = shelf->totals };
}

void shelf_fini(struct shelf *shelf)
{
	forget_all(shelf);
}

uint64_t shelf_expires(const struct shelf *shelf, const struct shelf_item *item)
{
	if (shelf->ttl_ms == NEVER)
		return item->expires_ms;
	uint64_t expires = item->time_ms == 0 ? 0 : item->time_ms + shelf->ttl_ms;
	return expires < item->expires_ms ? expires : item->expires_ms;
}

/* Unready and dying ones: a message that waits for another try may expire meanwhile, one that is to
 * leave is leaving. */
uint64_t shelf_leaves_ms(const struct shelf *shelf, const struct shelf_item *item)
{
	if (item->state == SHELF_DYING)
		return item->until_ms;
	uint64_t expires = shelf_expires(shelf, item);
	return item->state == SHELF_WAITING && item->until_ms < expires ? item->until_ms : expires;
}

/* --- the heaps --- */

static bool is_stale(const struct shelf *shelf, const struct heap_entry *e)
{
	return shelf->items[e->id].stamp != e->stamp;
}

/* Most entries belong to items that have left: without them the heap is as long as what is there.
 */
static void trim(const struct shelf *shelf, struct heap *heap)
{
	if (heap->len < STALE_MIN || heap->len / 2 < shelf->len)
		return;
	size_t kept = 0;
	for (size_t i = 0; i < heap->len; i++)
		if (!is_stale(shelf, &heap->entries[i]))
			heap->entries[kept++] = heap->entries[i];
	heap->len = kept;
	heap_rebuild(heap);
}

static struct shelf_item *top(struct shelf *shelf, struct heap *heap)
{
	while (heap->len > 0 && is_stale(shelf, &heap->entries[0]))
		heap_pop(heap);
	return heap->len == 0 ? NULL : &shelf->items[heap->entries[0].id];
}

static struct heap *level(struct shelf_order *order, uint8_t priority)
{
	size_t i = 0;
	while (i < order->levels_len && order->levels[i].priority > priority)
		i++;
	if (i < order->levels_len && order->levels[i].priority == priority)
		return &order->levels[i].heap;
	order->levels =
		alloc_resize(order->levels, (order->levels_len + 1) * sizeof *order->levels);
	memmove(order->levels + i + 1, order->levels + i,
		(order->levels_len - i) * sizeof *order->levels);
	order->levels_len++;
	order->levels[i] = (struct shelf_level){ .priority = priority };
	return &order->levels[i].heap;
}

/* NULL: it waits. */
static struct shelf_order *order_of(struct shelf *shelf, const struct shelf_item *item)
{
	return item->state == SHELF_READY  ? &shelf->ready
	       : item->state == SHELF_HELD ? &shelf->held
					   : NULL;
}

/* --- items --- */

static void enter(struct shelf *shelf, struct shelf_item *item)
{
	struct heap_entry e = { shelf_leaves_ms(shelf, item), item->position, shelf_id(shelf, item),
				item->stamp };
	if (e.key != NEVER) {
		trim(shelf, &shelf->due);
		heap_push(&shelf->due, e);
	}
	struct shelf_order *order = order_of(shelf, item);
	if (order == NULL)
		return;
	struct heap *heap = level(order, item->priority);
	e.key = item->position;
	trim(shelf, heap);
	heap_push(heap, e);
	count(shelf, order, 1, item->size);
}

static void leave(struct shelf *shelf, struct shelf_item *item)
{
	struct shelf_order *order = order_of(shelf, item);
	if (order != NULL)
		count(shelf, order, -1, -(int64_t)item->size);
	item->stamp++;
}

static uint32_t take_free(struct shelf *shelf)
{
	if (shelf->free_len > 0)
		return shelf->free[--shelf->free_len];
	if (shelf->used == shelf->cap) {
		size_t cap = shelf->cap;
		shelf->items = alloc_grow(shelf->items, &cap, (size_t)shelf->used + 1,
					  sizeof *shelf->items);
		shelf->cap = (uint32_t)cap;
	}
	shelf->items[shelf->used].stamp = 0;
	return shelf->used++;
}

uint32_t shelf_add(struct shelf *shelf, struct shelf_item item)
{
	assert(item.state != SHELF_FREE);
	uint32_t id = take_free(shelf);
	item.stamp = shelf->items[id].stamp + 1;
	shelf->items[id] = item;
	shelf->len++;
	if (shelf->totals != NULL)
		shelf->totals->items++;
	shelf->unlooked++;
	enter(shelf, &shelf->items[id]);
	return id;
}

void shelf_remove(struct shelf *shelf, struct shelf_item *item)
{
	leave(shelf, item);
	item->state = SHELF_FREE;
	shelf->len--;
	if (shelf->totals != NULL)
		shelf->totals->items--;
	if (shelf->len == 0 && shelf->cap > KEPT_ITEMS) {
		forget_all(shelf);
		return;
	}
	shelf->free =
		alloc_grow(shelf->free, &shelf->free_cap, shelf->free_len + 1, sizeof *shelf->free);
	shelf->free[shelf->free_len++] = shelf_id(shelf, item);
}

void shelf_update(struct shelf *shelf, struct shelf_item *item, enum shelf_state state)
{
	leave(shelf, item);
	item->state = (uint8_t)state;
	enter(shelf, item);
}

void shelf_set_ttl(struct shelf *shelf, uint64_t ttl_ms)
{
	if (shelf->ttl_ms == ttl_ms)
		return;
	shelf->ttl_ms = ttl_ms;
	for (struct shelf_item *item = NULL; (item = shelf_next(shelf, item)) != NULL;)
		shelf_update(shelf, item, item->state);
}

void shelf_complete(struct shelf *shelf, struct shelf_item *item, uint64_t time_ms, uint32_t size)
{
	leave(shelf, item);
	item->time_ms = time_ms;
	item->size = size;
	enter(shelf, item);
}

struct shelf_item *shelf_first(struct shelf *shelf, struct shelf_order *order)
{
	if (order->len == 0)
		return NULL;
	for (size_t i = 0; i < order->levels_len; i++) {
		struct shelf_item *item = top(shelf, &order->levels[i].heap);
		if (item != NULL)
			return item;
	}
	return NULL;
}

struct shelf_item *shelf_lowest(struct shelf *shelf, struct shelf_order *order)
{
	for (size_t i = order->levels_len; i-- > 0;) {
		struct shelf_item *item = top(shelf, &order->levels[i].heap);
		if (item != NULL)
			return item;
	}
	return NULL;
}

struct shelf_item *shelf_due(struct shelf *shelf, uint64_t *due_ms)
{
	struct shelf_item *item = top(shelf, &shelf->due);
	if (item == NULL)
		return NULL;
	*due_ms = shelf->due.entries[0].key;
	for (size_t i = 1; i < shelf->due.len && i <= NEXT; i++) {
		const struct shelf_item *next = &shelf->items[shelf->due.entries[i].id];
		if (next->slot != 0 && (next->slot & 1) == 0)
			__builtin_prefetch((const void *)(uintptr_t)next
						   ->slot); /* Its message will be wanted soon. */
	}
	return item;
}

struct shelf_item *shelf_next(const struct shelf *shelf, const struct shelf_item *item)
{
	for (uint32_t id = item == NULL ? 0 : shelf_id(shelf, item) + 1; id < shelf->used; id++)
		if (shelf->items[id].state != SHELF_FREE)
			return &shelf->items[id];
	return NULL;
}

struct shelf_item *shelf_item_of_slot(const struct shelf *shelf, const uint64_t *slot)
{
	const uint8_t *at = (const uint8_t *)slot, *begin = (const uint8_t *)shelf->items;
	if (begin == NULL || at < begin || at >= (const uint8_t *)(shelf->items + shelf->used))
		return NULL;
	return &shelf->items[(size_t)(at - begin) / sizeof *shelf->items];
}
