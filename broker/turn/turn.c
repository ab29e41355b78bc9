#include "turn/turn.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

void turn_init(struct turn *t, const struct turn_options *options)
{
	*t = (struct turn){ .options = *options };
	t->unchecked_bytes = 1; /* The first checkpoint is of what was found. */
}

/* --- begin --- */

/* After each checkpoint, one slot of the log that is nearly empty: its survivors move to the store,
 * a stretch a turn. */
static void begin_clearing(struct turn *t)
{
	const struct disk *d = &t->options.disk;
	uint64_t from_at, until_at;
	if (!t->is_clearing && d->operations->clear_begin != NULL &&
	    d->operations->clear_begin(d->arg, &from_at, &until_at))
		t->is_clearing = core_survey(t->options.core, from_at, until_at);
}

void turn_begin(struct turn *t, uint64_t unix_ms)
{
	const struct disk *d = &t->options.disk;
	struct core *core = t->options.core;
	if (turn_is_open(t))
		return;
	t->batch = d->operations->begin(d->arg, unix_ms);
	t->begun_bytes = t->batch->bytes;
	core_begin(core, t->batch, unix_ms);
	t->durable = d->operations->durable(d->arg);
	core_durable(core, t->durable);
	if (d->operations->checkpointed(d->arg)) {
		core_checkpointed(core);
		begin_clearing(t);
	}
}

/* --- effects --- */

static struct message *read_message(struct turn *t, uint64_t location, struct place place)
{
	const struct disk *d = &t->options.disk;
	struct entry e;
	struct properties p;
	/* What is whole and cannot be decoded nobody could be given, nor could it die. */
	if (!d->operations->read(d->arg, location, &e) || !entry_has_place(&e, place) ||
	    !properties_decode(&p, e.message.properties)) {
		assert(t->options.on_damage != NULL);
		t->options.on_damage(t->options.arg, location);
		return NULL;
	}
	struct message *m = message_recall(core_messages(t->options.core), &e.message);
	if (m == NULL) {
		fputs("out of memory\n", stderr);
		abort();
	}
	return m;
}

static void load(struct turn *t, const struct effect *e)
{
	uint64_t location;
	for (size_t i = 0; i < e->load.slots_len; i++) {
		if (!core_needs_load(e->load.slots[i], &location))
			continue;
		struct message *m = read_message(
			t, location, (struct place){ e->load.queue_id, e->load.position + i });
		core_loaded(e->load.queue, &e->load.slots[i], m);
	}
}

struct message *turn_read(struct turn *t, uint64_t location, uint32_t queue_id, uint64_t position)
{
	const struct disk *d = &t->options.disk;
	assert(turn_is_open(t) && d->operations->read_begin != NULL);
	d->operations->read_begin(d->arg);
	struct message *m = read_message(t, location, (struct place){ queue_id, position });
	d->operations->read_end(d->arg);
	return m;
}

static void load_index(struct turn *t, const struct effect *e)
{
	const struct disk *d = &t->options.disk;
	uint64_t base = 0;
	struct bytes chunk = { NULL, 0 };
	bool is_found = d->operations->find_index(d->arg, e->index.queue_id, e->index.position,
						  &base, &chunk);
	core_index_loaded(t->options.core, is_found, base, chunk);
}

static void load_state(struct turn *t, const struct effect *e)
{
	const struct disk *d = &t->options.disk;
	struct bytes value = { NULL, 0 };
	bool is_found = d->operations->get(d->arg, e->state.key, &value);
	core_state_loaded(t->options.core, e->state.key, is_found, value);
}

static void answer(struct turn *t, const struct effect *e)
{
	const struct disk *d = &t->options.disk;
	assert(d->operations->read_begin != NULL);
	d->operations->read_begin(d->arg);
	if (e->kind == EFFECT_LOAD)
		load(t, e);
	else if (e->kind == EFFECT_INDEX)
		load_index(t, e);
	else
		load_state(t, e);
	d->operations->read_end(d->arg);
	t->loads++;
}

void turn_drain(struct turn *t)
{
	struct effect e;
	assert(turn_is_open(t));
	while (core_next_effect(t->options.core, &e)) {
		if (e.kind == EFFECT_LOAD || e.kind == EFFECT_INDEX || e.kind == EFFECT_STATE)
			answer(t, &e);
		else
			t->options.on_effect(t->options.arg, &e);
	}
}

/* --- end --- */

bool turn_has_unchecked(const struct turn *t)
{
	assert(turn_is_open(t));
	return t->unchecked_bytes > 0 || t->batch->changes->len > 0;
}

/* Writes to the batch what the turn changed, and a checkpoint with it. */
static void record(struct turn *t, enum turn_checkpoint checkpoint)
{
	const struct disk *d = &t->options.disk;
	bool is_taken = checkpoint != TURN_NO_CHECKPOINT && d->operations->checkpoint_begin(d->arg);
	if (is_taken)
		core_checkpoint(t->options.core);
	core_end(t->options.core);
	t->unchecked_bytes += t->batch->bytes - t->begun_bytes;
	if (!is_taken)
		return;
	d->operations->checkpoint_end(d->arg, checkpoint == TURN_LAST_CHECKPOINT);
	t->unchecked_bytes = 0;
	t->checkpoints++;
}

uint64_t turn_end(struct turn *t, enum turn_checkpoint checkpoint, bool is_here)
{
	const struct disk *d = &t->options.disk;
	turn_drain(t);
	if (t->is_clearing && !d->operations->clear_step(d->arg, core_living, t->options.core)) {
		t->is_clearing = false;
		t->cleared++;
	}
	record(t, checkpoint);
	t->batch = NULL;
	return d->operations->submit(d->arg, is_here);
}
