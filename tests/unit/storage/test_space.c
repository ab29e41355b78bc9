#include "space.h"

#include <criterion/criterion.h>

static uint64_t in_slot(uint64_t number)
{
	return location_of(number * LOG_SLOT_BYTES + SEGMENT_HEAD_BYTES, false);
}

static void settle(struct space *space)
{
	struct changes changes = { 0 };
	space_checkpoint(space, &changes);
	space_checkpointed(space);
	changes_fini(&changes);
}

Test(space, a_dead_slot_is_free_after_a_checkpoint_only)
{
	struct space space;
	struct changes changes = { 0 };
	space_init(&space);
	space_open_slot(&space, 1, 1);
	space_open_slot(&space, 2, 1);
	space.next_at = 2 * LOG_SLOT_BYTES + 512;
	space_ref(&space, in_slot(1));
	space_unref(&space, in_slot(1));
	cr_assert_eq(space.free_len, 0);
	space_checkpoint(&space, &changes);
	cr_assert_eq(space.free_len, 0, "the store does not know yet");
	space_open_slot(&space, 3, 1);
	cr_assert_eq(space.file_slots, 3);
	space_checkpointed(&space);
	cr_assert_eq(space.free_len, 1, "the slot that is being filled is not free");
	space_open_slot(&space, 4, 1);
	cr_assert_eq(space.file_slots, 3, "used again");
	cr_assert_eq(space_offset(&space, 4 * LOG_SLOT_BYTES + 8), 8);
	changes_fini(&changes);
	space_fini(&space);
}

Test(space, an_old_slot_does_not_hold_up_newer_ones)
{
	struct space space;
	space_init(&space);
	for (uint64_t n = 1; n <= 1000; n++) {
		space_open_slot(&space, n, 1);
		space_ref(&space, in_slot(n));
	}
	space.next_at = 1001 * (uint64_t)LOG_SLOT_BYTES;
	for (uint64_t n = 2; n <= 1000; n++)
		space_unref(&space, in_slot(n));
	settle(&space);
	cr_assert_eq(space.free_len, 999);
	cr_assert_eq(space.slots_len, 1);
	cr_assert_eq(space_slot_at(&space, LOG_SLOT_BYTES)->places, 1);
	space_fini(&space);
}

Test(space, what_spans_slots_has_them_in_a_row)
{
	struct space space;
	space_init(&space);
	space_open_slot(&space, 1, 1);
	space_open_slot(&space, 2, 3);
	cr_assert_eq(space_offset(&space, 3 * LOG_SLOT_BYTES), 2 * (uint64_t)LOG_SLOT_BYTES);
	cr_assert_eq(space_offset(&space, 5 * LOG_SLOT_BYTES), UINT64_MAX);
	space_close_slot(&space, 2);
	cr_assert_eq(space.free_len, 3);
	cr_assert_eq(space_offset(&space, 3 * LOG_SLOT_BYTES), UINT64_MAX);
	space_fini(&space);
}

Test(space, records_bring_it_back)
{
	struct space space, again;
	struct changes changes = { 0 };
	struct change c;
	size_t at = 0;
	space_init(&space);
	space_init(&again);
	for (uint64_t n = 1; n <= 3; n++) {
		space_open_slot(&space, n, 1);
		space_ref(&space, in_slot(n));
	}
	space.next_at = 4 * (uint64_t)LOG_SLOT_BYTES;
	space_unref(&space, in_slot(2));
	space_checkpoint(&space, &changes);
	while (changes_next(&changes, &at, &c))
		if (c.kind == CHANGE_PUT)
			cr_assert(space_load(&again, c.key, c.value));
	space_loaded(&again, 5);
	cr_assert_eq(again.slots_len, 2);
	cr_assert_eq(space_slot_at(&again, 3 * LOG_SLOT_BYTES)->places, 1);
	cr_assert_eq(again.free_len, 3);
	cr_assert_not(space_load(&again, bytes_of("\x50xxx", 4), bytes_of("", 0)));
	changes_fini(&changes);
	space_fini(&space);
	space_fini(&again);
}
