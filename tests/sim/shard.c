#include "shard.h"
#include "client.h"
#include "headers.h"

/* --- the platter, as a turn sees it --- */

static struct batch *begin(void *arg, uint64_t unix_ms)
{
	struct sim *s = arg;
	s->batch.sequence = s->sequence = s->taken + 1;
	s->batch.now_ms = unix_ms;
	return &s->batch;
}

static uint64_t submit(void *arg, bool is_here)
{
	struct sim *s = arg;
	(void)is_here;
	if (s->is_taking && !batch_is_empty(&s->batch)) {
		s->taken = s->sequence;
		platter_write(s->platter, &s->batch);
	}
	return batch_is_empty(&s->batch) ? s->taken : s->sequence;
}

static uint64_t durable(void *arg)
{
	const struct sim *s = arg;
	return s->durable;
}

static bool checkpoint_begin(void *arg)
{
	const struct sim *s = arg;
	return !platter_is_keeping(s->platter) && !s->is_kept;
}

static void checkpoint_end(void *arg, bool is_clean)
{
	struct sim *s = arg;
	(void)is_clean;
	batch_checkpoint(&s->batch);
	space_checkpoint(&s->space, &s->changes);
	platter_checkpoint(s->platter, &s->changes, s->space.next_at,
			   batch_is_empty(&s->batch) ? s->taken : s->sequence);
}

static bool checkpointed(void *arg)
{
	struct sim *s = arg;
	if (!s->is_kept)
		return false;
	space_checkpointed(&s->space);
	s->is_kept = false;
	return true;
}

static void read_nothing(void *arg)
{
	(void)arg;
}

static bool read_message(void *arg, uint64_t location, struct entry *entry)
{
	struct sim *s = arg;
	s->loads++;
	return platter_read(s->platter, &s->space, location, entry);
}

static bool find_index(void *arg, uint32_t queue, uint64_t position, uint64_t *base,
		       struct bytes *chunk)
{
	struct sim *s = arg;
	s->chunks++;
	return platter_index_find(s->platter, queue, position, base, chunk);
}

static bool get(void *arg, struct bytes key, struct bytes *value)
{
	struct sim *s = arg;
	return platter_get(s->platter, key, value);
}

/* Clearing is a step of its own (do_clear()), so that crashes come between its parts. */
static const struct disk_operations platter_operations = {
	.begin = begin,
	.submit = submit,
	.durable = durable,
	.checkpoint_begin = checkpoint_begin,
	.checkpoint_end = checkpoint_end,
	.checkpointed = checkpointed,
	.read_begin = read_nothing,
	.read_end = read_nothing,
	.read = read_message,
	.find_index = find_index,
	.get = get,
};

/* Whatever the core asks for, the platter has taken at least. */
static void on_damage(void *arg, uint64_t location)
{
	struct sim *s = arg;
	(void)location;
	model_fail(&s->model, "a message that is there can be read", __func__);
}

static void on_effect(void *arg, const struct effect *e)
{
	struct sim *s = arg;
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
	case EFFECT_REPEATED: message_unref(core_messages(s->core), e->repeated.message); break;
	case EFFECT_RETURN:
		message_unref(core_messages(s->core), e->returned.message);
		s->returns++;
		MODEL_CHECK(&s->model, s->returns_owed > 0);
		s->returns_owed--;
		break;
	case EFFECT_CLOSE:
		model_lease_ended(&s->model, channel, e->close.lease_ms);
		s->closed |= 1u << channel;
		break;
	case EFFECT_CANCELLED: break;
	case EFFECT_LOAD:
	case EFFECT_INDEX:
	case EFFECT_STATE: model_fail(&s->model, "the turn answers those", __func__);
	}
}

/* --- turns --- */

void shard_init(struct sim *s)
{
	const struct turn_options options = {
		.core = s->core,
		.disk = { &platter_operations, s },
		.on_effect = on_effect,
		.on_damage = on_damage,
		.arg = s,
	};
	turn_init(&s->turn, &options);
}

void shard_begin(struct sim *s)
{
	s->model.now_ms = s->now_ms;
	turn_begin(&s->turn, s->now_ms);
}

void shard_drain(struct sim *s)
{
	for (turn_drain(&s->turn); s->closed != 0; turn_drain(&s->turn))
		client_closed(s);
	MODEL_CHECK(&s->model, s->returns_owed == 0);
	if (s->is_settling)
		return;
	model_leases_hold(&s->model);
	model_drained(&s->model, s->sequence);
}

void shard_end(struct sim *s, bool is_checkpoint, bool is_taken)
{
	shard_drain(s);
	if (!s->is_settling)
		model_quiet(&s->model, false);
	s->is_taking = is_taken;
	turn_end(&s->turn, is_checkpoint ? TURN_CHECKPOINT : TURN_NO_CHECKPOINT, false);
}

void shard_keep(struct sim *s)
{
	if (platter_keep(s->platter, s->durable)) {
		s->is_kept = true;
		s->checkpoints++;
	}
}

void shard_sync(struct sim *s)
{
	shard_end(s, false, true);
	s->durable = s->taken;
}
