#include "space.h"

#include "base/alloc.h"
#include "store.h"

#include <stdlib.h>

enum {
	SPARSE_AGE = 4,  /* Slots that are younger may yet be consumed. */
	BUSY_SHARE = 16, /* A slot that lost more than this part of its places between two
			    checkpoints is being consumed. */
};

enum { KEY_BYTES = 9, RECORD_BYTES = 20, RECORD_IS_MOVED = 1 };

void space_init(struct space *space)
{
	*space = (struct space){ .next_at = LOG_SLOT_BYTES };
}

void space_fini(struct space *space)
{
	free(space->slots);
	free(space->free);
	free(space->leaving);
}

static void push(uint32_t **set, size_t *len, size_t *cap, uint32_t physical)
{
	*set = alloc_grow(*set, cap, *len + 1, sizeof **set);
	(*set)[(*len)++] = physical;
}

/* --- slots --- */

/* The first slot that begins after number. */
static size_t slot_after(const struct space *space, uint64_t number)
{
	size_t low = 0, high = space->slots_len;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (space->slots[middle].number <= number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool slot_holds(const struct space_slot *slot, uint64_t number)
{
	return number >= slot->number && number - slot->number < slot->span;
}

struct space_slot *space_slot_at(struct space *space, uint64_t at)
{
	uint64_t number = at / LOG_SLOT_BYTES;
	if (space->recent < space->slots_len && slot_holds(&space->slots[space->recent], number))
		return &space->slots[space->recent];
	size_t after = slot_after(space, number);
	if (after == 0 || !slot_holds(&space->slots[after - 1], number))
		return NULL;
	space->recent = after - 1;
	return &space->slots[after - 1];
}

static void add_slot(struct space *space, uint64_t number, uint32_t span, uint32_t physical)
{
	size_t at = slot_after(space, number);
	space->slots = alloc_grow(space->slots, &space->slots_cap, space->slots_len + 1,
				  sizeof *space->slots);
	memmove(space->slots + at + 1, space->slots + at,
		(space->slots_len - at) * sizeof *space->slots);
	space->slots[at] = (struct space_slot){
		.number = number, .span = span, .physical = physical, .is_dirty = true
	};
	space->slots_len++;
}

/* One slot comes from those that are free, several in a row from the end of the file. */
void space_open_slot(struct space *space, uint64_t number, uint32_t span)
{
	if (space_slot_at(space, number * LOG_SLOT_BYTES) != NULL)
		return;
	if (span == 1 && space->free_len > 0) {
		add_slot(space, number, span, space->free[--space->free_len]);
		return;
	}
	add_slot(space, number, span, space->file_slots);
	space->file_slots += span;
}

void space_close_slot(struct space *space, uint64_t number)
{
	const struct space_slot *slot = space_slot_at(space, number * LOG_SLOT_BYTES);
	size_t at = (size_t)(slot - space->slots);
	assert(slot != NULL && slot->number == number && slot->places == 0 &&
	       slot->volatile_places == 0);
	for (uint32_t i = slot->span; i-- > 0;)
		push(&space->free, &space->free_len, &space->free_cap, slot->physical + i);
	memmove(space->slots + at, space->slots + at + 1,
		(space->slots_len - at - 1) * sizeof *space->slots);
	space->slots_len--;
}

void space_add_free(struct space *space, uint32_t physical)
{
	push(&space->free, &space->free_len, &space->free_cap, physical);
}

void space_ref(struct space *space, uint64_t location)
{
	struct space_slot *slot = space_slot_at(space, location_at(location));
	assert(slot != NULL);
	if (location_is_volatile(location)) {
		slot->volatile_places++;
		return;
	}
	slot->places++;
	slot->places_ever++;
	slot->is_dirty = true;
}

void space_unref(struct space *space, uint64_t location)
{
	struct space_slot *slot = space_slot_at(space, location_at(location));
	assert(slot != NULL);
	uint32_t *places = location_is_volatile(location) ? &slot->volatile_places : &slot->places;
	assert(*places > 0);
	--*places;
	slot->is_dirty = true;
}

void space_forget(struct space *space, uint64_t location)
{
	const struct space_slot *slot = space_slot_at(space, location_at(location));
	if (slot != NULL &&
	    (location_is_volatile(location) ? slot->volatile_places : slot->places) > 0)
		space_unref(space, location);
}

uint64_t space_offset(struct space *space, uint64_t at)
{
	const struct space_slot *slot = space_slot_at(space, at);
	if (slot == NULL || slot->is_moved)
		return UINT64_MAX;
	return (uint64_t)slot->physical * LOG_SLOT_BYTES + (at - slot->number * LOG_SLOT_BYTES);
}

/* --- checkpoints --- */

static void slot_key(uint8_t *key, uint64_t number)
{
	key[0] = STORE_KEY_SLOT;
	store_u64(key + 1, number);
}

static void put_record(struct changes *changes, const struct space_slot *slot)
{
	uint8_t key[KEY_BYTES], value[RECORD_BYTES];
	slot_key(key, slot->number);
	store_u32(value, slot->physical);
	store_u32(value + 4, slot->span);
	store_u32(value + 8, slot->places);
	store_u32(value + 12, slot->is_moved || slot->is_copied ? RECORD_IS_MOVED : 0);
	store_u32(value + 16, slot->places_ever);
	changes_put(changes, bytes_of(key, sizeof key), bytes_of(value, sizeof value));
}

static void give_back(struct space *space, const struct space_slot *slot)
{
	for (uint32_t i = 0; i < slot->span && !slot->is_moved; i++)
		push(&space->leaving, &space->leaving_len, &space->leaving_cap, slot->physical + i);
}

static void delete_survivors(struct changes *changes, const struct space_slot *slot)
{
	uint8_t from[KEY_BYTES] = { STORE_KEY_SURVIVORS },
		until[KEY_BYTES] = { STORE_KEY_SURVIVORS };
	store_u64(from + 1, slot->number * LOG_SLOT_BYTES);
	store_u64(until + 1, (slot->number + slot->span) * LOG_SLOT_BYTES);
	changes_delete_range(changes, bytes_of(from, sizeof from), bytes_of(until, sizeof until));
}

static void set_aside(struct space *space, struct changes *changes, const struct space_slot *slot)
{
	uint8_t key[KEY_BYTES];
	slot_key(key, slot->number);
	changes_delete(changes, bytes_of(key, sizeof key));
	give_back(space, slot);
	if (slot->is_moved || slot->is_copied || slot->is_stuck)
		delete_survivors(changes, slot);
}

void space_checkpoint(struct space *space, struct changes *changes)
{
	size_t kept = 0;
	assert(space->leaving_len == 0);
	for (size_t i = 0; i < space->slots_len; i++) {
		struct space_slot *slot = &space->slots[i];
		bool is_dead = slot->places == 0 && slot->volatile_places == 0 &&
			       (slot->number + slot->span) * LOG_SLOT_BYTES <= space->next_at;
		if (is_dead) {
			set_aside(space, changes, slot);
			continue;
		}
		if (slot->is_dirty)
			put_record(changes, slot);
		if (slot->is_copied && !slot->is_moved && !slot->is_leaving) {
			give_back(space, slot);
			slot->is_leaving = true;
		}
		slot->is_dirty = false;
		slot->places_before = slot->places_saved;
		slot->places_saved = slot->places;
		space->slots[kept++] = *slot;
	}
	space->slots_len = kept;
}

static int highest_first(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x < y) - (x > y);
}

void space_checkpointed(struct space *space)
{
	for (size_t i = 0; i < space->leaving_len; i++)
		push(&space->free, &space->free_len, &space->free_cap, space->leaving[i]);
	space->leaving_len = 0;
	for (size_t i = 0; i < space->slots_len; i++)
		space->slots[i].is_moved |= space->slots[i].is_leaving;
	if (space->free_len > 1)
		qsort(space->free, space->free_len, sizeof *space->free, highest_first);
}

/* --- clearing --- */

static bool is_sparse(const struct space *space, const struct space_slot *slot)
{
	bool is_old = (slot->number + slot->span + SPARSE_AGE) * LOG_SLOT_BYTES <= space->next_at;
	bool is_busy = (slot->places_before - slot->places) * BUSY_SHARE > slot->places;
	return is_old && !is_busy && !slot->is_copied && !slot->is_stuck &&
	       slot->volatile_places == 0 && slot->places < slot->places_ever / 2;
}

struct space_slot *space_sparse(struct space *space)
{
	struct space_slot *best = NULL;
	for (size_t i = 0; i < space->slots_len; i++) {
		struct space_slot *slot = &space->slots[i];
		if (is_sparse(space, slot) && (best == NULL || slot->places < best->places))
			best = slot;
	}
	return best;
}

/* --- recovery --- */

bool space_load(struct space *space, struct bytes key, struct bytes value)
{
	if (key.len != KEY_BYTES || value.len != RECORD_BYTES)
		return false;
	uint64_t number = load_u64(key.data + 1);
	uint32_t span = load_u32(value.data + 4);
	if (number == 0 || span == 0 || space_slot_at(space, number * LOG_SLOT_BYTES) != NULL)
		return false;
	add_slot(space, number, span, load_u32(value.data));
	struct space_slot *slot = space_slot_at(space, number * LOG_SLOT_BYTES);
	slot->places = load_u32(value.data + 8);
	slot->places_saved = slot->places_before = slot->places;
	slot->is_moved = slot->is_copied = load_u32(value.data + 12) & RECORD_IS_MOVED;
	slot->places_ever = load_u32(value.data + 16);
	slot->is_dirty = false;
	return true;
}

void space_found(struct space *space, uint64_t number, uint32_t span, uint32_t physical)
{
	add_slot(space, number, span, physical);
}

void space_forget_from(struct space *space, uint64_t at)
{
	while (space->slots_len > 0 &&
	       space->slots[space->slots_len - 1].number * LOG_SLOT_BYTES >= at)
		space->slots_len--;
}

void space_loaded(struct space *space, uint32_t file_slots)
{
	bool *is_used = alloc_zeroed((size_t)file_slots + 1);
	for (size_t i = 0; i < space->slots_len; i++) {
		const struct space_slot *slot = &space->slots[i];
		for (uint32_t k = 0;
		     k < slot->span && !slot->is_moved && slot->physical + k < file_slots; k++)
			is_used[slot->physical + k] = true;
	}
	space->free_len = 0;
	for (uint32_t i = file_slots; i-- > 0;)
		if (!is_used[i])
			push(&space->free, &space->free_len, &space->free_cap, i);
	space->file_slots = file_slots;
	free(is_used);
}
