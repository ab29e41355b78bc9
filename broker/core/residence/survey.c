/* Survey: which messages of a stretch of the log live, for clearing it. What has been delivered and
 * lives is written down; of the rest, everything from a queue's cursor on is taken for living. Both
 * as of the survey, so what dies meanwhile is taken for living, and nothing that lives is taken for
 * dead. */
#include "core/core.h"
#include "core/dispatch/unacked.h"
#include "core/line/fifo.h"
#include "core/line/shelf.h"
#include "core/queue/queue.h"
#include "core/residence/index.h"
#include "core/state.h"

#include "base/alloc.h"

#include <stdlib.h>

static void note(struct core *core, uint64_t location, uint64_t from_at, uint64_t until_at)
{
	if (location == 0 || location_at(location) < from_at || location_at(location) >= until_at)
		return;
	core->survey = alloc_grow(core->survey, &core->survey_cap, core->survey_len + 1,
				  sizeof *core->survey);
	core->survey[core->survey_len++] = location;
}

static int by_location(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

/* Purged places that are yet to be given up would be neither alive nor dead. */
bool core_survey(struct core *core, uint64_t from_at, uint64_t until_at)
{
	if (doomed_is_waiting(core))
		return false;
	core->survey_len = 0;
	list_each (node, &core->queues) {
		struct queue *q = list_entry(node, struct queue, in_core);
		q->survey_cursor = q->fifo.len > 0 ? q->cursor : q->tail;
		list_each (unacked, &q->unacked) {
			const struct delivery *d = list_entry(unacked, struct delivery, in_queue);
			if (d->position < q->survey_cursor)
				note(core, d->message->location, from_at, until_at);
		}
		for (const struct shelf_item *item = NULL;
		     (item = shelf_next(&q->shelf, item)) != NULL;)
			if (item->position < q->survey_cursor)
				note(core, slot_location(item->slot), from_at, until_at);
	}
	if (core->survey_len > 1)
		qsort(core->survey, core->survey_len, sizeof *core->survey, by_location);
	return true;
}

static uint32_t noted(const struct core *core, uint64_t location)
{
	size_t low = 0, high = core->survey_len;
	uint32_t times = 0;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (core->survey[middle] < location)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < core->survey_len && core->survey[low] == location; low++)
		times++;
	return times;
}

/* A queue that has gone meanwhile may have left places that are yet to be given up (index.c). */
uint32_t core_living(void *arg, uint64_t location, struct entry *entry)
{
	struct core *core = arg;
	uint32_t places = noted(core, location);
	struct place place;
	while (entry_next_place(entry, &place)) {
		const struct queue *q =
			map_get(&core->queues_by_id, bytes_of(&place.queue, sizeof place.queue));
		places += q == NULL || place.position >= q->survey_cursor;
	}
	return places;
}
