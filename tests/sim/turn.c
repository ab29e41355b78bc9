#include "turn.h"
#include "headers.h"

void turn_begin(struct sim *s)
{
	s->batch.sequence = s->sequence = s->taken + 1;
	s->batch.now_ms = s->now_ms;
	s->model.now_ms = s->now_ms;
	core_begin(s->core, &s->batch, s->now_ms);
	core_durable(s->core, s->durable);
	if (s->is_kept) {
		space_checkpointed(&s->space);
		core_checkpointed(s->core);
		s->is_kept = false;
	}
}

static void load(struct sim *s, const struct effect *e)
{
	uint64_t location;
	struct entry entry;
	for (size_t i = 0; i < e->load.slots_len; i++) {
		if (!core_needs_load(e->load.slots[i], &location))
			continue;
		MODEL_CHECK(&s->model, disk_read(s->disk, &s->space, location,
						 &entry)); /* Taken by the disk at least. */
		MODEL_CHECK(&s->model,
			    entry_has_place(&entry, (struct place){ e->load.queue_id,
								    e->load.position + i }));
		struct message *m = message_recall(core_messages(s->core), &entry.message);
		core_loaded(e->load.queue, &e->load.slots[i], m);
		s->loads++;
	}
}

static void load_index(struct sim *s, const struct effect *e)
{
	uint64_t base = 0;
	struct bytes chunk = { NULL, 0 };
	bool is_found =
		disk_index_find(s->disk, e->index.queue_id, e->index.position, &base, &chunk);
	core_index_loaded(s->core, is_found, base, chunk);
	s->chunks++;
}

static void load_state(struct sim *s, const struct effect *e)
{
	struct bytes value = { NULL, 0 };
	bool is_found = disk_get(s->disk, e->state.key, &value);
	core_state_loaded(s->core, e->state.key, is_found, value);
}

static void on_effect(struct sim *s, const struct effect *e)
{
	unsigned channel = e->owner == NULL ? 0 : (unsigned)((unsigned *)e->owner - s->owners);
	trace(s, e->kind);
	switch (e->kind) {
	case EFFECT_DELIVER: {
		unsigned consumer = (unsigned)(e->deliver.consumer_tag.data[0] - '0');
		const struct model_consumer *c = &s->model.consumers[consumer];
		trace(s, e->deliver.delivery_tag);
		MODEL_CHECK(&s->model, c->channel == channel);
		headers_check(s, e->deliver.message);
		model_delivered(&s->model, c->queue, channel, (int)consumer,
				e->deliver.delivery_tag, message_id(e->deliver.message),
				c->is_no_ack, e->deliver.is_redelivered, e->deliver.delivery_count,
				s->sequence);
		break;
	}
	case EFFECT_CONFIRM:
		trace(s, e->confirm.delivery_tag);
		model_confirmed(&s->model, channel, e->confirm.delivery_tag, e->confirm.is_nack,
				s->durable);
		break;
	case EFFECT_STATE: load_state(s, e); break;
	case EFFECT_REPEATED: message_unref(core_messages(s->core), e->repeated.message); break;
	case EFFECT_RETURN:
		message_unref(core_messages(s->core), e->returned.message);
		s->returns++;
		MODEL_CHECK(&s->model, s->returns_owed > 0);
		s->returns_owed--;
		break;
	case EFFECT_CANCELLED:
	case EFFECT_CLOSE: break;
	case EFFECT_LOAD: load(s, e); break;
	case EFFECT_INDEX: load_index(s, e); break;
	}
}

void turn_drain(struct sim *s)
{
	struct effect e;
	while (core_next_effect(s->core, &e))
		on_effect(s, &e);
	MODEL_CHECK(&s->model, s->returns_owed == 0);
	model_drained(&s->model, s->sequence);
}

static void checkpoint(struct sim *s)
{
	core_checkpoint(s->core);
	batch_checkpoint(&s->batch);
	space_checkpoint(&s->space, &s->changes);
	disk_checkpoint(s->disk, &s->changes, s->space.next_at,
			batch_is_empty(&s->batch) ? s->taken : s->sequence);
}

void turn_end(struct sim *s, bool is_checkpoint, bool is_taken)
{
	turn_drain(s);
	model_quiet(&s->model, false);
	if (is_checkpoint && !disk_is_keeping(s->disk) && !s->is_kept)
		checkpoint(s);
	core_end(s->core);
	if (is_taken && !batch_is_empty(&s->batch)) {
		s->taken = s->sequence;
		disk_write(s->disk, &s->batch);
	}
}

void turn_keep(struct sim *s)
{
	if (disk_keep(s->disk, s->durable)) {
		s->is_kept = true;
		s->checkpoints++;
	}
}

void turn_sync(struct sim *s)
{
	turn_end(s, false, true);
	s->durable = s->taken;
}
