/* Effect: what must happen because of an input, kept until the owner of the core drains it.
 * Deliveries and confirms are not kept: they are found when asked for. */
#ifndef LEV_CORE_EFFECT_H
#define LEV_CORE_EFFECT_H

#include "core/core.h"

#include <stdbool.h>
#include <stddef.h>

struct core;
struct effect;
struct message;

/* Effects of inputs, kept until they are drained; deliveries and confirms are found when asked for.
 */
struct effect_ring {
	struct effect *items;
	size_t cap;
	size_t first;
	size_t len;
};

/* Keeps the message of the effect handed out last, whose reference it takes over. */
void hand_out(struct core *core, struct message *message);
struct effect *effect_push(struct core *core, enum effect_kind kind, void *owner);
/* Gives up what an effect that nobody will see refers to. */
void effect_discard(struct core *core, struct effect *effect);
/* The oldest one that is kept; false: there is none. */
bool effect_next(struct core *core, struct effect *effect);
/* Those that are kept for this owner of a channel (or only its deliveries, which stand for replies)
 * must not be drained any more. */
void effects_drop(struct core *core, const void *owner, bool only_deliveries);

#endif
