/* Effect: what must happen because of an input, kept until the owner of the core drains it.
 * Deliveries and confirms are not kept: they are found when asked for. */
#ifndef LEV_CORE_EFFECT_H
#define LEV_CORE_EFFECT_H

#include "core/core.h"

#include <stddef.h>

struct channel;
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
struct effect *effect_push(struct core *core, enum effect_kind kind, struct channel *channel);
/* Gives up what an effect that nobody will see refers to. */
void effect_discard(struct core *core, struct effect *effect);

#endif
