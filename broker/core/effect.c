/* Effect: the ring of effects that inputs had. */
#include "core/effect.h"
#include "core/core.h"
#include "core/message/message.h"
#include "core/state.h"

#include "base/alloc.h"

#include <stdlib.h>

struct effect *effect_push(struct core *core, enum effect_kind kind, void *owner)
{
	struct effect_ring *ring = &core->effects;
	if (ring->len == ring->cap) {
		size_t cap = ring->cap == 0 ? 16 : ring->cap * 2;
		struct effect *items = alloc_resize(NULL, cap * sizeof *items);
		for (size_t i = 0; i < ring->len; i++)
			items[i] = ring->items[(ring->first + i) % ring->cap];
		free(ring->items);
		ring->items = items;
		ring->cap = cap;
		ring->first = 0;
	}
	struct effect *effect = &ring->items[(ring->first + ring->len++) % ring->cap];
	*effect = (struct effect){ .kind = kind, .owner = owner };
	return effect;
}

void hand_out(struct core *core, struct message *message)
{
	if (core->handed_out != NULL)
		message_unref(&core->messages, core->handed_out);
	core->handed_out = message;
}

void effect_discard(struct core *core, struct effect *effect)
{
	if (effect->kind == EFFECT_DELIVER)
		message_unref(&core->messages, effect->deliver.message);
	else if (effect->kind == EFFECT_RETURN)
		message_unref(&core->messages, effect->returned.message);
	else if (effect->kind == EFFECT_REPEATED)
		message_unref(&core->messages, effect->repeated.message);
	else if (effect->kind == EFFECT_CANCELLED)
		free((void *)effect->cancelled.consumer_tag.data);
}

bool effect_next(struct core *core, struct effect *effect)
{
	struct effect_ring *ring = &core->effects;
	if (ring->len == 0)
		return false;
	*effect = ring->items[ring->first];
	ring->first = (ring->first + 1) % ring->cap;
	ring->len--;
	if (effect->kind == EFFECT_DELIVER) {
		hand_out(core, effect->deliver.message);
	} else if (effect->kind == EFFECT_CANCELLED) {
		free((void *)core->cancelled_tag.data);
		core->cancelled_tag = effect->cancelled.consumer_tag;
	}
	return true;
}

void effects_drop(struct core *core, const void *owner, bool only_deliveries)
{
	struct effect_ring *ring = &core->effects;
	size_t kept = 0;
	for (size_t i = 0; i < ring->len; i++) {
		struct effect *e = &ring->items[(ring->first + i) % ring->cap];
		if (e->owner == owner && (!only_deliveries || e->kind == EFFECT_DELIVER))
			effect_discard(core, e);
		else
			ring->items[(ring->first + kept++) % ring->cap] = *e;
	}
	ring->len = kept;
}
