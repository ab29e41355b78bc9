/* Confirm: answers to publishers, each as soon as the journal has what it promises. */
#ifndef LEV_CORE_CHANNEL_CONFIRM_H
#define LEV_CORE_CHANNEL_CONFIRM_H

#include <stdbool.h>
#include <stdint.h>

struct channel;
struct core;
struct effect;

/* Publishes up to a tag wait for a sequence. */
struct pending_confirm {
	uint64_t tag;
	uint64_t sequence;
	bool is_nack;
};

/* sequence: of the journal, which must be durable before; 0: none. */
void channel_confirm(struct channel *channel, uint64_t sequence, bool is_nack);
/* What could be confirmed already goes out before what else the publisher is told. */
void channel_confirm_now(struct channel *channel);
bool confirm_next(struct core *core, struct effect *effect);

#endif
