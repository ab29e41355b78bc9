/* Checkpoint: the end of a turn, and what a checkpoint adds to it. */
#include "core/check/check.h"
#include "core/core.h"
#include "core/dedup/keylog.h"
#include "core/dedup/producer.h"
#include "core/queue/queue.h"
#include "core/queue/queue_record.h"
#include "core/record/definitions.h"
#include "core/residence/index.h"
#include "core/residence/paging.h"
#include "core/state.h"

#include <stdlib.h>

static void write_ranges(struct core *core, enum entry_kind kind, const struct queue *q,
			 struct ranges *ranges)
{
	enum { KEPT = 1024 };
	if (ranges->len == 0)
		return;
	batch_ranges(core->batch, kind, q->id, ranges->items, ranges->len);
	ranges->len = 0;
	if (ranges->cap > KEPT) {
		free(ranges->items);
		*ranges = (struct ranges){ 0 };
	}
}

void core_end(struct core *core)
{
	CHECKED_INPUT(core);
	while (!list_is_empty(&core->changed)) {
		struct queue *q = list_entry(core->changed.next, struct queue, in_changed);
		list_remove(&q->in_changed);
		if (q->is_limit_changed) {
			struct range limit = { q->asked, 0 };
			batch_ranges(core->batch, ENTRY_DELIVERED, q->id, &limit, 1);
			q->is_limit_changed = false;
		}
		/* A position may come back and be settled, but not the other way round. */
		write_ranges(core, ENTRY_RETURNED, q, &q->returned_ranges);
		write_ranges(core, ENTRY_REMOVED, q, &q->removed_ranges);
		struct range bytes = { q->kept_bytes, 0 };
		batch_ranges(core->batch, ENTRY_BYTES, q->id, &bytes, 1);
	}
	keylog_end(core);
	producers_end(core);
	paging_evict(core);
	core->batch = NULL;
}

void core_checkpoint(struct core *core)
{
	CHECKED_INPUT(core);
	struct batch *batch = core->batch;
	core_end(core); /* The records below stand for everything that happened so far. */
	core->batch = batch;
	while (!list_is_empty(&core->stale)) {
		struct queue *q = list_entry(core->stale.next, struct queue, in_stale);
		list_remove(&q->in_stale);
		paging_drop_spills(q);
		index_save(q);
		if (q->id != 0)
			queue_write_record(core, q);
	}
	doomed_save(core);
	keylog_save(core);
	producers_save(core);
	for (size_t i = 0; i < core->orphans_len; i++) {
		uint8_t key[QUEUE_KEY_BYTES];
		changes_delete(batch->changes, queue_key(key, core->orphans[i]));
	}
	core->orphans_len = 0;
}

void core_checkpointed(struct core *core)
{
	CHECKED_INPUT(core);
	while (!list_is_empty(&core->saving))
		index_saved(list_entry(core->saving.next, struct queue, in_saving));
}
