/* Tx: publishes and settlements that wait for their commit. */
#include "core/channel/tx.h"
#include "core/channel/channel.h"
#include "core/channel/publish.h"
#include "core/channel/settle.h"
#include "core/check/check.h"
#include "core/dispatch/unacked.h"
#include "core/inputs.h"
#include "core/message/message.h"
#include "core/state.h"

#include <stdlib.h>

void core_tx_select(struct channel *ch)
{
	CHECKED_INPUT(ch->core);
	assert(ch->mode != CHANNEL_CONFIRM);
	ch->mode = CHANNEL_TX;
}

bool channel_is_tx(const struct channel *ch)
{
	return ch->mode == CHANNEL_TX;
}

void core_tx_commit(struct channel *ch)
{
	CHECKED_INPUT(ch->core);
	uint64_t awaited = ch->tx_settles_len > 0 ? ch->core->batch->sequence : 0;
	for (size_t i = 0; i < ch->tx_publishes_len; i++) {
		uint64_t sequence = publish_now(ch, &ch->tx_publishes[i]);
		free(ch->tx_publishes[i].claim);
		awaited = sequence > awaited ? sequence : awaited;
	}
	for (size_t i = 0; i < ch->tx_settles_len; i++)
		delivery_settle(ch, ch->tx_settles[i].delivery, ch->tx_settles[i].how, 0);
	ch->tx_publishes_len = ch->tx_settles_len = 0;
	ch->core->awaited = awaited;
}

/* The publishes are forgotten; what was acked or rejected is unacked again, under its old tag. */
void core_tx_rollback(struct channel *ch)
{
	CHECKED_INPUT(ch->core);
	deliveries_put_back(&ch->deliveries, ch->tx_settles, ch->tx_settles_len);
	ch->tx_settles_len = 0;
	channel_drop_tx(ch);
}

void channel_drop_tx(struct channel *ch)
{
	for (size_t i = 0; i < ch->tx_publishes_len; i++) {
		message_unref(&ch->core->messages, ch->tx_publishes[i].message);
		free(ch->tx_publishes[i].claim);
	}
	ch->tx_publishes_len = 0;
}
