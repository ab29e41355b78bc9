/* Channel: opened, limited and closed. */
#include "core/channel/channel.h"
#include "core/channel/connection.h"
#include "core/channel/settle.h"
#include "core/check/check.h"
#include "core/dispatch/consumer.h"
#include "core/dispatch/replies.h"
#include "core/effect.h"
#include "core/exchange/route.h"
#include "core/inputs.h"
#include "core/state.h"
#include "core/topology/declare_queue.h"

#include "base/alloc.h"

#include <stdlib.h>

struct channel *channel_open(struct connection *connection, void *owner)
{
	struct channel *ch = alloc_zeroed(sizeof *ch);
	ch->core = connection->core;
	ch->connection = connection;
	ch->owner = owner;
	map_init(&ch->consumers, ch->core->options.hash_seed);
	list_init(&ch->turns);
	list_init(&ch->in_confirming);
	list_push_tail(&connection->channels, &ch->in_connection);
	ch->core->figures.channels_opened++;
	return ch;
}

void core_qos(struct channel *ch, uint16_t prefetch_count, bool is_global)
{
	CHECKED_INPUT(ch->core);
	if (is_global)
		ch->limit = prefetch_count;
	else
		ch->prefetch = prefetch_count;
	if (!is_global)
		list_each (node, &ch->turns)
			list_entry(node, struct consumer, in_channel)->prefetch = prefetch_count;
	channel_update_consumers(ch);
}

static void destroy_consumers(struct channel *ch)
{
	while (!list_is_empty(&ch->turns)) {
		struct consumer *consumer = list_entry(ch->turns.next, struct consumer, in_channel);
		struct queue *q = consumer->queue;
		consumer_destroy(consumer);
		queue_lost_consumer(q);
	}
}

/* Unacked messages go back before the consumers go, so that an auto-delete queue takes them with
 * it. */
void channel_close(struct channel *ch)
{
	CHECKED_INPUT(ch->core);
	if (ch->mode == CHANNEL_TX)
		core_tx_rollback(ch);
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&ch->consumers, &at)) != NULL;) {
		struct consumer *consumer =
			e->value; /* Nothing comes back to where it just left. */
		consumer->is_closing = true;
		consumer_update(consumer);
	}
	deliveries_requeue(ch);
	destroy_consumers(ch);
	reply_end(ch);
	effects_drop(ch->core, ch->owner, false);
	cancellations_drop(ch);
	route_forget_last(ch);
	list_remove(&ch->in_confirming);
	walks_leave(&ch->core->walks, &ch->in_connection);
	list_remove(&ch->in_connection);
	map_fini(&ch->consumers);
	free(ch->deliveries.slots);
	free(ch->confirms);
	free(ch->claim);
	free(ch->tx_publishes);
	free(ch->tx_settles);
	ch->core->figures.channels_closed++;
	free(ch);
}
